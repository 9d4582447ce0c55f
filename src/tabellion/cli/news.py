"""What `serve` tells of itself: readable lines on a terminal, JSON lines elsewhere."""

import logging
import sys

from tabellion.platform.telemetry import configure_logs
from tabellion.server.child import Say


def teller(log_level: str) -> Say:
    """A function that tells one thing, a warning or an error where a level says so."""
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415 - elsewhere nothing needs it

        terminal = Console(stderr=True)
        return lambda message, _=logging.INFO: terminal.print(message, highlight=False, markup=False, soft_wrap=True)
    configure_logs(log_level)
    log = logging.getLogger("tabellion.serve")
    return lambda message, level=logging.INFO: log.log(level, message)
