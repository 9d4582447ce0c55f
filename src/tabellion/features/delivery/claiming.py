"""Claiming under rules: as `recipient_store.claim`; who may not get a mail now is put off or left out by the same statement.

Claims of a licence with rules go one after the other: each takes a lock first, in the same round trip, so that what it
counts is what is there, whatever other workers do. Paces are kept as GCRA: a key's `free_at` is when what has left is paid
for; mails may be ahead of it by one mail and a second's worth. Mails that a domain has no room for get moments of their
own, one after the other, so that each is looked at about once more and nothing behind them waits.
"""

from datetime import datetime, timedelta
from time import monotonic
from typing import Any, NamedTuple

from tabellion.features.delivery import claim_parts, limits_store, recipient_store, sole_mails, suppression_store
from tabellion.features.delivery.mark import BEGINNING, Mark, Place
from tabellion.features.delivery.model import Claimed, Sending
from tabellion.features.delivery.pacing import Rules
from tabellion.features.delivery.store import GOES_ON, in_schema
from tabellion.features.delivery.worker_store import ENTERED
from tabellion.features.tables import ProfileTable
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar

# A process stays with a sending whose next mail is due within the one; it looks again after the other whether sending hours
# were changed.
_STAY = timedelta(seconds=5)
_CLOSED_S = 2.0
_SECOND = timedelta(seconds=1)
# Compared as the keys of paces and held domains are, whatever the collation of the address (`suppression_store.listed`).
_DOMAIN = """(lower(substring({0}.address FROM '[^@]*$')) COLLATE "default")"""
# Per key: how many may leave now.
_ROOM = "floor((k.every_s + 1 - extract(epoch FROM greatest(k.free_at, %(now)s) - %(now)s)) / k.every_s + 0.000001)"
_CLAIM = """
WITH rates AS MATERIALIZED (
    SELECT k.key, k.every_s, coalesce(m.free_at, %(now)s) AS free_at
    FROM unnest(%(keys)s::text[], %(everies)s::float8[]) AS k (key, every_s) LEFT JOIN {l}.mail_rate m ON m.key = k.key
), due AS MATERIALIZED (
    SELECT d.id, d.table_id, d.profile_id, d.due_at FROM {l}.recipient d
    WHERE d.sending_id = %(sending)s AND d.state IN ('PLANNED', 'DEFERRED') AND d.due_at <= %(now)s
      AND {after}
      AND {goes_on} AND {entered} AND {current}
    ORDER BY d.due_at, d.id
    LIMIT (SELECT CASE WHEN %(exempt)s THEN %(most)s ELSE greatest(least(%(most)s, min({room})), 0) END::bigint FROM rates k)
    FOR UPDATE SKIP LOCKED
), {looked}, closed AS ({closed}
), pressed AS MATERIALIZED ({pressed}
), verdict AS MATERIALIZED ({verdict}
), charged AS (
    INSERT INTO {l}.mail_rate AS m (key, free_at)
    SELECT k.key, greatest(k.free_at, %(now)s) + n.claimed * k.every_s * interval '1 s'
    FROM rates k, (SELECT count(*) AS claimed FROM verdict WHERE fate = 'CLAIMED') n WHERE n.claimed > 0
    UNION ALL
    SELECT 'domain:' || v.domain, greatest(v.free_at, %(now)s) + count(*) * v.every_s * interval '1 s'
    FROM verdict v WHERE v.fate = 'CLAIMED' AND v.every_s IS NOT NULL GROUP BY v.domain, v.free_at, v.every_s
    UNION ALL
    SELECT {queue} || v.domain, max(v.due_at) FROM verdict v WHERE v.fate = 'LATER' AND v.queues GROUP BY v.domain
    ON CONFLICT (key) DO UPDATE SET free_at = EXCLUDED.free_at
)"""
_CLAIMING = """
UPDATE {l}.recipient r SET
    state = CASE v.fate WHEN 'LATER' THEN r.state WHEN 'EXCLUDED' THEN {out} ELSE v.fate END,
    reason = CASE WHEN v.fate = 'LATER' THEN r.reason ELSE coalesce({doubt}, v.reason) END,
    due_at = CASE WHEN v.fate = 'LATER' THEN v.due_at END,
    address = CASE WHEN looked.reason IS DISTINCT FROM 'noAddress' THEN looked.address END,
    attempt = CASE WHEN v.fate = 'CLAIMED' THEN {next_attempt} ELSE r.attempt END,
    worker = CASE WHEN v.fate <> 'LATER' THEN %(worker)s END,
    ended_at = CASE WHEN v.fate = 'EXCLUDED' THEN %(now)s::timestamptz END
FROM verdict v JOIN looked ON looked.id = v.id WHERE r.id = v.id
RETURNING {claimed}
"""
_NEVER_CLOSED = "SELECT d.id, NULL::timestamptz AS opens_at FROM due d"
# Who is not where the column says that they may get mails now.
_CLOSED = """
    SELECT d.id, CASE WHEN z.name IS NOT NULL THEN z.opens_at WHEN lower(t.{zone}::text) = ANY (%(open)s) THEN NULL
                      ELSE %(otherwise)s::timestamptz END AS opens_at
    FROM due d LEFT JOIN {l}.{table} t ON t.id = d.profile_id
    LEFT JOIN unnest(%(zones)s::text[], %(openings)s::timestamptz[]) AS z (name, opens_at)
        ON z.name = lower(t.{zone}::text)"""
