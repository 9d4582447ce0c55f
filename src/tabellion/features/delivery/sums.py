"""What reports add up: read as sums and what was noted since; folded into the sums; counted anew from the mails themselves.

Reading is one statement, and so one snapshot: whatever a reader finds in the sums is not among the changes any more.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tabellion.features.delivery import sums_sql as sql
from tabellion.features.delivery.store import in_schema
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars

MOST_DOMAINS, MOST_LINKS, MOST_BOUNCES = 50, 500, 200


class Scope(NamedTuple):
    """Of which mails: those of a campaign, that were planned in a span of time where one is said."""

    licence_id: int
    campaign_id: int
    from_at: datetime | None = None
    to_at: datetime | None = None

    @property
    def whole(self) -> bool:
        """Whether it is everybody."""
        return self.from_at is None and self.to_at is None


class Counts(NamedTuple):
    """What came of a part of the mails, or of what they are told apart by."""

    mails: int = 0
    soft: int = 0
    hard: int = 0
    opens: int = 0
    unique_opens: int = 0
    clicks: int = 0
    unique_clicks: int = 0
    unsubscribes: int = 0
    complaints: int = 0


class Fact(NamedTuple):
    """Counts of one `key` of a `part`: state, language, domain, variant, link, device, actor, bounce, time."""

    part: str
    key: tuple[str, ...]
    label: str | None
    counts: Counts


class Tally(NamedTuple):
    """Everybody, by what became of them; `mails` of `sent` are those that relays accepted or refused."""

    targeted: int
    excluded: dict[str, int]
    failed: dict[str, int]
    uncertain: int
    sent: Counts

    @property
    def pending(self) -> int:
        """Whose fate is still to come."""
        done = sum(self.excluded.values()) + sum(self.failed.values()) + self.uncertain + self.sent.mails
        return self.targeted - done


# Moments by hours or days of a zone; of some parts the largest alone.
_READ = """
WITH {source}, {facts}, added AS ({added})
SELECT part, key, label, {figures} FROM (
    SELECT a.*, row_number() OVER (
        PARTITION BY part ORDER BY CASE part WHEN 'link' THEN unique_clicks ELSE mails END DESC, clicks DESC, key
    ) AS place
    FROM added a
) a WHERE place <= CASE part WHEN 'domain' THEN %(domains)s WHEN 'link' THEN %(links)s WHEN 'bounce' THEN %(bounces)s
                             ELSE place END
UNION ALL
SELECT 'state', ARRAY['UNCERTAIN', ''], NULL, count(*), 0, 0, 0, 0, 0, 0, 0, 0
FROM {l}.recipient r WHERE {mine} AND r.state = 'UNCERTAIN'
"""
_BY_TIME = """
SELECT part, CASE WHEN part = 'time' THEN ARRAY[extract(epoch FROM date_trunc(
    %(bucket)s, to_timestamp(key[1]::float8), %(zone)s))::bigint::text] ELSE key END AS key, label, {figures}
FROM ({all}) a WHERE part = ANY (%(parts)s)
"""
_ALL = ("state", "language", "domain", "variant", "link", "device", "actor", "bounce", "time")


async def read(
    db: Database, scope: Scope, parts: Collection[str] = _ALL, *, bucket: str = "day", zone: str = "UTC",
    recount: bool = False,
) -> list[Fact]:  # fmt: skip
    """The facts of a campaign; `recount`: from the mails themselves, whatever is kept."""
    counted = scope.whole and not recount and await is_counted(db, scope.campaign_id)
    found = f"{sql.OF_SUMS} UNION ALL {sql.OF_FACTS}" if counted else sql.OF_FACTS
    figures = ", ".join(sql.FIGURES)
    by_time = _BY_TIME.replace("{figures}", figures).replace("{all}", found)
    query = in_schema(
        scope.licence_id, _READ, source=sql.CHANGES if counted else sql.EVERYBODY, facts=sql.FACTS,
        added=sql.ADDED.replace("{facts}", by_time), figures=figures, mine=sql.MINE,
    )  # fmt: skip
    values: dict[str, Any] = {
        "campaign": scope.campaign_id, "from": scope.from_at, "to": scope.to_at, "parts": list(parts), "bucket": bucket,
        "zone": zone, "domains": MOST_DOMAINS, "links": MOST_LINKS, "bounces": MOST_BOUNCES,
    }  # fmt: skip
    async with db.transaction():
        await settle(db)
        rows = await (await db.execute(query, values, prepare=False)).fetchall()
    return [Fact(part, tuple(key), label, Counts(*counts)) for part, key, label, *counts in rows]


async def begin(db: Database) -> None:
    """Make the caller's transaction one snapshot that is read. Before the first statement."""
    await db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


async def settle(db: Database) -> None:
    """Room for sums, until the transaction ends. Compiling takes longer than it saves."""
    await db.execute("SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true)")


