"""The documents of the import calls."""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from tabellion.features.bulk.fenced import JobError
from tabellion.features.bulk.imports.model import EmptyCells, Job, Mapping, Mode, Order
from tabellion.features.bulk.imports.source import charset_of
from tabellion.features.tables import moment_or_null
from tabellion.kit.near import meant, plain
from tabellion.kit.problem import FieldError
from tabellion.platform.http import json_codec, shapes
from tabellion.platform.http.shapes import Flag

Format = Literal["COMMA_SEPARATED_VALUES", "TAB_SEPARATED_VALUES", "SEMI_COLON_SEPARATED_VALUES"]
_SEPARATORS = {"COMMA_SEPARATED_VALUES": ",", "TAB_SEPARATED_VALUES": "\t", "SEMI_COLON_SEPARATED_VALUES": ";"}
_MODES = {
    "CREATE_UPDATE": Mode.CREATE_UPDATE, "CREATE_ONLY": Mode.CREATE_ONLY, "UPDATE_ONLY": Mode.UPDATE_ONLY,
    "CREATE": Mode.CREATE_ONLY, "UPDATE": Mode.UPDATE_ONLY,
}  # fmt: skip
_MAX_MAPPINGS = 2000
_PART = "parameters"
_MEMBER = re.compile(r"[.\[]")


class FileFormat(msgspec.Struct, rename="camel"):
    """How the rows are written. Lines may end in any way, whatever `endOfLine` says."""

    separator: str = ","
    end_of_line: str | None = None
    quote: str = '"'


class MappingIn(msgspec.Struct, rename="camel"):
    """A column of the file and what it is for."""

    header_column: str
    attribute_name: Annotated[
        str,
        Meta(description="name of an attribute, `subscriptions#Name` or `segmentations#Name`", examples=["emailAddress"]),
    ]


class Parameters(msgspec.Struct, rename="camel"):
    """The part `parameters`."""

    mode: Literal["CREATE_UPDATE", "CREATE_ONLY", "UPDATE_ONLY", "CREATE", "UPDATE"] = "CREATE_UPDATE"
    encoding: str = "UTF-8"
    format: FileFormat = msgspec.field(default_factory=FileFormat)
    generate_result_file: Flag = False
    attributes_mapping: list[MappingIn] | None = None
    key_column: str | None = None
    empty_cells: Literal["KEEP", "CLEAR"] = "KEEP"


MEMBERS = frozenset(field.encode_name for type_ in (Parameters, FileFormat) for field in msgspec.structs.fields(type_))


class ImportId(msgspec.Struct, rename="camel"):
    """The answer to a new import."""

    id: int


class StatusOut(msgspec.Struct, rename="camel"):
    """How far an import is."""

    id: int
    status: str
    rows_read: int
    percent: int


class ResultOut(msgspec.Struct, rename="camel"):
    """What became of the rows; `rowsRead` is the sum of the four numbers after it, at every moment."""

    id: int
    status: str
    with_errors: bool
    rows_read: int
    rows_created: int
    rows_updated: int
    rows_unchanged: int
    rows_in_error: int
    started_at: str | None
    ended_at: str | None
    errors: tuple[FieldError, ...]


def _readable(document: bytes) -> tuple[Parameters, list[FieldError], list[str]]:
    """What can be read of the part, what is wrong with the rest, and what it ignores. Raises `Malformed`, `Invalid`."""
    read: Any
    try:
        read, ignored = shapes.read_part(Parameters, _PART, document, blanks=False)
    except shapes.Unreadable as error:
        members = json_codec.decode_part(_PART, document)
        if not isinstance(members, dict):
            raise
        faults = [msgspec.structs.replace(fault, field=fault.field.removeprefix(f"{_PART}.")) for fault in error.errors]
        wrong = {_MEMBER.split(fault.field)[0] for fault in faults}
        if plain("attributesMapping") in map(plain, wrong):
            wrong.add("keyColumn")  # which is one of its columns
        rest: dict[str, Any] = {name: value for name, value in members.items() if name not in wrong}  # pyright: ignore[reportUnknownVariableType] - plain documents
        try:
            read, _ = shapes.reader(Parameters).read(rest)
        except shapes.Unreadable:  # more is wrong than is told at once
            raise error from None
        return read, faults, list(error.ignored)
    return read, [], ignored


