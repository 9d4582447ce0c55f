"""What an ETL is to do, as its document says it, and the orders that follow from it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tabellion.features.bulk.imports import (
    EmptyCells,
    Mapping,
    Mode,
    Operation,
    Order,
    Transformation,
    Uses,
    encoding_faults,
    format_faults,
    key_fault,
)
from tabellion.features.bulk.names import NamePattern
from tabellion.features.tables import NamedPart, Table
from tabellion.kit.datepattern import DatePattern
from tabellion.kit.problem import FieldError, Problem
from tabellion.platform.http.shapes import Flag

TableId = Annotated[str, Meta(extra={"coerce": "text"}, description="id or name of the table", examples=["31"])]
MAX_FILES, MAX_MAPPINGS, MAX_STEPS, MAX_RECIPIENTS = 20, 2000, 20, 20
_INVALID, _TYPE, _MANDATORY = "structure.invalid", "member.type", "member.mandatory"


class Format(msgspec.Struct, rename="camel"):
    """How the rows are written. `escape`: what stands before a quote within quotes; a quote itself is doubled."""

    type: Literal["CSV"] = "CSV"
    encoding: str = "UTF-8"
    separator: str = ","
    enclosing: str = '"'
    escape: str = '"'


class Load(msgspec.Struct, rename="camel"):
    """Where the rows go. `keyAttribute`: the unique attribute that alone identifies a row; null: all that are mapped."""

    table_id: TableId
    table_type: Literal["PROFILE_TABLE", "CUSTOM_TABLE"] = "PROFILE_TABLE"
    mode: Literal["CREATE_UPDATE", "CREATE_ONLY", "UPDATE_ONLY"] = "CREATE_UPDATE"
    key_attribute: str | None = None
    empty_cells: Literal["KEEP", "CLEAR"] = "KEEP"


class Step(msgspec.Struct, rename="camel", omit_defaults=True):
    """A transformation; which members it takes depends on the operation."""

    operation: Literal[
        "TRIM", "LOWERCASE", "UPPERCASE", "PARSE_DATE", "PARSE_NUMBER", "PARSE_PHONE", "MAP_VALUES", "DEFAULT", "CONSTANT"
    ]
    pattern: Annotated[str | None, Meta(description="PARSE_DATE: yyyy yy MM M dd d HH H mm ss SSS, text in quotes")] = None
    decimal_sign: Annotated[str, Meta(description="PARSE_NUMBER: before the fraction")] = ","
    group_sign: Annotated[str, Meta(description="PARSE_NUMBER: between thousands")] = ""
    country: Annotated[
        str | None, Meta(description="PARSE_PHONE: whose numbers stand without a country code; ISO 3166-1 alpha-2")
    ] = None
    values: Annotated[dict[str, str | None] | None, Meta(description="MAP_VALUES: what stands for what")] = None
    otherwise: Annotated[
        str | None | UnsetType, Meta(description="MAP_VALUES: for any other value; missing: it stays, null: it is empty")
    ] = UNSET
    value: Annotated[str | None, Meta(description="DEFAULT (of empty cells), CONSTANT")] = None


class Column(msgspec.Struct, rename="camel", omit_defaults=True):
    """A column of the file and one of `attribute`, `subscription`, `segmentation`; a CONSTANT needs no column."""

    column: str | None = None
    attribute: str | None = None
    subscription: str | None = None
    segmentation: str | None = None
    transformations: list[Step] = []


class File(msgspec.Struct, rename="camel"):
    """One kind of file. `mapping` null: the headers are names of attributes, `subscriptions#Name`, `segmentations#Name`."""

    load: Load
    name_pattern: str | None = None
    required: Flag = True
    format: Format = msgspec.field(default_factory=Format)
    mapping: list[Column] | None = None


class Report(msgspec.Struct, rename="camel"):
    """Who gets a mail when an execution has ended: always, or when not all is well."""

    recipients: list[str]
    when: Literal["ON_ERROR", "ALWAYS"] = "ON_ERROR"


class Definition(msgspec.Struct, rename="camel"):
    """What is to be done with one or more files; they are loaded in this order."""

    files: list[File]
    generate_result_file: Flag = False
    result_file_name_pattern: str | None = None
    report: Report | None = None


class Target(NamedTuple):
    """A file of a definition, the table that it goes to, and the order of its import."""

    file: File
    table: Table
    order: Order


Find = Callable[[str, str], Awaitable[Table]]


async def check(definition: Definition, find: Find, place: str = "") -> tuple[list[Target], list[FieldError]]:
    """The targets of a definition, and all that is wrong with it; `find(type, id)` raises `TableUnknown`.

    A table's id takes the place of its name in the definition, so that it may be renamed. `place` stands before the paths.
    """
    faults: list[FieldError] = []
    targets: list[Target] = []
    if not 1 <= len(definition.files) <= MAX_FILES:
        code = "structure.tooMany" if definition.files else _MANDATORY
        faults.append(FieldError(f"{place}files", code, f"a definition has 1 to {MAX_FILES} files"))
    for number, file in enumerate(definition.files[:MAX_FILES]):
        here = f"{place}files[{number}]"
        faults += _pattern_faults(f"{here}.namePattern", file.name_pattern, wanted=len(definition.files) > 1)
        faults += _format_faults(f"{here}.format", file.format)
        table: Table | None = None
        try:
            table = await find(file.load.table_type, file.load.table_id)
        except Problem as error:
            if error.code != "table.unknown":
                raise
            faults.append(FieldError(f"{here}.load.tableId", error.code, error.message))
        if table is not None:
            file.load.table_id = table.public_id
            faults += _key_faults(here, file, table)
        faults += _mapping_faults(here, file, table)
        if table is not None and not faults:
            targets.append(Target(file, table, order_of(file, definition)))
    if definition.result_file_name_pattern is not None:
        faults += _pattern_faults(f"{place}resultFileNamePattern", definition.result_file_name_pattern, wanted=False)
    if definition.report is not None:
        wrong = [r for r in definition.report.recipients if "@" not in r or not r.isprintable() or len(r) > 254]  # noqa: PLR2004
        if wrong or not 1 <= len(definition.report.recipients) <= MAX_RECIPIENTS:
            message = f"'recipients' expects 1 to {MAX_RECIPIENTS} e-mail addresses"
            faults.append(FieldError(f"{place}report.recipients", _TYPE, message))
    return targets, faults


def order_of(file: File, definition: Definition) -> Order:
    """The order of the import of one file, of a definition that was found good."""
    mapping = None
    key = file.load.key_attribute
    if file.mapping is not None:
        mapping = tuple(Mapping(c.column, _target_name(c), tuple(map(_step, c.transformations))) for c in file.mapping)
        lower = (key or "").lower()
        key = key and next((c.column for c in file.mapping if (c.attribute or "").lower() == lower and c.column), key)
    return Order(
        mode=Mode(file.load.mode),
        encoding=file.format.encoding,
        separator=file.format.separator,
        quote=file.format.enclosing,
        escape=None if file.format.escape == file.format.enclosing else file.format.escape,
        mapping=mapping,
        key_column=key,
        empty_cells=EmptyCells(file.load.empty_cells),
        result_file=definition.generate_result_file,
    )


def _step(step: Step) -> Transformation:
    return Transformation(
        operation=Operation(step.operation),
        pattern=step.pattern,
        decimal_sign=step.decimal_sign,
        group_sign=step.group_sign,
        country=None if step.country is None else step.country.upper(),
        values=step.values,
        otherwise=step.otherwise,
        value=step.value or "",
    )


def _target_name(column: Column) -> str:
    if column.subscription is not None:
        return f"subscriptions#{column.subscription}"
    if column.segmentation is not None:
        return f"segmentations#{column.segmentation}"
    return column.attribute or ""


def _pattern_faults(place: str, pattern: str | None, *, wanted: bool) -> list[FieldError]:
    if pattern is None:
        message = "each of several files needs a 'namePattern'"
        return [FieldError(place, _MANDATORY, message)] if wanted else []
    try:
        NamePattern(pattern)
    except ValueError as error:
        return [FieldError(place, _INVALID, str(error))]
    return []


def _format_faults(place: str, format_: Format) -> list[FieldError]:
    signs = {"separator": format_.separator, "enclosing": format_.enclosing, "escape": format_.escape}
    faults = format_faults(place, signs)
    if not faults and format_.separator in {format_.enclosing, format_.escape}:
        faults.append(FieldError(f"{place}.separator", _TYPE, "the separator is another character than quote and escape"))
    return faults + encoding_faults(f"{place}.encoding", format_.encoding)


def _mapping_faults(here: str, file: File, table: Table | None) -> list[FieldError]:
    """What is wrong with a mapping; of what its columns are for only where the table is known."""
    faults: list[FieldError] = []
    if file.mapping is None:
        return faults
    if not 1 <= len(file.mapping) <= MAX_MAPPINGS:
        code = "structure.tooMany" if file.mapping else _MANDATORY
        return [FieldError(f"{here}.mapping", code, f"a mapping has 1 to {MAX_MAPPINGS} columns")]
    uses = None if table is None else Uses(table)
    for number, column in enumerate(file.mapping):
        place = f"{here}.mapping[{number}]"
        faults += _target_faults(place, column, uses)
        if column.column is None and not any(step.operation == "CONSTANT" for step in column.transformations):
            message = "'column' is mandatory, unless a CONSTANT takes its place"
            faults.append(FieldError(f"{place}.column", _MANDATORY, message))
        if len(column.transformations) > MAX_STEPS:
            faults.append(
                FieldError(f"{place}.transformations", "structure.tooMany", f"there are at most {MAX_STEPS} transformations")
            )
        for i, step in enumerate(column.transformations):
            faults += _step_faults(f"{place}.transformations[{i}]", step)
    return faults


def _target_faults(place: str, column: Column, uses: Uses | None) -> list[FieldError]:
    names: dict[NamedPart, str | None] = {
        "attribute": column.attribute,
        "subscription": column.subscription,
        "segmentation": column.segmentation,
    }
    given: list[tuple[NamedPart, str]] = [(part, name) for part, name in names.items() if name is not None]
    if len(given) != 1:
        return [FieldError(place, _INVALID, "a column is for one of 'attribute', 'subscription', 'segmentation'")]
    ((part, name),) = given
    fault = None if uses is None else uses.fault(f"{place}.{part}", part, name)
    return [] if fault is None else [fault]


def _step_faults(place: str, step: Step) -> Sequence[FieldError]:
    match step.operation:
        case "PARSE_DATE":
            if step.pattern is None:
                return [FieldError(f"{place}.pattern", _MANDATORY, "PARSE_DATE needs a 'pattern'")]
            try:
                pattern = DatePattern(step.pattern)
            except ValueError as error:
                return [FieldError(f"{place}.pattern", _INVALID, str(error))]
            if not pattern.has_date:
                message = "the date pattern needs year, month and day: yyyy, MM (mm is the minute) and dd"
                return [FieldError(f"{place}.pattern", _INVALID, message)]
        case "PARSE_NUMBER":
            if len(step.decimal_sign) != 1 or step.decimal_sign == step.group_sign or len(step.group_sign) > 1:
                message = "PARSE_NUMBER expects one character as 'decimalSign', and another one, or none, as 'groupSign'"
                return [FieldError(place, _INVALID, message)]
        case "PARSE_PHONE":
            return _country_faults(f"{place}.country", step.country)
        case "MAP_VALUES":
            if step.values is None:
                return [FieldError(f"{place}.values", _MANDATORY, "MAP_VALUES needs 'values'")]
        case "DEFAULT" | "CONSTANT":
            if step.value is None:
                return [FieldError(f"{place}.value", _MANDATORY, f"{step.operation} needs a 'value'")]
        case _:
            pass
    return []


def _country_faults(place: str, country: str | None) -> Sequence[FieldError]:
    # Numbering plans are loaded by who reads phone numbers.
    from tabellion.features.bulk.imports import phones  # noqa: PLC0415

    if country is None:
        return [FieldError(place, _MANDATORY, "PARSE_PHONE needs a 'country', such as DE")]
    if not phones.knows(country.upper()):
        return [
            FieldError(place, _INVALID, f"'{country}' is no country with phone numbers; expects two letters, such as DE")
        ]
    return []


def _key_faults(here: str, file: File, table: Table) -> list[FieldError]:
    key = file.load.key_attribute
    if key is None:
        return []
    place = f"{here}.load.keyAttribute"
    fault = key_fault(table, place, key)
    if fault is not None:
        return [fault]
    if file.mapping is not None and not any((c.attribute or "").lower() == key.lower() and c.column for c in file.mapping):
        return [FieldError(place, _INVALID, f"no column is mapped to the key '{key}'")]
    return []
