"""JSON lines on the standard error stream, for everything that uses Python's logging.

An exception is told by its type and by where it happened. Its message is told only where it cannot quote what somebody has
stored or sent: a database quotes values in its messages, and local variables hold bodies and passwords.
"""

import logging
import sys
import traceback

import psycopg
import structlog
from structlog.typing import EventDict, WrappedLogger

from tabellion.platform.telemetry.seldom import Seldom

# These tell of every connection and job; what matters of them is told by us.
_CHATTY = ("psycopg.pool", "procrastinate", "uvicorn")
_TOLD = (OSError, psycopg.OperationalError, psycopg.InterfaceError)
_away = Seldom()


def formatter() -> logging.Formatter:
    """What turns a log record into a line."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _tell_exception,
            structlog.processors.JSONRenderer(),
        ],
    )


def configure_logs(level: str) -> None:
    """Log as JSON from `level` up; called once by each process."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter())
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


def _tell_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info
    if not isinstance(error, BaseException):
        return event
    event["error"] = type(error).__name__
    # An operational error with a code comes from a statement, and may quote what is in it.
    if isinstance(error, _TOLD) and getattr(error, "sqlstate", None) is None:
        event["reason"] = str(error).strip()
    event["trace"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
    cause = error.__cause__
    if cause is not None:
        event["cause"] = type(cause).__name__
    return event
