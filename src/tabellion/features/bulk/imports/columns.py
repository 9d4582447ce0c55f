"""From the file's header to columns of the table: what each column is for and how its cells are read."""

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Any, NamedTuple

from tabellion.features.bulk.fenced import JobError
from tabellion.features.bulk.imports.model import Mapping, Order, Transformation
from tabellion.features.customdata import CustomTable
from tabellion.features.profiles import membership
from tabellion.features.tables import (
    Attribute,
    BadValue,
    NamedPart,
    Segmentation,
    Subscription,
    Table,
    column_cast,
    parse_flag,
    parse_value,
)
from tabellion.kit.near import meant

_SUBSCRIPTIONS, _SEGMENTATIONS = "subscriptions#", "segmentations#"
# Between the values of a cell of a multi-valued attribute.
VALUES_SEPARATOR = "|"
_SEPARATORS = (",", ";", "\t", "|")
# In files only: what other systems write for true and false into cells.
_LETTERS = {"y": "true", "n": "false"}


class Column(NamedTuple):
    """A column of the file that goes into the table.

    `place` is its place in the file, `header` its name there (None and empty for what no column gives); `name` the physical
    column, `cast` its type. `parse` gives the Python value of a cell that is not empty, or raises `BadValue`; `subject`
    begins the message of what is wrong.
    """

    place: int | None
    header: str
    name: str
    cast: str
    subject: str
    parse: Callable[[str], Any]
    target: Attribute | Subscription | Segmentation
    transformations: tuple[Transformation, ...] = ()

    @property
    def attribute(self) -> Attribute | None:
        """The attribute, if that is what the column is for."""
        return self.target if isinstance(self.target, Attribute) else None


class Plan(NamedTuple):
    """The columns in use, and those that alone, together, identify a row (none: all unique attributes do)."""

    columns: tuple[Column, ...]
    key: tuple[Column, ...]

    @property
    def unique(self) -> tuple[Column, ...]:
        """The columns of unique attributes."""
        return tuple(c for c in self.columns if c.attribute is not None and c.attribute.unique)


def plan(table: Table, headers: Sequence[str], order: Order, zone: tzinfo) -> Plan:
    """Find a use for each column. Raises `JobError` (import.mapping, import.keyColumn)."""
    places = {header.lower(): index for index, header in enumerate(headers)}
    columns: list[Column] = []
    used: dict[str, str] = {}
    for header, name, transformations in _wanted(headers, order):
        index = None if header is None else places.get(header.lower())
        if header is not None and index is None:
            message = f"the mapping names the column '{header[:100]}', which the file lacks{_one_column(headers, order)}"
            raise JobError("import.mapping", message)
        if name.lower() in table.kind.technical_names:
            continue
        found = _column(table, index, "" if index is None else headers[index], name, zone)
        if found is None:
            raise JobError("import.mapping", no_use(table, header or "", name, _one_column(headers, order)))
        column = found._replace(transformations=transformations)
        if column.name in used:
            raise JobError("import.mapping", f"the columns '{used[column.name]}' and '{header}' are for the same '{name}'")
        used[column.name] = header or ""
        columns.append(column)
    if not columns:
        raise JobError("import.mapping", "no column of the file is for an attribute of the table")
    return Plan(tuple(columns), _key(table, columns, order))


def _one_column(headers: Sequence[str], order: Order) -> str:
    """The end of a message, where the first line looks as if another character stood between the columns."""
    if len(headers) != 1:
        return ""
    other = max(_SEPARATORS, key=headers[0].count)
    if other == order.separator or other not in headers[0]:
        return ""
    read = f"The file was read with {_shown_sign(order.separator)}: 'format' says which, on the command line --separator"
    return f"; is {_shown_sign(other)} the separator? {read}"


def _shown_sign(sign: str) -> str:
    return "a tab" if sign == "\t" else f"'{sign}'"


def _wanted(headers: Sequence[str], order: Order) -> Sequence[tuple[str | None, str, tuple[Transformation, ...]]]:
    mapping = order.mapping
    if mapping is None:
        mapping = tuple(Mapping(header, header) for header in headers)
    return [(entry.header_column, entry.attribute_name, entry.transformations) for entry in mapping]