_UNPRESSED = """
    SELECT d.id, d.due_at, {reached} AS domain, c.opens_at, k.reason
    FROM due d JOIN looked k ON k.id = d.id JOIN closed c ON c.id = d.id"""
# Who has had enough lately; what is on its way counts, and what the same statement claims before. What is tried again is
# on its way unless its campaign is paused: it is looked at anew when that goes on, which may be in months.
_PRESSED = """
    SELECT d.id, d.due_at, {reached} AS domain, c.opens_at,
        CASE WHEN k.reason IS NOT NULL THEN k.reason
             WHEN c.opens_at IS NULL AND d.profile_id IS NOT NULL AND g.got + row_number() OVER (
                 PARTITION BY d.table_id, d.profile_id, k.reason IS NULL AND c.opens_at IS NULL ORDER BY d.id
             ) > %(mails)s THEN 'pressure' END AS reason
    FROM due d JOIN looked k ON k.id = d.id JOIN closed c ON c.id = d.id CROSS JOIN LATERAL (
        SELECT count(*) AS got FROM {l}.recipient o JOIN tabellion.campaign m ON m.id = o.campaign_id
        WHERE o.table_id = d.table_id AND o.profile_id = d.profile_id AND NOT o.test AND m.kind <> 'TRANSACTIONAL'
          AND (o.ended_at >= %(since)s AND o.state IN ('ACCEPTED', 'UNCERTAIN')
               OR o.ended_at IS NULL AND o.id NOT IN (SELECT id FROM due)
                  AND (o.state IN ('CLAIMED', 'SENDING') OR o.state = 'DEFERRED' AND m.state <> 'PAUSED'))
    ) g"""
_UNDOMAINED = """
    SELECT p.id, p.domain, p.reason, NULL::timestamptz AS free_at, NULL::float8 AS every_s, false AS queues,
        CASE WHEN p.reason IS NOT NULL THEN 'EXCLUDED' WHEN p.opens_at IS NOT NULL THEN 'LATER' ELSE 'CLAIMED' END AS fate,
        p.opens_at AS due_at
    FROM pressed p"""
