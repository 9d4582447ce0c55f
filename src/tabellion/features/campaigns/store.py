"""The SQL of campaigns and their images."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

import msgspec
from psycopg.types.json import Jsonb

from tabellion.features.audiences import Target
from tabellion.features.campaigns.model import ABTestPlan, Campaign, Content, Kind, Settings, State
from tabellion.platform.database.connection import Database
from tabellion.platform.database.references import referenced
from tabellion.platform.database.scalars import scalar, scalars

_COLUMNS: LiteralString = (
    "id, licence_id, entity_id, table_id, name, kind, state, version, settings, content, target, "
    "created_at, updated_at, scheduled_at, started_at, ended_at, paused_because"
)
_SELECT: LiteralString = f"SELECT {_COLUMNS} FROM tabellion.campaign "  # noqa: S608 - names of our own
_OF_ENTITY: LiteralString = f"{_SELECT}WHERE licence_id = %s AND entity_id = %s "


class Image(NamedTuple):
    """An image of a content, under the token of its address."""

    token: str
    media_type: str
    content: bytes


class Search(NamedTuple):
    """What a list is to hold. `moments`: column, operator, moment."""

    name: str | None
    kinds: tuple[Kind, ...]
    moments: tuple[tuple[LiteralString, LiteralString, datetime], ...]
    limit: int


async def find(db: Database, licence_id: int, entity_id: int, reference: str, *, lock: bool = False) -> Campaign | None:
    """A campaign by its id, or else by its name; `lock` keeps its row for the transaction."""
    row = await referenced(db, _OF_ENTITY, (licence_id, entity_id), reference, lock=lock)
    return None if row is None else _campaign(row)


async def by_id(db: Database, campaign_id: int, *, lock: bool = False) -> Campaign | None:
    """A campaign by its id alone; for workers, which know no callers."""
    end: LiteralString = " FOR UPDATE" if lock else ""
    row = await (await db.execute(_SELECT + "WHERE id = %s" + end, (campaign_id,))).fetchone()
    return None if row is None else _campaign(row)


async def on_their_way(db: Database, licence_id: int, table_ids: Sequence[int]) -> list[Campaign]:
    """The campaigns of tables that were launched and have not ended, by id."""
    states = [State.SCHEDULED, State.IN_PROGRESS, State.PAUSED, State.ACTIVE]
    query: LiteralString = _SELECT + "WHERE licence_id = %s AND table_id = ANY (%s) AND state = ANY (%s) ORDER BY id"
    cursor = await db.execute(query, (licence_id, list(table_ids), [state.value for state in states]))
    return [_campaign(row) for row in await cursor.fetchall()]


async def begun_before(db: Database, moment: datetime, now: datetime) -> list[int]:
    """Mass campaigns that go on, or whose time has come, and were launched before a moment."""
    return await scalars(
        db,
        "SELECT c.id FROM tabellion.campaign c JOIN tabellion.sending s ON s.campaign_id = c.id AND NOT s.test "
        "WHERE c.kind = 'MASS' AND s.created_at <= %s "
        "AND (c.state = 'IN_PROGRESS' OR (c.state = 'SCHEDULED' AND c.scheduled_at <= %s)) ORDER BY c.id",
        (moment, now),
    )


async def of_table(db: Database, table_id: int) -> list[tuple[Campaign, bool]]:
    """The campaigns of a table, by id, and whether all that they ever sent has ended, tests too."""
    ended: LiteralString = "NOT EXISTS (SELECT 1 FROM tabellion.sending s WHERE s.campaign_id = c.id AND s.state <> 'ENDED')"
    query: LiteralString = f"SELECT {_COLUMNS}, {ended} FROM tabellion.campaign c WHERE table_id = %s ORDER BY id"  # noqa: S608 - names of our own
    cursor = await db.execute(query, (table_id,))
    return [(_campaign(row[:-1]), row[-1]) for row in await cursor.fetchall()]


async def forget_table(db: Database, table_id: int) -> None:
    """Have the campaigns of a table stay without it."""
    await db.execute("UPDATE tabellion.campaign SET table_id = NULL WHERE table_id = %s", (table_id,))


async def set_state(db: Database, campaign: Campaign, now: datetime) -> None:
    """Write state and moments back."""
    await db.execute(
        "UPDATE tabellion.campaign SET state = %s, scheduled_at = %s, started_at = %s, ended_at = %s, "
        "paused_because = %s, version = version + 1, updated_at = %s WHERE id = %s",
        (
            campaign.state.value, campaign.scheduled_at, campaign.started_at, campaign.ended_at,
            campaign.paused_because if campaign.state is State.PAUSED else None, now, campaign.id,
        ),
    )  # fmt: skip


async def names(db: Database, licence_id: int, entity_id: int) -> list[str]:
    """What the latest campaigns of an entity are called."""
    query = "SELECT name FROM tabellion.campaign WHERE licence_id = %s AND entity_id = %s ORDER BY id DESC LIMIT 200"
    return await scalars(db, query, (licence_id, entity_id))


async def search(db: Database, licence_id: int, entity_id: int, wanted: Search) -> list[Campaign]:
    """Campaigns, by id."""
    named = "(%s::text IS NULL OR tabellion.folded(name) = tabellion.folded(%s::text))"
    query: LiteralString = f"{_OF_ENTITY}AND {named} AND kind = ANY (%s)"
    values: list[Any] = [licence_id, entity_id, wanted.name, wanted.name, [kind.value for kind in wanted.kinds]]
    for column, operator, moment in wanted.moments:
        query += " AND " + column + " " + operator + " %s"
        values.append(moment)
    cursor = await db.execute(query + " ORDER BY id LIMIT %s", (*values, wanted.limit))
    return [_campaign(row) for row in await cursor.fetchall()]


async def insert(db: Database, new: Campaign) -> int | None:
    """Enter a campaign; its id, or None when the name is used. Raises ForeignKeyViolation when the table is gone.

    An id by which another campaign of the entity is called is not given: calls try digits as an id first.
    """
    while (number := await _insert(db, new)) is not None:
        query = (
            "SELECT EXISTS (SELECT 1 FROM tabellion.campaign WHERE entity_id = %s AND ltrim(name, '0') = %s AND id <> %s)"
        )
        if not await scalar(db, query, (new.entity_id, str(number), number)):
            return number
        await delete(db, number)
    return None


async def _insert(db: Database, new: Campaign) -> int | None:
    return await scalar(
        db,
        "INSERT INTO tabellion.campaign "
        "(licence_id, entity_id, table_id, name, kind, settings, content, created_at, updated_at) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) "
        "ON CONFLICT (entity_id, tabellion.folded(name)) DO NOTHING RETURNING id",
        (
            new.licence_id, new.entity_id, new.table_id, new.name, new.kind.value, _json(new.settings), _json(new.content),
            new.created_at, new.updated_at,
        ),
    )  # fmt: skip


async def update(db: Database, changed: Campaign, now: datetime) -> None:
    """Write settings, content and target back. Raises ForeignKeyViolation when the table is gone."""
    target = None if changed.target is None else _json(changed.target)
    await db.execute(
        "UPDATE tabellion.campaign SET table_id = %s, kind = %s, settings = %s, content = %s, target = %s, "
        "version = version + 1, updated_at = %s WHERE id = %s",
        (changed.table_id, changed.kind.value, _json(changed.settings), _json(changed.content), target, now, changed.id),
    )


async def forget_keys(
    db: Database,
    licence_id: int,
    table_id: int,
    attributes: Sequence[str | None],
    values: Sequence[str],
    *,
    folded: bool = False,
) -> int:
    """Take keys out of the targets of campaigns to a table: values of attributes (in lower case; None: ids); how many.

    `folded`: the case of letters beyond ASCII makes no difference either, as in addresses.
    """
    query = """
