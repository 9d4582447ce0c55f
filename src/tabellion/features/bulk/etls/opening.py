"""From what was sent to one folder per file: archives are opened, and names compared with the definition's patterns."""

import shutil
from pathlib import Path
from typing import NamedTuple

from tabellion.features.bulk.etls.definition import Definition
from tabellion.features.bulk.etls.model import Uploaded
from tabellion.features.bulk.fenced import JobError
from tabellion.features.bulk.imports import INPUT, csv_entries, not_there
from tabellion.features.bulk.names import NamePattern, base_name
from tabellion.platform.files import ArchiveError, Entry, Kind, inflate, kind_of

FILE_MISSING = "import.fileMissing"
_GZIP = ".gz"
_DATES = "; parts of a date have a $ before them there, such as guests_$yyyyMMdd.csv or $dd.$MM.$yyyy"
_SHOWN = 100


class Opened(NamedTuple):
    """A file that is to be loaded: its name, its place among the definition's files, its folder in the execution's."""

    name: str
    file_number: int
    folder: str


class _Found(NamedTuple):
    """A file, or an entry of an archive."""

    name: str
    path: Path
    entry: Entry | None


def open_files(folder: Path, uploads: tuple[Uploaded, ...], definition: Definition) -> list[Opened]:
    """Make a folder with its input for each file that was sent, in the definition's order.

    Names are only compared. What an earlier attempt has left is made anew. Raises `JobError` (import.fileUnreadable,
    import.noCsv, import.severalCsv, import.fileMissing, import.fileUnexpected).
    """
    try:
        found = [file for upload in uploads for file in _within(folder / upload.place, upload.name)]
        chosen = _chosen(found, definition)
        opened: list[Opened] = []
        for number, (file_number, file) in enumerate(chosen):
            place = folder / str(number)
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(mode=0o700)
            _copy(file, place / INPUT)
            opened.append(Opened(file.name, file_number, f"{folder.name}/{number}"))
    except ArchiveError as error:
        raise JobError("import.fileUnreadable", str(error)) from None
    except FileNotFoundError:
        raise not_there(folder) from None
    return opened


def _within(path: Path, name: str) -> list[_Found]:
    kind = kind_of(path)
    if kind is Kind.ZIP:
        return [_Found(base_name(entry.name), path, entry) for entry in csv_entries(path)]
    if kind is Kind.GZIP and name.lower().endswith(_GZIP):
        name = name[: -len(_GZIP)]
    return [_Found(name, path, None)]


def _chosen(found: list[_Found], definition: Definition) -> list[tuple[int, _Found]]:
    """Files with the number of the first pattern that they match. A single file needs no name."""
    patterns = [None if file.name_pattern is None else NamePattern(file.name_pattern) for file in definition.files]
    if len(patterns) == 1 and patterns[0] is None:
        if len(found) > 1:
            raise JobError("import.severalCsv", f"{len(found)} files were sent; without a 'namePattern' one is wanted")
        return [(0, found[0])]
    chosen: list[tuple[int, _Found]] = []
    for file in found:
        numbers = [i for i, pattern in enumerate(patterns) if pattern is not None and pattern.matches(file.name)]
        if not numbers:
            raise JobError("import.fileUnexpected", f"the file '{file.name[:_SHOWN]}' matches no 'namePattern'{_DATES}")
        chosen.append((numbers[0], file))
    sent = {number for number, _ in chosen}
    for number, file in enumerate(definition.files):
        if file.required and number not in sent:
            raise JobError(FILE_MISSING, f"no file matches '{file.name_pattern}', which is required")
    return sorted(chosen, key=lambda pair: (pair[0], pair[1].name.lower()))


def _copy(file: _Found, target: Path) -> None:
    if file.entry is None:
        # The upload stays what it is, for a run that begins anew.
        target.hardlink_to(file.path)
        return
    with target.open("wb") as out:
        inflate(file.path, file.entry, out)
    if kind_of(target) is not Kind.PLAIN:
        raise ArchiveError("the archive holds another archive; put the CSV files themselves into it")