# How much room there is for each domain, and who has a place in it; transactional mails wait only where a domain said
# "later". What is looked up is looked up for each mail: joining groups of domains takes longer.
_DOMAINED = """
    SELECT g.id, g.domain, g.reason, g.free_at, g.every_s, g.opens_at IS NULL AS queues,
        CASE WHEN g.reason IS NOT NULL THEN 'EXCLUDED' WHEN g.opens_at IS NOT NULL OR g.place > g.room THEN 'LATER'
             ELSE 'CLAIMED' END AS fate,
        coalesce(g.opens_at, greatest(%(now)s, g.until_at, g.queue_at, g.free_at + g.room * g.every_s * interval '1 s')
                             + (g.place - g.room) * g.step_s * interval '1 s') AS due_at
    FROM (
        SELECT k.*, CASE WHEN k.until_at > %(now)s THEN 0 WHEN %(exempt)s THEN %(most)s
                         ELSE greatest(least({room}, k.connections - k.flying, %(most)s), 0) END::float8 AS room
        FROM (
            SELECT p.*, coalesce(m.free_at, %(now)s) AS free_at, q.free_at AS queue_at, h.until_at,
                coalesce(f.flying, 0) AS flying,
                CASE WHEN x.domain IS NULL THEN %(every_s)s::float8 ELSE x.every_s END AS every_s,
                CASE WHEN x.domain IS NULL THEN %(step_s)s::float8 ELSE x.step_s END AS step_s,
                CASE WHEN x.domain IS NULL THEN %(connections)s::float8 ELSE x.connections END AS connections,
                row_number() OVER (
                    PARTITION BY p.domain, p.reason IS NULL AND p.opens_at IS NULL ORDER BY p.due_at, p.id
                ) AS place
            FROM pressed p
            LEFT JOIN unnest(%(names)s::text[], %(everies_of)s::float8[], %(steps)s::float8[], %(most_of)s::float8[])
                AS x (domain, every_s, step_s, connections) ON x.domain = p.domain
            LEFT JOIN {l}.mail_rate m ON m.key = 'domain:' || p.domain
            LEFT JOIN {l}.mail_rate q ON q.key = {queue} || p.domain
            LEFT JOIN {l}.domain_hold h ON h.domain = p.domain
            LEFT JOIN (
                SELECT {domain} AS domain, count(*) AS flying FROM {l}.recipient d
                WHERE %(counted)s AND d.state IN ('CLAIMED', 'SENDING') GROUP BY 1
            ) f ON f.domain = p.domain
        ) k
    ) g"""


class Taken(NamedTuple):
    """Who was claimed; `some`: there were some, perhaps put off. `wait_s`: there may be more then; `rest_s`: not before.

    `stale`: none, for the rules have been changed.
    """

    claimed: list[Claimed]
    some: bool
    wait_s: float = 0.0
    rest_s: float = 0.0
    stale: bool = False


async def take(  # noqa: PLR0913, PLR0917 - one statement
    db: Database, sending: Sending, table: ProfileTable, worker: int, most: int, now: datetime, rules: Rules,
    mark: Mark | None = None,
) -> Taken:  # fmt: skip
    """Claim recipients as the rules want it, or as there are none: those after the mark first."""
    taken = await _take(db, sending, table, worker, most, now, rules, mark or Mark())
    claimed = await recipient_store.readdress(db, sending.licence_id, worker, taken.claimed, now)
    return taken._replace(claimed=await suppression_store.set_aside(db, sending, worker, claimed, now))


async def _take(  # noqa: PLR0913, PLR0917 - the same
    db: Database, sending: Sending, table: ProfileTable, worker: int, most: int, now: datetime, rules: Rules, mark: Mark
) -> Taken:
    if rules.opens_at is not None:
        return Taken([], some=False, rest_s=min(_CLOSED_S, (rules.opens_at - now) / _SECOND))
    while True:
        begun_at, after = monotonic(), mark.after(now)
        if rules.plain:
            claimed, last = await recipient_store.claim(db, sending, table, worker, most, now, rules.versions, after)
        else:
            claimed, last = await claim(db, sending, table, worker, most, now, rules, after)
        mark.looked(after, last, monotonic() - begun_at)
        if last is not None:
            return Taken(claimed, some=True)
        if after == BEGINNING:
            break
    if rules.plain:
        return Taken([], some=False)
    if rules.versions is not None and not await limits_store.is_current(db, sending, rules.versions):
        return Taken([], some=False, stale=True)
    due_at = await next_due(db, sending, mark.after(now))
    if due_at is None or due_at >= now + _STAY:
        return Taken([], some=False)
    return Taken([], some=False, wait_s=min(max((due_at - now) / _SECOND, rules.soonest_s), 1.0))