WITH meant AS (
    SELECT c.id, p.key FROM tabellion.campaign c, unnest(%(attributes)s::text[], %(values)s::text[]) AS p (attribute, key)
    WHERE c.licence_id = %(licence)s AND c.table_id = %(table)s
      AND lower(c.target -> 'keys' ->> 'attribute') IS NOT DISTINCT FROM p.attribute
), gone AS (
    SELECT c.id, jsonb_agg(v.value ORDER BY v.place) FILTER (WHERE m.key IS NULL) AS kept, count(m.key) AS number
    FROM tabellion.campaign c
    CROSS JOIN LATERAL jsonb_array_elements_text(c.target -> 'keys' -> 'values') WITH ORDINALITY AS v (value, place)
    LEFT JOIN meant m ON m.id = c.id AND {fold}(m.key) = {fold}(v.value)
    WHERE c.id IN (SELECT id FROM meant) AND c.target -> 'keys' IS NOT NULL GROUP BY 1 HAVING count(m.key) > 0
), changed AS (
    UPDATE tabellion.campaign c
    SET target = jsonb_set(c.target, '{keys,values}', coalesce(g.kept, '[]')), version = version + 1
    FROM gone g WHERE g.id = c.id
)
SELECT coalesce(sum(number), 0)::bigint FROM gone
"""
    given = {"licence": licence_id, "table": table_id, "attributes": [*attributes], "values": [*values]}
    statement = query.replace("{fold}", "tabellion.folded" if folded else "lower").encode()
    return await scalar(db, statement, given)


async def set_target(db: Database, campaign_id: int, target: Target) -> None:
    """Aim a campaign that has just been entered."""
    await db.execute("UPDATE tabellion.campaign SET target = %s WHERE id = %s", (_json(target), campaign_id))


async def names_used(db: Database, entity_id: int, names: Sequence[str]) -> set[str]:
    """Which of these names campaigns of an entity have, in whatever case."""
    query = (
        "SELECT n.name FROM unnest(%s::text[]) AS n (name) JOIN tabellion.campaign c "
        "ON c.entity_id = %s AND tabellion.folded(c.name) = tabellion.folded(n.name)"
    )
    return set(await scalars(db, query, (list(names), entity_id)))


async def delete(db: Database, campaign_id: int) -> None:
    """Delete a campaign with its images."""
    await db.execute("DELETE FROM tabellion.campaign WHERE id = %s", (campaign_id,))


async def ab_test(db: Database, campaign_id: int) -> ABTestPlan | None:
    """The A/B test of a campaign, if it has one."""
    query = "SELECT document FROM tabellion.campaign_ab_test WHERE campaign_id = %s"
    row = await (await db.execute(query, (campaign_id,))).fetchone()
    return None if row is None else msgspec.convert(row[0], ABTestPlan)


async def set_ab_test(db: Database, campaign_id: int, plan: ABTestPlan | None, now: datetime) -> None:
    """Put an A/B test in the place of the one before; None: no test."""
    await db.execute("DELETE FROM tabellion.campaign_ab_test WHERE campaign_id = %s", (campaign_id,))
    if plan is not None:
        query = "INSERT INTO tabellion.campaign_ab_test (campaign_id, document, updated_at) VALUES (%s, %s, %s)"
        await db.execute(query, (campaign_id, _json(plan), now))


async def replace_images(
    db: Database, campaign_id: int, language: str, images: Sequence[Image], *, kept: Sequence[str]
) -> None:
    """Put the images of a language's content in the place of those before, but for the tokens that are `kept`."""
    query = "DELETE FROM tabellion.campaign_image WHERE campaign_id = %s AND language = %s AND token <> ALL (%s)"
    await db.execute(query, (campaign_id, language, list(kept)))
    async with db.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO tabellion.campaign_image (token, campaign_id, language, media_type, content) "
            "VALUES (%s, %s, %s, %s, %s)",
            [(image.token, campaign_id, language, image.media_type, image.content) for image in images],
        )


