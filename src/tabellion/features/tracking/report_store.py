"""The SQL of reports: a few looks at all recipients and events of a campaign, in one snapshot, so that figures add up."""

from collections import Counter
from datetime import datetime
from typing import Any, NamedTuple

from tabellion.features.delivery import SOFT_REASONS, in_schema
from tabellion.features.tracking.reporting import Bounce, Doings, Figures, LinkFigures, Point, Summary
from tabellion.platform.database.connection import Database

_MOST_DOMAINS, MOST_LINKS, _MOST_BOUNCES = 50, 500, 200
# Recipients `r` that a report is about.
_MINE = """r.campaign_id = %(campaign)s AND NOT r.test
  AND (%(from)s::timestamptz IS NULL OR r.planned_at >= %(from)s)
  AND (%(to)s::timestamptz IS NULL OR r.planned_at < %(to)s)"""
# Events `e` of theirs. Nothing is noted of tests, so that recipients need to be asked only where a span is said.
_ALL_EVENTS = "{l}.mail_event e WHERE e.campaign_id = %(campaign)s"
_EVENTS_OF_SPAN = f"""{{l}}.mail_event e JOIN {{l}}.recipient r ON r.id = e.recipient_id
    WHERE e.campaign_id = %(campaign)s AND {_MINE}"""
_COUNTED = "e.actor IS DISTINCT FROM 'scanner'"
# Moments are put together by quarters of an hour first, which all time zones have in common: that is quick.
_QUARTER = "date_bin('15 minutes', {of}, 'epoch'::timestamptz)"
_SOFT = "coalesce(r.reason IN ('{}'), false)".format("', '".join(SOFT_REASONS))


class Scope(NamedTuple):
    """Of which mails: those of a campaign, that were planned in a span of time where one is said."""

    licence_id: int
    campaign_id: int
    from_at: datetime | None
    to_at: datetime | None

    def sql(self, query: str, **parts: str) -> bytes:
        """A statement about these mails: `{mine}` are recipients `r`, `{events}` events `e` up to the WHERE, `{counted}`
        those that are not of scanners, `{soft}` of what was rejected what says nothing about the address.
        """
        whole = self.from_at is None and self.to_at is None
        known = {"mine": _MINE, "events": _ALL_EVENTS if whole else _EVENTS_OF_SPAN, "counted": _COUNTED, "soft": _SOFT}
        return in_schema(self.licence_id, query, **known, **parts)


async def begin(db: Database) -> None:
    """Make the caller's transaction one snapshot, with room for its sums. Before the first statement."""
    await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    await db.execute("SET LOCAL work_mem = '64MB'")
    # Compiling takes longer than it saves here.
    await db.execute("SET LOCAL jit = off")


_SUMMARY = """
WITH did AS (
    SELECT e.recipient_id AS id,
        count(*) FILTER (WHERE e.type = 'OPEN')::int AS opens, count(*) FILTER (WHERE e.type = 'CLICK')::int AS clicks,
        bool_or(e.type = 'HARD_BOUNCE') AS hard, bool_or(e.type = 'SOFT_BOUNCE') AS soft,
        bool_or(e.type = 'UNSUBSCRIBE') AS left_us, bool_or(e.type = 'COMPLAINT') AS complained
    FROM {events} AND {counted} GROUP BY 1
), mine AS (
    SELECT r.state, r.reason, r.language, r.variant,
        coalesce(nullif(lower(split_part(r.address, '@', 2) COLLATE "C"), ''), '-') AS domain,
        r.state IN ('ACCEPTED', 'REJECTED') AS sent,
        CASE WHEN r.state = 'REJECTED' THEN NOT {soft} ELSE d.hard IS TRUE END AS hard,
        CASE WHEN r.state = 'REJECTED' THEN {soft} ELSE d.soft IS TRUE AND d.hard IS NOT TRUE END AS soft,
        d.opens, d.clicks, d.left_us, d.complained
    FROM {l}.recipient r LEFT JOIN did d ON d.id = r.id WHERE {mine}
), counted AS (
    -- By all of them at once, which several processes can share; what follows is little.
    SELECT state, reason, language, domain, variant, count(*) AS n,
        count(*) FILTER (WHERE sent) AS sent, count(*) FILTER (WHERE sent AND NOT hard AND NOT soft) AS delivered,
        count(*) FILTER (WHERE soft) AS soft, count(*) FILTER (WHERE hard) AS hard,
        coalesce(sum(opens), 0) AS opens, count(*) FILTER (WHERE opens > 0) AS unique_opens,
        coalesce(sum(clicks), 0) AS clicks, count(*) FILTER (WHERE clicks > 0) AS unique_clicks,
        count(*) FILTER (WHERE left_us) AS left_us, count(*) FILTER (WHERE complained) AS complained
    FROM mine GROUP BY 1, 2, 3, 4, 5
), grouped AS (
    SELECT GROUPING(state, language, domain, variant) AS by, state, reason, language, domain, variant, sum(n) AS n,
        sum(sent) AS sent, sum(delivered), sum(soft), sum(hard), sum(opens), sum(unique_opens), sum(clicks),
        sum(unique_clicks), sum(left_us), sum(complained)
    FROM counted GROUP BY GROUPING SETS ((), (state, reason), (language), (domain), (variant))
)
SELECT * FROM (SELECT g.*, row_number() OVER (PARTITION BY by ORDER BY sent DESC, domain) AS place FROM grouped g) g
WHERE by <> {by_domain} OR place <= {most} ORDER BY by, place
"""
# What GROUPING says of each set.
_BY_STATE, _BY_LANGUAGE, _BY_DOMAIN, _BY_VARIANT = 7, 11, 13, 14


