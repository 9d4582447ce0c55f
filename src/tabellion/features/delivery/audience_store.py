"""The SQL of audiences: everybody whom a campaign means is entered as a recipient, in one statement."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from tabellion.features.delivery import changes, sole_mails
from tabellion.features.delivery.hashed import is_hashed
from tabellion.features.delivery.model import Document, Sending
from tabellion.features.delivery.store import in_schema
from tabellion.features.delivery.suppression_store import holds, listed
from tabellion.features.tables import ProfileTable, email_of, mother_language_of
from tabellion.features.tables.filters import Condition
from tabellion.kit.domain import in_ascii
from tabellion.platform.database.connection import Database

# The domain of an address with letters beyond ASCII; null for nearly all.
_BEYOND = "CASE WHEN octet_length({0}) > length({0}) THEN split_part({0}, '@', -1) END"

# Everybody whom an audience means, and why some of them get nothing.
_MEANT = """
    SELECT t.id, t.{email} AS address, CASE WHEN {spoken} = '' THEN %s ELSE {spoken} END AS language,
           CASE WHEN coalesce(t.{email}, '') = '' THEN 'noAddress'
                WHEN {spoken} <> '' AND {spoken} <> ALL (%s) THEN 'language'
                WHEN EXISTS (SELECT 1 FROM {l}.suppression s WHERE {listed} AND {holds}) OR {hashed}
                THEN 'suppressed'
           END AS reason
    FROM {l}.{table} t WHERE {audience} ORDER BY t.id LIMIT %s
"""


async def freeze(
    db: Database, sending: Sending, table: ProfileTable, audience: Condition, most: int | None, now: datetime
) -> int:
    """Enter everybody whom the audience means, once, with why some of them get nothing; how many.

    In a transaction of the caller's. The table has an attribute of addresses.
    """
    languages = list(sending.document.languages)
    # With an A/B test everybody waits at first.
    due_at = now if sending.document.ab_test is None else "infinity"
    query = """
WITH frozen AS (
INSERT INTO {l}.recipient (sending_id, campaign_id, test, table_id, profile_id, address, language, state, reason, due_at,
                           planned_at, ended_at, once)
SELECT %s, %s, false, %s, a.id, a.address, a.language,
       CASE WHEN a.reason IS NULL THEN 'PLANNED' ELSE 'EXCLUDED' END, a.reason,
       CASE WHEN a.reason IS NULL THEN %s::timestamptz END, %s, CASE WHEN a.reason IS NOT NULL THEN %s::timestamptz END, true
FROM ({meant}) a
RETURNING campaign_id, state, reason, {beyond} AS written
), left_out AS ({left_out}
), entered AS (
    INSERT INTO {l}.report_change (campaign_id, state, number)
    SELECT campaign_id, 'TARGETED', count(*) FROM frozen GROUP BY 1
)
SELECT count(*), array_agg(DISTINCT written) FILTER (WHERE written IS NOT NULL) FROM frozen
"""
    sole = sole_mails.is_at_stake(sending.document, table)
    values = (
        sending.id, sending.campaign_id, table.id, due_at, now, now, languages[0], languages, *audience.params, most,
    )  # fmt: skip
    parts = {
        "meant": sole_mails.among(_MEANT) if sole else _MEANT, "beyond": _BEYOND.format("address"),
        "left_out": changes.noted(changes.LEFT_OUT, "frozen"), **_parts(sending.document, table, audience),
    }  # fmt: skip
    row = await (await db.execute(in_schema(sending.licence_id, query, **parts), values)).fetchone()
    assert row is not None  # noqa: S101 - an aggregate without GROUP BY answers one row
    count, beyond = row
    if beyond:
        names = await _name_domains(db, sending, beyond)
        if sole and names:
            await sole_mails.set_aside(db, sending, names, now)
    return count


class Forecast(NamedTuple):
    """How many mails an audience would get, and why others of it would get none: how many by reason."""

    mails: int
    excluded: dict[str, int]


async def foretell(db: Database, document: Document, table: ProfileTable, audience: Condition, most: int | None) -> Forecast:
    """How many mails a mass sending would be if it began now, and how many would get none; nothing is written."""
    query = """
SELECT g.reason, sum(g.number)::bigint, count(*), array_agg(DISTINCT {beyond}) FILTER (WHERE {beyond} IS NOT NULL)
FROM (
    SELECT k.reason, coalesce(left(k.key, -length(n.written)) || n.name, k.key) AS key, count(*) AS number
    FROM (SELECT m.reason, CASE WHEN m.reason IS NULL THEN {key} END AS key FROM ({meant}) m) k
    LEFT JOIN unnest(%s::text[], %s::text[]) AS n (written, name) ON n.written = {beyond_here}
    GROUP BY 1, 2
) g GROUP BY 1
"""
    sole = sole_mails.is_at_stake(document, table)
    parts = {
        "meant": _MEANT, "key": sole_mails.KEY.format("m.address") if sole else "''",
        "beyond": _BEYOND.format("g.key"), "beyond_here": _BEYOND.format("k.key"),
        **_parts(document, table, audience),
    }  # fmt: skip
    languages = list(document.languages)

    async def count(known: Mapping[str, str]) -> dict[str | None, tuple[int, int, list[str] | None]]:
        values = (languages[0], languages, *audience.params, most, list(known), list(known.values()))
        cursor = await db.execute(in_schema(table.licence_id, query, **parts), values)
        return {reason: (people, addresses, beyond) for reason, people, addresses, beyond in await cursor.fetchall()}

    found = await count({})
    people, addresses, beyond = found.pop(None, (0, 0, None))
    # Seldom: some domains have letters beyond ASCII, and what is compared is the form that relays take.
    if sole and (known := {each: name.lower() for each in beyond or () if (name := in_ascii(each)) is not None}):
        found = await count(known)
        people, addresses, _ = found.pop(None, (0, 0, None))
    excluded = {str(reason): number for reason, (number, _, _) in found.items()}
    if not sole:
        return Forecast(people, excluded)
    return Forecast(addresses, excluded | {sole_mails.REASON: people - addresses})


def _parts(document: Document, table: ProfileTable, audience: Condition) -> dict[str, str]:
    """What stands in the places of `_MEANT`."""
    email, language = email_of(table.attributes), mother_language_of(table.attributes)
    assert email is not None  # noqa: S101 - whoever asks has seen that the table has addresses
    return {
        "audience": audience.sql, "listed": listed("t.{email}"), "hashed": is_hashed(table.licence_id, "lower(t.{email})"),
        "email": email.column, "table": table.relation, "holds": holds(transactional=document.transactional),
        "spoken": f"lower(coalesce(t.{language.column}, ''))" if language else "''",
    }  # fmt: skip


async def _name_domains(db: Database, sending: Sending, beyond: Sequence[str]) -> list[str]:
    """Give the addresses of a frozen audience their domains as relays take them. What has no such form stays. The domains.

    The database cannot make it (docs/adr/0034-domains.md); domains are few, however many addresses have them.
    """
    known = {written: name for written in beyond if (name := in_ascii(written)) is not None}
    query = """
UPDATE {l}.recipient r SET address = left(r.address, -length(n.written)) || n.name
FROM unnest(%s::text[], %s::text[]) AS n (written, name)
WHERE r.sending_id = %s AND r.once AND {beyond} = n.written
"""
    values = (list(known), list(known.values()), sending.id)
    await db.execute(in_schema(sending.licence_id, query, beyond=_BEYOND.format("r.address")), values)
    return sorted({name.lower() for name in known.values()})
