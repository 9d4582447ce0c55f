"""The SQL of limits: what licences and campaigns say about the pace of their mails, and domains that said "later"."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, LiteralString, NamedTuple

import msgspec
from msgspec.structs import replace
from psycopg.types.json import Jsonb

from tabellion.features.delivery.limits import Delivery, Limits
from tabellion.features.delivery.model import Sending
from tabellion.features.delivery.store import everywhere, in_schema
from tabellion.kit.domain import domain_name
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar

_LIMITS_VERSION = "coalesce((SELECT version FROM tabellion.delivery_limits WHERE licence_id = %(licence)s), 0)"
_OWN_VERSION = "coalesce((SELECT version FROM tabellion.campaign_delivery WHERE campaign_id = %(campaign)s), 0)"
# In a statement that claims: whether the rules it goes by are still those that count.
CURRENT: LiteralString = f"({_LIMITS_VERSION} = %(limits_version)s AND {_OWN_VERSION} = %(own_version)s)"
# Clocks of workers may be apart.
_KEPT = timedelta(hours=1)


class Versions(NamedTuple):
    """Which limits of the licence, and which settings of the campaign; 0: nothing was ever said."""

    limits: int = 0
    delivery: int = 0


class Said(NamedTuple):
    """What was said about a sending; `held`: some domain does not want mails now."""

    limits: Limits
    delivery: Delivery
    held: bool
    versions: Versions = Versions()

    @property
    def nothing(self) -> bool:
        """Whether nothing limits it."""
        return (self.limits, self.delivery, self.held) == (Limits(), Delivery(), False)


async def said_of(db: Database, sending: Sending, now: datetime) -> Said:
    """What counts for a sending."""
    query = """
SELECT (SELECT document FROM tabellion.delivery_limits WHERE licence_id = %(licence)s),
       (SELECT document FROM tabellion.campaign_delivery WHERE campaign_id = %(campaign)s),
       EXISTS (SELECT 1 FROM {l}.domain_hold WHERE until_at > %(now)s), {limits_version}, {own_version}
"""
    values = {"licence": sending.licence_id, "campaign": sending.campaign_id, "now": now}
    parts = {"limits_version": _LIMITS_VERSION, "own_version": _OWN_VERSION}
    row = await (await db.execute(in_schema(sending.licence_id, query, **parts), values)).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM answers one row
    limits, delivery, held, *versions = row
    return Said(_limits(limits or {}), msgspec.convert(delivery or {}, Delivery), held, Versions(*versions))


def fence(sending: Sending, versions: Versions) -> dict[str, int]:
    """The values that `CURRENT` takes."""
    return {
        "licence": sending.licence_id, "campaign": sending.campaign_id,
        "limits_version": versions.limits, "own_version": versions.delivery,
    }  # fmt: skip


async def is_current(db: Database, sending: Sending, versions: Versions) -> bool:
    """Whether the rules of a sending are still those."""
    return bool(await scalar(db, f"SELECT {CURRENT}", fence(sending, versions)))


async def hold_claims(db: Database, licence_id: int) -> None:
    """Have claims of a licence under rules go one after the other, until the transaction ends.

    Whoever changes rules takes this before: so no claim under the old ones ends after the change.
    """
    await db.execute("SELECT pg_advisory_xact_lock(%s, %s)", (AdvisoryLock.MAIL_CLAIMS, licence_id))


async def limits_of(db: Database, licence_id: int) -> tuple[Limits, int]:
    """The limits of a licence, and their version; 0: nothing was ever said."""
    query = "SELECT document, version FROM tabellion.delivery_limits WHERE licence_id = %s"
    row = await (await db.execute(query, (licence_id,))).fetchone()
    return (Limits(), 0) if row is None else (_limits(row[0]), row[1])


def _limits(document: Any) -> Limits:
    """Limits as they were said. Earlier versions kept domains as they were written; the last word on one counts."""
    limits = msgspec.convert(document, Limits)
    named = {name: replace(each, domain=name) for each in limits.domains if (name := domain_name(each.domain))}
    return replace(limits, domains=tuple(named.values()))


async def set_limits(db: Database, licence_id: int, limits: Limits, now: datetime) -> int:
    """Say the limits of a licence; their version."""
    query = """
