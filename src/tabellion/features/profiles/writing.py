"""What all rows have in common, profiles and the records of custom tables: one statement writes, repeated where another call
or a structure change got in between; tags and preconditions.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tabellion.features.profiles import holding, store
from tabellion.features.profiles.errors import AttributeNotUnique, RowExists
from tabellion.features.profiles.model import MAIL_SOURCE, Change, Collection, Row, Written
from tabellion.features.profiles.reading import Reader
from tabellion.features.profiles.sql import Shape
from tabellion.features.tables import Attribute, BadValue, Subscription, Table, parse_value, render_value
from tabellion.kit.digits import BIGINT
from tabellion.kit.problem import FieldError, Invalid
from tabellion.platform import audit, outbox
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Incoming
from tabellion.platform.http.etag import names_any, require_match, tags
from tabellion.platform.http.problems import EtagMismatch

T = TypeVar("T")
R = TypeVar("R")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A row's id and its last change: many rows that were imported together have one moment.
State = tuple[int, datetime]


async def until_current(find: Callable[[bool], Awaitable[R]], work: Callable[[R], Awaitable[T]]) -> T:
    """Do `work` on what `find(fresh)` gives (a table), again with the new one when its structure changed in between."""
    attempt = 0
    while True:
        try:
            return await work(await find(attempt > 0))
        except store.StaleDefinition:
            attempt += 1
            if attempt == store.ATTEMPTS:
                raise


def etag(table: Table, row: Row) -> str:
    """The strong tag of a row's state: its last change, to the microsecond, under this structure."""
    return f"{row.id:x}-{(row.updated_at - _EPOCH) // timedelta(microseconds=1):x}-{table.version:x}"


async def write(  # noqa: PLR0913 - one statement serves all writes
    call: Incoming,
    table: Table,
    change: Change,
    matches: Sequence[tuple[Attribute, Any]],
    *,
    row_id: int | None = None,
    initial: Sequence[tuple[Attribute, Any]] = (),
    may_create: bool = False,
    may_update: bool = True,
    together: bool = False,
) -> Written | None:
    """Run one write; None: no row matched and none was created. `initial` values are for a new row only.

    Each of `matches` identifies the row or, `together`, only all of them. Raises `AttributeAmbiguous`, `AttributeNotUnique`,
    `RowExists` (unless `may_update`), `Invalid` (a foreign key that leads nowhere), `RowInUse` (records refer to a
    value that would be cleared), `EtagMismatch`.
    """
    if_match = call.headers.get("if-match")
    expected = _expected_states(call, table)
    # If-None-Match: * makes a call one that only creates (RFC 9110, section 13.1.2).
    must_be_new = names_any(call.headers.get("if-none-match"))
    shape = Shape(
        tuple(a.number for a, _ in matches),
        row_id is not None,
        tuple(a.number for a, _ in change.values),
        tuple(a.number for a, _ in initial),
        tuple(s.number for s, _ in change.choices),
        tuple(g.number for g, _ in change.memberships),
        may_create and if_match is None,
        may_update and not must_be_new,
        expected is not None,
        together,
    )
    parameters = _parameters(call, change, matches, initial) | _named(expected) | {"id": row_id}
    listened = await _listened(call, table)
    taken: store.Taken | None = None
    for attempt in range(store.ATTEMPTS):
        try:
            if attempt == 0 and if_match is None:
                known = await store.change_known(call.db, table, shape, parameters, listened=listened)
                if known is not None:
                    return known
            row = await store.write(call.db, table, shape, parameters, listened=listened)
        except store.Taken as error:
            taken = error
            continue
        except store.Dangling as error:
            raise await holding.of_dangling(call.db, table, change, initial, error.attribute) from None
        except store.Held as error:
            ids = await store.find(call.db, table, matches, together=together) if row_id is None else [row_id]
            raise await holding.of_clear(call.db, table, ids, change, error.constraint) from None
        if row.current and row.matches > 1:
            raise await holding.of_owners(call.db, table, change, matches, row_id)
        # Deleted between our look and our lock: look again.
        if row.current and row.matches == 1 and row.updated_at is None:
            continue
        return _written(row, table, if_match, may_update=may_update, must_be_new=must_be_new)
    raise store.too_busy(table) if taken is None else _not_unique(table, change, taken.attribute)


