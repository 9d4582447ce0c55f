"""Time is handed in; this is where it comes from in a running server."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present moment, aware, UTC."""
    return datetime.now(UTC)
