"""The SQL of sendings. A statement touches one licence's schema; the moment is always a parameter."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from psycopg.errors import UndefinedTable
from psycopg.types.json import Jsonb

from tabellion.features.delivery.model import DOUBTS, Document, Sending
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars

_CHANNEL = "tabellion_mail"
_SENDING = "SELECT id, licence_id, campaign_id, state, version, document FROM tabellion.sending "

# Whether a worker holds a mail of a sending. The order is that of the index of who is held: without it the database reads
# all recipients, as it counts on meeting somebody soon until it has heard that they are gone.
HELD = (
    "(SELECT 1 FROM {l}.recipient WHERE sending_id = %(id)s AND state IN ('CLAIMED', 'SENDING') ORDER BY worker LIMIT 1) "
    "IS NOT NULL"
)
# In a statement that claims or begins: whether the sending goes on, by the document that its worker has.
GOES_ON = "(SELECT state = 'RUNNING' AND version = %(version)s FROM tabellion.sending WHERE id = %(sending)s)"
# Of a mail `r`: the address it went to, empty where it is not kept any more (`stripping`).
ADDRESS = "CASE WHEN left(r.address, 1) = '@' THEN '' ELSE coalesce(r.address, '') END"
# Of a mail `r`: whether nobody knows if it has left, and it is not leaving now. It may be about to be tried again.
IN_DOUBT = (
    "(r.state = 'UNCERTAIN' OR r.state IN ('PLANNED', 'DEFERRED', 'CLAIMED') AND coalesce(r.reason IN ('{}'), false))"
).format("', '".join(DOUBTS))

# Of a mail `r` of a sending `s`: the number of the subscription that it was sent for, which ends by it; null: for none.
SENT_FOR = (
    "(coalesce((SELECT f.value -> 'subscription' FROM jsonb_array_elements(s.document -> 'formerly') WITH ORDINALITY f "
    "WHERE r.ended_at <= (f.value ->> 'until')::timestamptz ORDER BY f.ordinality LIMIT 1), "
    "s.document -> 'subscription') #>> '{}')::int"
)


def in_schema(licence_id: int, query: str, **parts: str) -> bytes:
    """A statement about the tables of a licence: `{l}` stands for its schema, `{name}` for a part.

    Parts are identifiers made of integers, and conditions that were compiled; nothing that a user wrote.
    """
    for name, part in parts.items():
        query = query.replace(f"{{{name}}}", part)
    return query.replace("{l}", f"l{licence_id:d}").encode()


async def everywhere(db: Database, query: str, values: Mapping[str, Any]) -> int:
    """Carry a statement out for each licence, in autocommit mode; how many rows. One that is deleted meanwhile has none."""
    count = 0
    for (licence_id,) in await (await db.execute("SELECT id FROM tabellion.licence ORDER BY id")).fetchall():
        with suppress(UndefinedTable):
            count += (await db.execute(in_schema(licence_id, query), values)).rowcount
    return count


async def insert(db: Database, licence_id: int, campaign_id: int, state: str, document: Document, now: datetime) -> int:
    """Enter a sending; its id."""
    return await scalar(
        db,
        "INSERT INTO tabellion.sending (licence_id, campaign_id, test, state, document, created_at) "
        "VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        (licence_id, campaign_id, document.test, state, _json(document), now),
    )


async def of_campaign(db: Database, campaign_id: int) -> Sending | None:
    """The campaign's sending, tests aside. Who changes it holds the campaign's row."""
    row = await (await db.execute(_SENDING + "WHERE campaign_id = %s AND NOT test", (campaign_id,))).fetchone()
    return None if row is None else _sending(row)


async def set_state(db: Database, sending_id: int, state: str, now: datetime) -> None:
    """Pause, resume, close, end."""
    ended = now if state == "ENDED" else None
    await db.execute("UPDATE tabellion.sending SET state = %s, ended_at = %s WHERE id = %s", (state, ended, sending_id))


async def wait_for_plans(db: Database, sending_id: int) -> None:
    """Keep others from planning mails of a sending, once those are done who are planning (`recipient_store.plan`).

    A call with a thousand triggers takes some seconds.
    """
    await db.execute("SET LOCAL lock_timeout = 0")
    await db.execute("SELECT FROM tabellion.sending WHERE id = %s FOR UPDATE", (sending_id,))


async def delete(db: Database, sending_id: int) -> None:
    """Delete a sending; workers that hear of it find nothing."""
    await db.execute("DELETE FROM tabellion.sending WHERE id = %s", (sending_id,))


async def replace_document(db: Database, sending_id: int, document: Document) -> None:
    """Put another document in the place of the sending's."""
    query = "UPDATE tabellion.sending SET document = %s, version = version + 1 WHERE id = %s"
    await db.execute(query, (_json(document), sending_id))


async def exchange_document(db: Database, sending: Sending, document: Document) -> bool:
    """Put another document in the place of that of a sending; False: somebody else has done so since it was read."""
    query = "UPDATE tabellion.sending SET document = %s, version = version + 1 WHERE id = %s AND version = %s"
    return (await db.execute(query, (_json(document), sending.id, sending.version))).rowcount == 1


async def look_for_a_while(db: Database, sending_id: int, from_at: datetime) -> None:
    """Have workers look at a sending from a moment on; whoever finds mails to be sent stays with it."""
    await look_at(db, sending_id, from_at, from_at + timedelta(minutes=10))


