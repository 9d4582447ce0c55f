"""JSON lines on the standard error stream, for everything that uses Python's logging."""

import logging
import sys

import structlog


def configure_logs(level: str) -> None:
    """Log as JSON from `level` up; called once by each process."""
    shared = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.dict_tracebacks,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # These tell of every connection and job; what matters of them is told by us.
    for chatty in ("psycopg.pool", "procrastinate", "_granian"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
