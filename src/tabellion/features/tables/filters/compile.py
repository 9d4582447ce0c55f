"""From a tree to SQL, checked against the table: columns are numbers, values are bound, every test is true or false.

A comparison with a missing value is false, also `!=`, and `not` is plain negation: so each test is `t.a4 > 5 AND t.a4 IS NOT
NULL` where null could come out. A `coalesce` around it would say the same, and keep the database from using an index of the
column and from knowing how many rows to expect; it stands only where no index would serve.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any, NamedTuple

from tabellion.features.tables.filters.errors import FilterFault
from tabellion.features.tables.filters.sent import as_sent
from tabellion.features.tables.filters.tree import Compare, In, Junction, Like, Literal_, Node, Not, Null, Operand
from tabellion.features.tables.model import CREATION_MOMENT, UPDATE_MOMENT, Attribute, Segmentation, Table
from tabellion.features.tables.types.base import BadValue
from tabellion.features.tables.types.boolean import parse_flag
from tabellion.features.tables.types.comparing import as_compared, compared, compared_value
from tabellion.features.tables.types.registry import is_email, parse_single, value_type
from tabellion.features.tables.types.text import fit


class Condition(NamedTuple):
    """SQL for a WHERE (the table's alias is `t`) and its parameters, in order."""

    sql: str
    params: tuple[Any, ...] = ()


ALWAYS = Condition("true")


class Target(NamedTuple):
    """What an operand is in the table: an expression of one type. `attribute` None: a technical column."""

    expression: str
    cast: str
    attribute: Attribute | None
    is_text: bool
    is_ordered: bool
    is_many: bool

    @property
    def compared(self) -> str:
        """What is compared with values (`given`), and sorted by."""
        return compared(self.attribute, self.expression)

    @property
    def given(self) -> str:
        """A parameter as it is compared."""
        return compared_value(self.attribute, f"%s::{self.cast}")

    def sure(self, test: str) -> str:
        """The test, false where this has no value."""
        return f"({test})" if self.attribute is None else f"({test} AND {self.expression} IS NOT NULL)"


ID = Target("t.id", "bigint", None, is_text=False, is_ordered=True, is_many=False)
# Greek has two small letters for one capital, by their place in a word.
_SIGMA, _FINAL_SIGMA = "\u03c3", "\u03c2"
_MOMENTS = {
    CREATION_MOMENT.lower(): Target("t.created_at", "timestamptz", None, is_text=False, is_ordered=True, is_many=False),
    UPDATE_MOMENT.lower(): Target("t.updated_at", "timestamptz", None, is_text=False, is_ordered=True, is_many=False),
}


def target_of(table: Table, name: str) -> Target | None:
    """The column behind an attribute's name, technical ones included."""
    technical = ID if name.lower() == table.kind.id_name.lower() else _MOMENTS.get(name.lower())
    if technical is not None:
        return technical
    attribute = table.attributes_by_name.get(name.lower())
    if attribute is None:
        return None
    type_ = value_type(attribute.value_type)
    column = f"t.a{attribute.number:d}"
    return Target(column, type_.cast, attribute, type_.is_text, type_.is_ordered, attribute.multi_valued)


def name_of(table: Table, target: Target) -> str:
    """The name of what a test is about, as it was defined."""
    if target.attribute is not None:
        return target.attribute.name
    if target == ID:
        return table.kind.id_name
    return next(name for name in (CREATION_MOMENT, UPDATE_MOMENT) if _MOMENTS[name.lower()] == target)


def parse_for(target: Target, value: Any, zone: tzinfo) -> Any:
    """A value for comparisons with a target. Raises `BadValue`."""
    if target.attribute is not None:
        return parse_single(target.attribute, value, zone)
    name = "LONG" if target.cast == "bigint" else "TIMESTAMP"
    return value_type(name).parse(value, zone)


class Compiler:
    """Compiles trees for one table. `zone` reads moments without offset, `now` stands for `now()`.

    `of_query`: the filter came in a query, where a raw `+` has become a blank.
    """

    def __init__(self, table: Table, zone: tzinfo, now: datetime, *, of_query: bool = False) -> None:
        self._table = table
        self._zone = zone
        self._now = now
        self._of_query = of_query

    def compile(self, node: Node) -> Condition:
        """The condition of a tree. Raises `FilterFault`."""
        match node:
            case Junction(word=word, parts=parts):
                compiled = [self.compile(part) for part in parts]
                joined = f" {word} ".join(part.sql for part in compiled)
                return Condition(f"({joined})", tuple(p for part in compiled for p in part.params))
            case Not(inner=inner):
                condition = self.compile(inner)
                return Condition(f"(NOT {condition.sql})", condition.params)
            case Compare(operand=operand) | In(operand=operand) | Like(operand=operand) | Null(operand=operand):
                match operand.kind:
                    case "subscription":
                        return self._flag(node, self._subscription(operand), nullable=True)
                    case "segmentation":
                        return self._segmentation(node, operand)
                    case _:
                        return self._attribute(node, operand)

    def _attribute(self, node: Compare | In | Like | Null, operand: Operand) -> Condition:
        target = target_of(self._table, operand.name)
        if target is None:
            raise FilterFault(self._table.lacks(operand.name), operand.position, "attribute.unknown")
        match node:
            case Null(negated=negated):
                return Condition(f"({target.expression} IS {'NOT ' if negated else ''}NULL)")
            case Like(literal=literal, at_start=at_start):
                if not target.is_text:
                    raise FilterFault(f"'{operand.name}' is no text", operand.position)
                try:
                    return like(target, self._text(target, literal), at_start=at_start)
                except BadValue as error:
                    raise self._refused(target, literal, error) from None
            case In(literals=literals, negated=negated):
                return is_in(target, [self._value(target, literal) for literal in literals], negated=negated)
            case Compare(operator=operator, literal=literal):
                if operator not in {"=", "!="} and not target.is_ordered:
                    raise FilterFault(f"'{operand.name}' is true or false: only = and != compare it", operand.position)
                return compare(target, operator, self._value(target, literal))

    def _value(self, target: Target, literal: Literal_) -> Any:
        if literal.kind == "now":
            if target.cast not in {"date", "timestamptz"}:
                raise FilterFault("now() compares with dates and moments", literal.position, "attribute.type")
            try:
                moment = self._now + timedelta(seconds=literal.value)
                return moment.astimezone(self._zone).date() if target.cast == "date" else moment
            except OverflowError:
                raise FilterFault("this moment is out of reach", literal.position) from None
        # What looks like a text by chance is refused; numbers, flags and moments may be in quotes.
        if target.is_text and literal.kind != "string":
            raise FilterFault("a text in quotes was expected", literal.position, "attribute.type")
        try:
            value = parse_for(target, self._text(target, literal), self._zone)
        except BadValue as error:
            raise self._refused(target, literal, error) from None
        if value is None:
            raise FilterFault("an empty value: use 'is null'", literal.position, "attribute.type")
        return value

    def _text(self, target: Target, literal: Literal_) -> Any:
        is_sent = self._of_query and isinstance(literal.value, str)
        return as_sent(target.attribute, target.cast, literal.value) if is_sent else literal.value

    def _refused(self, target: Target, literal: Literal_, error: BadValue) -> FilterFault:
        return FilterFault(f"'{name_of(self._table, target)}' {error}", literal.position, error.code)

    def _subscription(self, operand: Operand) -> str:
        found = self._table.subscriptions_by_name.get(operand.name.lower())
        if found is None:
            message = self._table.lacks(operand.name, "subscription")
            raise FilterFault(message, operand.position, "attribute.unknown")
        return f"t.s{found.number:d}"

    def _segmentation(self, node: Compare | In | Like | Null, operand: Operand) -> Condition:
        found = self._table.segmentations_by_name.get(operand.name.lower())
        if found is None:
            message = self._table.lacks(operand.name, "segmentation")
            raise FilterFault(message, operand.position, "attribute.unknown")
        column = f"t.g{found.number:d}"
        if found.type == "SIMPLE":
            return self._flag(node, f"coalesce({column}, false)", nullable=False)
        match node:
            case Null(negated=negated):
                return Condition(f"({column} IS {'NOT ' if negated else ''}NULL)")
            case Compare(operator="=" | "!=" as operator, literal=literal):
                test = f"({column} {'=' if operator == '=' else '<>'} %s::int AND {column} IS NOT NULL)"
                return Condition(test, (_category(found, literal),))
            case In(literals=literals, negated=negated):
                numbers = [_category(found, literal) for literal in literals]
                test = f"{column} <> ALL (%s::int[])" if negated else f"{column} = ANY (%s::int[])"
                return Condition(f"({test} AND {column} IS NOT NULL)", (numbers,))
            case _:
                raise FilterFault("a segmentation is compared by =, !=, in and is null", operand.position)

    def _flag(self, node: Compare | In | Like | Null, expression: str, *, nullable: bool) -> Condition:
        given = f" AND {expression} IS NOT NULL" if nullable else ""
        match node:
            case Null(negated=negated):
                if not nullable:
                    return Condition("true" if negated else "false")
                return Condition(f"({expression} IS {'NOT ' if negated else ''}NULL)")
            case Compare(operator="=" | "!=" as operator, literal=literal):
                test = f"({expression} {'=' if operator == '=' else '<>'} %s::boolean{given})"
                return Condition(test, (_flag(literal),))
            case In(literals=literals, negated=negated):
                values = [_flag(literal) for literal in literals]
                test = f"{expression} <> ALL (%s::boolean[])" if negated else f"{expression} = ANY (%s::boolean[])"
                return Condition(f"({test}{given})", (values,))
            case _:
                raise FilterFault("this is true or false: compare it by = or !=", node.operand.position)


def compare(target: Target, operator: str, value: Any) -> Condition:
    """`target OP value`; on a multi-valued attribute some value must satisfy it, `!=`: it has values and none is equal."""
    sql_operator = "<>" if operator == "!=" else operator
    if target.is_many:
        column, parameter = target.expression, f"%s::{target.cast}"
        if operator == "!=":
            return Condition(f"coalesce({parameter} <> ALL ({column}), false)", (value,))
        flipped = {"=": "=", ">": "<", ">=": "<=", "<": ">", "<=": ">="}[operator]
        return Condition(f"coalesce({parameter} {flipped} ANY ({column}), false)", (value,))
    return Condition(target.sure(f"{target.compared} {sql_operator} {target.given}"), (value,))


def is_in(target: Target, values: Sequence[Any], *, negated: bool) -> Condition:
    """`target [not] in (values)`."""
    column, parameter = target.expression, f"%s::{target.cast}[]"
    if target.is_many:
        test = f"NOT ({column} && {parameter}) AND cardinality({column}) > 0" if negated else f"{column} && {parameter}"
        return Condition(f"coalesce({test}, false)", (list(values),))
    if target.attribute is not None and is_email(target.attribute):
        value = compared_value(target.attribute, "v")
        column, parameter = target.compared, f"ARRAY(SELECT {value} FROM unnest({parameter}) AS v)"  # noqa: S608 - casts
    test = f"{column} <> ALL ({parameter})" if negated else f"{column} = ANY ({parameter})"
    return Condition(target.sure(test), (list(values),))


def like(target: Target, text: str, *, at_start: bool) -> Condition:
    """`contains` and `startsWith`, whatever the case. Raises `BadValue` for what the database takes for no text."""
    fit(text)
    upper, lower = _accented_pairs(text)
    text = text.translate(str.maketrans(upper, lower))
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    pattern = f"{escaped}%" if at_start else f"%{escaped}%"
    if at_start and not upper and target.compared != target.expression:
        # The beginning of what the index holds.
        return Condition(target.sure(f"{target.compared} LIKE %s::text"), (as_compared(target.attribute, pattern),))
    value = "v" if target.is_many else target.expression
    params: tuple[Any, ...] = (pattern,)
    if upper:
        value, params = f"translate({value}, %s::text, %s::text)", (upper, lower, pattern)
    if target.is_many:
        return Condition(f"EXISTS (SELECT FROM unnest({target.expression}) AS v WHERE {value} ILIKE %s::text)", params)
    return Condition(f"coalesce({value} ILIKE %s::text, false)", params)


def _accented_pairs(text: str) -> tuple[str, str]:
    """The letters of a text beyond ASCII, capitals and small ones: ILIKE folds ASCII only, as columns are in byte order."""
    smalls = {c: c.lower().replace(_FINAL_SIGMA, _SIGMA) for c in text if not c.isascii()}
    letters = {(other, small) for c, small in smalls.items() for other in (c, c.upper()) if other != small}
    if _SIGMA in smalls.values():
        letters.add((_FINAL_SIGMA, _SIGMA))
    pairs = sorted(pair for pair in letters if len(pair[0]) == len(pair[1]) == 1)
    return "".join(pair[0] for pair in pairs), "".join(pair[1] for pair in pairs)


def is_null(target: Target, *, negated: bool) -> Condition:
    """`target is [not] null`."""
    return Condition(f"({target.expression} IS {'NOT ' if negated else ''}NULL)")


def both(conditions: Sequence[Condition]) -> Condition:
    """All of the conditions."""
    if not conditions:
        return ALWAYS
    joined = " AND ".join(condition.sql for condition in conditions)
    return Condition(f"({joined})", tuple(p for condition in conditions for p in condition.params))


def _flag(literal: Literal_) -> bool:
    try:
        return parse_flag(literal.value if literal.kind != "number" else int(literal.value))
    except (BadValue, ValueError):
        raise FilterFault("true or false was expected", literal.position, "attribute.type") from None


def _category(segmentation: Segmentation, literal: Literal_) -> int:
    found = segmentation.category(str(literal.value))
    if found is None or literal.kind != "string":
        message = f"one of its categories was expected: {segmentation.named()}"
        raise FilterFault(message, literal.position, "segmentation.category")
    return found