INSERT INTO tabellion.delivery_limits AS d (licence_id, document, updated_at) VALUES (%s, %s, %s)
ON CONFLICT (licence_id) DO UPDATE
SET document = EXCLUDED.document, updated_at = EXCLUDED.updated_at, version = d.version + 1
RETURNING version
"""
    return await scalar(db, query, (licence_id, Jsonb(msgspec.to_builtins(limits)), now))


async def delivery_of(db: Database, campaign_id: int) -> Delivery:
    """What a campaign says about the pace of its mails."""
    query = "SELECT document FROM tabellion.campaign_delivery WHERE campaign_id = %s"
    row = await (await db.execute(query, (campaign_id,))).fetchone()
    return Delivery() if row is None else msgspec.convert(row[0], Delivery)


async def set_delivery(db: Database, campaign_id: int, delivery: Delivery, now: datetime) -> None:
    """Say something else about the pace of a campaign's mails."""
    query = """
INSERT INTO tabellion.campaign_delivery AS d (campaign_id, document, updated_at) VALUES (%s, %s, %s)
ON CONFLICT (campaign_id) DO UPDATE
SET document = EXCLUDED.document, updated_at = EXCLUDED.updated_at, version = d.version + 1
"""
    await db.execute(query, (campaign_id, Jsonb(msgspec.to_builtins(delivery)), now))


async def copy_delivery(db: Database, source_id: int, campaign_id: int, now: datetime) -> None:
    """Have a campaign that sends nothing yet say what another one says about the pace of its mails."""
    query = (
        "INSERT INTO tabellion.campaign_delivery (campaign_id, document, updated_at) "
        "SELECT %s, document, %s FROM tabellion.campaign_delivery WHERE campaign_id = %s"
    )
    await db.execute(query, (campaign_id, now, source_id))


async def debts(db: Database, licence_id: int, now: datetime) -> dict[str, datetime]:
    """When paces will have been paid for that have not been yet, by key. Needs `hold_claims`."""
    query = "SELECT key, free_at FROM {l}.mail_rate WHERE free_at > %s AND key NOT LIKE 'queue:%%'"
    return dict(await (await db.execute(in_schema(licence_id, query), (now,))).fetchall())


async def set_debts(db: Database, licence_id: int, free_at: Mapping[str, datetime]) -> None:
    """Say when paces will have been paid for. Needs `hold_claims`."""
    query = """
UPDATE {l}.mail_rate m SET free_at = n.free_at FROM unnest(%s::text[], %s::timestamptz[]) AS n (key, free_at)
WHERE m.key = n.key
"""
    await db.execute(in_schema(licence_id, query), (list(free_at), list(free_at.values())))


class HeldDomain(NamedTuple):
    """A domain that said "later"."""

    domain: str
    until: datetime
    reply: str


async def held_domains(db: Database, licence_id: int, now: datetime) -> list[HeldDomain]:
    """The domains that get nothing at a moment."""
    query = (
        "SELECT domain, until_at, coalesce(reply, '') FROM {l}.domain_hold WHERE until_at > %s ORDER BY domain LIMIT 1000"
    )
    return [HeldDomain(*row) for row in await (await db.execute(in_schema(licence_id, query), (now,))).fetchall()]


async def hold_domains(db: Database, licence_id: int, said: Sequence[tuple[str, str]], now: datetime) -> None:
    """Leave domains in peace that said "later" (with their words): a minute, and each time twice as long, up to an hour.

    A domain that has been let alone for as long again begins anew with a minute.
    """
    query = """
INSERT INTO {l}.domain_hold AS h (domain, until_at, pause_s, reply)
SELECT s.domain, %(now)s::timestamptz + interval '60 s', 60, s.reply
FROM unnest(%(domains)s::text[], %(replies)s::text[]) AS s (domain, reply) ORDER BY s.domain
ON CONFLICT (domain) DO UPDATE SET
    pause_s = CASE WHEN h.until_at > %(now)s THEN h.pause_s
        WHEN h.until_at + h.pause_s * interval '1 s' > %(now)s THEN least(h.pause_s * 2, 3600) ELSE 60 END,
    until_at = CASE WHEN h.until_at > %(now)s THEN h.until_at
        WHEN h.until_at + h.pause_s * interval '1 s' > %(now)s
        THEN %(now)s::timestamptz + least(h.pause_s * 2, 3600) * interval '1 s' ELSE EXCLUDED.until_at END,
    reply = EXCLUDED.reply
"""
    by_domain = dict(said)
    values = {"domains": list(by_domain), "replies": list(by_domain.values()), "now": now}
    await db.execute(in_schema(licence_id, query), values)


async def forget_paid(db: Database, now: datetime) -> int:
    """Delete paces that are paid for, places in queues that are over, and domains that begin anew; how many.

    Of all licences. They are as good as none, and each campaign leaves some for each domain that it wrote to.
    `db` is in autocommit mode.
    """
    paid = "DELETE FROM {l}.mail_rate WHERE free_at < %(before)s"
    anew = "DELETE FROM {l}.domain_hold WHERE until_at + pause_s * interval '1 s' < %(before)s"
    values = {"before": now - _KEPT}
    return await everywhere(db, paid, values) + await everywhere(db, anew, values)
