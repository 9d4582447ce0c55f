"""A child process that is kept running."""

import logging
import os
import signal
import subprocess
import sys
import time
from typing import Protocol

from tabellion.server.death import die_with_parent
from tabellion.settings import Settings

# Calls in flight may wait up to 25 s for the licence's pace.
STOP_WITHIN_S = 30.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
# Whoever was killed from outside did not fail by itself, and what it was at waits.
_LONGEST_PAUSE_AFTER_KILL_S = 1.0
# A child that has lived this long was not killed by its own start.
_SETTLED_AFTER_S = 20.0


class Say(Protocol):
    """Tells the operator something; `level` is one of logging's."""

    def __call__(self, message: str, level: int = logging.INFO, /) -> object:
        """Tell it."""
        ...


class Child:
    """`tabellion <verb>` with the settings of its parent; when it dies it is started again, at ever longer intervals."""

    def __init__(self, verb: str, settings: Settings) -> None:
        self.verb = verb
        self._environment = {**os.environ, **settings.environment()}
        self._process: subprocess.Popen[bytes] | None = None
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
            pause_s = min(self._pause_s, _LONGEST_PAUSE_AFTER_KILL_S) if status < 0 else self._pause_s
            self._not_before_s = now_s + pause_s
            message = f"the {self.verb} process ended with status {status}; it is started again in {pause_s:g} s"
            say(message, logging.WARNING)
            self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        if now_s >= self._not_before_s:
            self._start()

    def ask_to_stop(self) -> None:
        """Ask it to end; calls in flight are finished."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def wait(self, until_s: float) -> None:
        """Wait for its end, until the monotonic clock says `until_s`; then it is killed."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, until_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        parent = os.getpid()
        command = [sys.executable, "-m", "tabellion", self.verb]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            env=self._environment,
            preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - it calls the kernel and nothing else
        )
        self._started_s = time.monotonic()


def stop_all(children: list[Child]) -> None:
    """End them side by side."""
    for child in children:
        child.ask_to_stop()
    # Longer than they give themselves.
    until_s = time.monotonic() + STOP_WITHIN_S + 5
    for child in children:
        child.wait(until_s)
