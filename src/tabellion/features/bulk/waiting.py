"""Jobs that wait for room on a disk: said once in the log, and in the job itself for as long as it waits."""

import logging
from typing import Final, LiteralString

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from tabellion.kit.disk import is_full
from tabellion.kit.outage import Outage
from tabellion.kit.problem import FieldError
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar

_log = logging.getLogger(__name__)
CODE: Final = "disk.full"
# Where the jobs of a word (`fenced.Kind`) are.
_MARK: Final[dict[str, LiteralString]] = {
    "import": "UPDATE tabellion.import_job SET errors = %s WHERE id = %s AND ended_at IS NULL",
    "execution": "UPDATE tabellion.etl_execution SET errors = %s WHERE id = %s AND ended_at IS NULL",
    "export": "UPDATE tabellion.export_execution SET errors = %s WHERE id = %s AND ended_at IS NULL",
}
_COUNT: Final = """
SELECT (SELECT count(*) FROM tabellion.import_job WHERE ended_at IS NULL AND errors @> %(why)s)
     + (SELECT count(*) FROM tabellion.etl_execution WHERE ended_at IS NULL AND errors @> %(why)s)
     + (SELECT count(*) FROM tabellion.export_execution WHERE ended_at IS NULL AND errors @> %(why)s)
"""
# Of a job that another worker has brought to its end nobody says here that it is over: the oldest go.
_MOST_KEPT = 1000
_outages: dict[tuple[str, int], Outage] = {}


def lacks_room(error: BaseException) -> bool:
    """Whether it was a disk that is full, the server's or the database's."""
    return isinstance(error, psycopg.errors.DiskFull) or (isinstance(error, OSError) and is_full(error))


async def note(db: Database, word: str, number: int, error: BaseException) -> None:
    """A job has met a full disk, and is tried again: say so in the job, where even that is possible, and in the log."""
    whose = "database" if isinstance(error, psycopg.Error) else "server"
    message = f"the disk of the {whose} is full; what is left goes on by itself once there is room"
    outage = _outages.setdefault((word, number), Outage(_log))
    if len(_outages) > _MOST_KEPT:
        del _outages[next(iter(_outages))]
    outage.found(f"{word} {number} waits: the disk of the {whose} is full. Make room, and it goes on by itself")
    why = msgspec.to_builtins((FieldError("", CODE, message),))
    try:
        await db.execute(_MARK[word], (Jsonb(why), number))
    except psycopg.Error:
        return  # the log says it, and the disk is to be seen


def over(word: str, number: int) -> None:
    """A job waits for no room, or no more: there is room again, or it has ended otherwise."""
    outage = _outages.pop((word, number), None)
    if outage is not None:
        outage.over(f"{word} {number} waits no more")


async def count(db: Database) -> int:
    """How many jobs wait for room."""
    return await scalar(db, _COUNT, {"why": Jsonb([{"code": CODE}])})