async def is_counted(db: Database, campaign_id: int) -> bool:
    """Whether there are sums that can be used."""
    query = "SELECT EXISTS (SELECT 1 FROM tabellion.report_recount WHERE campaign_id = %s AND NOT usable)"
    return not await scalar(db, query, (campaign_id,))


def tally_of(facts: Sequence[Fact]) -> Tally:
    """What the parts state and language say of everybody."""
    excluded: dict[str, int] = {}
    failed: dict[str, int] = {}
    single: dict[str, int] = {}
    for fact in sorted(facts):
        if fact.part != "state":
            continue
        state, reason = fact.key
        if state == "EXCLUDED":
            excluded[reason or "other"] = fact.counts.mails
        elif state == "FAILED":
            failed[reason or "unknown"] = fact.counts.mails
        else:
            single[state] = fact.counts.mails
    sent = Counts(*map(sum, zip(Counts(), *(fact.counts for fact in facts if fact.part == "language"), strict=True)))
    return Tally(single.get("TARGETED", 0), excluded, failed, single.get("UNCERTAIN", 0), sent)


async def tally(db: Database, scope: Scope) -> Tally:
    """Everybody, tests aside."""
    return tally_of(await read(db, scope, ("state", "language")))


_INTO = """
INSERT INTO {l}.report_sum AS s (campaign_id, part, key, label, {figures})
SELECT %(campaign)s, f.* FROM ({added}) f
ON CONFLICT (campaign_id, part, key) DO UPDATE SET label = coalesce(s.label, EXCLUDED.label), {more}
"""


async def fold(db: Database, licence_id: int, campaign_id: int) -> None:
    """Add what was noted of a campaign to its sums, in one statement."""
    await _enter(db, Scope(licence_id, campaign_id), sql.CHANGES_TAKEN)


async def _enter(db: Database, scope: Scope, source: str) -> None:
    query = in_schema(
        scope.licence_id, "WITH {source}, {facts} " + _INTO, source=source, facts=sql.FACTS,
        added=sql.ADDED.replace("{facts}", sql.OF_FACTS), figures=", ".join(sql.FIGURES),
        more=", ".join(f"{name} = s.{name} + EXCLUDED.{name}" for name in sql.FIGURES),
    )  # fmt: skip
    await db.execute(query, {"campaign": scope.campaign_id, "from": None, "to": None}, prepare=False)


async def count_anew(db: Database, licence_id: int, campaign_id: int) -> int:
    """Make the sums of a campaign from its mails; how many were wrong, of those that were in use.

    In a transaction of one snapshot (REPEATABLE READ) of the caller's: what is noted meanwhile stays noted.
    """
    scope = Scope(licence_id, campaign_id)
    before = await _kept(db, scope) if await is_counted(db, campaign_id) else None
    for table in ("report_change", "report_sum"):
        query = in_schema(licence_id, "DELETE FROM {l}.{table} WHERE campaign_id = %s", table=table)
        await db.execute(query, (campaign_id,))
    await _enter(db, scope, sql.EVERYBODY)
    await db.execute("DELETE FROM tabellion.report_recount WHERE campaign_id = %s", (campaign_id,))
    return 0 if before is None else len(before ^ await _kept(db, scope))


async def _kept(db: Database, scope: Scope) -> set[tuple[Any, ...]]:
    """What sums and changes come to, all of it."""
    found = f"{sql.OF_SUMS} UNION ALL {sql.OF_FACTS}"
    query = in_schema(
        scope.licence_id, "WITH {source}, {facts} {added}", source=sql.CHANGES, facts=sql.FACTS,
        added=sql.ADDED.replace("{facts}", found),
    )  # fmt: skip
    rows = await (await db.execute(query, {"campaign": scope.campaign_id}, prepare=False)).fetchall()
    # Of the labels, one of many stands for all.
    return {(part, tuple(key), *counts) for part, key, _, *counts in rows}


async def ask_recount(db: Database, licence_id: int, campaign_id: int, *, usable: bool) -> None:
    """Have a campaign counted anew; `usable`: its sums are right as far as is known, and are used meanwhile."""
    query = """
INSERT INTO tabellion.report_recount AS r (campaign_id, licence_id, usable) VALUES (%s, %s, %s)
ON CONFLICT (campaign_id) DO UPDATE SET usable = r.usable AND EXCLUDED.usable
"""
    await db.execute(query, (campaign_id, licence_id, usable))


async def launched(db: Database, licence_id: int, campaign_id: int | None) -> list[int]:
    """The campaigns of a licence that may have sums; only the one that is named, if one is."""
    query = """
SELECT campaign_id FROM tabellion.sending WHERE licence_id = %s AND NOT test AND campaign_id = coalesce(%s, campaign_id)
"""
    return await scalars(db, query, (licence_id, campaign_id))


async def planned_at(db: Database, licence_id: int, campaign_id: int) -> datetime | None:
    """When somebody of a campaign was planned: of a mass one all are at once."""
    query = "SELECT planned_at FROM {l}.recipient WHERE campaign_id = %s AND NOT test LIMIT 1"
    return await scalar(db, in_schema(licence_id, query), (campaign_id,))
