"""The SQL of licences, entities, API users and tokens."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from psycopg import errors, sql
from psycopg.types.json import Jsonb

from tabellion.features.licences.model import Access, ApiUser, Entity, Licence, LicenceLimits, PasswordUser
from tabellion.platform.database.connection import Database, fetch
from tabellion.platform.database.scalars import scalar

_LIMITS = LicenceLimits.__struct_fields__
_LIMIT_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, _LIMITS))
_LICENCE = sql.SQL("SELECT id, name, time_zone, preset, created_at, {} FROM tabellion.licence").format(_LIMIT_COLUMNS)
_USERS = """
SELECT u.id, u.login, u.rights,
    (SELECT array_agg(e.name ORDER BY e.name) FROM tabellion.entity e WHERE e.id = ANY (u.entity_ids)), d.name, u.created_at
FROM tabellion.api_user u LEFT JOIN tabellion.entity d ON d.id = u.default_entity_id
WHERE u.licence_id = %s ORDER BY lower(u.login)
"""
_CALLER = b"""
SELECT l.name, l.time_zone, u.login, u.rights, u.entity_ids, u.default_entity_id,
    (SELECT coalesce(json_agg(json_build_array(e.id, e.name, e.comment) ORDER BY tabellion.folded(e.name)), '[]'::json)
     FROM tabellion.entity e WHERE e.licence_id = l.id), l.max_bulk_file_bytes
FROM tabellion.api_user u JOIN tabellion.licence l ON l.id = u.licence_id WHERE u.id = %s
"""
# A moment to come is one from before the clock was put back; some seconds of it are a difference between machines.
_RECENT = "f.since > %(now)s::timestamptz - %(window)s::interval AND f.since < %(now)s::timestamptz + %(window)s::interval"
_FAILED = f"""
INSERT INTO tabellion.auth_failure AS f (subject, failures, since)
SELECT s, 1, %(now)s FROM unnest(%(subjects)s::text[]) s ORDER BY s
ON CONFLICT (subject) DO UPDATE SET
    failures = CASE WHEN {_RECENT} THEN f.failures + 1 ELSE 1 END,
    since = CASE WHEN {_RECENT} THEN f.since ELSE EXCLUDED.since END
RETURNING f.subject, f.failures
"""  # noqa: S608 - our own words
_FAILURES = f"""
SELECT f.subject, f.failures FROM tabellion.auth_failure f WHERE f.subject = ANY (%(subjects)s) AND {_RECENT}
"""  # noqa: S608 - our own words


async def licences(db: Database) -> list[Licence]:
    """All licences by name."""
    cursor = await db.execute(_LICENCE + sql.SQL(" ORDER BY lower(name)"))
    return [_licence(row) for row in await cursor.fetchall()]


async def licence(db: Database, name: str) -> Licence | None:
    """One licence by its name, whatever the case. Inside a transaction its row is locked, but not for who refers to it."""
    cursor = await db.execute(_LICENCE + sql.SQL(" WHERE lower(name) = lower(%s) FOR NO KEY UPDATE"), (name,))
    row = await cursor.fetchone()
    return None if row is None else _licence(row)


async def knows_zone(db: Database, name: str) -> bool:
    """Whether the database has a time zone of this name."""
    try:
        async with db.transaction():
            await db.execute("SELECT now() AT TIME ZONE %s", (name,))
    except errors.InvalidParameterValue:
        return False
    return True


async def insert_licence(db: Database, name: str, time_zone: str, preset: str, limits: LicenceLimits, now: datetime) -> int:
    """Enter a licence and make its schema, with the consent history and the tables of mails. Raises UniqueViolation."""
    query = sql.SQL(
        "INSERT INTO tabellion.licence (name, time_zone, preset, created_at, {}) VALUES (%s, %s, %s, %s, {}) RETURNING id"
    ).format(_LIMIT_COLUMNS, sql.SQL(", ").join(sql.Placeholder() * len(_LIMITS)))
    licence_id = await scalar(db, query, (name, time_zone, preset, now, *(getattr(limits, field) for field in _LIMITS)))
    schema = sql.Identifier(f"l{licence_id:d}")
    await db.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
    await db.execute(
        sql.SQL(
            "CREATE TABLE {}.consent (table_id integer NOT NULL, profile_id bigint NOT NULL, subscription integer NOT NULL, "
            "subscribed boolean NOT NULL, moment timestamptz NOT NULL, source text NOT NULL, details jsonb)"
        ).format(schema)
    )
    await db.execute(sql.SQL("CREATE INDEX consent_profile ON {}.consent (table_id, profile_id, moment)").format(schema))
    await db.execute("SELECT tabellion.make_mail_tables(%s)", (licence_id,))
    await db.execute("SELECT tabellion.make_bounce_tables(%s)", (licence_id,))
    await db.execute("SELECT tabellion.make_content_tables(%s)", (licence_id,))
    await db.execute("SELECT tabellion.make_reader_columns(%s)", (licence_id,))
    await db.execute("SELECT tabellion.make_pacing_tables(%s)", (licence_id,))
    await db.execute("SELECT tabellion.make_tries_column(%s)", (licence_id,))
    await db.execute("SELECT tabellion.make_suppression_columns(%s)", (licence_id,))
    await db.execute("SELECT tabellion.make_address_index(%s)", (licence_id,))
    await db.execute("SELECT tabellion.make_report_tables(%s)", (licence_id,))
    await db.execute("SELECT tabellion.make_retry_index(%s)", (licence_id,))
    await db.execute("SELECT tabellion.make_erasure_tables(%s)", (licence_id,))
    return licence_id


async def update_limits(db: Database, licence_id: int, preset: str, limits: LicenceLimits, time_zone: str) -> None:
    """Set a licence's limits and time zone."""
    sets = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(field)) for field in _LIMITS)
    query = sql.SQL("UPDATE tabellion.licence SET preset = %s, time_zone = %s, {} WHERE id = %s").format(sets)
    await db.execute(query, (preset, time_zone, *(getattr(limits, field) for field in _LIMITS), licence_id))


