"""Applies one checked block in the caller's transaction."""

from datetime import datetime
from typing import Any, NamedTuple

from psycopg.errors import IntegrityError

from tabellion.features.bulk.imports import matching
from tabellion.features.bulk.imports.checking import Checked
from tabellion.features.bulk.imports.columns import Plan
from tabellion.features.bulk.imports.creating import Creator
from tabellion.features.bulk.imports.merge import MergeSql
from tabellion.features.bulk.imports.model import Counters, Fault, Outcome, Rejected
from tabellion.features.bulk.imports.rounds import LINE, ROUND, one_by_one
from tabellion.features.bulk.imports.rows import Block
from tabellion.features.tables import Table, referred
from tabellion.platform.database.connection import Database


class Applied(NamedTuple):
    """What became of a block's rows. `outcomes`: line, what was done, id; only where they are wanted."""

    counters: Counters
    rejected: list[Rejected]
    outcomes: list[tuple[int, Outcome, int]]


class _Done(NamedTuple):
    """What `MergeSql.update` and `insert` answer; the lists are there where a result file is wanted."""

    height: int
    lines: list[int] | None = None
    ids: list[int] | None = None

    def rows(self) -> list[tuple[int, int]]:
        """Lines with ids."""
        return list(zip(self.lines or (), self.ids or (), strict=True))


