"""The SQL of webhook subscriptions."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import asdict, replace

from tabellion.features.webhooks.model import Subscription
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar
from tabellion.platform.outbox import Interest
from tabellion.platform.secrets.places import Place


class _Secrets(msgspec.Struct):
    """What is sealed of a subscription."""

    headers: dict[str, str]
    secret: bytes
    previous_secret: bytes | None


_SEALED = frozenset({*_Secrets.__struct_fields__, "unreadable"})
_OPEN = tuple(name for name in Subscription.__struct_fields__ if name not in _SEALED)
COLUMNS = (
    "s.id, s.licence_id, s.entity_id, s.version, s.subject_kind, s.subject_id, s.event_type, s.on_fields, s.target_url, "
    "s.push_type, s.max_block_size, s.is_active, s.inactive_since, s.inactive_reason, s.failing_since, s.previous_until, "
    "s.sealed, s.unsealed::text"
)
WIDTH = len(_OPEN) + 2
_SELECT = f"SELECT {COLUMNS} FROM tabellion.webhook_subscription s "  # noqa: S608 - our own words
_INSERT = """
INSERT INTO tabellion.webhook_subscription (id, licence_id, entity_id, subject_kind, subject_id, event_type, on_fields,
    target_url, push_type, max_block_size, is_active, inactive_since, inactive_reason, sealed, created_at)
OVERRIDING SYSTEM VALUE VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""
_UPDATE = """
UPDATE tabellion.webhook_subscription SET version = %s, subject_kind = %s, subject_id = %s, event_type = %s, on_fields = %s,
    target_url = %s, push_type = %s, max_block_size = %s, is_active = %s, inactive_since = %s, inactive_reason = %s,
    failing_since = %s, previous_until = %s, sealed = %s, unsealed = NULL
WHERE id = %s
"""


def subscription(row: tuple[Any, ...]) -> Subscription:
    """A subscription from the `COLUMNS`."""
    *open_, sealed, unsealed = row[:WIDTH]
    values = dict(zip(_OPEN, open_, strict=True))
    values["on_fields"] = None if values["on_fields"] is None else tuple(values["on_fields"])
    if sealed is not None:
        try:
            unsealed = secrets.unseal_raw(sealed, _purpose(values["id"]))
        except secrets.SecretUnreadable:
            return Subscription(**values, headers={}, secret=b"", previous_secret=None, unreadable=sealed)
    return Subscription(**values, **asdict(msgspec.json.decode(unsealed, type=_Secrets)))


async def active_interests(db: Database, licence_id: int) -> list[Interest]:
    """What the active subscriptions of a licence listen to."""
    cursor = await db.execute(
        "SELECT DISTINCT subject_kind, subject_id, event_type FROM tabellion.webhook_subscription "
        "WHERE licence_id = %s AND is_active",
        (licence_id,),
    )
    return [Interest(*row) for row in await cursor.fetchall()]


async def page(db: Database, licence_id: int, entity_id: int, *, offset: int, limit: int) -> list[Subscription]:
    """Subscriptions of an entity, by id."""
    query = _SELECT + "WHERE s.licence_id = %s AND s.entity_id = %s ORDER BY s.id OFFSET %s LIMIT %s"
    cursor = await db.execute(query, (licence_id, entity_id, offset, limit))
    return [subscription(row) for row in await cursor.fetchall()]


async def find(
    db: Database, licence_id: int, entity_id: int, subscription_id: int, *, lock: bool = False
) -> Subscription | None:
    """One subscription; `lock` keeps its row for the transaction."""
    query = _SELECT + "WHERE s.licence_id = %s AND s.entity_id = %s AND s.id = %s" + (" FOR UPDATE" if lock else "")
    row = await (await db.execute(query, (licence_id, entity_id, subscription_id))).fetchone()
    return None if row is None else subscription(row)