async def delete_licence(db: Database, licence_id: int) -> None:
    """Erase a licence with everything it has."""
    await db.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(f"l{licence_id:d}")))
    # First, as the gate does: else it might wait for the licence, and who deletes that for the gate.
    await db.execute("SELECT FROM tabellion.usage_state WHERE licence_id = %s FOR UPDATE", (licence_id,))
    await db.execute("DELETE FROM tabellion.licence WHERE id = %s", (licence_id,))


async def bump_catalogue(db: Database, licence_id: int) -> None:
    """Tell every process, through the gate, that users, entities, tables or subscriptions to events have changed.

    The licence's row is locked by it: such changes follow each other.
    """
    await db.execute("UPDATE tabellion.licence SET catalogue_version = catalogue_version + 1 WHERE id = %s", (licence_id,))


async def zone_and_version(db: Database, licence_id: int) -> tuple[ZoneInfo, int]:
    """The time zone of a licence and the version of its catalogue; UTC and 0 when it is gone."""
    cursor = await db.execute("SELECT time_zone, catalogue_version FROM tabellion.licence WHERE id = %s", (licence_id,))
    row = await cursor.fetchone()
    return (ZoneInfo("UTC"), 0) if row is None else (ZoneInfo(row[0]), row[1])


async def lock_licence(db: Database, licence_id: int) -> None:
    """Keep others from doing the same, for the transaction: what it changes may be read before, and stays so."""
    await db.execute("SELECT 1 FROM tabellion.licence WHERE id = %s FOR NO KEY UPDATE", (licence_id,))


async def entities(db: Database, licence_id: int) -> list[Entity]:
    """The entities of a licence, by name."""
    query = "SELECT id, name, comment FROM tabellion.entity WHERE licence_id = %s ORDER BY tabellion.folded(name)"
    cursor = await db.execute(query, (licence_id,))
    return [Entity(*row) for row in await cursor.fetchall()]


async def entity_name(db: Database, entity_id: int) -> str:
    """The name of an entity, for links; empty when it is gone."""
    return await scalar(db, "SELECT name FROM tabellion.entity WHERE id = %s", (entity_id,)) or ""


async def insert_entity(db: Database, licence_id: int, name: str, comment: str | None, now: datetime) -> int:
    """Enter an entity. Raises UniqueViolation."""
    return await scalar(
        db,
        "INSERT INTO tabellion.entity (licence_id, name, comment, created_at) VALUES (%s, %s, %s, %s) RETURNING id",
        (licence_id, name, comment, now),
    )


async def users(db: Database, licence_id: int) -> list[ApiUser]:
    """The API users of a licence, by login."""
    cursor = await db.execute(_USERS, (licence_id,))
    return [ApiUser(*row) for row in await cursor.fetchall()]


async def count_users(db: Database, licence_id: int) -> int:
    """How many API users a licence has."""
    return await scalar(db, "SELECT count(*) FROM tabellion.api_user WHERE licence_id = %s", (licence_id,))


