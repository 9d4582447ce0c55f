"""`import` and `export`: files into tables and tables into files, without the API."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, clear_errors, fail, show
from tabellion.cli.foreground import REJECTED, run_export, run_import
from tabellion.cli.output import Force, check_place, is_standard, told_beside, written
from tabellion.features.bulk.exports import FILE as EXPORT_FILE
from tabellion.features.bulk.exports import Definition as ExportDefinition
from tabellion.features.bulk.exports import Format as ExportFormat
from tabellion.features.bulk.exports import enter_export
from tabellion.features.bulk.imports import (
    INPUT,
    Mapping,
    Mode,
    Order,
    encoding_faults,
    jobs_store,
    mapping_faults,
    new_folder,
    spool_files,
)
from tabellion.features.customdata import custom_tables
from tabellion.features.licences import get_licence
from tabellion.features.tables import Table, profile_tables
from tabellion.kit import newfile
from tabellion.kit.clock import utc_now
from tabellion.kit.near import meant
from tabellion.platform import audit, files
from tabellion.platform.database.connection import Database

# What `kit.newfile` calls the file.
_EXPORT = "export"


def import_file(
    file: Annotated[Path, typer.Argument(help="CSV file: as it is, zipped or gzipped.", exists=True, dir_okay=False)],
    licence: Annotated[str, typer.Option(help="Name of the licence.")],
    table: Annotated[str, typer.Option(help="Name of the profile table or custom table.")],
    mode: Annotated[Mode, typer.Option(help="Which rows may do what.")] = Mode.CREATE_UPDATE,
    separator: Annotated[str, typer.Option(help="What stands between cells; 'tab' for a tab.")] = ",",
    encoding: Annotated[str, typer.Option(help="UTF-8, UTF-16, ISO-8859-1, ISO-8859-15 or Windows-1252.")] = "UTF-8",
    key: Annotated[str | None, typer.Option(help="Column that alone identifies a row.")] = None,
    mapped: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=ATTRIBUTE",
            help="What a column is for: an attribute, `subscriptions#Name` or `segmentations#Name`; repeat. Columns "
            "without it are left out. By default columns are named as the attributes are.",
        ),
    ] = None,
    errors: Annotated[
        Path | None,
        typer.Option(
            help="Where to put the rejected rows, if any: a CSV file, '-' for the standard output; .zip compresses it."
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file of --errors if it is there.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Import a file into a table, here and now; `jobs retry` goes on with it if it was stopped.

    It counts against no limit of the licence.
    """
    separator = "\t" if separator == "tab" else separator
    if len(separator) != 1 or separator in '"\r\n':
        fail(f"the separator has to be one character, not '{separator}'")
    if errors is not None:
        if errors.exists() and errors.samefile(file):
            fail(f"--errors would write over the file that is imported: name another file than {errors}")
        with clear_errors():
            check_place(errors, force=force, what=REJECTED)
    mapping = None if not mapped else tuple(_mapping(each) for each in mapped)
    order = Order(mode=mode, encoding=encoding, separator=separator, key_column=key, mapping=mapping)

    async def enter(db: Database) -> int:
        owner = await get_licence(db, licence)
        found = await _find_table(db, owner.id, table)
        if faults := [*encoding_faults("--encoding", encoding), *mapping_faults(found, order)]:
            fail("; ".join(fault.message for fault in faults))
        folder = new_folder()
        spool_files({INPUT: _spooled(file)}, folder)
        async with db.transaction():
            job_id = await jobs_store.insert(db, found, order, folder, utc_now())
            await audit.record_admin(db, owner.id, "import", f"import/{job_id}", utc_now())
        return job_id

    run_import(data_dir, database_url, enter, as_json=as_json, rejected=errors, force=force)


def export_table(
    table: Annotated[str, typer.Argument(help="Name of the profile table or custom table.")],
    licence: Annotated[str, typer.Option(help="Name of the licence.")],
    out: Annotated[
        Path,
        typer.Option(
            help="The file to write, '-' for the standard output; .zip and .gz compress it, .jsonl makes it JSON lines."
        ),
    ],
    force: Force = False,
    attribute: Annotated[list[str] | None, typer.Option(help="Only these, in this order; may be repeated.")] = None,
    where: Annotated[str, typer.Option("--filter", help="Only rows that satisfy a filter, as in the v5 lists.")] = "",
    separator: Annotated[str, typer.Option(help="What stands between cells; 'tab' for a tab.")] = ",",
    protect_formulas: Annotated[bool, typer.Option(help="For spreadsheets: no cell begins a formula.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Export a table into a file, here and now."""
    with clear_errors():
        check_place(out, force=force, what=_EXPORT)
    suffixes = [suffix.lower() for suffix in out.suffixes]
    definition = ExportDefinition(
        table_id="",
        attributes=attribute,
        filter=where or None,
        format=ExportFormat(
            type="JSON_LINES" if ".jsonl" in suffixes else "CSV",
            separator="\t" if separator == "tab" else separator,
            protect_formulas=protect_formulas,
        ),
        compression="ZIP" if ".zip" in suffixes else ("GZIP" if ".gz" in suffixes else "NONE"),
    )

    async def enter(db: Database) -> int:
        owner = await get_licence(db, licence)
        found = await _find_table(db, owner.id, table)
        definition.table_type = "PROFILE_TABLE" if found.kind.subject == "PROFILE_TABLE" else "CUSTOM_TABLE"
        number, faults = await enter_export(db, found, definition, ZoneInfo(owner.time_zone), utc_now())
        if faults:
            fail("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        await audit.record_admin(db, owner.id, "export", f"export-execution/{number}", utc_now())
        return number

    done = run_export(data_dir, database_url, enter, hidden=as_json or is_standard(out))
    made = files.spool() / done.folder / EXPORT_FILE
    with clear_errors():
        with made.open("rb") as rows, written(out, force=force, what=_EXPORT) as copy:
            shutil.copyfileobj(rows, copy)
        made.unlink()
        with told_beside(out):
            told = {"file": str(out), "rows": done.rows_exported, "bytes": done.bytes, "sha256": done.sha256}
            show(told, as_json=as_json)


def _spooled(file: Path) -> Path:
    """A copy of it among the server's files, whole or not at all. Raises `NotWritten` where that has no room."""
    with tempfile.NamedTemporaryFile(dir=files.spool(), delete=False) as copy, file.open("rb") as source:
        try:
            shutil.copyfileobj(source, copy)
            copy.flush()
        except BaseException as error:
            Path(copy.name).unlink()
            with suppress(OSError):
                copy.close()  # what is not flushed yet finds no room either
            if isinstance(error, OSError) and newfile.is_full(error):
                raise newfile.full(str(files.spool()), "import") from None
            raise
    return Path(copy.name)


def _mapping(text: str) -> Mapping:
    column, sign, attribute = text.partition("=")
    if not (column and sign and attribute):
        fail(f"--map expects COLUMN=ATTRIBUTE, such as mail=emailAddress, not '{text}'")
    return Mapping(column, attribute)


async def _find_table(db: Database, licence_id: int, name: str) -> Table:
    found: list[Table] = [
        *await profile_tables.load(db, licence_id),
        *await custom_tables.load(db, licence_id),
    ]
    named = [table for table in found if table.name.lower() == name.lower() or table.public_id == name]
    if not named:
        fail(f"the licence has no table '{name}'{meant(name, [table.name for table in found])}")
    if len(named) > 1:
        fail(f"{len(named)} tables of the licence are called '{name}'; name it by its id")
    return named[0]
