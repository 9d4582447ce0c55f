"""The SQL of one table, composed once per version of its definition.

Identifiers are made of integers only (`l7.p31`, `a4`); values are always bound. A write is one statement, whatever it
carries: it finds the profile, changes or creates it, adds to the audit trail and keeps the choices that were replaced, and
puts the news of it into the outbox where somebody listens (`news.py`), all or none.
"""
# ruff: noqa: S608 - every identifier here is composed of integers of our own; see the module's docstring

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tabellion.features.profiles import news, short
from tabellion.features.profiles.choices import choice_columns, history, keep_replaced
from tabellion.features.tables import Attribute, ProfileTable, Table, column_cast, compared, compared_value
from tabellion.platform import audit
from tabellion.platform.outbox import NOBODY

# The values of `tables.ORIGIN`, in its order.
_ORIGIN = ("%(now)s::timestamptz", "%(source)s::text", "%(details)s::jsonb")


class Shape(NamedTuple):
    """What a write names, by column number; writes of one shape share one statement.

    `matches` identify the row: attributes whose parameters are `k0`, `k1`, ...; each of them alone or, `together`, only all
    at once; `by_id` adds the id, parameter `id`.
    `initial` values are for a new profile only. `expected`: an existing profile is only changed when its id and its last
    change are a pair of the parameters `expected_ids` and `expected`.
    """

    matches: tuple[int, ...]
    by_id: bool
    values: tuple[int, ...]
    initial: tuple[int, ...]
    choices: tuple[int, ...]
    memberships: tuple[int, ...]
    may_create: bool
    may_update: bool
    expected: bool
    together: bool = False

    @property
    def is_plain_change(self) -> bool:
        """Whether a row that exists is looked up in one way, and changed without choices and conditions."""
        return (
            len(self.matches) + self.by_id == 1
            and bool(self.values or self.memberships)
            and not self.choices
            and self.may_update
            and not self.expected
        )


