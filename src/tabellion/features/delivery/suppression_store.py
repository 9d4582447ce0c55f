"""The SQL of addresses that get nothing more. They are entered and found by their normal form.

Statements that look at everybody of a sending compare with the address in lower case as it stands: the database cannot turn
a domain into ASCII. Of the few addresses for which that is not enough, the program knows the normal form when it has
claimed them (`keys`, `set_aside`, `unless_by_key`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tabellion.features.delivery import changes
from tabellion.features.delivery.hashed import hash_of, is_hashed
from tabellion.features.delivery.model import Claimed, Sending
from tabellion.features.delivery.store import in_schema
from tabellion.features.delivery.suppression import UNSUBSCRIBE, Suppression
from tabellion.features.delivery.worker_store import ENTERED
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars
from tabellion.platform.mail import normal_form

_SELECT = "SELECT address, reason, since, detail, unsubscribed FROM {l}.suppression "
# What the row of `ON CONFLICT` has and what is new are both unsubscriptions, or neither is.
_ALIKE = "(s.reason = 'UNSUBSCRIBE') = (EXCLUDED.reason = 'UNSUBSCRIBE')"
# An unsubscription beside another reason, whichever of them is new.
_UNSUBSCRIBED = f"""unsubscribed = least(s.unsubscribed, EXCLUDED.unsubscribed,
        CASE WHEN NOT ({_ALIKE}) THEN CASE WHEN s.reason = 'UNSUBSCRIBE' THEN s.since ELSE EXCLUDED.since END END)"""
_PUT = """
INSERT INTO {l}.suppression AS s (address, reason, since, detail, unsubscribed)
SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::timestamptz[])
ON CONFLICT (address) DO UPDATE SET
    reason = CASE WHEN EXCLUDED.reason = 'UNSUBSCRIBE' THEN s.reason ELSE EXCLUDED.reason END,
    since = CASE WHEN {alike} THEN least(s.since, EXCLUDED.since)
                 WHEN EXCLUDED.reason = 'UNSUBSCRIBE' THEN s.since ELSE EXCLUDED.since END,
    detail = CASE WHEN {alike} THEN coalesce(EXCLUDED.detail, s.detail)
                  WHEN EXCLUDED.reason = 'UNSUBSCRIBE' THEN s.detail ELSE EXCLUDED.detail END,
    {unsubscribed}
{only}
RETURNING xmax = 0
"""
# What is known already stays as it is; only the first unsubscription beside another reason is news, and the reverse, and an
# objection to mails where there was a bounce: an address that works again had better not hide it.
_ONLY_NEWS = """WHERE NOT ({alike}) AND (EXCLUDED.reason <> 'UNSUBSCRIBE' OR s.unsubscribed IS NULL)
    OR EXCLUDED.reason IN ('COMPLAINT', 'MANUAL') AND s.reason IN ('HARD_BOUNCE', 'SOFT_BOUNCE')"""


class Lifted(NamedTuple):
    """What came of letting an address get mails again. `unsubscribed`: its owner still wants none."""

    found: bool
    unsubscribed: bool


def holds(*, transactional: bool) -> str:
    """A part of conditions: which suppressions `s` keep mails of a kind from an address. The one place that says so."""
    return "s.reason <> 'UNSUBSCRIBE'" if transactional else "true"


def is_on_list(licence_id: int, address: str) -> str:
    """A part of conditions: whether an address in its normal form gets nothing more, in clear or as a hash."""
    return (
        f"(EXISTS (SELECT FROM {{l}}.suppression s WHERE s.address = {address} AND {{holds}}) "
        f"OR {is_hashed(licence_id, address)})"
    )


def unless_by_key(sending: Sending) -> str:
    """A part of conditions on a recipient `r`: who is suppressed in another form than their own is left out."""
    keyed = "SELECT k.id FROM unnest(%(ids)s::bigint[], %(keys)s::text[]) AS k (id, key)"
    return f"AND r.id NOT IN ({keyed} WHERE {is_on_list(sending.licence_id, 'k.key')})"


def listed(address: str) -> str:
    """A part of conditions: whether `s` is the suppression of an address that profiles have.

    It is compared as the index on the list compares. Columns of profiles have another collation (bytes, "C"), which would
    win, and no index is of any use then: each claim would read the whole list.
    """
    return f's.address = lower({address}) COLLATE "default"'


async def suppress(
    db: Database, licence_id: int, addresses: Iterable[str], reason: str, now: datetime, detail: str | None = None
) -> None:
    """See to it that addresses get nothing more.

    A reason that was there before stays, but an unsubscription before any other one, and a bounce before an objection.
    """
    rows = [Suppression(address, reason, now, detail) for address in set(map(normal_form, addresses))]
    await _enter(db, licence_id, rows, _ONLY_NEWS)


async def put(db: Database, licence_id: int, rows: Sequence[Suppression]) -> int:
    """Enter suppressions, or change what is said of them (`suppression.joined`); how many are new."""
    return await _enter(db, licence_id, rows, "")


async def _enter(db: Database, licence_id: int, rows: Sequence[Suppression], only: str) -> int:
    # In one order, so that two who enter the same addresses do not wait for each other.
    rows = sorted(rows, key=lambda row: row.address)
    columns = [[row[i] for row in rows] for i in range(5)]
    query = _PUT.replace("{only}", only)
    return sum(await scalars(db, in_schema(licence_id, query, alike=_ALIKE, unsubscribed=_UNSUBSCRIBED), columns))


async def is_suppressed(db: Database, licence_id: int, address: str, *, transactional: bool = False) -> bool:
    """Whether an address gets nothing more."""
    query = """
