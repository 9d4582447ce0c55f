"""ETLs and their executions."""

from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from tabellion.features.bulk.imports import ENDED, Counters, Status
from tabellion.features.bulk.news import Links
from tabellion.kit.problem import FieldError

SUBJECT = "ETL"
LINKS = Links("/mass-imports/v5/entities", "etl", SUBJECT)


class Etl(msgspec.Struct, frozen=True):
    """A stored ETL; `definition` is its document without id, name and isActive.

    `location_id`: where its files come from (None: they are sent); `next_run_at`: when it is looked there.
    `look_error`: why the last look came to nothing.
    """

    id: int
    name: str
    is_active: bool
    definition: dict[str, Any]
    location_id: int | None = None
    next_run_at: datetime | None = None
    looked_at: datetime | None = None
    look_error: str | None = None


class Uploaded(msgspec.Struct, frozen=True):
    """A file that was sent: its place in the execution's folder, and what the client calls it."""

    place: str
    name: str


class Part(NamedTuple):
    """A file of an execution, and its import. `file_number`: its place among the files of the definition."""

    job_id: int
    name: str
    file_number: int
    status: str
    folder: str
    counters: Counters
    percent: int
    errors: tuple[FieldError, ...]

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ENDED


class NewExecution(NamedTuple):
    """What an execution is made of."""

    licence_id: int
    entity_id: int
    user_id: int | None
    etl_id: int | None
    definition: dict[str, Any]
    uploads: tuple[Uploaded, ...]
    folder: str
    location_id: int | None = None


class Due(NamedTuple):
    """A stored ETL that is to be looked after."""

    id: int
    licence_id: int
    entity_id: int
    definition: dict[str, Any]
    location_id: int


class Execution(msgspec.Struct, frozen=True):
    """One run over one or more files; `etl_id` None: a one-shot. `folder` is its place in the spool.

    `location_id`: where it fetches its files; None: they were sent.
    """

    id: int
    licence_id: int
    entity_id: int
    etl_id: int | None
    user_id: int | None
    definition: dict[str, Any]
    uploads: tuple[Uploaded, ...]
    folder: str
    status: str
    attempt: int
    errors: tuple[FieldError, ...]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    location_id: int | None = None
    parts: tuple[Part, ...] = ()

    @property
    def definition_id(self) -> int | None:
        """The ETL."""
        return self.etl_id

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ENDED

    @property
    def counters(self) -> Counters:
        """What became of the rows of all files."""
        total = Counters()
        for part in self.parts:
            total = total.plus(part.counters)
        return total

    @property
    def progress(self) -> int:
        """Files that are opened, and rows that are done: it grows with each block."""
        return len(self.parts) + self.counters.read

    @property
    def percent(self) -> int:
        """How far it is; 100 only at the end."""
        if self.status in {Status.DONE, Status.DONE_WITH_ERRORS}:
            return 100
        return min(sum(part.percent for part in self.parts) // max(len(self.parts), 1), 99)

    @property
    def outcome(self) -> str | None:
        """`executionStatus` of the documents: SUCCESS, WITH_ERROR or FAILED; None before the end."""
        if not self.has_ended:
            return None
        return {Status.DONE.value: "SUCCESS", Status.DONE_WITH_ERRORS.value: "WITH_ERROR"}.get(self.status, "FAILED")
