"""What an import is: its order, its counters, and what becomes of a row."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from tabellion.kit.problem import FieldError


class Mode(StrEnum):
    """Which rows may do what."""

    CREATE_ONLY = "CREATE_ONLY"
    UPDATE_ONLY = "UPDATE_ONLY"
    CREATE_UPDATE = "CREATE_UPDATE"


class EmptyCells(StrEnum):
    """What an empty cell means for a row that is there: nothing, or null."""

    KEEP = "KEEP"
    CLEAR = "CLEAR"


class Operation(StrEnum):
    """What a transformation does."""

    TRIM = "TRIM"
    LOWERCASE = "LOWERCASE"
    UPPERCASE = "UPPERCASE"
    PARSE_DATE = "PARSE_DATE"
    PARSE_NUMBER = "PARSE_NUMBER"
    PARSE_PHONE = "PARSE_PHONE"
    MAP_VALUES = "MAP_VALUES"
    DEFAULT = "DEFAULT"
    CONSTANT = "CONSTANT"


class Transformation(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One step from a cell to a value; which members it has depends on the operation.

    `pattern`: of dates. `decimal_sign`, `group_sign`: of numbers. `country`: whose phone numbers (ISO 3166-1 alpha-2).
    `values`: what stands for what (null: empty), and `otherwise` for every other value (UNSET: it stays). `value`: a default
    or a constant.
    """

    operation: Operation
    pattern: str | None = None
    decimal_sign: str = ","
    group_sign: str = ""
    country: str | None = None
    values: dict[str, str | None] | None = None
    otherwise: str | None | msgspec.UnsetType = msgspec.UNSET
    value: str = ""


class Mapping(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A column of the file (None: none, for a constant) and what it is for: the name of an attribute, `subscriptions#Name`
    or `segmentations#Name`.
    """

    header_column: str | None
    attribute_name: str
    transformations: tuple[Transformation, ...] = ()


class Order(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What is to be done with one file.

    `mapping` None: the headers are the names. `key_column` is a header; None: all unique attributes of the file identify.
    `escape`: what stands before a quote within quotes; None: another quote.
    """

    mode: Mode = Mode.CREATE_UPDATE
    encoding: str = "UTF-8"
    separator: str = ","
    quote: str = '"'
    escape: str | None = None
    mapping: tuple[Mapping, ...] | None = None
    key_column: str | None = None
    empty_cells: EmptyCells = EmptyCells.KEEP
    source: str = "import"
    result_file: bool = False


class Status(StrEnum):
    """Where a job is."""

    QUEUED = "QUEUED"
    VALIDATING = "VALIDATING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    DONE_WITH_ERRORS = "DONE_WITH_ERRORS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


ENDED = tuple(status.value for status in (Status.DONE, Status.DONE_WITH_ERRORS, Status.FAILED, Status.CANCELLED))


class Counters(msgspec.Struct, frozen=True, rename="camel"):
    """What became of the rows read: `read` is the sum of the others, at every moment."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    in_error: int = 0

    @property
    def read(self) -> int:
        """The rows read."""
        return self.created + self.updated + self.unchanged + self.in_error

    def plus(self, other: "Counters") -> "Counters":
        """The sum of two."""
        return Counters(
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.in_error + other.in_error,
        )


class Place(NamedTuple):
    """A place in a file between two rows: after a line, and after so many bytes."""

    line: int
    position: int


class Job(msgspec.Struct, frozen=True):
    """One import. `folder` is its place in the spool; everything up to `line` of the file is applied.

    `reached` of `bytes` tells from where it can go on. `errors` say why the whole job failed. `execution_id`: of the ETL's
    execution that it is part of.
    """

    id: int
    licence_id: int
    entity_id: int
    table_kind: str
    table_id: int
    user_id: int | None
    order: Order
    folder: str
    status: str
    attempt: int
    line: int
    reached: Place
    bytes: int
    counters: Counters
    errors: tuple[FieldError, ...]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    execution_id: int | None

    @property
    def has_ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ENDED

    @property
    def progress(self) -> int:
        """Lines of the file that are applied."""
        return self.line

    @property
    def with_errors(self) -> bool:
        """False only when every row is in: integrations move their synchronisation date forward then."""
        return self.status != Status.DONE

    @property
    def percent(self) -> int:
        """How far it is; 100 only at the end."""
        if self.status in {Status.DONE, Status.DONE_WITH_ERRORS}:
            return 100
        return min(self.reached.position * 100 // self.bytes, 99) if self.bytes else 0


class Fault(NamedTuple):
    """What is wrong with a row; `column` is a header of the file, or empty."""

    code: str
    column: str
    message: str


class Rejected(NamedTuple):
    """A row that was not applied; `line` is where it begins in the file, `cells` is the row as it was read."""

    line: int
    faults: tuple[Fault, ...]
    cells: tuple[str, ...]


class Outcome(StrEnum):
    """What became of a row, as the result file tells it."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    UNCHANGED = "UNCHANGED"
    ERROR = "ERROR"