SELECT EXISTS (SELECT FROM {l}.suppression s WHERE s.address = ANY (%(them)s) AND {holds}
               UNION ALL SELECT FROM {l}.suppression_hash s WHERE s.hash = %(hash)s AND {holds})
"""
    parts = {"holds": holds(transactional=transactional)}
    return bool(await scalar(db, in_schema(licence_id, query, **parts), _of(licence_id, address)))


async def find(db: Database, licence_id: int, address: str) -> Suppression | None:
    """What keeps an address from its mails; of an erased person the address as it is asked for."""
    query = f"""
SELECT * FROM (
    {_SELECT} WHERE address = ANY (%(them)s) ORDER BY address = %(normal)s DESC LIMIT 1
) s UNION ALL SELECT %(normal)s, reason, since, NULL, unsubscribed FROM {{l}}.suppression_hash WHERE hash = %(hash)s LIMIT 1
"""  # noqa: S608 - words of our own
    values = _of(licence_id, address) | {"normal": normal_form(address)}
    row = await (await db.execute(in_schema(licence_id, query), values)).fetchone()
    return None if row is None else Suppression(*row)


async def latest(db: Database, licence_id: int, most: int) -> list[Suppression]:
    """Addresses that get nothing more, the latest first."""
    query = _SELECT + "ORDER BY since DESC, address LIMIT %s"
    rows = await (await db.execute(in_schema(licence_id, query), (most,))).fetchall()
    return [Suppression(*row) for row in rows]


async def unsuppress(db: Database, licence_id: int, address: str) -> Lifted:
    """Take away what keeps an address from its mails, and its soft bounces. An unsubscription beside it is left."""
    # Of an erased person who is on the list anew for another reason, only that one goes.
    beside = (
        "reason = %(unsubscribe)s AND EXISTS ("
        "SELECT FROM {l}.suppression s WHERE s.address = ANY (%(them)s) AND s.reason <> %(unsubscribe)s)"
    )
    query = """
WITH forgotten AS (DELETE FROM {l}.soft_bounce WHERE address = ANY (%(them)s)),
gone AS (DELETE FROM {l}.suppression WHERE address = ANY (%(them)s) AND unsubscribed IS NULL RETURNING 1),
kept AS (UPDATE {l}.suppression SET reason = %(unsubscribe)s, since = unsubscribed, detail = NULL, unsubscribed = NULL
         WHERE address = ANY (%(them)s) AND unsubscribed IS NOT NULL RETURNING 1),
hash_gone AS (DELETE FROM {l}.suppression_hash
              WHERE hash = %(hash)s AND unsubscribed IS NULL AND NOT ({beside}) RETURNING 1),
hash_kept AS (UPDATE {l}.suppression_hash
              SET reason = %(unsubscribe)s, since = coalesce(unsubscribed, since), unsubscribed = NULL
              WHERE hash = %(hash)s AND (unsubscribed IS NOT NULL OR {beside}) RETURNING 1)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM hash_gone),
    (SELECT count(*) FROM kept) + (SELECT count(*) FROM hash_kept)
"""
    values = _of(licence_id, address) | {"unsubscribe": UNSUBSCRIBE}
    row = await (await db.execute(in_schema(licence_id, query, beside=beside), values)).fetchone()
    gone, kept = row or (0, 0)
    return Lifted(bool(gone or kept), bool(kept))


async def subscribe_again(db: Database, licence_id: int, address: str) -> None:
    """Forget that the owner of an address wanted no mails; another reason stays."""
    query = """
