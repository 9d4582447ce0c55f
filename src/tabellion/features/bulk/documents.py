"""What the documents of ETLs and exports have in common."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from tabellion.features.bulk.imports import Status
from tabellion.features.tables.filters import row_limit, row_parameter
from tabellion.kit.digits import BIGINT, INTEGER, number_of
from tabellion.kit.names import name_fault
from tabellion.kit.problem import FieldError, Invalid, Problem
from tabellion.platform.http.call import Parameter

_STATUSES = tuple(status.value for status in Status)


class ExecutionUnknown(Problem):
    """The entity has no execution with this id, or it is over 30 days old."""

    status = 404
    code = "execution.unknown"


class Id(msgspec.Struct):
    """The answer to a creation."""

    id: str


class Link(msgspec.Struct):
    """Where something is."""

    href: str


class Timing(msgspec.Struct, rename="camel"):
    """When an export runs, or an ETL looks for its files, by itself: a cron expression on the clocks of a time zone."""

    cron: Annotated[str, Meta(examples=["0 3 * * *"])]
    time_zone: Annotated[str, Meta(examples=["Europe/Paris"])] = "UTC"


class Page(msgspec.Struct, frozen=True):
    """What a list of executions is asked for."""

    owner_id: int | None
    status: Status | None
    before: int | None
    limit: int


def name_faults(name: str) -> list[FieldError]:
    """What is wrong with the name of an ETL or an export."""
    fault = name_fault(name)
    return [] if fault is None else [FieldError("name", "structure.nameInvalid", f"'name' expects {fault}")]


def page_parameters(owner: str, what: str) -> tuple[Parameter, ...]:
    """The parameters that `read_page` reads."""
    return (
        Parameter(owner, f"only executions of this {what}"),
        Parameter("status", "only executions in this state"),
        row_parameter("limit", "executions of a page"),
        Parameter("cursor", "`nextCursor` of the page before"),
    )


def read_page(first: Callable[[str], str | None], owner: str) -> Page:
    """From the query; `first(name)` is a parameter's value or None, `owner` the parameter of what ran. Empty is absent.

    Raises `Invalid`.
    """
    faults: list[FieldError] = []

    def number(name: str, high: int, code: str) -> int | None:
        text = first(name)
        if not text:
            return None
        if found := number_of(text, high):
            return found
        faults.append(FieldError(name, code, f"'{name}' expects a whole number from 1 to {high}"))
        return None

    owner_id = number(owner, INTEGER, "parameter.invalid")
    before = number("cursor", BIGINT, "cursor.invalid")
    limit = 0
    try:
        limit = row_limit(first("limit"), "limit")
    except Invalid as error:
        faults += error.errors
    status = first("status") or None
    if status is not None and status not in _STATUSES:
        faults.append(FieldError("status", "parameter.invalid", f"'status' expects one of {', '.join(_STATUSES)}"))
    if faults:
        raise Invalid(faults)
    return Page(owner_id, None if status is None else Status(status), before, limit)