async def summary(db: Database, scope: Scope) -> Summary:
    """Everybody, counted once."""
    query = scope.sql(_SUMMARY, by_domain=str(_BY_DOMAIN), most=str(_MOST_DOMAINS))
    rows = await (await db.execute(query, _values(scope))).fetchall()
    states: dict[tuple[str, str | None], int] = {}
    languages: dict[str, Figures] = {}
    domains: dict[str, Figures] = {}
    variants: dict[int, Figures] = {}
    totals, targeted = Figures(), 0
    for by, state, reason, language, domain, variant, count, *rest in rows:
        figures = Figures(*(int(each or 0) for each in rest[:10]))
        if by == _BY_STATE:
            states[state, reason] = int(count)
        elif by == _BY_LANGUAGE:
            languages[language] = figures
        elif by == _BY_DOMAIN:
            domains[domain] = figures
        elif by == _BY_VARIANT:
            variants |= {} if variant is None else {variant: figures}
        else:
            totals, targeted = figures, int(count or 0)
    rest_of = totals.without(list(domains.values()))
    if any(getattr(rest_of, field) for field in rest_of.__struct_fields__):
        domains["*"] = rest_of
    excluded: dict[str, int] = {}
    for (state, reason), count in sorted(states.items(), key=str):
        if state in {"EXCLUDED", "FAILED"}:
            name = "failed" if state == "FAILED" else reason or "other"
            excluded[name] = excluded.get(name, 0) + count
    return Summary(
        targeted=targeted,
        excluded=excluded,
        pending=sum(n for (s, _), n in states.items() if s in {"PLANNED", "CLAIMED", "SENDING", "DEFERRED"}),
        uncertain=sum(n for (s, _), n in states.items() if s == "UNCERTAIN"),
        totals=totals,
        languages=languages,
        domains={name: f for name, f in domains.items() if f.sent},
        variants=dict(sorted(variants.items())),
    )


async def bounces(db: Database, scope: Scope) -> list[Bounce]:
    """Bounces by class, by who reported them, and by the status of the mail system."""
    query = """
SELECT class, reported, status, count(*) FROM (
    SELECT CASE WHEN {soft} THEN 'SOFT' ELSE 'HARD' END AS class, 'RELAY' AS reported, r.reply AS said
    FROM {l}.recipient r WHERE {mine} AND r.state = 'REJECTED'
    UNION ALL
    SELECT left(e.type, 4), 'MAIL', e.detail FROM {events} AND e.type IN ('HARD_BOUNCE', 'SOFT_BOUNCE')
) b, LATERAL (SELECT substring(said FROM '[245]\\.[0-9]{1,3}\\.[0-9]{1,3}')) s (status)
GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2, 3 LIMIT {most}
"""
    rows = await (await db.execute(scope.sql(query, most=str(_MOST_BOUNCES)), _values(scope))).fetchall()
    return [Bounce(*row) for row in rows]


