"""Jobs that survive their workers: one at a time, taken up again after a crash, ended once.

The connection that works holds the job's advisory lock: when a worker dies, its server process ends, and another one takes
the job up where it was. A worker that was believed dead writes nothing more: the job counts its attempts. A job that
takes its worker or the database along with it, or fails by an error of ours, each time at the same place, is given up.
"""

import logging
from contextlib import suppress
from typing import Protocol, TypeVar

import psycopg

from tabellion.features.bulk import waiting
from tabellion.kit.problem import FieldError
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar
from tabellion.platform.jobs.turns import GaveWay
from tabellion.platform.secrets import SecretUnreadable

_log = logging.getLogger(__name__)
# A database or a disk that is away comes back; an error of our own does not go away by itself, nor does what kills.
_GIVE_UP_AFTER = 5
_TELL = "tell its operator the number of the {}, {}"


class JobError(Exception):
    """The job cannot be done as it was ordered; it ends in FAILED. `code` is stable (`import.*`, `export.*`)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Busy(Exception):
    """Another worker has the job."""


class Stopped(Exception):
    """The job was cancelled, or taken by another worker."""


_PASSING = (psycopg.OperationalError, OSError, Busy, GaveWay)


class Job(Protocol):
    """A job that was taken up."""

    @property
    def progress(self) -> int:
        """A number that grows with what is done for good; another attempt goes on from there."""
        ...


J = TypeVar("J", bound=Job)


class Kind(Protocol[J]):
    """What a kind of jobs has of its own. `word` names it; `lock` is its number among the advisory locks."""

    word: str

    @property
    def lock(self) -> int:
        """See `AdvisoryLock`."""
        ...

    async def begin(self, db: Database, number: int) -> J | None:
        """Take the job up, for the first time or again; None when it has ended."""
        ...

    async def work(self, db: Database, job: J) -> None:
        """Bring it to its end. Raises `JobError`, `Stopped`."""
        ...

    async def fail(self, db: Database, job: J, why: FieldError) -> None:
        """End it in FAILED, for good."""
        ...


def lock_of(kind_lock: int, number: int) -> tuple[int, int]:
    """The advisory lock that whoever works on a job holds: of the second number PostgreSQL takes 31 bits."""
    return kind_lock, number % 2**31


async def run(conninfo: str, kind: Kind[J], number: int) -> None:
    """One attempt at one job. Raises `Busy`, `GaveWay`, and what the database or the disk refuse for the moment."""
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as db:
        if not await scalar(db, "SELECT pg_try_advisory_lock(%s, %s::int)", lock_of(kind.lock, number)):
            raise Busy(f"{kind.word} {number} is with another worker")
        counts = False
        try:
            await _attempt(db, kind, number)
            waiting.over(kind.word, number)
        except _PASSING:
            raise
        except Exception:
            counts = True
            raise
        finally:
            # The server ends a connection's session some moments after the connection; until then the next attempt,
            # which may come at once, would find the job taken.
            with suppress(psycopg.Error):
                if not counts:
                    await db.execute("DELETE FROM tabellion.bulk_start WHERE (lock, number) = (%s, %s)", (kind.lock, number))
                await db.execute("SELECT pg_advisory_unlock(%s, %s::int)", lock_of(kind.lock, number))


async def _attempt(db: Database, kind: Kind[J], number: int) -> None:
    job = await kind.begin(db, number)
    if job is None:
        return
    starts = 0
    try:
        starts = await _start(db, kind, number, job.progress)
        await kind.work(db, job)
    except JobError as error:
        await kind.fail(db, job, FieldError("", error.code, str(error)))
    except SecretUnreadable as error:
        await kind.fail(db, job, FieldError("", error.code, error.message))
    except Stopped:
        _log.info("%s %d was stopped", kind.word, number)
    except _PASSING as error:
        if waiting.lacks_room(error):
            await waiting.note(db, kind.word, number, error)
        raise
    except Exception:
        if starts < _GIVE_UP_AFTER:
            raise
        _log.exception("%s %d failed %d times", kind.word, number, starts)
        why = f"an error of the server; {_TELL.format(kind.word, number)}"
        await kind.fail(db, job, FieldError("", "internal", why))


async def _start(db: Database, kind: Kind[J], number: int, progress: int) -> int:
    """Count how often in a row the job was taken up since it came further, or was left in an orderly way.

    Raises `JobError` when that is too often.
    """
    async with db.transaction():
        # What is to outlive a crash of the database is waited for.
        await db.execute("SET LOCAL synchronous_commit = on")
        starts = await scalar(
            db,
            "INSERT INTO tabellion.bulk_start AS known VALUES (%s, %s, 1, %s) ON CONFLICT (lock, number) DO UPDATE SET "
            "starts = CASE WHEN known.progress = excluded.progress THEN known.starts + 1 ELSE 1 END, "
            "progress = excluded.progress RETURNING starts",
            (kind.lock, number, progress),
        )
    if starts > _GIVE_UP_AFTER:
        raise JobError("internal", f"the server died {_GIVE_UP_AFTER} times over it; {_TELL.format(kind.word, number)}")
    return starts