def _key(table: Table, columns: Sequence[Column], order: Order) -> tuple[Column, ...]:
    if order.key_column is None:
        return _own_key(table, columns)
    wanted = order.key_column.lower()
    found = next((column for column in columns if column.header.lower() == wanted), None)
    if found is None:
        raise JobError("import.keyColumn", f"the file has no column '{order.key_column[:100]}' to be the key")
    if found.attribute is None or not found.attribute.unique:
        raise JobError("import.keyColumn", f"the key '{found.header}' is not for a unique attribute")
    return (found,)


def _own_key(table: Table, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The key that a custom table has, where the file has all of it."""
    wanted = table.key if isinstance(table, CustomTable) else ()
    given = {column.attribute.number: column for column in columns if column.attribute is not None}
    return tuple(given[a.number] for a in wanted) if all(a.number in given for a in wanted) else ()


def _column(table: Table, index: int | None, header: str, name: str, zone: tzinfo) -> Column | None:
    """What a column is for; None: for nothing that the table has."""
    found = part_named(table, *use_of(name))
    match found:
        case Subscription():
            return Column(index, header, found.column, "boolean", f"subscription '{found.name}'", _flag, found)
        case Segmentation():
            simple = found.type == "SIMPLE"
            cast, parse = ("boolean", _flag) if simple else ("integer", _category(found))
            return Column(index, header, found.column, cast, f"segmentation '{found.name}'", parse, found)
        case Attribute():
            subject = f"attribute '{found.name}'"
            return Column(index, header, found.column, column_cast(found), subject, _value(found, zone), found)
        case None:
            return None


def use_of(name: str) -> tuple[NamedPart, str]:
    """Which part of a table a name in a file stands for, and that part's own name."""
    lower = name.lower()
    if lower.startswith(_SUBSCRIPTIONS):
        return "subscription", name[len(_SUBSCRIPTIONS) :]
    if lower.startswith(_SEGMENTATIONS):
        return "segmentation", name[len(_SEGMENTATIONS) :]
    return "attribute", name


def part_named(table: Table, part: NamedPart, name: str) -> Attribute | Subscription | Segmentation | None:
    """The part of a table, whatever the case of its name."""
    lower = name.lower()
    if part == "subscription":
        return table.subscriptions_by_name.get(lower)
    if part == "segmentation":
        return table.segmentations_by_name.get(lower)
    return table.attributes_by_name.get(lower)


def no_use(table: Table, header: str, name: str, why: str = "") -> str:
    """That a column is for what the table lacks, and why (the end of a message), or else what may be meant."""
    return f"the column '{header[:100]}' is for '{name[:100]}', which the table lacks{why or _meant(table, name.lower())}"


def _meant(table: Table, lower: str) -> str:
    """How a subscription or segmentation is called in a file, for those who gave its name alone."""
    if (subscription := table.subscriptions_by_name.get(lower)) is not None:
        return f"; its subscription is called '{_SUBSCRIPTIONS}{subscription.name}' here"
    if (segmentation := table.segmentations_by_name.get(lower)) is not None:
        return f"; its segmentation is called '{_SEGMENTATIONS}{segmentation.name}' here"
    known = [attribute.name for attribute in table.attributes]
    known += [f"{_SUBSCRIPTIONS}{each.name}" for each in table.subscriptions]
    known += [f"{_SEGMENTATIONS}{each.name}" for each in table.segmentations]
    return meant(lower, known)


def _value(attribute: Attribute, zone: tzinfo) -> Callable[[str], Any]:
    is_flag = attribute.value_type == "BOOLEAN"

    def parse(text: str) -> Any:
        texts = text.split(VALUES_SEPARATOR) if attribute.multi_valued else [text]
        texts = [_spelled_out(part) for part in texts] if is_flag else texts
        value = texts if attribute.multi_valued else texts[0]
        parsed = parse_value(attribute, value, zone)
        if parsed is None and attribute.mandatory:
            raise BadValue("is mandatory: it cannot be null", "attribute.mandatory")
        return parsed

    return parse


def _flag(text: str) -> bool:
    return parse_flag(_spelled_out(text))


def _spelled_out(flag: str) -> str:
    return _LETTERS.get(flag.strip().lower(), flag)


def _category(segmentation: Segmentation) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        return membership(segmentation, belongs=True, category=text.strip())

    return parse
