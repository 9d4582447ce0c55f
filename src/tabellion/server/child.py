"""A child process that is kept running."""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from tabellion.server.death import die_with_parent
from tabellion.settings import Settings

# Calls in flight may wait up to 25 s for the licence's pace.
STOP_WITHIN_S = 30.0
# Who has not ended by then is killed. The embedded database ends after that: `LEAVE_WITHIN_S`, `postmaster.STOP_WITHIN_S`.
KILL_AFTER_S = STOP_WITHIN_S + 5
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 10.0
# Whoever was killed from outside did not fail by itself, and what it was at waits.
_LONGEST_PAUSE_AFTER_KILL_S = 1.0
# A child that has lived this long was not killed by its own start.
_SETTLED_AFTER_S = 20.0


class Say(Protocol):
    """Tells the operator something; `level` is one of logging's."""

    def __call__(self, message: str, level: int = logging.INFO, /) -> object:
        """Tell it."""
        ...


class Process(Protocol):
    """What of `subprocess.Popen` is made use of."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    def poll(self) -> int | None:
        """Its status once it has ended; the signal that ended it is told as a negative number."""
        ...

    def send_signal(self, sig: int) -> None:
        """Send it a signal, if it runs."""
        ...

    def kill(self) -> None:
        """End it at once."""
        ...

    def wait(self, timeout: float | None = None) -> int | None:
        """Wait for its end. Raises `subprocess.TimeoutExpired`."""
        ...


class Child:
    """A process that is started again when it dies, at ever longer intervals."""

    def __init__(self, name: str, start: Callable[[], Process]) -> None:
        self.name = name
        self._start_process = start
        self._process: Process | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._started_s = 0.0
        self._not_before_s = 0.0

    @property
    def pid(self) -> int | None:
        """Its process, or None while there is none."""
        return None if self._process is None else self._process.pid

    def tend(self, say: Say) -> None:
        """Start it when it does not run and its pause is over. Never waits."""
        now_s = time.monotonic()
        if self._process is not None:
            status = self._process.poll()
            if status is None:
                return
            self._process = None
            if now_s - self._started_s > _SETTLED_AFTER_S:
                self._pause_s = _FIRST_PAUSE_S
            pause_s = self._pause(now_s, _LONGEST_PAUSE_AFTER_KILL_S if status < 0 else _LONGEST_PAUSE_S)
            message = f"the {self.name} process ended with status {status}; it is started again in {pause_s:g} s"
            say(message, logging.WARNING)
        if now_s >= self._not_before_s:
            try:
                self._process = self._start_process()
            except (OSError, subprocess.SubprocessError) as error:
                # The system has no room for one more, most likely. The others go on meanwhile.
                pause_s, why = self._pause(now_s), getattr(error, "strerror", None) or error
                message = f"the {self.name} process could not be started, and is tried again in {pause_s:g} s: {why}"
                say(message, logging.ERROR)
            else:
                self._started_s = time.monotonic()

    def ask_to_stop(self) -> None:
        """Ask it to end; calls in flight are finished."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, until_s: float | None) -> None:
        """Wait for its end, until the monotonic clock says `until_s`; then it is killed."""
        if self._process is None:
            return
        try:
            self._process.wait(None if until_s is None else max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _pause(self, now_s: float, most_s: float = _LONGEST_PAUSE_S) -> float:
        """Leave it alone for a while, and for longer the next time."""
        pause_s = min(self._pause_s, most_s)
        self._not_before_s = now_s + pause_s
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        return pause_s


def verb(name: str, settings: Settings) -> Child:
    """`tabellion <verb>` with the settings of its parent."""
    environment = {**os.environ, **settings.environment()}
    parent = os.getpid()

    def start() -> Process:
        return subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", "tabellion", name],
            env=environment,
            preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - it calls the kernel and nothing else
        )

    return Child(name, start)


def fork(name: str, run: Callable[[], object]) -> Child:
    """A copy of this process that does something else: what was imported is in memory once."""
    return Child(name, lambda: _Fork(run))


class _Fork:
    def __init__(self, run: Callable[[], object]) -> None:
        parent = os.getpid()

        def begin() -> None:
            die_with_parent(parent)
            run()

        self._process = multiprocessing.get_context("fork").Process(target=begin)
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("fork", timeout or 0)
        return self._process.exitcode


def bury_orphans(children: list[Child]) -> None:
    """Let those go that have ended and whose parents are gone: the first process of a container is given them.

    Children are left alone, for whoever waits for them has to learn their status.
    """
    ours = {child.pid for child in children}
    with suppress(OSError):
        for task in Path("/proc/self/task").iterdir():
            for pid in set(map(int, (task / "children").read_text().split())) - ours:
                os.waitpid(pid, os.WNOHANG)


def stop_all(children: list[Child], within_s: float | None) -> None:
    """End them side by side; None: however long that takes."""
    for child in children:
        child.ask_to_stop()
    until_s = None if within_s is None else time.monotonic() + within_s
    for child in children:
        child.wait(until_s)
