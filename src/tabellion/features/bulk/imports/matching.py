"""The SQL by which the rows of a block find their profiles, and what forbids them.

A block is copied into a temporary table. Round by round its rows find their profiles by unique attributes; those that share
a value or a profile are in different rounds, so that a later row finds what an earlier one has left. Identifiers are made of
integers only; texts of the file are values, never SQL.
"""
# ruff: noqa: S608 - every identifier here is composed of integers of our own

from collections.abc import Sequence
from functools import cached_property

from tabellion.features.bulk.imports.columns import Column, Plan
from tabellion.features.bulk.imports.model import EmptyCells, Mode, Order
from tabellion.features.customdata import CustomTable
from tabellion.features.tables import Referrer, Subscription, Table, compared, compared_value

STAGE, FOUND = "import_stage", "import_found"
EXISTS, ABSENT, MANDATORY = "row.exists", "row.absent", "attribute.mandatory"
AMBIGUOUS, TAKEN, DANGLING = "attribute.ambiguous", "attribute.notUnique", "attribute.value"
IN_USE = ".inUse"
# What forbids a row is told with the place of its column in the plan, or with one of these.
NO_COLUMN, ABSENT_COLUMN = -1, -2


class MatchSql:
    """The statements for one table, plan and order. Parameter: `round`.

    `referrers`: the foreign keys that lead to the table.
    """

    def __init__(self, table: Table, plan: Plan, order: Order, referrers: Sequence[Referrer]) -> None:
        self._table = table
        self._plan = plan
        self._order = order
        self._referrers = referrers
        self.relation = f"{table.schema}.{table.relation}"
        self._choices = [c for c in plan.columns if isinstance(c.target, Subscription)]

    @property
    def prepare(self) -> str:
        """Make the temporary tables of the connection; what they hold goes with each transaction."""
        columns = "".join(f", {c.name} {c.cast}" for c in self._plan.columns)
        return (
            f"DROP TABLE IF EXISTS {STAGE}, {FOUND}; "
            f"CREATE TEMP TABLE {STAGE} (line bigint NOT NULL, round integer NOT NULL{columns}) ON COMMIT DELETE ROWS; "
            f"CREATE TEMP TABLE {FOUND} (line bigint NOT NULL, id bigint, code text, which integer) ON COMMIT DELETE ROWS"
        )

    @property
    def copy(self) -> str:
        """Fill the stage from CSV: line, round, and the columns of the plan in order."""
        names = "".join(f", {c.name}" for c in self._plan.columns)
        return f"COPY {STAGE} (line, round{names}) FROM STDIN (FORMAT csv)"

    @cached_property
    def match(self) -> str:
        """Find the profiles of a round's rows, and what forbids a row: a code, and the place of its column in the plan.

        One look-up per row as a rule: where the profile that the first key leads to has the row's other unique values, too,
        they need none of their own.
        """
        columns = self._plan.columns
        unique, key = self._plan.unique, self._plan.key
        first = key or unique[:1]
        others = [c for c in unique if first != (c,)]
        ids = {c.name: f"u{columns.index(c):d}" for c in others}
        lookups = "".join(f", {self._other(c, locks=not key)} AS {ids[c.name]}" for c in others)
        seen = "".join(f", t.{c.name}" for c in others)
        source = f"{STAGE} s"
        if first:
            source += f" LEFT JOIN LATERAL ({self._lookup(*first, also=seen, locks=True)}) x ON true"
        found = "x.id AS first" if first else "NULL::bigint AS first"
        if others and not key:
            all_ids = ", ".join(["first", *ids.values()])
            target = f"coalesce({all_ids})"
            taken = [(f"least({all_ids}) <> greatest({all_ids})", AMBIGUOUS, NO_COLUMN)]
        else:
            target = "first"
            taken = [
                (f"{ids[c.name]} IS DISTINCT FROM first AND {ids[c.name]} IS NOT NULL", TAKEN, columns.index(c))
                for c in others
            ]
        tests = [*taken, *self._forbidden(target), *self._dangling(), *self._held(target)]
        code = "".join(f" WHEN {test} THEN '{code}'" for test, code, _ in tests)
        which = "".join(f" WHEN {test} THEN {place:d}" for test, _, place in tests)
        codes = f"CASE{code} END, CASE{which} END" if tests else "NULL::text, NULL::integer"
        return (
            f"INSERT INTO {FOUND} (line, id, code, which) SELECT line, {target}, {codes} "
            f"FROM (SELECT s.*, {found}{lookups} FROM {source} WHERE s.round = %(round)s OFFSET 0) r"
        )

    @property
    def several_ways(self) -> bool:
        """Whether a row may lead to one profile or another, so that rows with no value in common may meet in it."""
        return len(self._ways) > 1

    @cached_property
    def met(self) -> str:
        """The lines from a round on, with the profiles that values of several of them lead to."""
        counted = f"SELECT f.*, count(*) OVER (PARTITION BY id) AS lines FROM ({self._reached('>=')}) f"
        return f"SELECT line, id FROM ({counted}) c WHERE lines > 1"

    @cached_property
    def overtaken(self) -> str:
        """Whether a row of a later round may have to come before one that was matched."""
        # With EXISTS the planner hopes for an early end, and compares each with each.
        return (
            f"SELECT count(*) FILTER (WHERE r.line < f.line) > 0 FROM ({self._reached('>')}) r JOIN {FOUND} f ON f.id = r.id"
        )

    @cached_property
    def _ways(self) -> list[tuple[Column, ...]]:
        """What leads to a profile: the row's own, or one whose value it wants."""
        ways: list[tuple[Column, ...]] = [(column,) for column in self._plan.unique]
        return ways if not self._plan.key or self._plan.key in ways else [*ways, self._plan.key]

    def _reached(self, rounds: str) -> str:
        """Lines, with each profile that one of their values leads to."""
        return " UNION ".join(
            f"SELECT s.line, x.id FROM {STAGE} s CROSS JOIN LATERAL ({self._lookup(*way, locks=False)} OFFSET 0) x "
            f"WHERE s.round {rounds} %(round)s"
            for way in self._ways
        )

    def _forbidden(self, target: str) -> list[tuple[str, str, int]]:
        columns = self._plan.columns
        tests: list[tuple[str, str, int]] = []
        if self._order.mode == Mode.CREATE_ONLY:
            tests.append((f"{target} IS NOT NULL", EXISTS, NO_COLUMN))
        if self._order.mode == Mode.UPDATE_ONLY:
            tests.append((f"{target} IS NULL", ABSENT, NO_COLUMN))
        given = {c.attribute.number: (i, c) for i, c in enumerate(columns) if c.attribute is not None}
        for attribute in self._table.attributes:
            if attribute.mandatory:
                place, column = given.get(attribute.number, (ABSENT_COLUMN - attribute.number, None))
                empty = "true" if column is None else f"r.{column.name} IS NULL"
                tests.append((f"{target} IS NULL AND {empty}", MANDATORY, place))
        return tests

    def _dangling(self) -> list[tuple[str, str, int]]:
        """Foreign keys to what is not there; a table that refers to itself is left to the database, for a row may refer to
        another one of its block.
        """
        references = self._table.definition.foreign_keys if isinstance(self._table, CustomTable) else ()
        given = {c.attribute.number: (i, c) for i, c in enumerate(self._plan.columns) if c.attribute is not None}
        tests: list[tuple[str, str, int]] = []
        for reference in references:
            if reference.number in given and reference.relation != self._table.relation:
                place, column = given[reference.number]
                target = f"{self._table.schema}.{reference.relation} f WHERE f.{reference.column} = r.{column.name}"
                test = f"r.{column.name} IS NOT NULL AND NOT EXISTS (SELECT FROM {target})"
                tests.append((test, DANGLING, place))
        return tests

    def _held(self, target: str) -> list[tuple[str, str, int]]:
        """Values that would be cleared although records refer to them; tables that refer to themselves as in `_dangling`."""
        tests: list[tuple[str, str, int]] = []
        for place, column in enumerate(self._plan.columns):
            for each in self._referrers:
                if each.target == column.name and each.relation != self._table.relation and self._clears(column):
                    rows = (
                        f"{self.relation} t JOIN {self._table.schema}.{each.relation} f ON f.{each.column} = t.{column.name}"
                    )
                    held = f"EXISTS (SELECT FROM {rows} WHERE t.id = {target})"
                    tests.append((f"r.{column.name} IS NULL AND {target} IS NOT NULL AND {held}", IN_USE, place))
        return tests

    def _other(self, column: Column, *, locks: bool) -> str:
        """The id that another unique attribute leads to."""
        return f"CASE WHEN {_same(column, 'x')} THEN x.id ELSE ({self._lookup(column, locks=locks)}) END"

    def _lookup(self, *key: Column, also: str = "", locks: bool) -> str:
        """The id that a key leads to; `locks`: others are kept from changing the row, so that it stays as compared."""
        tests = " AND ".join(_same(column, "t") for column in key)
        lock = " FOR NO KEY UPDATE" if locks else ""
        return f"SELECT t.id{also} FROM {self.relation} t WHERE {tests}{lock}"

    # How many rows, how many of them are forbidden, how many have a profile, how many profiles; and whether it is doubtful
    # that each has found what it would have found after those before it.
    tally = (
        "SELECT count(*), count(code), "
        "count(id) FILTER (WHERE code IS NULL), count(DISTINCT id) FILTER (WHERE code IS NULL), "
        f"count(id) > count(DISTINCT id) OR count(*) FILTER (WHERE code IN ('{AMBIGUOUS}', '{TAKEN}')) > 0 FROM {FOUND}"
    )
    defer = (
        f"UPDATE {STAGE} s SET round = n.round FROM unnest(%(lines)s::bigint[], %(rounds)s::int[]) n (line, round) "
        "WHERE s.line = n.line"
    )
    forbidden = f"SELECT line, code, which FROM {FOUND} WHERE code IS NOT NULL ORDER BY line"
    matches = f"SELECT line, id FROM {FOUND} WHERE code IS NULL AND id IS NOT NULL"
    clear = f"DELETE FROM {FOUND}"

    def _clears(self, column: Column) -> bool:
        """Whether an empty cell makes null; a choice once made is not unmade by it."""
        return self._order.empty_cells == EmptyCells.CLEAR and column not in self._choices


def _same(column: Column, theirs: str) -> str:
    """Whether a row has the value of the staged one, as the unique index compares them."""
    mine = compared_value(column.attribute, f"s.{column.name}")
    return f"{compared(column.attribute, f'{theirs}.{column.name}')} = {mine}"
