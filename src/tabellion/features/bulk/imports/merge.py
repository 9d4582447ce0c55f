"""The SQL that applies a block of checked rows to a profile table: all at once, as if one after the other.

Round by round its rows have found their profiles (`matching`). The rest are changes and new profiles, each one statement.
Identifiers are made of integers only; texts of the file are values, never SQL.
"""
# ruff: noqa: S608 - every identifier here is composed of integers of our own

from collections.abc import Sequence
from functools import cached_property

from tabellion.features.bulk.imports.columns import Column, Plan
from tabellion.features.bulk.imports.matching import FOUND, STAGE, MatchSql
from tabellion.features.bulk.imports.model import Mode, Order
from tabellion.features.profiles import choice_columns, keep_replaced, of_write
from tabellion.features.tables import Attribute, Referrer, Subscription, Table
from tabellion.platform import outbox

# Where a choice in a file comes from, in the order of `tables.ORIGIN`.
_ORIGIN = ("%(now)s::timestamptz", "%(source)s::text", "NULL::jsonb")


class MergeSql(MatchSql):
    """All statements for one table, plan and order. Parameters: `now`, `source`, `round`.

    `listened`: the types of events that somebody listens to; they are told of as single calls tell of them.
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
        super().__init__(table, plan, order, referrers)
        self._told = of_write(table, [column.name for column in plan.columns], (), listened)
        self._returns_old = returns_old

    @cached_property
    def update(self) -> str:
        """Change the profiles found, where a row says something new; returns how many, lines and ids (if wanted)."""
        differs = " OR ".join(self._differs(c) for c in self._plan.columns)
        sets = ["updated_at = greatest(%(now)s::timestamptz, t.updated_at + interval '1 microsecond')"]
        for column in self._plan.columns:
            sets.append(f"{column.name} = {self._after(column)}")
            if column in self._choices:
                new = self._differs(column)
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


def _is_flag(column: Column) -> bool:
    """Whether the column is a simple segmentation."""
    return column.cast == "boolean" and not isinstance(column.target, (Attribute, Subscription))
