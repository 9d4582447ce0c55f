"""What `serve` tells of itself: readable lines on a terminal, JSON lines elsewhere."""

import logging
import sys
from collections.abc import Callable

from rich.console import Console

from tabellion.platform.telemetry import configure_logs


def teller(log_level: str) -> Callable[[str], None]:
    """A function that tells one thing."""
    if sys.stderr.isatty():
        terminal = Console(stderr=True)
        return lambda message: terminal.print(message, highlight=False, markup=False, soft_wrap=True)
    configure_logs(log_level)
    return logging.getLogger("tabellion.serve").info