async def links(db: Database, scope: Scope) -> list[LinkFigures]:
    """Links that people followed, the most followed first; an address of each, which may be that of one mail alone."""
    query = """
SELECT CASE WHEN link IS NOT NULL THEN language END, variant, link, min(url), sum(n)::bigint, count(*) FROM (
    SELECT r.language, r.variant, e.link, e.recipient_id, min(e.url) AS url, count(*) AS n
    FROM {l}.mail_event e JOIN {l}.recipient r ON r.id = e.recipient_id
    WHERE e.campaign_id = %(campaign)s AND e.type = 'CLICK' AND {counted} AND e.url IS NOT NULL AND {mine}
    GROUP BY r.language, r.variant, e.link, e.recipient_id, CASE WHEN e.link IS NULL THEN e.url END
) c GROUP BY 1, 2, 3, CASE WHEN link IS NULL THEN url END ORDER BY 6 DESC, 5 DESC, 1, 2, 3 LIMIT {most}
"""
    rows = await (await db.execute(scope.sql(query, most=str(MOST_LINKS)), _values(scope))).fetchall()
    return [LinkFigures(*row) for row in rows]


async def doings(db: Database, scope: Scope) -> tuple[dict[str, Doings], dict[str, Doings]]:
    """Openings and clicks by device, of people alone, and by actor."""
    query = """
SELECT {by}, sum(opens)::bigint, count(*) FILTER (WHERE opens > 0), sum(clicks)::bigint, count(*) FILTER (WHERE clicks > 0)
FROM (
    SELECT e.recipient_id, {by}, count(*) FILTER (WHERE e.type = 'OPEN') AS opens,
        count(*) FILTER (WHERE e.type = 'CLICK') AS clicks
    FROM {events} AND e.type IN ('OPEN', 'CLICK'){whom} GROUP BY 1, 2
) d GROUP BY 1
"""
    found: list[dict[str, Doings]] = []
    for by, whom in (("device", " AND e.actor = 'human'"), ("actor", "")):
        rows = await (await db.execute(scope.sql(query, by=by, whom=whom), _values(scope))).fetchall()
        found.append({row[0] or "unknown": Doings(*row[1:]) for row in rows})
    return found[0], found[1]


_TIMELINE = """
SELECT date_trunc(%(bucket)s, quarter, %(zone)s) AS start, kind, sum(n)::bigint FROM (
    SELECT {ended} AS quarter, CASE WHEN r.state = 'ACCEPTED' THEN 'sent' WHEN {soft} THEN 'declined'
        ELSE 'refused' END AS kind, count(*) AS n
    FROM {l}.recipient r WHERE {mine} AND r.state IN ('ACCEPTED', 'REJECTED') GROUP BY 1, 2
    UNION ALL
    SELECT {moment}, CASE e.type WHEN 'OPEN' THEN 'opens' ELSE 'clicks' END, count(*)
    FROM {events} AND e.type IN ('OPEN', 'CLICK') AND {counted} GROUP BY 1, 2
    UNION ALL
    SELECT {first}, CASE f.type WHEN 'OPEN' THEN 'unique_opens'
        WHEN 'CLICK' THEN 'unique_clicks' WHEN 'UNSUBSCRIBE' THEN 'unsubscribes' WHEN 'COMPLAINT' THEN 'complaints'
        WHEN 'HARD_BOUNCE' THEN 'hard_bounces' WHEN 'SOFT_BOUNCE' THEN 'soft_bounces' END, count(*)
    FROM (SELECT e.recipient_id, e.type, min(e.moment) AS first_at FROM {events} AND {counted} GROUP BY 1, 2) f GROUP BY 1, 2
) t WHERE kind IS NOT NULL AND quarter IS NOT NULL GROUP BY 1, 2 ORDER BY 1
"""


async def points(db: Database, scope: Scope, bucket: str, zone: str) -> list[Point]:
    """What happened when, by hours or days of a time zone; where nothing did, there is no point."""
    parts = {
        name: _QUARTER.replace("{of}", of)
        for name, of in (("ended", "r.ended_at"), ("moment", "e.moment"), ("first", "f.first_at"))
    }
    values = _values(scope) | {"bucket": bucket, "zone": zone}
    rows = await (await db.execute(scope.sql(_TIMELINE, **parts), values)).fetchall()
    found: dict[datetime, Counter[str]] = {}
    for start, kind, count in rows:
        point = found.setdefault(start, Counter())
        if kind in {"declined", "refused"}:
            point["sent"] += count
            kind = "soft_bounces" if kind == "declined" else "hard_bounces"  # noqa: PLW2901 - what a relay refused
        point[kind] += count
    return [Point(start, **counts) for start, counts in found.items()]


def _values(scope: Scope) -> dict[str, Any]:
    return {"campaign": scope.campaign_id, "from": scope.from_at, "to": scope.to_at}
