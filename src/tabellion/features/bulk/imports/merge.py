"""The SQL that applies a block of checked rows to a profile table: all at once, as if one after the other.

A block is copied into a temporary table. Round by round its rows find their profiles by unique attributes; those that share
a value or a profile are in different rounds, so that a later row finds what an earlier one has left. The rest are changes
and new profiles, each one statement. Identifiers are made of integers only; texts of the file are values, never SQL.
"""
# ruff: noqa: S608 - every identifier here is composed of integers of our own

from collections.abc import Sequence
from functools import cached_property

from tabellion.features.bulk.imports.columns import Column, Plan
from tabellion.features.bulk.imports.model import EmptyCells, Mode, Order
from tabellion.features.customdata import CustomTable
from tabellion.features.profiles import choice_columns, keep_replaced, of_write
from tabellion.features.tables import Attribute, Referrer, Subscription, Table, compared, compared_value
from tabellion.platform import outbox

STAGE, FOUND = "import_stage", "import_found"
EXISTS, ABSENT, MANDATORY = "row.exists", "row.absent", "attribute.mandatory"
AMBIGUOUS, TAKEN, DANGLING = "attribute.ambiguous", "attribute.notUnique", "attribute.value"
IN_USE = ".inUse"
# Where a choice in a file comes from, in the order of `tables.ORIGIN`.
_ORIGIN = ("%(now)s::timestamptz", "%(source)s::text", "NULL::jsonb")
# What forbids a row is told with the place of its column in the plan, or with one of these.
NO_COLUMN, ABSENT_COLUMN = -1, -2