async def insert_user(db: Database, licence_id: int, values: Mapping[str, Any]) -> int:
    """Enter an API user. Raises UniqueViolation."""
    return await scalar(
        db,
        "INSERT INTO tabellion.api_user (licence_id, login, application, email, rights, entity_ids, default_entity_id, "
        "api_key_hash, password_hash, created_at) VALUES (%(licence)s, %(login)s, %(application)s, %(email)s, %(rights)s, "
        "%(entity_ids)s, %(default_entity_id)s, %(key_hash)s, %(password_hash)s, %(now)s) RETURNING id",
        {**values, "licence": licence_id, "rights": Jsonb(values["rights"])},
    )


async def rotate(db: Database, licence_id: int, login: str, key_hash: bytes, password_hash: str) -> int | None:
    """Give an API user new credentials and end its tokens; None when there is no such user."""
    return await scalar(
        db,
        "WITH u AS (UPDATE tabellion.api_user SET api_key_hash = %s, password_hash = %s, "
        "credential_version = credential_version + 1 WHERE licence_id = %s AND lower(login) = lower(%s) RETURNING id), "
        "t AS (DELETE FROM tabellion.access_token t USING u WHERE t.user_id = u.id) SELECT id FROM u",
        (key_hash, password_hash, licence_id, login),
    )


async def access(db: Database, licence_id: int, login: str) -> tuple[int, Access] | None:
    """The id of an API user, and what it may do; None when there is no such user."""
    query = (
        "SELECT id, rights, entity_ids, default_entity_id FROM tabellion.api_user "
        "WHERE licence_id = %s AND lower(login) = lower(%s) FOR UPDATE"
    )
    row = await (await db.execute(query, (licence_id, login))).fetchone()
    return None if row is None else (row[0], Access(*row[1:]))


async def set_access(db: Database, user_id: int, given: Access) -> None:
    """Say what an API user may do from now on."""
    await db.execute(
        "UPDATE tabellion.api_user SET rights = %s, entity_ids = %s, default_entity_id = %s WHERE id = %s",
        (Jsonb(given.rights), given.entity_ids, given.default_entity_id, user_id),
    )


async def delete_user(db: Database, licence_id: int, login: str) -> int | None:
    """Revoke an API user with its tokens; None when there is no such user."""
    query = "DELETE FROM tabellion.api_user WHERE licence_id = %s AND lower(login) = lower(%s) RETURNING id"
    return await scalar(db, query, (licence_id, login))


async def delete_users(db: Database, licence_id: int) -> None:
    """Revoke all API users of a licence with their tokens."""
    await db.execute("DELETE FROM tabellion.api_user WHERE licence_id = %s", (licence_id,))


async def caller(db: Database, user_id: int) -> tuple[Any, ...] | None:
    """What a `Caller` is made of, in one statement."""
    rows = await fetch(db, _CALLER, (user_id,))
    return rows[0] if rows else None


async def password_user(db: Database, licence_name: str, login: str) -> PasswordUser | None:
    """What the check of a password needs."""
    cursor = await db.execute(
        "SELECT u.id, u.credential_version, u.password_hash FROM tabellion.api_user u "
        "JOIN tabellion.licence l ON l.id = u.licence_id WHERE lower(l.name) = lower(%s) AND lower(u.login) = lower(%s)",
        (licence_name, login),
    )
    row = await cursor.fetchone()
    return None if row is None else PasswordUser(*row)


async def insert_token(db: Database, token_hash: bytes, user_id: int, expires_at: datetime) -> None:
    """Keep the hash of an access token."""
    await db.execute(
        "INSERT INTO tabellion.access_token (hash, user_id, expires_at) VALUES (%s, %s, %s)",
        (token_hash, user_id, expires_at),
        prepare=True,
    )


async def failures(db: Database, subjects: list[str], now: datetime, window: timedelta) -> dict[str, int]:
    """Failed attempts within the window, by subject."""
    cursor = await db.execute(_FAILURES, {"subjects": subjects, "now": now, "window": window})
    return dict(await cursor.fetchall())


async def record_failure(db: Database, subjects: list[str], now: datetime, window: timedelta) -> dict[str, int]:
    """Count a failed attempt; returns the new numbers."""
    cursor = await db.execute(_FAILED, {"subjects": subjects, "now": now, "window": window})
    return dict(await cursor.fetchall())


def _licence(row: tuple[Any, ...]) -> Licence:
    limits = msgspec.convert(dict(zip(_LIMITS, row[5:], strict=True)), LicenceLimits)
    return Licence(row[0], row[1], row[2], row[3], limits, row[4])