async def look_at(db: Database, sending_id: int, from_at: datetime, until_at: datetime | None) -> None:
    """Have workers look at a sending from one moment to another (None: until it has ended)."""
    await db.execute(
        "INSERT INTO tabellion.mail_due (sending_id, from_at, until_at) "
        "VALUES (%s, %s, coalesce(%s, 'infinity'::timestamptz)) ON CONFLICT DO NOTHING",
        (sending_id, from_at, until_at),
    )


async def is_due(db: Database, sending_id: int, now: datetime) -> bool:
    """Whether a sending is worth a look at a moment."""
    query = "SELECT EXISTS (SELECT 1 FROM tabellion.mail_due WHERE sending_id = %s AND from_at <= %s AND until_at > %s)"
    return bool(await scalar(db, query, (sending_id, now, now)))


async def announce(db: Database, sending_id: int) -> None:
    """Tell the workers that a sending has mails, now; who does not hear it finds them with the next look.

    In a transaction of its own, after that of the mails: a commit that notifies holds up others that do until it is on the
    disk.
    """
    await db.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, str(sending_id)))


async def listen(db: Database) -> None:
    """Hear of what is announced, over this connection."""
    await db.execute(f"LISTEN {_CHANNEL}")


async def announced(db: Database, within_s: float) -> list[int]:
    """The sendings that are announced next, as soon as there is one; none within so many seconds: nothing."""
    return [int(told.payload) async for told in db.notifies(timeout=within_s, stop_after=1)]


async def forget_looks(db: Database, sending_id: int) -> None:
    """Have nobody look at a sending."""
    await db.execute("DELETE FROM tabellion.mail_due WHERE sending_id = %s", (sending_id,))


class Due(NamedTuple):
    """A sending that is worth a look. `triggered`: as in its document."""

    id: int
    licence_id: int
    state: str
    triggered: bool


async def due(db: Database, now: datetime) -> list[Due]:
    """The sendings that are worth a look."""
    cursor = await db.execute(
        "SELECT DISTINCT s.id, s.licence_id, s.state, coalesce((s.document->>'triggered')::bool, false) "
        "FROM tabellion.mail_due d JOIN tabellion.sending s ON s.id = d.sending_id "
        "WHERE d.from_at <= %(now)s AND d.until_at > %(now)s AND s.state IN ('GATHERING', 'RUNNING', 'CLOSING') "
        "ORDER BY s.id",
        {"now": now},
    )
    return [Due(*row) for row in await cursor.fetchall()]


async def forget_due(db: Database, now: datetime) -> None:
    """Delete what need not be looked at any more; of sendings with planned mails the next look is when they are due.

    What a worker holds may be planned again at any moment, without anybody's telling.
    """
    async with db.transaction():
        cursor = await db.execute(
            "DELETE FROM tabellion.mail_due d USING tabellion.sending s WHERE s.id = d.sending_id "
            "AND (d.until_at <= %s OR s.state = 'ENDED') RETURNING s.id, s.licence_id, s.state",
            (now,),
        )
        for sending_id, licence_id, state in set(await cursor.fetchall()):
            if state != "RUNNING":
                continue
            query = (
                "SELECT CASE WHEN {held} THEN %(now)s ELSE (SELECT due_at FROM {l}.recipient WHERE sending_id = %(id)s "
                "AND state IN ('PLANNED', 'DEFERRED') AND due_at < 'infinity' ORDER BY due_at LIMIT 1) END"
            )
            values = {"id": sending_id, "now": now}
            due_at: datetime | None = await scalar(db, in_schema(licence_id, query, held=HELD), values)
            if due_at is not None:
                await look_for_a_while(db, sending_id, max(due_at, now))


async def find(db: Database, sending_id: int) -> Sending | None:
    """A sending."""
    row = await (await db.execute(_SENDING + "WHERE id = %s", (sending_id,))).fetchone()
    return None if row is None else _sending(row)


async def lock(db: Database, sending: Sending) -> Sending | None:
    """A sending as it is now, with the campaign's row locked; None also while somebody else holds that."""
    query = "SELECT 1 FROM tabellion.campaign WHERE id = %s FOR UPDATE SKIP LOCKED"
    if await (await db.execute(query, (sending.campaign_id,))).fetchone() is None:
        return None
    return await find(db, sending.id)


async def gathers(db: Database, sending_id: int) -> bool:
    """Be the one who enters an audience, or gives it the winner, until the transaction ends; False: somebody else is."""
    query = "SELECT pg_try_advisory_xact_lock(%s, hashint8(%s))"
    return bool(await scalar(db, query, (AdvisoryLock.AUDIENCE, sending_id)))


async def going_on(db: Database, sendings: list[int]) -> set[int]:
    """Of some sendings those that may have mails to come."""
    query = "SELECT id FROM tabellion.sending WHERE id = ANY (%s) AND state <> 'ENDED'"
    return set(await scalars(db, query, (sendings,)))


async def licence_exists(db: Database, licence_id: int) -> bool:
    """Whether there is such a licence: one that is gone has no tables to ask."""
    query = "SELECT EXISTS (SELECT 1 FROM tabellion.licence WHERE id = %s)"
    return bool(await scalar(db, query, (licence_id,)))


def _sending(row: tuple[Any, ...]) -> Sending:
    values: list[Any] = [*row[:5], msgspec.convert(row[5], Document)]
    return Sending(*values)


def _json(document: Document) -> Jsonb:
    return Jsonb(msgspec.to_builtins(document))