async def next_due(db: Database, sending: Sending, after: Place = BEGINNING) -> datetime | None:
    """When the next mail of a sending after a place is due; None: none will be, or it has been paused or changed."""
    query = """
SELECT d.due_at FROM {l}.recipient d
WHERE d.sending_id = %(sending)s AND d.state IN ('PLANNED', 'DEFERRED') AND d.due_at < 'infinity' AND {after}
  AND {goes_on}
ORDER BY d.due_at LIMIT 1
"""
    values = {"sending": sending.id, "version": sending.version, **claim_parts.places(after)}
    query = in_schema(sending.licence_id, query, after=claim_parts.AFTER, goes_on=GOES_ON)
    return await scalar(db, query, values, prepare=True)


async def claim(  # noqa: PLR0913, PLR0917 - one statement
    db: Database, sending: Sending, table: ProfileTable, worker: int, most: int, now: datetime, rules: Rules,
    after: Place = BEGINNING,
) -> tuple[list[Claimed], Place | None]:  # fmt: skip
    """Take recipients that are due `after` a place and whom the rules let have their mails; the last one that was met."""
    parts = {
        "looked": sole_mails.looked(sending.document, table, materialized=True),
        "closed": _CLOSED if rules.zones else _NEVER_CLOSED,
        "pressed": _PRESSED if rules.contact else _UNPRESSED,
        "verdict": _DOMAINED if rules.domains else _UNDOMAINED,
        "room": _ROOM,
        "entered": ENTERED,
        "goes_on": GOES_ON,
        "after": claim_parts.AFTER,
        "current": "true" if rules.versions is None else limits_store.CURRENT,
        "domain": _DOMAIN.format("d"),
        "reached": _DOMAIN.format("k"),
        "zone": rules.zones.column if rules.zones else "",
        "queue": f"'queue:{sending.id:d}:'",
        "claimed": claim_parts.CLAIMED,
        "next_attempt": claim_parts.NEXT_ATTEMPT,
        **claim_parts.doubt(),
        **claim_parts.still(sending.document, table),
    }
    values = _values(sending, worker, most, now, rules) | claim_parts.places(after)
    query = claim_parts.with_note(sending.document, _CLAIM, _CLAIMING)
    async with db.pipeline(), db.transaction():
        await limits_store.hold_claims(db, sending.licence_id)
        if sole_mails.is_at_stake(sending.document, table):
            await sole_mails.hold_claims(db, sending)
        cursor = await db.execute(in_schema(sending.licence_id, query, **parts), values, prepare=True)
    return claim_parts.taken(await cursor.fetchall())


def _values(sending: Sending, worker: int, most: int, now: datetime, rules: Rules) -> dict[str, Any]:
    values: dict[str, Any] = {
        "sending": sending.id, "version": sending.version, "campaign_of": sending.campaign_id, "worker": worker,
        "most": most, "now": now, "exempt": rules.exempt,
        "keys": [key for key, _ in rules.rates], "everies": [every_s for _, every_s in rules.rates],
    }  # fmt: skip
    if rules.versions is not None:
        values |= limits_store.fence(sending, rules.versions)
    if rules.contact is not None:
        values |= {"mails": rules.contact.mails, "since": rules.since}
    if rules.zones is not None:
        closed = rules.zones.closed
        values |= {
            "zones": list(closed), "openings": list(closed.values()), "open": sorted(rules.zones.open),
            "otherwise": rules.zones.otherwise,
        }  # fmt: skip
    if rules.domains:
        usual, named = rules.any_domain, [each for each in rules.domains if each != rules.any_domain]
        values |= {
            "counted": any(each.connections is not None for each in rules.domains),
            "every_s": usual.every_s, "step_s": usual.step_s, "connections": usual.connections,
            "names": [each.domain for each in named], "everies_of": [each.every_s for each in named],
            "steps": [each.step_s for each in named], "most_of": [each.connections for each in named],
        }  # fmt: skip
    return values