class TableSql:
    """Statements for one version of one table."""

    def __init__(self, table: Table) -> None:
        self.relation = f"{table.schema}.{table.relation}"
        self.consent = f"{table.schema}.consent"
        self._table = table
        self._guard = (
            "guard AS MATERIALIZED "
            f"(SELECT FROM tabellion.{table.kind.catalogue} WHERE id = {table.id:d} AND version = {table.version:d})"
        )
        self._attributes = {a.number: a for a in table.attributes}
        self._segmentations = {g.number: g for g in table.segmentations}
        columns = [
            "t.id",
            "t.created_at",
            "t.updated_at",
            *(f"t.a{a.number:d}" for a in table.attributes),
            *(f"t.s{s.number:d}{part}" for s in table.subscriptions for part in ("", "_at", "_source")),
            *(f"t.g{g.number:d}" for g in table.segmentations),
        ]
        self.select = f"SELECT {', '.join(columns)} FROM {self.relation} t WHERE "
        self.count = f"SELECT count(*) FROM {self.relation} t WHERE "
        self.some = f"SELECT EXISTS (SELECT FROM {self.relation} t WHERE "
        self._writes: dict[tuple[Shape, frozenset[str]], bytes] = {}
        self._shorts: dict[tuple[Shape, frozenset[str]], bytes | None] = {}
        self._reads: dict[int, bytes] = {}
        self._deletes: dict[tuple[int, bool, bool], bytes] = {}

    def read(self, attribute: Attribute | None) -> bytes:
        """One profile by its id (parameter `key`), or by a unique attribute."""
        number = attribute.number if attribute else 0
        if number not in self._reads:
            self._reads[number] = f"{self.select}{self._equals(attribute, 'key')}".encode()
        return self._reads[number]

    def write(self, shape: Shape, listened: frozenset[str] = NOBODY) -> bytes:
        """The statement of a create, an update or both; see `_compose_write` for its parameters and its row.

        `listened`: the event types that somebody listens to.
        """
        kind = (shape, listened)
        if kind not in self._writes:
            self._writes[kind] = self._compose_write(shape, listened).encode()
        return self._writes[kind]

    def short(self, shape: Shape, listened: frozenset[str] = NOBODY) -> bytes | None:
        """The statement of `short.change_known` for a write; None for one that wants more than that."""
        kind = (shape, listened)
        if kind not in self._shorts:
            self._shorts[kind] = self._compose_short(shape, listened)
        return self._shorts[kind]

    def delete(self, attribute: Attribute | None, *, expected: bool, listened: frozenset[str] = NOBODY) -> bytes:
        """Delete one profile (parameter `key`) with its consent history; `expected` as in `Shape`, `listened` as in `write`.

        Row: whether the definition is current, the profile's last change, the id if it was deleted, and false where somebody
        changed it while the statement waited. Then it stays: what that change put into the history would not be seen here.
        """
        told = news.DELETE in listened
        kind = (attribute.number if attribute else 0, expected, told)
        if kind not in self._deletes:
            unique = "".join(f", t.{column}" for column in news.unique_columns(self._table)) if told else ""
            event = f"\n{news.of_delete(self._table)}," if told else ""
            row = f"SELECT t.id, t.updated_at FROM {self.relation} t WHERE {self._equals(attribute, 'key')}"
            self._deletes[kind] = f"""
WITH {self._guard},
seen AS MATERIALIZED ({row}),
old AS MATERIALIZED ({row} AND EXISTS (SELECT FROM guard) FOR UPDATE),
gone AS (
    DELETE FROM {self.relation} t USING old JOIN seen USING (id, updated_at)
    WHERE t.id = old.id{_expected(expected)} RETURNING t.id{unique}),{event}
{self._consents()}{self._audit("gone")}
SELECT EXISTS (SELECT FROM guard), (SELECT updated_at FROM old), (SELECT id FROM gone),
    (SELECT old.updated_at = seen.updated_at FROM old JOIN seen USING (id))""".encode()
        return self._deletes[kind]

    def _consents(self) -> str:
        if not isinstance(self._table, ProfileTable):
            return ""
        whose = f"c.table_id = {self._table.id:d} AND c.profile_id = gone.id"
        return f"consents AS (DELETE FROM {self.consent} c USING gone WHERE {whose}),\n"

    def history(self) -> bytes:
        """The consent history of one profile, newest first: its present choices and those that they replaced.

        Parameters `profile`, `limit`.
        """
        return history(self._table).encode()

    def find(self, matches: Sequence[Attribute], *, together: bool = False) -> bytes:
        """The ids that unique attributes lead to; parameters `k0`, `k1`, ..."""
        return self._found(matches, by_id=False, together=together).encode()

    def _compose_write(self, shape: Shape, listened: frozenset[str]) -> str:
        """Parameters: `now`, `expected_ids` and `expected` (moments), `k<i>` and `id` (matches), `v<n>` (values), `c<n>`
        (choices), `m<n>` (memberships), `source`, `details` with choices, and the audit's. What is known beforehand is
        part of the statement: each parameter costs both the process and the database.

        Row: whether the definition is current, the number of profiles matched, the id matched, its last change,
        the id if changed, the id if created.
        """
        matches = [self._attributes[number] for number in shape.matches]
        new = self._new(shape)
        inserted = new | {f"a{n:d}": f"%(v{n:d})s::{column_cast(self._attributes[n])}" for n in shape.initial}
        for number in shape.choices:
            inserted |= dict(zip(choice_columns(number)[1:], _ORIGIN, strict=True))
        names = "".join(f", {column}" for column in inserted)
        values = "".join(f", {value}" for value in inserted.values())
        told = self._told(shape, listened)
        may_create, may_update = ("true" if may else "false" for may in (shape.may_create, shape.may_update))
        return f"""
WITH {self._guard},
found AS MATERIALIZED ({self._found(matches, by_id=shape.by_id, together=shape.together)}),
target AS MATERIALIZED (SELECT count(*) AS matches, min(id) AS id FROM found),
old AS MATERIALIZED (
    SELECT {self._old(shape)} FROM {self.relation} t
    WHERE t.id = (SELECT id FROM target WHERE matches = 1) AND EXISTS (SELECT FROM guard) FOR NO KEY UPDATE),
changed AS (
    UPDATE {self.relation} t
    SET {", ".join(self._sets(shape))}
    FROM old WHERE t.id = old.id AND {may_update}{_expected(shape.expected)} AND ({_differs(new)})
    RETURNING t.id{told.returned("t.")}),
created AS (
    INSERT INTO {self.relation} (created_at, updated_at{names})
    SELECT %(now)s::timestamptz, %(now)s::timestamptz{values} FROM target
    WHERE matches = 0 AND {may_create} AND EXISTS (SELECT FROM guard)
    RETURNING id{told.returned("")}),
written AS (SELECT id FROM changed UNION ALL SELECT id FROM created),
{told.event}{self._replaced(shape)}{self._audit("written")}
SELECT EXISTS (SELECT FROM guard), target.matches, target.id, (SELECT updated_at FROM old),
    (SELECT id FROM changed), (SELECT id FROM created) FROM target"""

    def choose(self, number: int, listened: frozenset[str]) -> bytes:
        """The statement of one choice (parameter `c<number>`) for many profiles, parameter `ids`; the others as in `write`.

        Row: whether the definition is current.
        """
        shape = Shape(
            (), by_id=False, values=(), initial=(), choices=(number,), memberships=(), may_create=False, may_update=True,
            expected=False,
        )  # fmt: skip
        told = self._told(shape, listened)
        # What is told of a write names the rows that it has made as well.
        none = f"created AS (SELECT id{told.returned('')} FROM changed WHERE false),\n" if told.event else ""
        return f"""
WITH {self._guard},
old AS MATERIALIZED (
    SELECT {self._old(shape)} FROM {self.relation} t
    WHERE t.id = ANY (%(ids)s::bigint[]) AND EXISTS (SELECT FROM guard) ORDER BY t.id FOR NO KEY UPDATE),
changed AS (
    UPDATE {self.relation} t
    SET {", ".join(self._sets(shape))}
    FROM old WHERE t.id = old.id AND ({_differs(self._new(shape))})
    RETURNING t.id{told.returned("t.")}),
{none}{told.event}{self._replaced(shape)}{self._audit("changed")}
SELECT EXISTS (SELECT FROM guard)""".encode()

    def _old(self, shape: Shape) -> str:
        """What a write reads of a row `t` before it changes it."""
        origins = [column for number in shape.choices for column in choice_columns(number, "t.")[1:]]
        return ", ".join(["t.id", "t.updated_at", *(f"t.{column}" for column in self._new(shape)), *origins])

    def _sets(self, shape: Shape) -> list[str]:
        """What a write sets in a row `t` that was `old`."""
        # Strictly later than before, so that an ETag never names two states.
        sets = ["updated_at = greatest(%(now)s::timestamptz, old.updated_at + interval '1 microsecond')"]
        sets += [f"{column} = {value}" for column, value in self._new(shape).items()]
        for number in shape.choices:
            differs = f"old.s{number:d} IS DISTINCT FROM %(c{number:d})s::boolean"
            sets += [
                f"{column} = CASE WHEN {differs} THEN {value} ELSE t.{column} END"
                for column, value in zip(choice_columns(number)[1:], _ORIGIN, strict=True)
            ]
        return sets

    def _compose_short(self, shape: Shape, listened: frozenset[str]) -> bytes | None:
        if not shape.is_plain_change or self._told(shape, listened).event:
            return None
        key = self._equals(None, "id") if shape.by_id else self._equals(self._attributes[shape.matches[0]], "k0")
        return short.change_known(self._table, key, self._new(shape), self._audit("changed")).encode()

    def _told(self, shape: Shape, listened: frozenset[str]) -> news.Told:
        return news.of_write(self._table, tuple(self._new(shape)), tuple(f"a{n:d}" for n in shape.initial), listened)

    def _new(self, shape: Shape) -> dict[str, str]:
        """The columns that a write sets in any row, with their values."""
        new = {f"a{n:d}": f"%(v{n:d})s::{column_cast(self._attributes[n])}" for n in shape.values}
        new |= {f"s{n:d}": f"%(c{n:d})s::boolean" for n in shape.choices}
        return new | {f"g{n:d}": f"%(m{n:d})s::{self._membership_cast(n)}" for n in shape.memberships}

    def _replaced(self, shape: Shape) -> str:
        if not shape.choices or not shape.may_update:
            return ""
        choices = [(n, f"%(c{n:d})s::boolean", "old.") for n in shape.choices]
        source = "changed JOIN old ON old.id = changed.id"
        return f"replaced AS ({keep_replaced(self._table, source, 'changed.id', choices)}),\n"

    def _audit(self, source: str) -> str:
        object_ = f"'{self._table.kind.row}/{self._table.public_id}/' || {source}.id::text"
        selected = audit.selected(self._table.licence_id)
        return f"audit AS (INSERT INTO tabellion.audit ({audit.COLUMNS}) SELECT {selected}, {object_} FROM {source})"

    def _found(self, matches: Sequence[Attribute], *, by_id: bool, together: bool) -> str:
        conditions = [self._equals(attribute, f"k{i:d}") for i, attribute in enumerate(matches)]
        if together and conditions:
            conditions = [" AND ".join(conditions)]
        if by_id:
            conditions.append(self._equals(None, "id"))
        if not conditions:
            return f"SELECT id FROM {self.relation} WHERE false"
        return " UNION ".join(f"SELECT t.id FROM {self.relation} t WHERE {condition}" for condition in conditions)

    @staticmethod
    def _equals(attribute: Attribute | None, parameter: str) -> str:
        if attribute is None:
            return f"t.id = %({parameter})s::bigint"
        value = compared_value(attribute, f"%({parameter})s::{column_cast(attribute)}")
        return f"{compared(attribute, f't.a{attribute.number:d}')} = {value}"

    def _membership_cast(self, number: int) -> str:
        return "boolean" if self._segmentations[number].type == "SIMPLE" else "integer"


def _differs(new: Mapping[str, str]) -> str:
    """Whether a write changes anything in a row that was `old`."""
    return " OR ".join(f"old.{column} IS DISTINCT FROM {value}" for column, value in new.items()) or "false"


def _expected(expected: bool) -> str:  # noqa: FBT001 - of one mind with Shape
    if not expected:
        return ""
    states = "unnest(%(expected_ids)s::bigint[], %(expected)s::timestamptz[])"
    return f" AND (old.id, old.updated_at) IN (SELECT * FROM {states})"


def sql_of(table: Table) -> TableSql:
    """The statements of a table, kept with its definition."""
    kept: dict[str, Any] = vars(table)
    found: TableSql | None = kept.get("_sql")
    if found is None:
        found = kept["_sql"] = TableSql(table)
    return found
