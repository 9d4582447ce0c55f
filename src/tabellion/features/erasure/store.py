"""The SQL of erasures: their records."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import msgspec
from psycopg.types.json import Jsonb

from tabellion.features.bulk import searching
from tabellion.features.erasure.model import Counts, Erasure
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars

_SELECT: LiteralString = "SELECT id, licence_id, asked_at, ended_at, suppressed, counts, failure FROM tabellion.erasure "

# In the order of the fields of `Watermark`.
_SEQUENCES = (
    "tabellion.outbox_event_id_seq", "l{l}.recipient_id_seq", "l{l}.outbox_mail_id_seq",
    "tabellion.bulk_job_id", "tabellion.etl_execution_id_seq", "tabellion.export_execution_id_seq",
)  # fmt: skip


class Watermark(NamedTuple):
    """How far what may name a person had got at a moment: the last ids that had been given.

    What there was goes by its ids, for the clock of the machine that wrote it may have been ahead. What a transaction enters
    that was open then goes by its moment.
    """

    moment: datetime
    news: int = 0
    mails: int = 0
    outbox_mails: int = 0
    imports: int = 0
    etls: int = 0
    exports: int = 0

    @property
    def accepted(self) -> searching.Accepted:
        """The bulk calls that had been accepted."""
        return searching.Accepted(self.moment, self.imports, self.etls, self.exports)


async def watermark(db: Database, licence_id: int, moment: datetime) -> Watermark:
    """That of a licence, now; `moment` is now."""
    query = (
        "SELECT coalesce(pg_sequence_last_value(s.name::regclass), 0) "
        "FROM unnest(%s::text[]) WITH ORDINALITY AS s (name, place) ORDER BY place"
    )
    return Watermark(moment, *await scalars(db, query, ([each.format(l=licence_id) for each in _SEQUENCES],)))


async def insert(
    db: Database, licence_id: int, now: datetime, *, suppressed: bool, counts: Counts, tables: Sequence[str]
) -> tuple[int, datetime]:
    """Enter an erasure that has yet to end; its id, and the moment by the database's clock. `tables`: see `tables_of`."""
    query = (
        "INSERT INTO tabellion.erasure (licence_id, asked_at, suppressed, counts, tables) VALUES (%s, %s, %s, %s, %s) "
        "RETURNING id, clock_timestamp()"
    )
    row: Any = await (await db.execute(query, (licence_id, now, suppressed, _json(counts), [*tables]))).fetchone()
    return row[0], row[1]


async def tables_of(db: Database, number: int) -> list[str]:
    """The tables, by their ids on the wire, in which the person was."""
    return await scalars(db, "SELECT unnest(tables) FROM tabellion.erasure WHERE id = %s", (number,))


async def find(db: Database, licence_id: int, number: int, *, lock: bool = False) -> Erasure | None:
    """An erasure of a licence; `lock` keeps its row for the transaction."""
    end: LiteralString = " FOR UPDATE" if lock else ""
    cursor = await db.execute(_SELECT + "WHERE licence_id = %s AND id = %s" + end, (licence_id, number))
    row = await cursor.fetchone()
    return None if row is None else _erasure(row)


async def change(db: Database, number: int, counts: Counts, ended_at: datetime | None) -> None:
    """Write down what more was found, and whether that was all."""
    query = "UPDATE tabellion.erasure SET counts = %s, ended_at = %s WHERE id = %s"
    await db.execute(query, (_json(counts), ended_at, number))


async def set_returned(db: Database, number: int, tables: Sequence[str]) -> None:
    """Write down that an import had brought the person back into tables, and exports may have shown them until the
    transaction ends.
    """
    query = (
        "UPDATE tabellion.erasure SET shown_until = 'infinity', "
        "tables = ARRAY(SELECT unnest(tables) UNION SELECT unnest(%s::text[])) WHERE id = %s"
    )
    await db.execute(query, ([*tables], number))


async def shown_until(db: Database, number: int, now: datetime) -> datetime | None:
    """Up to when exports that were accepted may show whom an import had brought back: now, the first time it is asked.

    None: nobody came back. Outside the transaction that deleted them.
    """
    query = (
        "UPDATE tabellion.erasure SET shown_until = least(shown_until, %s) WHERE id = %s AND shown_until IS NOT NULL "
        "RETURNING shown_until"
    )
    return await scalar(db, query, (now, number))


async def fail(db: Database, number: int, now: datetime, why: str) -> None:
    """Write down that an erasure has ended, and not as it should."""
    await db.execute("UPDATE tabellion.erasure SET ended_at = %s, failure = %s WHERE id = %s", (now, why, number))


async def failed(db: Database, since: datetime) -> list[tuple[int, str, str]]:
    """Erasures that have failed since a moment: id, name of the licence, and why."""
    query = (
        "SELECT e.id, l.name, e.failure FROM tabellion.erasure e JOIN tabellion.licence l ON l.id = e.licence_id "
        "WHERE e.failure IS NOT NULL AND e.ended_at >= %s ORDER BY e.id"
    )
    return [(row[0], row[1], row[2]) for row in await (await db.execute(query, (since,))).fetchall()]


async def waiting(db: Database, since: datetime) -> list[tuple[int, str]]:
    """Erasures that were asked for before a moment and have not ended: id, and name of the licence."""
    query = (
        "SELECT e.id, l.name FROM tabellion.erasure e JOIN tabellion.licence l ON l.id = e.licence_id "
        "WHERE e.ended_at IS NULL AND e.asked_at < %s ORDER BY e.id"
    )
    return [(row[0], row[1]) for row in await (await db.execute(query, (since,))).fetchall()]


async def was_called_for(db: Database, licence_id: int, object_: str, moment: datetime, since: datetime | None) -> bool:
    """Whether a call wrote a row at the very moment, or after another one; imports put no single rows on record."""
    query = (
        "SELECT EXISTS (SELECT FROM tabellion.audit WHERE licence_id = %s AND object = %s AND at = %s) "
        "OR EXISTS (SELECT FROM tabellion.audit WHERE licence_id = %s AND object = %s AND at > %s::timestamptz)"
    )
    return await scalar(db, query, (licence_id, object_, moment, licence_id, object_, since))


async def others_are_at_work(db: Database, moment: datetime) -> bool:
    """Whether a transaction is open that began until a moment by the database's clock. Those of other roles are not seen."""
    query = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend' "
        "AND pid <> pg_backend_pid() AND xact_start <= %s)"
    )
    return await scalar(db, query, (moment,))


def _erasure(row: tuple[Any, ...]) -> Erasure:
    values: list[Any] = [*row[:5], msgspec.convert(row[5], Counts), row[6]]
    return Erasure(*values)


def _json(counts: Counts) -> Jsonb:
    return Jsonb(msgspec.to_builtins(counts))
