"""What an export is to hold, as its document says it."""

from datetime import tzinfo
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tabellion.features.bulk.exports.columns import Chosen, choose
from tabellion.features.bulk.imports import encoding_faults, format_faults
from tabellion.features.tables import Table
from tabellion.features.tables.filters import FilterFault, compile_filter
from tabellion.kit.clock import utc_now
from tabellion.kit.problem import FieldError
from tabellion.platform.http.shapes import Flag

_TYPE, _MAX_FILTER = "member.type", 10_000


class Format(msgspec.Struct, rename="camel"):
    """How the rows are written; the characters are for CSV."""

    type: Literal["CSV", "JSON_LINES"] = "CSV"
    encoding: str = "UTF-8"
    separator: str = ","
    enclosing: str = '"'
    protect_formulas: Annotated[
        Flag, Meta(description="a cell that a spreadsheet would run (= + - @, tab, CR) gets an apostrophe in front")
    ] = False


class Definition(msgspec.Struct, rename="camel"):
    """Which rows and which of their values. `attributes` null: all. `filter`: as in the v5 lists."""

    table_id: Annotated[str, Meta(extra={"coerce": "text"}, description="id or name of the table", examples=["31"])]
    table_type: Literal["PROFILE_TABLE", "CUSTOM_TABLE"] = "PROFILE_TABLE"
    attributes: list[str] | None = None
    filter: str | None = None
    format: Format = msgspec.field(default_factory=Format)
    compression: Literal["NONE", "ZIP", "GZIP"] = "NONE"


def check(definition: Definition, table: Table, zone: tzinfo) -> tuple[Chosen, list[FieldError]]:
    """The columns of an export, and all that is wrong with its definition.

    The table's id takes the place of its name in the definition, so that it may be renamed.
    """
    definition.table_id = table.public_id
    chosen, faults = choose(table, definition.attributes)
    if definition.filter:
        try:
            compile_filter(table, definition.filter, zone, utc_now())
        except FilterFault as error:
            faults += error.errors or (FieldError("filter", error.code, error.message),)
    format_ = definition.format
    signs = {"separator": format_.separator, "enclosing": format_.enclosing}
    wrong = format_faults("format", signs)
    wrong += [
        FieldError(f"format.{name}", _TYPE, f"'{name}' expects an ASCII character")
        for name, sign in signs.items()
        if not wrong and not sign.isascii()
    ]
    if not wrong and format_.separator == format_.enclosing:
        wrong.append(FieldError("format.separator", _TYPE, "separator and enclosing are the same character"))
    return chosen, [*faults, *wrong, *encoding_faults("format.encoding", format_.encoding)]
