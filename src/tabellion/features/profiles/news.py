"""What a write tells of itself: the part of its statement that puts events into the outbox.

The data of an event are keyed by column (`a4`, `s7`, `g9`, and `id`), as the row has them; names and texts are given to
them later. They hold what the write supplied and the row's identifiers: its id and the unique attributes that have a value.
"""
# ruff: noqa: S608 - identifiers and words of our own only

from collections.abc import Sequence

from tabellion.features.tables import Table, Test, UpdateRule
from tabellion.platform import outbox

CREATE, UPDATE, DELETE = "CREATE", "UPDATE", "DELETE"
UPDATED_SUBSCRIPTION, UPDATED_SEGMENT = "UPDATED_SUBSCRIPTION", "UPDATED_SEGMENT"
_OPERATORS = {"=": "IS NOT DISTINCT FROM", "!=": "IS DISTINCT FROM", ">": ">", ">=": ">=", "<": "<", "<=": "<="}
EVENT_TYPES = (CREATE, UPDATE, DELETE, UPDATED_SUBSCRIPTION, UPDATED_SEGMENT)


class Told:
    """The parts that a write statement gets; all empty where nobody listens, so that it stays as it is."""

    def __init__(self, columns: Sequence[str] = (), event: str = "") -> None:
        self._columns = columns
        self.event = event

    def returned(self, prefix: str) -> str:
        """What RETURNING gives beside the id."""
        return "".join(f", {prefix}{column}" for column in self._columns)


def unique_columns(table: Table) -> list[str]:
    """The columns that identify a row, beside its id."""
    return [attribute.column for attribute in table.unique_attributes]


def of_write(table: Table, new: Sequence[str], initial: Sequence[str], listened: frozenset[str]) -> Told:
    """What a write of the columns `new` tells; `initial` columns are those that only a new row gets.

    The statement has the relations `changed` and `created` (with the columns returned) and `old` (with the columns `new`).
    """
    attributes, choices, memberships = ([c for c in new if c[0] == kind] for kind in "asg")
    data = f"{_identifiers(table, 'w')} || {_object(new, 'w')}"
    news: list[str] = []
    if CREATE in listened:
        news.append(f"SELECT '{CREATE}', {_changed([*new, *initial], new)}, {data} WHERE w.created")
    if UPDATE in listened and attributes:
        news.append(
            f"SELECT '{UPDATE}', c.fields, {data} FROM (SELECT {_changed(attributes, new)} AS fields) c "
            f"WHERE NOT w.created AND cardinality(c.fields) > 0{_by_rules(table, new)}"
        )
    for event_type, columns in ((UPDATED_SUBSCRIPTION, choices), (UPDATED_SEGMENT, memberships)):
        if event_type in listened and columns:
            every = f"jsonb_each({_object(columns, 'w')}) e"
            only = f"(SELECT jsonb_object_agg(e.key, e.value) FROM {every} WHERE e.key = ANY (c.fields))"
            news.append(
                f"SELECT '{event_type}', c.fields, {_identifiers(table, 'w')} || {only} "
                f"FROM (SELECT {_changed(columns, new)} AS fields) c WHERE cardinality(c.fields) > 0"
            )
    if not news:
        return Told()
    tested = [test.column for rule in table.update_rules for test in (*rule.before, *rule.after)]
    returned = list(dict.fromkeys([*unique_columns(table), *new, *initial, *tested]))
    listed = "".join(f", {column}" for column in returned)
    event = f"""event AS (
    INSERT INTO tabellion.outbox_event ({outbox.COLUMNS})
    SELECT {_subject(table)}, n.type, n.fields, n.data, %(now)s::timestamptz
    FROM (SELECT id{listed}, false AS created FROM changed UNION ALL SELECT id{listed}, true FROM created) w
    LEFT JOIN old ON old.id = w.id
    CROSS JOIN LATERAL ({" UNION ALL ".join(news)}) n (type, fields, data)),
"""
    return Told(returned, event)


def of_delete(table: Table) -> str:
    """What a delete tells: the identifiers, of the relation `gone`."""
    return f"""event AS (
    INSERT INTO tabellion.outbox_event ({outbox.COLUMNS})
    SELECT {_subject(table)}, '{DELETE}', NULL, {_identifiers(table, "gone")}, %(now)s::timestamptz FROM gone)"""


def _by_rules(table: Table, new: Sequence[str]) -> str:
    """The condition that one of the table's rules for updates is met, if it has any."""
    if not table.update_rules:
        return ""
    return f" AND ({' OR '.join(_rule(table, rule, new) for rule in table.update_rules)})"


def _rule(table: Table, rule: UpdateRule, new: Sequence[str]) -> str:
    tests: list[str] = []
    if rule.columns is not None:
        listed = ", ".join(f"'{column}'" for column in rule.columns)
        tests.append(f"c.fields && ARRAY[{listed}]::text[]")
    # What was not written is before what it is after.
    tests += [_test(table, test, "old" if test.column in new else "w") for test in rule.before]
    tests += [_test(table, test, "w") for test in rule.after]
    return " AND ".join(tests) or "true"


def _test(table: Table, test: Test, source: str) -> str:
    """A comparison with a value that the catalogue holds: the text of a caller never stands in a statement."""
    path = ",".join(str(step) for step in test.place)
    value = (
        f"(SELECT (k.definition #>> '{{{path}}}')::{test.cast} "
        f"FROM tabellion.{table.kind.catalogue} k WHERE k.id = {table.id:d})"
    )
    return f"{source}.{test.column} {_OPERATORS[test.operator]} {value}"


def _subject(table: Table) -> str:
    return f"{table.licence_id:d}, '{table.kind.subject}', '{table.public_id}'"


def _identifiers(table: Table, source: str) -> str:
    return f"jsonb_strip_nulls({_object(['id', *unique_columns(table)], source)})"


def _object(columns: Sequence[str], source: str) -> str:
    """Columns as an object; made from a row, for a function takes a hundred arguments at most."""
    if not columns:
        return "'{}'::jsonb"
    return f"(SELECT to_jsonb(o) FROM (SELECT {', '.join(f'{source}.{column}' for column in columns)}) o)"


def _changed(columns: Sequence[str], known: Sequence[str]) -> str:
    """The columns, of these, whose value is another one than before; a new row had none."""
    if not columns:
        return "'{}'::text[]"
    tests = (f"w.{c} IS DISTINCT FROM old.{c}" if c in known else f"w.{c} IS NOT NULL" for c in columns)
    cases = ", ".join(f"CASE WHEN {test} THEN '{column}' END" for test, column in zip(tests, columns, strict=True))
    return f"array_remove(ARRAY[{cases}], NULL)"
