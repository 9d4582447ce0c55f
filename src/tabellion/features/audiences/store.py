"""The SQL of saved audiences and their keys."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, LiteralString

import msgspec
from psycopg.types.json import Jsonb

from tabellion.features.audiences.model import Audience, Target
from tabellion.platform.database.connection import Database
from tabellion.platform.database.references import referenced
from tabellion.platform.database.scalars import scalar, scalars

_SELECT: LiteralString = (
    "SELECT id, licence_id, entity_id, table_id, name, definition, attribute, keys, version, created_at, updated_at "
    "FROM tabellion.audience WHERE licence_id = %s "
)


def keys_of(licence_id: int) -> str:
    """The table of keys of a licence, for conditions."""
    return f"l{licence_id:d}.audience_key"


async def find(db: Database, licence_id: int, entity_id: int, reference: str, *, lock: bool = False) -> Audience | None:
    """An audience of an entity by its id, or else by its name; `lock` keeps its row for the transaction."""
    row = await referenced(db, _SELECT + "AND entity_id = %s ", (licence_id, entity_id), reference, lock=lock)
    return None if row is None else _audience(row)


async def by_ids(db: Database, licence_id: int, ids: Sequence[int], *, keep: bool = False) -> dict[int, Audience]:
    """Audiences by their ids; `keep`: nobody deletes them in this transaction."""
    if not ids:
        return {}
    end: LiteralString = " FOR SHARE" if keep else ""
    cursor = await db.execute(_SELECT + "AND id = ANY (%s)" + end, (licence_id, list(ids)))
    return {row[0]: _audience(row) for row in await cursor.fetchall()}


async def for_table(db: Database, table_id: int) -> list[Audience]:
    """Audiences that choose from a table, by id."""
    query: LiteralString = _SELECT.replace("WHERE licence_id = %s", "WHERE table_id = %s") + "ORDER BY id"
    return [_audience(row) for row in await (await db.execute(query, (table_id,))).fetchall()]


async def names(db: Database, licence_id: int, entity_id: int) -> list[str]:
    """What the latest audiences of an entity are called."""
    query = "SELECT name FROM tabellion.audience WHERE licence_id = %s AND entity_id = %s ORDER BY id DESC LIMIT 200"
    return await scalars(db, query, (licence_id, entity_id))


async def search(db: Database, licence_id: int, entity_id: int) -> list[Audience]:
    """Audiences of an entity, by name."""
    query = _SELECT + "AND entity_id = %s ORDER BY tabellion.folded(name)"
    cursor = await db.execute(query, (licence_id, entity_id))
    return [_audience(row) for row in await cursor.fetchall()]


async def insert(db: Database, new: Audience) -> int | None:
    """Enter an audience; its id, or None when the name is used. Raises ForeignKeyViolation when the table is gone."""
    return await scalar(
        db,
        "INSERT INTO tabellion.audience (licence_id, entity_id, table_id, name, definition, attribute, keys, created_at, "
        "updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (entity_id, tabellion.folded(name)) DO NOTHING RETURNING id",
        (
            new.licence_id, new.entity_id, new.table_id, new.name, _json(new.definition), new.attribute, new.keys,
            new.created_at, new.updated_at,
        ),
    )  # fmt: skip


async def update(db: Database, changed: Audience, now: datetime) -> None:
    """Write an audience back. Raises UniqueViolation when the name is used."""
    await db.execute(
        "UPDATE tabellion.audience SET name = %s, definition = %s, attribute = %s, keys = %s, "
        "version = version + 1, updated_at = %s WHERE id = %s",
        (
            changed.name, _json(changed.definition), changed.attribute, changed.keys, now, changed.id,
        ),
    )  # fmt: skip


async def delete(db: Database, audience: Audience) -> None:
    """Delete an audience with its keys."""
    await replace_keys(db, audience.licence_id, audience.id, ())
    await db.execute("DELETE FROM tabellion.audience WHERE id = %s", (audience.id,))


async def users(db: Database, audience_id: int, ended: Sequence[str]) -> list[str]:
    """Names of the campaigns that aim at an audience, without those in a state of `ended`."""
    return await scalars(
        db,
        "SELECT c.name FROM tabellion.campaign_audience u JOIN tabellion.campaign c ON c.id = u.campaign_id "
        "WHERE u.audience_id = %s AND c.state <> ALL (%s) ORDER BY c.id LIMIT 10",
        (audience_id, list(ended)),
    )


async def used_by(db: Database, campaign_id: int, audiences: Sequence[int]) -> None:
    """Note the audiences that a campaign aims at, in the place of those before."""
    query = "DELETE FROM tabellion.campaign_audience WHERE campaign_id = %s AND audience_id <> ALL (%s)"
    await db.execute(query, (campaign_id, list(audiences)))
    await db.execute(
        "INSERT INTO tabellion.campaign_audience (campaign_id, audience_id) SELECT %s, unnest(%s::bigint[]) "
        "ON CONFLICT DO NOTHING",
        (campaign_id, list(audiences)),
    )


async def replace_keys(db: Database, licence_id: int, audience_id: int, keys: Iterable[str]) -> int:
    """Put keys in the place of those before; how many different ones there are."""
    table = keys_of(licence_id)
    await db.execute(f"DELETE FROM {table} WHERE audience_id = %s".encode(), (audience_id,))  # noqa: S608 - a number
    wanted = dict.fromkeys(keys)
    if wanted:
        async with db.cursor() as cursor, cursor.copy(f"COPY {table} (audience_id, key) FROM STDIN".encode()) as copy:
            for key in wanted:
                await copy.write_row((audience_id, key))
    return len(wanted)


async def forget_keys(
    db: Database,
    licence_id: int,
    table_id: int,
    attributes: Sequence[str | None],
    values: Sequence[str],
    *,
    folded: bool = False,
) -> int:
    """Take keys out of the audiences of a table: values of attributes (in lower case; None: ids); how many.

    `folded`: the case of letters beyond ASCII makes no difference either, as in addresses.
    """
    keys, fold = keys_of(licence_id), "tabellion.folded" if folded else "lower"
    query = f"""
WITH gone AS (
    DELETE FROM {keys} k USING tabellion.audience a, unnest(%(attributes)s::text[], %(values)s::text[]) AS p (attribute, key)
    WHERE a.licence_id = %(licence)s AND a.table_id = %(table)s AND a.keys IS NOT NULL AND k.audience_id = a.id
      AND lower(a.attribute) IS NOT DISTINCT FROM p.attribute AND {fold}(k.key) = {fold}(p.key)
    RETURNING k.audience_id
), counted AS (
    UPDATE tabellion.audience a SET keys = a.keys - g.number, version = version + 1
    FROM (SELECT audience_id, count(*) AS number FROM gone GROUP BY 1) g WHERE a.id = g.audience_id
)
SELECT count(*) FROM gone
"""  # noqa: S608 - a number
    given = {"licence": licence_id, "table": table_id, "attributes": [*attributes], "values": [*values]}
    return await scalar(db, query.encode(), given)


def _audience(row: tuple[Any, ...]) -> Audience:
    values: list[Any] = [*row[:5], msgspec.convert(row[5], Target), *row[6:]]
    return Audience(*values)


def _json(document: msgspec.Struct) -> Jsonb:
    return Jsonb(msgspec.to_builtins(document))
