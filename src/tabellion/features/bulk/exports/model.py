"""Exports and their executions."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from tabellion.features.bulk.imports import ENDED, Status
from tabellion.features.bulk.news import Links
from tabellion.kit.problem import FieldError

SUBJECT = "EXPORT"
LINKS = Links("/exports/v5/entities", "export", SUBJECT)
# The file in an execution's folder.
FILE = "export"
KEPT = timedelta(days=5)
ROWS_KEPT = timedelta(days=30)
# A call may write a moment before it commits; what was written so long before is taken again rather than missed.
OVERLAP = timedelta(minutes=5)


class Export(msgspec.Struct, frozen=True):
    """A stored export; `definition` is its document without id, name and isActive. `location_id`: where files go, too."""

    id: int
    name: str
    is_active: bool
    definition: dict[str, Any]
    location_id: int | None = None
    next_run_at: datetime | None = None
    changed_since: datetime | None = None


class Execution(msgspec.Struct, frozen=True):
    """One file that is or was written; `export_id` None: a one-shot. `folder` is its place in the spool.

    `bytes` and `sha256` (hex) are of the file as it is downloaded.
    """

    id: int
    licence_id: int
    entity_id: int
    export_id: int | None
    definition: dict[str, Any]
    changed_since: datetime | None
    folder: str
    status: str
    attempt: int
    rows_exported: int
    rows_expected: int
    bytes: int | None
    sha256: str | None
    errors: tuple[FieldError, ...]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @property
    def definition_id(self) -> int | None:
        """The export."""
        return self.export_id

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ENDED

    @property
    def progress(self) -> int:
        """Always 0: each attempt writes the file anew."""
        return 0

    @property
    def percent(self) -> int:
        """How far it is, as far as that can be known; 100 only at the end."""
        if self.status == Status.DONE:
            return 100
        return min(self.rows_exported * 100 // self.rows_expected, 99) if self.rows_expected else 0

    @property
    def outcome(self) -> str | None:
        """`executionStatus` of the documents; None before the end."""
        return None if not self.has_ended else ("SUCCESS" if self.status == Status.DONE else "FAILED")


def file_name(execution: Execution) -> str:
    """What the file of an execution is called where nobody says otherwise."""
    plain = "csv" if execution.definition["format"]["type"] == "CSV" else "jsonl"
    ending = {"ZIP": "zip", "GZIP": f"{plain}.gz"}.get(execution.definition["compression"], plain)
    return f"export-{execution.id}.{ending}"
