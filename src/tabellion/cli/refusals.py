"""What the database or the system refuses, in a sentence for whoever has called a verb."""

import psycopg
from psycopg import errors

from tabellion.kit import disk
from tabellion.platform.database.errors import RETRYABLE

_AGAIN = "what was not finished is undone; run it again"
# What it means, and when it may be tried again.
_MEANT = (
    (RETRYABLE, "others were at work on the same at the same moment, and the database let them go first", ""),
    (errors.LockNotAvailable, "others hold what this has waited for in vain", " in a moment"),
    (errors.QueryCanceled, "the database gave this up because it took too long", " when the server has less to do"),
    (errors.DiskFull, "the disk of the database is full", " once there is room"),
    (errors.OutOfMemory, "the database has too little memory for this", " when the server has less to do"),
)


def told_of_database(error: psycopg.Error, again: str = _AGAIN) -> str:
    """What it means that the database did not do it, and what to do: `again`, where that is of use."""
    for kind, meaning, when in _MEANT:
        if isinstance(error, kind):
            return f"{meaning}: {again}{when}"
    what = "cannot be reached" if isinstance(error, psycopg.OperationalError) else "refuses"
    return f"the database {what}: {str(error).strip()}"


def told_of_system(error: OSError, again: str = "run it again") -> str:
    """What the system would not do, and with which file, where it says that; `again`: as above."""
    why = f"the disk is full: make room, and {again}" if disk.is_full(error) else error.strerror or str(error)
    return f"{error.filename}: {why}" if error.filename else why