def order_of_parameters(document: bytes) -> tuple[Order, list[FieldError], list[str]]:
    """The order that a part `parameters` gives, what is wrong with its values, and the members that it ignores.

    Raises `Malformed`, `Invalid`.
    """
    read, faults, ignored = _readable(document)
    mapping = None
    faults += encoding_faults("encoding", read.encoding) + _format_faults(read.format)
    if read.attributes_mapping is not None:
        if len(read.attributes_mapping) > _MAX_MAPPINGS:
            faults.append(FieldError("attributesMapping", "member.type", f"more than {_MAX_MAPPINGS} columns are mapped"))
        mapping = tuple(Mapping(m.header_column, m.attribute_name) for m in read.attributes_mapping[:_MAX_MAPPINGS])
    order = Order(
        mode=_MODES[read.mode],
        encoding=read.encoding,
        separator=read.format.separator,
        quote=read.format.quote,
        mapping=mapping,
        key_column=read.key_column or None,
        empty_cells=EmptyCells(read.empty_cells),
        result_file=read.generate_result_file,
    )
    return order, faults, ignored


def order_of_fields(field: Callable[[str], str | None]) -> tuple[Order, list[FieldError]]:
    """The order that form fields give, and what is wrong with it; `field` answers None for what was not sent."""
    format_ = field("format") or "COMMA_SEPARATED_VALUES"
    mode = field("mode") or Mode.CREATE_UPDATE.value
    encoding = field("charset") or "UTF-8"
    faults = [
        FieldError(name, "member.type", f"'{name}' expects one of {', '.join(sorted(known))}{meant(given, known)}")
        for name, given, known in (("format", format_, _SEPARATORS), ("mode", mode, _MODES))
        if given not in known
    ]
    order = Order(
        mode=_MODES.get(mode, Mode.CREATE_UPDATE),
        encoding=encoding,
        separator=_SEPARATORS.get(format_, ","),
        key_column=field("headerKeyColumn") or None,
    )
    return order, faults + encoding_faults("charset", encoding)


def format_faults(place: str, signs: dict[str, str]) -> list[FieldError]:
    """What is wrong with the characters that a file's format names."""
    return [
        FieldError(f"{place}.{name}", "member.type", f"'{name}' expects one character")
        for name, text in signs.items()
        if len(text) != 1 or text in "\r\n\x00" or (not text.isprintable() and text != "\t")
    ]


def encoding_faults(place: str, encoding: str) -> list[FieldError]:
    """What is wrong with the encoding of a file."""
    try:
        charset_of(encoding)
    except JobError as error:
        return [FieldError(place, error.code, str(error))]
    return []


def _format_faults(format_: FileFormat) -> list[FieldError]:
    faults = format_faults("format", {"separator": format_.separator, "quote": format_.quote})
    if not faults and format_.separator == format_.quote:
        faults.append(FieldError("format.quote", "member.type", "separator and quote are the same character"))
    return faults


def status_out(job: Job) -> StatusOut:
    """How far a job is."""
    return StatusOut(job.id, job.status, job.counters.read, job.percent)


def result_out(job: Job) -> ResultOut:
    """What became of a job's rows."""
    counters = job.counters
    return ResultOut(
        id=job.id,
        status=job.status,
        with_errors=job.with_errors,
        rows_read=counters.read,
        rows_created=counters.created,
        rows_updated=counters.updated,
        rows_unchanged=counters.unchanged,
        rows_in_error=counters.in_error,
        started_at=moment_or_null(job.started_at),
        ended_at=moment_or_null(job.ended_at),
        errors=job.errors,
    )
