"""Processes that do not outlive their parent, and end when they are told to from their first moment on."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent` ends, however that happens (Linux): the port is free at once.

    A parent that ends in order ends its children first, so that their calls in flight are finished.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        # The parent may have died before the line above.
        if os.getppid() != parent:
            os._exit(1)


def end_children_when_asked() -> None:
    """Have processes forked from now on end at once on SIGTERM or SIGINT, until they handle them themselves.

    A fork inherits the handlers of its parent, which only take a note of the signal, in the child for nobody.
    Nothing gets lost in between: the signals wait while the process is forked.
    """
    signals = (signal.SIGTERM, signal.SIGINT)

    def forked() -> None:
        for number in signals:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signals),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, signals),
        after_in_child=forked,
    )


def stop_on_hangup() -> None:
    """Take SIGHUP, which a closed terminal sends to all of its processes, for SIGTERM; ignored (nohup) it stays so."""
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))


@contextmanager
def stop_signals() -> Generator[Callable[[], bool]]:
    """Whether SIGTERM or SIGINT has come."""
    came = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal came
        came = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def interruptible() -> Generator[None]:
    """Within it the first SIGTERM or SIGINT raises `KeyboardInterrupt`, which ends whatever is waited for.

    Those that follow change nothing: what is stopped then comes to its end.
    """

    def interrupt(_: int, __: FrameType | None) -> None:
        for number in before:
            signal.signal(number, lambda *_: None)
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
