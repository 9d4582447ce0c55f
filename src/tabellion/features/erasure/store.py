"""The SQL of erasures: their records."""

from datetime import datetime
from typing import Any, LiteralString

import msgspec
from psycopg.types.json import Jsonb

from tabellion.features.erasure.model import Counts, Erasure
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar

_SELECT: LiteralString = "SELECT id, licence_id, asked_at, ended_at, suppressed, counts FROM tabellion.erasure "


async def insert(db: Database, licence_id: int, now: datetime, *, suppressed: bool, counts: Counts) -> int:
    """Enter an erasure that has yet to end; its id."""
    query = "INSERT INTO tabellion.erasure (licence_id, asked_at, suppressed, counts) VALUES (%s, %s, %s, %s) RETURNING id"
    return await scalar(db, query, (licence_id, now, suppressed, _json(counts)))


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


def _erasure(row: tuple[Any, ...]) -> Erasure:
    values: list[Any] = [*row[:5], msgspec.convert(row[5], Counts)]
    return Erasure(*values)


def _json(counts: Counts) -> Jsonb:
    return Jsonb(msgspec.to_builtins(counts))
