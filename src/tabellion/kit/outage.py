"""What lasts, and is found again at each look: the log tells of it when it begins and when it ends."""

import logging


class Outage:
    """Something that is away, full or slow for a while; `log` is who tells."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told: str | None = None

    def __bool__(self) -> bool:
        """Whether it lasts."""
        return self._told is not None

    def found(self, message: str, *, trace: bool = False) -> None:
        """It is there: a warning, unless the same was the last thing told. `trace`: with the exception being handled."""
        if message != self._told:
            self._told = message
            self._log.warning("%s", message, exc_info=trace)

    def over(self, message: str) -> None:
        """It is not, or no more, which is told when it was."""
        if self._told is not None:
            self._told = None
            self._log.info("%s", message)