WITH gone AS (DELETE FROM {l}.suppression WHERE address = ANY (%(them)s) AND reason = %(unsubscribe)s),
hash_gone AS (DELETE FROM {l}.suppression_hash WHERE hash = %(hash)s AND reason = %(unsubscribe)s),
hash_kept AS (UPDATE {l}.suppression_hash SET unsubscribed = NULL WHERE hash = %(hash)s AND reason <> %(unsubscribe)s)
UPDATE {l}.suppression SET unsubscribed = NULL WHERE address = ANY (%(them)s) AND reason <> %(unsubscribe)s
"""
    await db.execute(in_schema(licence_id, query), _of(licence_id, address) | {"unsubscribe": UNSUBSCRIBE})


def keys(held: Sequence[Claimed]) -> list[str | None]:
    """The normal forms of addresses that the database cannot compare as they are; None for the others."""
    return [None if each.address.isascii() else normal_form(each.address) for each in held]


async def set_aside(db: Database, sending: Sending, worker: int, claimed: list[Claimed], now: datetime) -> list[Claimed]:
    """Of what a claim has taken: leave out those who are suppressed in another form than their own; the others."""
    beyond = [each for each in claimed if not each.address.isascii()]
    if not beyond:
        return claimed
    query = """
WITH told AS (
UPDATE {l}.recipient r SET state = CASE WHEN r.reason IS NULL THEN 'EXCLUDED' ELSE 'UNCERTAIN' END,
    reason = coalesce(r.reason, 'suppressed'), attempt = r.attempt - 1, ended_at = %(now)s
FROM unnest(%(ids)s::bigint[], %(attempts)s::smallint[], %(keys)s::text[]) AS h (id, attempt, key)
WHERE r.id = h.id AND r.attempt = h.attempt AND r.worker = %(worker)s AND r.state = 'CLAIMED' AND {on_list}
  AND {entered}
RETURNING r.id, r.campaign_id, r.state, r.reason
){noted} SELECT id FROM told
"""
    values = {
        "ids": [each.id for each in beyond], "attempts": [each.attempt for each in beyond], "keys": keys(beyond),
        "worker": worker, "now": now,
    }  # fmt: skip
    noted = "" if sending.document.test else f", noted AS ({changes.noted(changes.LEFT_OUT, 'told')})"
    parts = {
        "noted": noted, "entered": ENTERED, "on_list": is_on_list(sending.licence_id, "h.key"),
        "holds": holds(transactional=sending.document.transactional),
    }  # fmt: skip
    rows = await (await db.execute(in_schema(sending.licence_id, query, **parts), values)).fetchall()
    left_out = {row[0] for row in rows}
    return [each for each in claimed if each.id not in left_out]


async def forget_person(db: Database, licence_id: int, address: str, now: datetime, *, suppress: bool) -> bool:
    """Forget an address with its soft bounces; a hash is left of it where its owner has objected to mails, or `suppress`.

    An unsubscription, a complaint and what somebody has entered by hand are objections; bounces are none. Whether there is
    one.
    """
    query = """
WITH soft AS (DELETE FROM {l}.soft_bounce WHERE address = ANY (%(them)s)),
gone AS (DELETE FROM {l}.suppression WHERE address = ANY (%(them)s) RETURNING *),
meant AS (
    SELECT reason, since, unsubscribed FROM gone WHERE reason NOT IN ('HARD_BOUNCE', 'SOFT_BOUNCE')
    UNION ALL
    SELECT %(unsubscribe)s, unsubscribed, NULL FROM gone
    WHERE reason IN ('HARD_BOUNCE', 'SOFT_BOUNCE') AND unsubscribed IS NOT NULL
    UNION ALL SELECT %(unsubscribe)s, %(now)s::timestamptz, NULL WHERE %(suppress)s
), kept AS (
    INSERT INTO {l}.suppression_hash AS s (hash, reason, since, unsubscribed)
    SELECT %(hash)s, m.reason, m.since, coalesce(m.unsubscribed, (
        SELECT min(o.since) FROM meant o WHERE o.reason = %(unsubscribe)s AND m.reason <> %(unsubscribe)s))
    FROM meant m ORDER BY m.reason = %(unsubscribe)s, m.since LIMIT 1
    ON CONFLICT (hash) DO UPDATE SET
        reason = CASE WHEN s.reason = %(unsubscribe)s THEN EXCLUDED.reason ELSE s.reason END,
        since = CASE WHEN s.reason = %(unsubscribe)s AND NOT ({alike}) THEN EXCLUDED.since ELSE s.since END,
        {unsubscribed}
    RETURNING 1
)
SELECT EXISTS (SELECT FROM kept) OR EXISTS (SELECT FROM {l}.suppression_hash WHERE hash = %(hash)s)
"""
    values = _of(licence_id, address) | {"unsubscribe": UNSUBSCRIBE, "now": now, "suppress": suppress}
    return bool(await scalar(db, in_schema(licence_id, query, alike=_ALIKE, unsubscribed=_UNSUBSCRIBED), values))


def _of(licence_id: int, address: str) -> dict[str, Any]:
    """How an address may stand on the list: `them` in clear, and its `hash`."""
    return {"them": _spellings(address), "hash": hash_of(licence_id, address)}


def _spellings(address: str) -> list[str]:
    """How an address may stand on the list: in its normal form, or as it was written, as older entries are."""
    return [normal_form(address), address.strip().lower()]