class MergeSql:
    """The statements for one table, plan and order. Parameters: `now`, `source`, `user`, `round`.

    `listened`: the types of events that somebody listens to; they are told of as single calls tell of them. `referrers`: the
    foreign keys that lead to the table.
    `returns_old`: the database's UPDATE can return what it has replaced (PostgreSQL 18), which spares reading it before.
    """

    def __init__(
        self,
        table: Table,
        plan: Plan,
        order: Order,
        listened: frozenset[str] = outbox.NOBODY,
        *,
        referrers: Sequence[Referrer] = (),
        returns_old: bool = False,
    ) -> None:
        self._told = of_write(table, [column.name for column in plan.columns], (), listened)
        self._table = table
        self._plan = plan
        self._order = order
        self._referrers = referrers
        self._returns_old = returns_old
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
        target, taken = (
            "first",
            [
                (f"{ids[c.name]} IS DISTINCT FROM first AND {ids[c.name]} IS NOT NULL", TAKEN, columns.index(c))
                for c in others
            ],
        )
        if not key and others:
            all_ids = ", ".join(["first", *ids.values()])
            target = f"coalesce({all_ids})"
            taken = [(f"least({all_ids}) <> greatest({all_ids})", AMBIGUOUS, NO_COLUMN)]
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
        """Whether a row may lead to its profile by one value or another, so that rows with none in common may meet in it."""
        return not self._plan.key and len(self._plan.unique) > 1

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

    def _reached(self, rounds: str) -> str:
        """Lines, with each profile that one of their values leads to."""
        ways = [self._plan.key] if self._plan.key else [(column,) for column in self._plan.unique]
        return " UNION ".join(
            f"SELECT s.line, x.id FROM {STAGE} s CROSS JOIN LATERAL ({self._lookup(*way, locks=False)} OFFSET 0) x "
            f"WHERE s.round {rounds} %(round)s"
            for way in ways
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
        f"count(id) > count(DISTINCT id) OR count(*) FILTER (WHERE code = '{AMBIGUOUS}') > 0 FROM {FOUND}"
    )
    defer = (
        f"UPDATE {STAGE} s SET round = n.round FROM unnest(%(lines)s::bigint[], %(rounds)s::int[]) n (line, round) "
        "WHERE s.line = n.line"
    )
    forbidden = f"SELECT line, code, which FROM {FOUND} WHERE code IS NOT NULL ORDER BY line"
    matches = f"SELECT line, id FROM {FOUND} WHERE code IS NULL AND id IS NOT NULL"
    clear = f"DELETE FROM {FOUND}"

    @cached_property
    def update(self) -> str:
        """Change the profiles found, where a row says something new; returns how many, lines and ids (if wanted)."""
        differs = " OR ".join(self._differs(c) for c in self._plan.columns)
        sets = ["updated_at = greatest(%(now)s::timestamptz, t.updated_at + interval '1 microsecond')"]
        for column in self._plan.columns:
            sets.append(f"{column.name} = {self._after(column)}")
            if column in self._choices:
                new = f"{self._differs(column)}"
                origins = zip(choice_columns(column.target.number)[1:], _ORIGIN, strict=True)
                sets += [f"{name} = CASE WHEN {new} THEN {value} ELSE t.{name} END" for name, value in origins]
        kept = self._kept() if self._choices and self._returns_old else ""
        parts = [
            (
                f"changed AS (UPDATE {self.relation} t SET {', '.join(sets)} "
                f"FROM {FOUND} f JOIN {STAGE} s ON s.line = f.line WHERE t.id = f.id AND f.code IS NULL AND ({differs}) "
                f"RETURNING s.line, t.id{kept}{self._told.returned('t.')})"
            ),
            *self._replaced(),
        ]
        if not self._told.event:
            return f"WITH {', '.join(parts)} {self._answer('changed')}"
        parts += [
            f"old AS (SELECT t.* FROM {FOUND} f JOIN {self.relation} t ON t.id = f.id WHERE f.code IS NULL)",
            "created AS (SELECT * FROM changed WHERE false)",
        ]
        return f"WITH {', '.join(parts)}, {self._told.event} done AS ({self._answer('changed')}) SELECT * FROM done"

    @property
    def creates(self) -> bool:
        """Whether new profiles may be made."""
        return self._order.mode != Mode.UPDATE_ONLY

    @property
    def is_told(self) -> bool:
        """Whether somebody listens to what happens to the rows."""
        return bool(self._told.event)

    @cached_property
    def insert(self) -> str:
        """Make the profiles that were not found; returns as `update` does."""
        names, values = self._new()
        # The ids are drawn beforehand, so that a row's line is known: RETURNING tells of the new row only.
        drawn = (
            f"drawn AS MATERIALIZED (SELECT s.*, nextval('{self.relation}_id_seq'::regclass) AS id "
            f"FROM {STAGE} s JOIN {FOUND} f ON f.line = s.line WHERE f.id IS NULL AND f.code IS NULL ORDER BY s.line)"
        )
        made = (
            f"created AS (INSERT INTO {self.relation} AS t (id, {', '.join(names)}) SELECT s.id, {', '.join(values)} "
            f"FROM drawn s RETURNING t.id{self._told.returned('t.')})"
        )
        return self._made([drawn, made], self._answer("drawn"))

    def _answer(self, source: str) -> str:
        if self._order.result_file:
            return f"SELECT count(*), array_agg(line), array_agg(id) FROM {source}"
        return f"SELECT count(*), NULL::bigint[], NULL::bigint[] FROM {source}"

    def _made(self, parts: list[str], answer: str) -> str:
        nothing = [f"{name} AS (SELECT * FROM created WHERE false)" for name in ("changed", "old")]
        if not self._told.event:
            return f"WITH {', '.join(parts)} {answer}"
        return f"WITH {', '.join([*parts, *nothing])}, {self._told.event} done AS ({answer}) SELECT * FROM done"

    def _new(self) -> tuple[list[str], list[str]]:
        """Columns of a new profile and their values."""
        names = ["created_at", "updated_at"]
        values = ["%(now)s::timestamptz", "%(now)s::timestamptz"]
        for column in self._plan.columns:
            names.append(column.name)
            values.append(self._value(column))
            if column in self._choices:
                names += choice_columns(column.target.number)[1:]
                values += [f"CASE WHEN s.{column.name} IS NOT NULL THEN {value} END" for value in _ORIGIN]
        return names, values

    def _value(self, column: Column) -> str:
        """What a new profile gets; a simple segmentation is true or nothing."""
        return f"nullif(s.{column.name}, false)" if _is_flag(column) else f"s.{column.name}"

    def _after(self, column: Column) -> str:
        if self._clears(column):
            return self._value(column)
        return f"CASE WHEN s.{column.name} IS NULL THEN t.{column.name} ELSE {self._value(column)} END"

    def _differs(self, column: Column) -> str:
        differs = f"{self._value(column)} IS DISTINCT FROM t.{column.name}"
        return differs if self._clears(column) else f"(s.{column.name} IS NOT NULL AND {differs})"

    def _clears(self, column: Column) -> bool:
        """Whether an empty cell makes null; a choice once made is not unmade by it."""
        return self._order.empty_cells == EmptyCells.CLEAR and column not in self._choices

    def _kept(self) -> str:
        """What RETURNING keeps of the choices: `n1` is the row's, `os1`, `os1_at`... are the replaced one's."""
        kept = ""
        for choice in self._choices:
            number = choice.target.number
            kept += f", s.{choice.name} AS n{number:d}"
            kept += "".join(f", old.{name} AS o{name}" for name in choice_columns(number))
        return kept

    def _replaced(self) -> list[str]:
        """Keep the choices that others replace."""
        if not self._choices:
            return []
        if self._returns_old:
            returned = [(c.target.number, f"r.n{c.target.number:d}", "r.o") for c in self._choices]
            return [f"replaced AS ({keep_replaced(self._table, 'changed r', 'r.id', returned)})"]
        found = f"{FOUND} f JOIN {STAGE} s ON s.line = f.line JOIN {self.relation} t ON t.id = f.id AND f.code IS NULL"
        choices = [(c.target.number, f"s.{c.name}", "t.") for c in self._choices]
        return [f"replaced AS ({keep_replaced(self._table, found, 't.id', choices)})"]


def _same(column: Column, theirs: str) -> str:
    """Whether a row has the value of the staged one, as the unique index compares them."""
    mine = compared_value(column.attribute, f"s.{column.name}")
    return f"{compared(column.attribute, f'{theirs}.{column.name}')} = {mine}"


def _is_flag(column: Column) -> bool:
    """Whether the column is a simple segmentation."""
    return column.cast == "boolean" and not isinstance(column.target, (Attribute, Subscription))
