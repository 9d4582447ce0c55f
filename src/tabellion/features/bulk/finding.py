"""ETLs, exports, their executions and locations as calls name them: those of the entity of the path, and no others."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from tabellion.features.bulk.documents import ExecutionUnknown
from tabellion.features.bulk.news import Ran
from tabellion.features.licences import Owner, entity_of, owner_of
from tabellion.features.transfers import find_location
from tabellion.kit.digits import INTEGER, number_of
from tabellion.kit.problem import FieldError
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Incoming


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


D = TypeVar("D", bound=_Numbered)
R = TypeVar("R", bound=Ran)


async def by_id(call: Incoming, reference: str, find: Callable[[Database, Owner, int], Awaitable[D | None]]) -> D | None:
    """A definition by its id; None when there is none."""
    number = number_of(reference, INTEGER)
    return None if number is None else await find(call.db, owner_of(call), number)


async def subject_of(
    call: Incoming,
    reference: str,
    find: Callable[[Database, Owner, int], Awaitable[D | None]],
    find_named: Callable[[Database, Owner, str], Awaitable[D | None]],
) -> str | None:
    """The id of the definition that a webhook is to listen to, by its id or its name; None when there is none."""
    found = await by_id(call, reference, find) or await find_named(call.db, owner_of(call), reference)
    return None if found is None else str(found.id)


async def location_of(call: Incoming, reference: str | None, place: str, faults: list[FieldError]) -> int | None:
    """The id of the location that a definition names at a place, which stays for the transaction; None: it names none.

    Adds to `faults` where there is no such location.
    """
    if reference is None:
        return None
    location = await find_location(call, reference)
    if location is None:
        message = f"the entity '{call.path['e']}' has no location '{reference[:30]}'"
        faults.append(FieldError(place, "location.unknown", message))
        return None
    return location.id


def page_of(found: list[R], limit: int) -> tuple[list[R], int | None]:
    """A page of executions, of which one more was asked for, and where the next one begins; None: there is none."""
    return found[:limit], found[limit - 1].id if len(found) > limit else None


async def execution_of(call: Incoming, find: Callable[[Database, int], Awaitable[R | None]]) -> R:
    """The execution of the path. Raises `ExecutionUnknown`."""
    text = call.path["i"]
    number = number_of(text)
    found = None if number is None else await find(call.db, number)
    if found is None or (found.licence_id, found.entity_id) != owner_of(call):
        raise ExecutionUnknown(f"the entity '{entity_of(call).name}' has no execution '{text[:30]}'")
    return found
