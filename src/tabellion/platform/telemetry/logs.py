"""JSON lines on the standard error stream, for everything that uses Python's logging.

An exception is told by its type and by where it happened. Its message is told only where it cannot quote what somebody has
stored or sent: a database quotes values in its messages, and local variables hold bodies and passwords.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import psycopg

from tabellion.platform.telemetry.seldom import Seldom
from tabellion.platform.telemetry.traces import trace_of

# These tell of every connection and job; what matters of them is told by us.
_CHATTY = ("psycopg.pool", "procrastinate", "uvicorn")
_TOLD = (OSError, psycopg.OperationalError, psycopg.InterfaceError)
_away = Seldom()


class _Lines(logging.Formatter):
    """What makes a line of a record."""

    def format(self, record: logging.LogRecord) -> str:
        """JSON in ASCII, whatever its parts hold."""
        line: dict[str, Any] = {
            "event": record.getMessage(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "time": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line |= _told(record.exc_info[1])
        return json.dumps(line)


def configure_logs(level: str) -> None:
    """Log as JSON from `level` up; called once by each process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
    pool = logging.getLogger("psycopg.pool")
    pool.removeFilter(_is_news)
    pool.addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """While the database is away, the driver's pools tell of each connection, and of each try to make another one.

    That it is away is said by the tries, now and then, with the reason; that its connections are closed goes without saying.
    """
    text = str(record.msg)
    if text.startswith(("error connecting", "reconnection attempt")):
        return _away.is_due()
    return not text.startswith("discarding closed connection")


def _told(error: BaseException) -> dict[str, Any]:
    told: dict[str, Any] = {"error": type(error).__name__}
    # An operational error with a code comes from a statement, and may quote what is in it.
    if isinstance(error, _TOLD) and getattr(error, "sqlstate", None) is None:
        told["reason"] = str(error).strip()
    told["trace"] = trace_of(error)
    cause = error.__cause__
    if cause is not None:
        told["cause"] = type(cause).__name__
    return told
