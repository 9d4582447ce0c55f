"""What a process may have: CPU time, memory, files, other processes. The kernel keeps the limits, not Python.

They work without privileges and for root alike, but for RLIMIT_NPROC, which the kernel does not apply to root.
"""

import ctypes
import fcntl
import os
import resource
import signal
from collections.abc import Generator
from contextlib import contextmanager, suppress

_MB = 1 << 20
_PIPE_BYTES = 1 << 20
# Three: standard input, output and error. No file and no socket can be opened besides.
_SHUT, _AJAR = 3, 32
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38


def shut(memory_mb: int) -> None:
    """From here on: no new file, socket or process, nothing written to a disk, no more memory than `memory_mb` in all."""
    os.chdir("/")
    # Whatever the server does with this signal: here it ends the process.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.closerange(3, 1024)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_SHUT, _AJAR))
    # All that is mapped counts, also what was never touched: what is resident can only be less.
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb * _MB, memory_mb * _MB))


@contextmanager
def files() -> Generator[None]:
    """A while in which files may be opened: languages and time zones are read when a template first wants them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (_AJAR, _AJAR))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_SHUT, _AJAR))


@contextmanager
def cpu(seconds: float) -> Generator[None]:
    """At most so much CPU time, of the process and the kernel for it; then the kernel kills with SIGPROF."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def widen_pipe(descriptor: int) -> None:
    """Room for some mails in the pipe, so that rendering goes on while the server is busy."""
    with suppress(OSError):
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