def _not_unique(table: Table, change: Change, attribute: Attribute | None) -> AttributeNotUnique:
    """That another row owns the value of an attribute, or the values of the composite key (None)."""
    what = f"this value of '{attribute.name}'" if attribute else "these values of the key"
    message = f"another {table.kind.row} owns {what}"
    if (attribute, "") in change.values:
        message += ": an empty text is a value too; send null where there is none"
    return AttributeNotUnique(message, errors=[FieldError(change.place(attribute), "attribute.notUnique", message)])


def _parameters(
    call: Incoming,
    change: Change,
    matches: Sequence[tuple[Attribute, Any]],
    initial: Sequence[tuple[Attribute, Any]],
) -> dict[str, Any]:
    """What the statement of a write is given, under the names that `sql` has for it."""
    named = audit.values(call) | {
        "now": call.now,
        "source": change.collection.source,
        "details": change.collection.details,
    }
    named |= {f"k{i}": value for i, (_, value) in enumerate(matches)}
    named |= {f"v{a.number}": value for a, value in (*change.values, *initial)}
    named |= {f"c{s.number}": value for s, value in change.choices}
    named |= {f"m{g.number}": value for g, value in change.memberships}
    return named


def _written(
    row: store.WriteRow, table: Table, if_match: str | None, *, may_update: bool, must_be_new: bool
) -> Written | None:
    """What a write has done, by the row of its statement. Raises what `write` does."""
    if not row.current:
        raise store.StaleDefinition
    if row.created_id is not None:
        return Written(row.created_id, "CREATED")
    if row.matched_id is None or row.updated_at is None:
        require_match(if_match, None)
        return None
    if must_be_new:
        raise EtagMismatch(f"the {table.kind.row} exists already, and If-None-Match: * is for creating one")
    if if_match is not None and not _expected(if_match, table, (row.matched_id, row.updated_at)):
        require_match(if_match, None)
    if not may_update:
        noun = table.kind.row
        known = f"{table.kind.id_name} {row.matched_id}"
        raise RowExists(f"the {noun} exists already ({known}) and the call may not update it", noun)
    return Written(row.matched_id, "UNCHANGED" if row.changed_id is None else "UPDATED")


async def upsert(
    call: Incoming, table: Table, reader: Reader, matches: Sequence[tuple[Attribute, Any]], *, may_update: bool = True
) -> Written | None:
    """Create or update the row that owns the values of a key; a new row gets them, unless the body names others.

    None: there is no such row, and If-Match kept it from being made. Raises `Invalid` and what `write` raises.
    """
    together = len(matches) > 1
    initial = [(attribute, value) for attribute, value in matches if attribute.number not in reader.values]
    missing = [*reader.missing(*(attribute for attribute, _ in matches)), *_faults(call, initial)]
    if reader.errors:
        found = await store.find(call.db, table, matches, together=together)
        raise Invalid([*([] if found else missing), *reader.errors])
    written = await write(
        call,
        table,
        reader.change(),
        matches,
        initial=initial,
        may_create=not missing,
        may_update=may_update,
        together=together,
    )
    if written is None and missing:
        raise Invalid(missing)
    return written


def _faults(call: Incoming, initial: Sequence[tuple[Attribute, Any]]) -> list[FieldError]:
    """What is wrong with a key that a new row would get: looked up by type only, it must keep the attribute's rules too."""
    faults: list[FieldError] = []
    for attribute, value in initial:
        try:
            parse_value(attribute, render_value(attribute, value), call.caller.time_zone)
        except BadValue as error:
            faults.append(FieldError(attribute.name, error.code, f"attribute '{attribute.name}' {error}"))
    return faults


