"""The v5 list: filter, equalities, sorting and the cursor.

The cursor holds the sort values and the id of the last row, and a digest of licence, table, filter and sort. It is no
secret: it grants nothing that the caller's own filter would not; the digest catches cursors of other lists. Lists by an
e-mail address were in the order of how it is written, once: whoever has a cursor of such a list goes on in that order.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from tabellion.features.tables.filters.compile import ALWAYS, ID, Compiler, Condition, Target, both, target_of
from tabellion.features.tables.filters.errors import FilterFault
from tabellion.features.tables.filters.grammar import parse
from tabellion.features.tables.filters.v4 import equality, row_limit
from tabellion.features.tables.model import Table
from tabellion.features.tables.types.registry import is_email, value_type
from tabellion.kit.near import meant
from tabellion.kit.problem import Problem, invalid
from tabellion.platform.http.query import Query

MAX_SORT_KEYS = 8
_OWN = ("filter", "sort", "limit", "cursor")
_DIGEST_BYTES = 12


class CursorInvalid(Problem):
    """The cursor belongs to another list, filter or sort, or was altered. Start again without it."""

    code = "cursor.invalid"


class Key(NamedTuple):
    """One key of the sort. `as_written`: with capitals before small letters, also where they are compared as the same."""

    name: str
    target: Target
    descending: bool
    as_written: bool = False

    @property
    def expression(self) -> str:
        """What the rows are sorted by."""
        return self.target.expression if self.as_written else self.target.compared

    @property
    def given(self) -> str:
        """A parameter to compare it with."""
        return f"%s::{self.target.cast}" if self.as_written else self.target.given


class Part(NamedTuple):
    """Rows of a list that come one after the other; those of the next part come behind them all."""

    condition: Condition
    order: str


class Listing(msgspec.Struct, frozen=True):
    """A list as it was asked for, ready to be run: `limit` rows of its `parts`. `condition` is that of all parts."""

    condition: Condition
    parts: tuple[Part, ...]
    limit: int
    keys: tuple[Key, ...]
    digest: bytes

    @classmethod
    def of(cls, table: Table, query: Query, zone: tzinfo, now: datetime) -> "Listing":
        """Read the query parameters. Raises `FilterFault`, `CursorInvalid`, `Invalid`."""
        text, sort, limit, cursor = (_once(query, name) for name in _OWN)
        others = sorted((name, value) for name, value in query.pairs if name not in _OWN)
        conditions = [compile_filter(table, text, zone, now, of_query=True)] if text.strip() else []
        conditions += [_equality(table, name, value, zone) for name, value in query.pairs if name not in _OWN]
        keys = _keys(table, sort)
        keys, digest = _scope(keys, [table.licence_id, table.relation, text, sort, others], cursor)
        last = _read_cursor(cursor, keys, digest) if cursor else None
        whole = [*conditions, *([] if last is None else [_after(keys, last)])]
        parts = _in_parts(conditions, keys, last) or (Part(both(whole), _order(keys)),)
        return cls(both(whole), parts, row_limit(limit, "limit"), keys, digest)

    def cursor_after(self, values: Sequence[Any], id_: int) -> str:
        """The cursor that goes on after a row with these sort values."""
        document = msgspec.json.encode([[_packed(value) for value in values], id_])
        return base64.urlsafe_b64encode(self.digest + document).rstrip(b"=").decode()


def _in_parts(conditions: list[Condition], keys: tuple[Key, ...], last: tuple[list[Any], int] | None) -> tuple[Part, ...]:
    """Those with a value of the first key, then those without; nothing where no index has the order of the first key.

    Asked for `column >= value` such an index begins there, and it is read backwards as well. But not where rows without a
    value are to come last by the same statement: then each page reads it from its beginning, or sorts the table.
    """
    if not keys or not _has_index(keys[0]):
        return ()
    first, *others = keys
    column, direction = first.expression, "DESC" if first.descending else "ASC"
    rest = _order(tuple(others))
    empty = Condition(f"{column} IS NULL")
    if last is None:
        behind = Condition(f"{column} IS NOT NULL")
    elif last[0][0] is None:
        return (Part(both([*conditions, _after(keys, last)]), rest),)
    else:
        bound = f"{column} {'<=' if first.descending else '>='} {first.given}"
        behind = both([Condition(bound, (last[0][0],)), _after(keys, last, valued=True)])
    return (
        Part(both([*conditions, behind]), f"{column} {direction}, {rest}"),
        Part(both([*conditions, empty]), rest),
    )


def _has_index(key: Key) -> bool:
    attribute = key.target.attribute
    if attribute is None or key.as_written:
        return False
    return attribute.unique or attribute.indexed or is_email(attribute)


def _once(query: Query, name: str) -> str:
    """The value of a parameter of the list, empty where it is absent. Raises `Invalid` where two contradict each other.

    To take one of them would answer other rows than were asked for, and the same page for ever to whoever adds each cursor
    to the address of the page before.
    """
    values = list(dict.fromkeys(value for value in query.all(name) if value.strip()))
    if len(values) > 1:
        join = "; join conditions with 'and'" if name == "filter" else ""
        raise invalid(name, "parameter.invalid", f"'{name}' stands in the query more than once{join}")
    return values[0] if values else ""


def _equality(table: Table, name: str, value: str, zone: tzinfo) -> Condition:
    if target_of(table, name) is None:
        known = (*_OWN, *(attribute.name for attribute in table.attributes))
        knows = f"it knows {', '.join(_OWN)}"
        advice = f"{nearly} ({knows})" if (nearly := meant(name, known)) else f"; {knows}"
        message = f"the table has no attribute '{name[:100]}', and a list no such parameter{advice}"
        raise FilterFault(message, 0, "attribute.unknown", name)
    return equality(table, name, value, zone)


def compile_filter(table: Table, text: str, zone: tzinfo, now: datetime, *, of_query: bool = False) -> Condition:
    """The condition of a filter; all rows where it is empty. `of_query`: as of `Compiler`. Raises `FilterFault`."""
    return Compiler(table, zone, now, of_query=of_query).compile(parse(text)) if text.strip() else ALWAYS


def order_by(table: Table, sort: str, parameter: str) -> str:
    """The ORDER BY of a `sort` (`lastName,-updateMoment`); nulls last, the id decides ties. Raises `FilterFault`."""
    return _order(_keys(table, sort, parameter))


def _order(keys: Sequence[Key]) -> str:
    parts: list[str] = []
    for key in keys:
        # Technical columns are never null, and their indexes know no other place for nulls than that of their direction.
        nulls = "" if key.target.attribute is None else " NULLS LAST"
        parts.append(f"{key.expression} {'DESC' if key.descending else 'ASC'}{nulls}")
        if key.target == ID:
            return ", ".join(parts)
    return ", ".join([*parts, "t.id ASC"])


def _keys(table: Table, text: str, parameter: str = "sort") -> tuple[Key, ...]:
    keys: list[Key] = []
    for part in (part.strip() for part in text.split(",")):
        if not part:
            continue
        name = part.removeprefix("-")
        target = target_of(table, name)
        if target is None:
            raise FilterFault(table.lacks(name), 0, "attribute.unknown", parameter)
        if target.is_many:
            raise FilterFault(f"'{name}' has several values and gives no order", 0, parameter=parameter)
        keys.append(Key(name, target, part.startswith("-")))
    if len(keys) > MAX_SORT_KEYS:
        raise FilterFault(f"at most {MAX_SORT_KEYS} sort keys", 0, parameter=parameter)
    return tuple(keys)


def _after(keys: tuple[Key, ...], last: tuple[list[Any], int], *, valued: bool = False) -> Condition:
    """The rows behind the last one, in an order where nulls come last and the id decides ties.

    `valued`: only those with a value of the first key.
    """
    values, last_id = last
    branches: list[Condition] = []
    equal: list[Condition] = []
    for key, value in zip(keys, values, strict=True):
        column, given = key.expression, key.given
        if value is None:
            equal.append(Condition(f"{column} IS NULL"))
            continue
        operator = "<" if key.descending else ">"
        filled = key.target.attribute is None or (valued and key is keys[0])
        also = "" if filled else f" OR {column} IS NULL"
        beyond = Condition(f"({column} {operator} {given}{also})", (value,))
        branches.append(both([*equal, beyond]))
        equal.append(Condition(f"{column} = {given}", (value,)))
    branches.append(both([*equal, Condition("t.id > %s::bigint", (last_id,))]))
    joined = " OR ".join(branch.sql for branch in branches)
    return Condition(f"({joined})", tuple(p for branch in branches for p in branch.params))


def _scope(keys: tuple[Key, ...], what: list[Any], cursor: str) -> tuple[tuple[Key, ...], bytes]:
    """The digest of what a list is of, and its keys: those of its cursor, where that is of another order."""
    first = _digest(what)
    if not any(key.expression != key.target.expression for key in keys):
        return keys, first
    if cursor and _decoded(cursor)[:_DIGEST_BYTES] == first:
        return tuple(key._replace(as_written=True) for key in keys), first
    return keys, _digest([*what, "as compared"])


def _digest(what: list[Any]) -> bytes:
    return hashlib.sha256(msgspec.json.encode(what)).digest()[:_DIGEST_BYTES]


def _decoded(cursor: str) -> bytes:
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:  # also of letters that base64 has not
        return b""


def _read_cursor(cursor: str, keys: tuple[Key, ...], digest: bytes) -> tuple[list[Any], int]:
    try:
        raw = _decoded(cursor)
        values, id_ = msgspec.json.decode(raw[_DIGEST_BYTES:], type=tuple[list[Any], int])
        if raw[:_DIGEST_BYTES] != digest or len(values) != len(keys) or not 0 < id_ < 2**63:
            raise ValueError  # noqa: TRY301 - one answer for all that is wrong with a cursor
        return [_unpacked(key.target, value) for key, value in zip(keys, values, strict=True)], id_
    except (msgspec.DecodeError, ValueError, TypeError):
        raise CursorInvalid("the cursor does not belong to this list, filter and sort; start again without it") from None


def _packed(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, date) else value


def _unpacked(target: Target, value: Any) -> Any:
    """A value that a cursor holds, as the column may have it. Raises `ValueError`, `TypeError`."""
    if value is None:
        return None
    if target.cast == "timestamptz":
        # To the microsecond, as technical moments are.
        return datetime.fromisoformat(value)
    type_ = value_type("LONG" if target.attribute is None else target.attribute.value_type)
    parsed = type_.parse(value, UTC)
    if parsed is None or (target.is_text and not isinstance(value, str)):
        raise ValueError(value)
    return parsed