class Applier:
    """Applies blocks of one file to one version of a table, on one connection."""

    def __init__(self, db: Database, table: Table, plan: Plan, sql: MergeSql, *, source: str) -> None:
        self._db = db
        self._table = table
        self._plan = plan
        self._sql = sql
        self._fixed = {"source": source}
        self._creator = Creator(table, plan, source)
        self._all_new = sql.creates and not sql.is_told

    async def prepare(self) -> None:
        """Make the connection's temporary tables; outside a transaction."""
        await self._db.execute(self._sql.prepare.encode())

    async def apply(self, block: Block, checked: Checked, now: datetime, *, with_outcomes: bool) -> Applied:
        """Apply the good rows, in file order. Raises UniqueViolation and what else the database refuses."""
        rejected = [*block.rejected, *checked.rejected]
        if checked.frame.height and self._may_be_new(checked):
            ids = await self._create_all(checked, now)
            if ids is not None:
                rejected.sort(key=lambda row: row.line)
                lines = checked.frame[LINE].to_list() if with_outcomes else []
                told = [(line, Outcome.CREATED, id_) for line, id_ in zip(lines, ids, strict=False)]
                return Applied(Counters(created=len(ids), in_error=len(rejected)), rejected, told)
        created = updated = matched = 0
        outcomes: list[tuple[int, Outcome, int]] = []
        forbidden: list[tuple[int, str, int]] = []
        if checked.frame.height:
            await self._stage(checked)
            last, number = checked.last_round, 0
            rounds: dict[int, int] = {}
            while number <= last:
                parameters = {**self._fixed, "now": now, "round": number}
                await self._run(self._sql.match, parameters)
                rows, wrong, found, profiles, doubtful = (await self._rows(self._sql.tally, {}))[0]
                if self._sql.several_ways and number < last and not (doubtful or rounds):
                    ((doubtful,),) = await self._rows(self._sql.overtaken, parameters)
                # A round is repeated as often as it has rows at most: two of them have met in a profile, which is locked
                # from then on and stays theirs, so that they are related in all later tries.
                if found > profiles or (doubtful and not rounds):
                    rounds = await self._one_by_one(checked, number, rounds)
                    last = max(rounds.values())
                    continue
                if wrong:
                    forbidden += await self._rows(self._sql.forbidden, {})
                changed = _Done(*(await self._rows(self._sql.update, parameters))[0]) if profiles else _Done(0)
                is_new = rows > wrong + found
                made = _Done(*(await self._rows(self._sql.insert, parameters))[0]) if is_new else _Done(0)
                matched, updated, created = matched + profiles, updated + changed.height, created + made.height
                if with_outcomes:
                    outcomes += await self._outcomes(changed, made)
                number += 1
                if number <= last:
                    await self._run(self._sql.clear, {})
        rejected += await self._told(forbidden, block)
        rejected.sort(key=lambda row: row.line)
        return Applied(Counters(created, updated, matched - updated, len(rejected)), rejected, outcomes)

    def needs_stage(self, checked: Checked) -> bool:
        """Whether a block will go through the stage, as far as is known now."""
        return checked.frame.height > 0 and not self._may_be_new(checked)

    def _may_be_new(self, checked: Checked) -> bool:
        """Whether all rows of a block are perhaps new profiles: as long as all that came before were."""
        return self._all_new and checked.complete and checked.last_round == 0

    async def _create_all(self, checked: Checked, now: datetime) -> list[int] | None:
        """Make a new row of each, without a look at those that are there; None when one of them was in the way.

        Indexes find what is there faster than a look-up beforehand. The first time that they do is the last try.
        """
        try:
            async with self._db.transaction():
                return await self._creator.create(self._db, checked.frame, now)
        except IntegrityError:
            self._all_new = False
            return None

    async def _one_by_one(self, checked: Checked, number: int, rounds: dict[int, int]) -> dict[int, int]:
        """Have rows that are related wait for each other, from a round on; the rounds of all rows after that."""
        frame = checked.frame
        rounds = rounds or dict(zip(frame[LINE], frame[ROUND], strict=True))
        met = await self._rows(self._sql.met, {"round": number})
        after = one_by_one(frame, self._plan, met, rounds, number)
        moved = {line: new for line, new in after.items() if new != rounds[line]}
        await self._run(self._sql.defer, {"lines": list(moved), "rounds": list(moved.values())})
        await self._run(self._sql.clear, {})
        return rounds | after

    async def _outcomes(self, changed: _Done, made: _Done) -> list[tuple[int, Outcome, int]]:
        told = {line: (line, Outcome.UPDATED, id_) for line, id_ in changed.rows()}
        told |= {line: (line, Outcome.CREATED, id_) for line, id_ in made.rows()}
        same = await self._rows(self._sql.matches, {})
        return [*told.values(), *((line, Outcome.UNCHANGED, id_) for line, id_ in same if line not in told)]

    async def _stage(self, checked: Checked) -> None:
        async with self._db.cursor() as cursor, cursor.copy(self._sql.copy.encode()) as copy:
            await copy.write(checked.csv)

    async def _told(self, forbidden: list[tuple[int, str, int]], block: Block) -> list[Rejected]:
        if not forbidden:
            return []
        rows = block.rows([line for line, _, _ in forbidden])
        nowhere = {
            which: await self._nowhere(which) for which in {w for _, code, w in forbidden if code == matching.DANGLING}
        }
        return [
            Rejected(line, (self._fault(code, which, nowhere.get(which, "")),), rows[line])
            for line, code, which in forbidden
        ]

    async def _nowhere(self, which: int) -> str:
        """The end of what is said of a value whose foreign key leads to no row."""
        attribute = self._plan.columns[which].attribute
        target = None if attribute is None else await referred(self._db, self._table, attribute)
        return "" if target is None else f": no row of '{target.table}' has this '{target.attribute}'"

    def _fault(self, code: str, which: int, nowhere: str) -> Fault:
        column = self._plan.columns[which] if which >= 0 else None
        header = column.header if column else ""
        subject = column.subject if column else ""
        if which < matching.ABSENT_COLUMN:
            number = matching.ABSENT_COLUMN - which
            name = next(a.name for a in self._table.attributes if a.number == number)
            subject = f"attribute '{name}'"
        row = self._table.kind.row
        messages = {
            matching.EXISTS: f"the {row} exists already, and the mode is CREATE_ONLY",
            matching.ABSENT: f"the {row} does not exist, and the mode is UPDATE_ONLY",
            matching.MANDATORY: f"{subject} is mandatory: a new {row} needs it",
            matching.AMBIGUOUS: f"the unique attributes of the row belong to different {self._table.kind.rows}",
            matching.TAKEN: f"another {row} owns this value of {subject}",
            matching.DANGLING: f"{subject} refers to nothing{nowhere}",
            matching.IN_USE: f"records refer to {subject} of this {row}, which cannot be cleared; they follow another value",
        }
        return Fault(f"{row}{code}" if code == matching.IN_USE else code, header, messages[code])

    async def _run(self, statement: str, parameters: dict[str, Any]) -> int:
        cursor = await self._db.execute(statement.encode(), parameters)
        return cursor.rowcount

    async def _rows(self, statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        cursor = self._db.cursor(binary=True)
        await cursor.execute(statement.encode(), parameters)
        return await cursor.fetchall()
