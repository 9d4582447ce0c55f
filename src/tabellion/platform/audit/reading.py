"""The trail of a licence, read from its end.

Rows come in nearly the order of time, and the only index is a coarse one of their moments, which costs writers next to
nothing (docs/adr/0036-audit-trail.md). So the trail is read backwards in stretches of time that grow, until there is
enough; the last one is all the rest. What a licence at work did last is found in the first; for one that is idle
everything is read, once.
"""

from collections.abc import AsyncGenerator, Iterator
from datetime import datetime, timedelta
from typing import LiteralString

import msgspec
from psycopg.rows import args_row

from tabellion.platform.database.connection import Database

_FIRST = timedelta(hours=1)
_GROWTH = 4
# What is left after stretches of more than this is read as one.
_LONGEST = timedelta(days=30)
# No change is older.
_FIRST_YEAR = 2000
_AT_ONCE = 1000
_SELECT = "SELECT at, actor, user_id, credential, route, object, request_id, note FROM tabellion.audit WHERE "
_NEWEST = " ORDER BY at DESC, id DESC LIMIT %(left)s"


class Entry(msgspec.Struct, frozen=True, rename="camel"):
    """A change. `user_id` and `credential` are null where no API user made it, or the version did not keep it yet."""

    at: datetime
    actor: str
    user_id: int | None
    credential: str | None
    route: str
    object: str
    request_id: str
    note: str | None


class Wanted(msgspec.Struct, frozen=True):
    """Which entries: `since` and later, before `until`; logins are one whatever the case.

    An `object` that ends in `/` is the beginning of what is wanted, and so is a `route` that ends in `.` or `:`.
    """

    licence_id: int
    since: datetime | None = None
    until: datetime | None = None
    actor: str | None = None
    object: str | None = None
    route: str | None = None
    request_id: str | None = None


async def read(db: Database, wanted: Wanted, limit: int, now: datetime) -> AsyncGenerator[list[Entry]]:
    """The entries, newest first, `limit` at most, in blocks; all as they are at one moment.

    `db` is in autocommit mode, and busy until the last block was taken.
    """
    where = _conditions(wanted)
    values = msgspec.to_builtins(wanted, builtin_types=(datetime,))
    left = limit
    async with db.transaction():
        await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        for begin, end in _stretches(wanted, now):
            after: list[LiteralString] = [] if begin is None else ["at >= %(begin)s"]
            before: list[LiteralString] = [] if end is None else ["at < %(end)s"]
            query = _SELECT + " AND ".join([*where, *after, *before]) + _NEWEST
            async with db.cursor("trail", row_factory=args_row(Entry)) as cursor:
                await cursor.execute(query, values | {"begin": begin, "end": end, "left": left})
                while block := await cursor.fetchmany(_AT_ONCE):
                    left -= len(block)
                    yield block
            if not left:
                return


def _conditions(wanted: Wanted) -> list[LiteralString]:
    found: list[LiteralString] = ["licence_id = %(licence_id)s"]
    if wanted.actor is not None:
        found.append("lower(actor) = lower(%(actor)s)")
    if wanted.object is not None:
        found.append("starts_with(object, %(object)s)" if wanted.object.endswith("/") else "object = %(object)s")
    if wanted.route is not None:
        found.append("starts_with(route, %(route)s)" if wanted.route.endswith((".", ":")) else "route = %(route)s")
    if wanted.request_id is not None:
        found.append("request_id = %(request_id)s")
    return found


def _stretches(wanted: Wanted, now: datetime) -> Iterator[tuple[datetime | None, datetime | None]]:
    """Stretches of time, from the end to the beginning of what is wanted; None has no limit.

    The first has no end unless one is wanted: the clock of another machine may be ahead.
    """
    end, length = wanted.until, _FIRST
    begin = now if end is None else min(end, now)
    while length <= _LONGEST and begin.year > _FIRST_YEAR:
        begin -= length
        if wanted.since is not None and begin <= wanted.since:
            break
        yield begin, end
        end = begin
        length *= _GROWTH
    yield wanted.since, end
