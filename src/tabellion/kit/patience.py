"""Word of what is waited for: whoever waits for minutes without a word is taken for one that hangs."""

import logging
import time

_FIRST_AFTER_S, _EVERY_S = 5.0, 30.0


class Patience:
    """For a wait that begins now, and that looks again and again; `log` is who tells."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._began_s = time.monotonic()
        self._tell_at_s = self._began_s + _FIRST_AFTER_S

    def lasts(self, message: str) -> None:
        """It is not there yet: a warning after five seconds, and every thirty from then on."""
        now_s = time.monotonic()
        if now_s >= self._tell_at_s:
            self._tell_at_s = now_s + _EVERY_S
            self._log.warning("%s (waited for %d s)", message, now_s - self._began_s)
