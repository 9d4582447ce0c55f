"""What the database's errors mean to a caller."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import ClassVar, TypeVar

import psycopg
from psycopg import errors
from psycopg_pool import PoolTimeout, TooManyRequests

from tabellion.kit.problem import Problem

_T = TypeVar("_T")

_RETRY_AFTER_S = "2"
# For what took the database long in vain, and would again.
_RETRY_LATER_S = "60"
# The database is away, overloaded or busy, and the same call may succeed in a moment. OperationalError stands for lost
# connections and for the SQLSTATE classes 08, 40, 53, 55, 57 and 58 (shutdown, time-outs, a full disk).
_UNAVAILABLE = (
    psycopg.OperationalError,
    errors.IdleInTransactionSessionTimeout,
    errors.ReadOnlySqlTransaction,  # a replica answered, as happens during a failover
    PoolTimeout,
    TooManyRequests,
)
# Operational errors by name that come back however often the call is repeated: a value too big for an index, a bug.
_LASTING = (errors.ProgramLimitExceeded, errors.StatementTooComplex, errors.TooManyColumns, errors.TooManyArguments)
_TOOK_TOO_LONG = (
    "the database gave this call up because it took too long, and nothing was changed; ask for less (a narrower filter, "
    "no sort, an attribute that is unique or indexed), or repeat it when the server has less to do"
)
_LOCKED = (
    "somebody else is changing the same rows, or the structure of their table, and this call has waited in vain; "
    "nothing was changed, repeat it in a moment"
)
RETRYABLE = (errors.SerializationFailure, errors.DeadlockDetected)
_ATTEMPTS, _FIRST_PAUSE_S = 3, 0.01


class Unavailable(Problem):
    """The database cannot be reached or is too busy. Repeat the call after Retry-After seconds.

    Nothing was changed, with one exception nobody can rule out: when the connection broke while a commit was
    on its way, it may have been made. Calls with an Idempotency-Key can be repeated without a thought.
    """

    status: ClassVar[int] = 503
    code: str = "unavailable"

    def __init__(
        self, message: str = "the service is busy; repeat the call in a moment", *, retry_after_s: str = _RETRY_AFTER_S
    ) -> None:
        super().__init__(message, headers={"Retry-After": retry_after_s})


def unavailable(error: BaseException) -> Unavailable | None:
    """The `Unavailable` that a database error amounts to, or None when it is something else (a bug, a violation)."""
    if isinstance(error, errors.DiskFull):
        return Unavailable("the disk of the database is full; its operator has to make room")
    if isinstance(error, errors.QueryCanceled):
        return Unavailable(_TOOK_TOO_LONG, retry_after_s=_RETRY_LATER_S)
    if isinstance(error, errors.LockNotAvailable):
        return Unavailable(_LOCKED)
    if isinstance(error, _UNAVAILABLE) and not isinstance(error, _LASTING):
        return Unavailable()
    return None


def constraint_name(error: psycopg.Error) -> str:
    """The name of the violated constraint or unique index; empty when the error is of another kind."""
    return error.diag.constraint_name or ""


async def retrying(action: Callable[[], Awaitable[_T]]) -> _T:
    """Run a whole transaction, again when it fell victim to a deadlock or a serialisation conflict.

    `action` must begin its own transaction and have no effect outside it. After the last attempt: `Unavailable`.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await action()
        except RETRYABLE as error:
            if attempt == _ATTEMPTS:
                raise Unavailable from error
        # Apart by chance, so that the same two do not meet again.
        await asyncio.sleep(_FIRST_PAUSE_S * attempt * (0.5 + random.random()))  # noqa: S311 - no secret
    raise AssertionError