async def _listened(call: Incoming, table: Table) -> frozenset[str]:
    """The types of events of the table that somebody listens to: nobody, mostly."""
    caller = call.caller
    known = await outbox.interests(call.db, caller.licence_id, caller.catalogue_version)
    return known.get((table.kind.subject, table.public_id), outbox.NOBODY)


def _expected_states(call: Incoming, table: Table) -> list[State] | None:
    """The states of rows that If-Match allows; None: any."""
    wanted = tags(call.headers.get("if-match"))
    if wanted is None or "*" in wanted:
        return None
    return [state for tag in wanted if (state := _state_of(tag, table)) is not None]


def _named(expected: Sequence[State] | None) -> dict[str, Any]:
    """The parameters of `Shape.expected`."""
    if expected is None:
        return {}
    return {"expected_ids": [row_id for row_id, _ in expected], "expected": [moment for _, moment in expected]}


def _state_of(tag: str, table: Table) -> State | None:
    """The state that a tag of `etag` names; None for a tag of another structure, or no tag of ours."""
    parts = tag.split("-")
    try:
        row_id, micros, version = (int(part, 16) for part in parts)
        moment = _EPOCH + timedelta(microseconds=micros)
    except (ValueError, OverflowError):
        return None
    return (row_id, moment) if version == table.version and row_id <= BIGINT else None


def _expected(if_match: str, table: Table, state: State) -> bool:
    wanted = tags(if_match) or frozenset()
    return "*" in wanted or any(_state_of(tag, table) == state for tag in wanted)


async def delete(call: Incoming, table: Table, attribute: Attribute | None, key: Any) -> bool:
    """Delete the row whose unique attribute (None: id) is `key`; False: there is none. Raises `EtagMismatch`, `RowInUse`."""
    expected = _expected_states(call, table)
    parameters = {"key": key, "now": call.now} | _named(expected) | audit.values(call)
    listened = await _listened(call, table)
    try:
        row = await store.delete(call.db, table, attribute, parameters, expected=expected is not None, listened=listened)
    except store.Held as error:
        ids = [key] if attribute is None else await store.find(call.db, table, [(attribute, key)])
        raise await holding.of_delete(call.db, table, ids, error.constraint) from None
    if not row.current:
        raise store.StaleDefinition
    if row.deleted_id is None:
        if row.updated_at is not None:
            require_match(call.headers.get("if-match"), None)
        return False
    return True


async def erase(db: Database, table: Table, row_id: int, who: dict[str, Any], now: datetime) -> bool:
    """Delete a row, whoever asked (`audit.values`); False: it is gone. Raises `RowInUse`, `StaleDefinition`."""
    known = await outbox.interests_now(db, table.licence_id)
    listened = known.get((table.kind.subject, table.public_id), outbox.NOBODY)
    parameters = {"key": row_id, "now": now} | who
    try:
        async with db.transaction():
            row = await store.delete(db, table, None, parameters, expected=False, listened=listened)
    except store.Held as error:
        raise await holding.of_delete(db, table, [row_id], error.constraint) from None
    if not row.current:
        raise store.StaleDefinition
    return row.deleted_id is not None


async def record_choice(
    db: Database,
    table: Table,
    ids: Sequence[int],
    subscription: Subscription,
    *,
    subscribed: bool,
    way: str,
    now: datetime,
) -> None:
    """Record a choice of profiles, which was made by `way` of a mail and not by a call; those that are gone have none.

    Raises `StaleDefinition` when the table has changed since it was read.
    """
    parameters = audit.values_of_nobody(way) | {
        "now": now,
        "ids": list(ids),
        "source": MAIL_SOURCE,
        "details": Collection(MAIL_SOURCE, way).details,
        f"c{subscription.number}": subscribed,
    }
    known = await outbox.interests_now(db, table.licence_id)
    listened = known.get((table.kind.subject, table.public_id), outbox.NOBODY)
    await store.choose(db, table, subscription.number, parameters, listened=listened)