async def of_licences(db: Database, licence_ids: Iterable[int]) -> list[Subscription]:
    """All the subscriptions of some licences."""
    cursor = await db.execute(_SELECT + "WHERE s.licence_id = ANY (%s) ORDER BY s.id", (list(licence_ids),))
    return [subscription(row) for row in await cursor.fetchall()]


async def insert(db: Database, new: Subscription, now: datetime) -> int:
    """Enter a subscription; its id."""
    new = replace(new, id=await scalar(db, "SELECT nextval(pg_get_serial_sequence('tabellion.webhook_subscription', 'id'))"))
    state = (new.is_active, new.inactive_since, new.inactive_reason)
    await db.execute(_INSERT, (new.id, new.licence_id, new.entity_id, *_rule(new), *state, _sealed(new), now))
    return new.id


async def update(db: Database, new: Subscription) -> None:
    """Write a subscription back."""
    state = (new.is_active, new.inactive_since, new.inactive_reason, new.failing_since, new.previous_until)
    await db.execute(_UPDATE, (new.version, *_rule(new), *state, _sealed(new), new.id))


async def seal_unsealed(db: Database) -> int:
    """Seal what an earlier release has stored as it was; how many. Others may do so at the same moment."""
    async with db.transaction():
        cursor = await db.execute(_SELECT + "WHERE s.unsealed IS NOT NULL ORDER BY s.id FOR UPDATE")
        found = [subscription(row) for row in await cursor.fetchall()]
        for each in found:
            await update(db, each)
    return len(found)


async def delete(db: Database, subscription_id: int) -> None:
    """Delete a subscription with its deliveries."""
    await db.execute("DELETE FROM tabellion.webhook_subscription WHERE id = %s", (subscription_id,))


# In one order, so that two who note the same ones do not wait for each other.
_NOTED = (
    "UPDATE tabellion.webhook_subscription SET failing_since = %(since)s WHERE id IN (SELECT id FROM "
    "tabellion.webhook_subscription WHERE id = ANY (%(ids)s) AND (failing_since IS NULL) = %(well)s "
    "ORDER BY id FOR NO KEY UPDATE)"
)


async def note_success(db: Database, ids: list[int]) -> None:
    """These targets have taken something."""
    await db.execute(_NOTED, {"ids": ids, "well": False, "since": None})


async def note_failure(db: Database, ids: list[int], now: datetime) -> None:
    """These targets have failed; the first failure after a success is remembered."""
    await db.execute(_NOTED, {"ids": ids, "well": True, "since": now})


async def failing_too_long(db: Database, ids: list[int], since: datetime) -> list[tuple[int, int, int]]:
    """Of these, the active ones that have done nothing but fail since a moment: licence, entity and id."""
    cursor = await db.execute(
        "SELECT licence_id, entity_id, id FROM tabellion.webhook_subscription "
        "WHERE id = ANY (%s) AND is_active AND failing_since <= %s",
        (ids, since),
    )
    return [(row[0], row[1], row[2]) for row in await cursor.fetchall()]


def _rule(new: Subscription) -> tuple[Any, ...]:
    fields = None if new.on_fields is None else list(new.on_fields)
    return (new.subject_kind, new.subject_id, new.event_type, fields, new.target_url, new.push_type, new.max_block_size)


def _sealed(new: Subscription) -> bytes:
    if new.unreadable:
        return new.unreadable
    found = _Secrets(dict(new.headers), new.secret, new.previous_secret)
    return secrets.seal_raw(msgspec.json.encode(found).decode(), _purpose(new.id))


def _purpose(subscription_id: int) -> str:
    return f"webhook {subscription_id:d}"


PLACES = (
    Place(
        "of webhooks",
        _purpose,
        "SELECT id, sealed FROM tabellion.webhook_subscription WHERE sealed IS NOT NULL",
        "UPDATE tabellion.webhook_subscription SET sealed = %s WHERE id = %s AND sealed = %s",
    ),
)