async def image_tokens(db: Database, campaign_id: int) -> list[str]:
    """The tokens of the images of a campaign."""
    return await scalars(db, "SELECT token FROM tabellion.campaign_image WHERE campaign_id = %s", (campaign_id,))


async def copy_images(db: Database, source_id: int, campaign_id: int, tokens: Mapping[str, str]) -> None:
    """Give a campaign the images of another one, under tokens of its own."""
    query = (
        "INSERT INTO tabellion.campaign_image (token, campaign_id, language, media_type, content) "
        "SELECT n.own, %s, i.language, i.media_type, i.content FROM tabellion.campaign_image i "
        "JOIN unnest(%s::text[], %s::text[]) AS n (token, own) ON n.token = i.token WHERE i.campaign_id = %s"
    )
    await db.execute(query, (campaign_id, list(tokens), list(tokens.values()), source_id))


async def image(db: Database, token: str) -> tuple[str, bytes] | None:
    """Media type and content of an image."""
    query = "SELECT media_type, content FROM tabellion.campaign_image WHERE token = %s"
    row = await (await db.execute(query, (token,))).fetchone()
    return None if row is None else (row[0], bytes(row[1]))


def _campaign(row: tuple[Any, ...]) -> Campaign:
    target = None if row[10] is None else msgspec.convert(row[10], Target)
    documents = [msgspec.convert(row[8], Settings), msgspec.convert(row[9], Content), target]
    values: list[Any] = [*row[:5], Kind(row[5]), State(row[6]), row[7], *documents, *row[11:]]
    return Campaign(*values)


def _json(document: msgspec.Struct) -> Jsonb:
    return Jsonb(msgspec.to_builtins(document))
