"""What the database or the system refuses, in a sentence for whoever has called a verb."""

import psycopg
from psycopg import errors

from tabellion.kit import disk
from tabellion.platform.database.errors import RETRYABLE

_AGAIN = "what was not finished is undone; run it again"
_MEANT = (
    (RETRYABLE, f"others were at work on the same at the same moment, and the database let them go first: {_AGAIN}"),
    (errors.LockNotAvailable, f"others hold what this has waited for in vain: {_AGAIN} in a moment"),
    (errors.QueryCanceled, f"the database gave this up because it took too long: {_AGAIN} when the server has less to do"),
    (errors.DiskFull, f"the disk of the database is full: {_AGAIN} once there is room"),
    (errors.OutOfMemory, f"the database has too little memory for this: {_AGAIN} when the server has less to do"),
)


def told_of_database(error: psycopg.Error) -> str:
    """What it means that the database did not do it, and what to do."""
    for kind, meaning in _MEANT:
        if isinstance(error, kind):
            return meaning
    what = "cannot be reached" if isinstance(error, psycopg.OperationalError) else "refuses"
    return f"the database {what}: {str(error).strip()}"


def told_of_system(error: OSError) -> str:
    """What the system would not do, and with which file, where it says that."""
    why = "the disk is full: make room, and run it again" if disk.is_full(error) else error.strerror or str(error)
    return f"{error.filename}: {why}" if error.filename else why
