"""What an attribute type is; each type is one small file, `registry.py` lists them."""

from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from typing import Any

import msgspec

# From what JSON, XML text or a query holds, and the zone of moments without offset, to the value for the column.
Parse = Callable[[Any, tzinfo], Any]


class BadValue(ValueError):
    """A value that the type cannot take; the message ends the sentence "attribute 'x' ..." (`expects a date`).

    `code` is `attribute.type` (wrong kind of value) or `attribute.value` (right kind, not allowed).
    """

    def __init__(self, message: str, code: str = "attribute.type") -> None:
        super().__init__(message)
        self.code = code

    def each(self, path: str) -> Iterator[tuple[str, str, str]]:
        """Place, code and message of all that is wrong with the value at `path`."""
        yield path, self.code, str(self)


class BadValues(BadValue):
    """Values of a list that the type cannot take, by their indexes. As one error it speaks of the first."""

    def __init__(self, wrong: Mapping[int, BadValue]) -> None:
        first = next(iter(wrong.values()))
        super().__init__(str(first), first.code)
        self._wrong = wrong

    def each(self, path: str) -> Iterator[tuple[str, str, str]]:
        """The same of each value of the list."""
        for index, error in self._wrong.items():
            yield from error.each(f"{path}[{index}]")


def as_it_is(value: Any) -> Any:
    """The `render` of types whose stored values are JSON's own."""
    return value


class ValueType(msgspec.Struct, frozen=True):
    """How the values of one v5 `valueType` are read, stored and shown.

    `parse(value, zone)` takes what JSON, XML text or a query holds and gives the Python value for the column, None for
    null (also the empty string, except for text types), or raises `BadValue`. `render` gives the JSON value of a stored
    value. `text` is the string form used by XML, CSV and events. `sql` is the column type (`text COLLATE "C"`), `cast`
    the type name used to cast parameters (`text`). `is_text`: whether `contains` makes sense; `is_ordered`: whether `<`
    does.
    """

    name: str
    v4_name: str
    sql: str
    cast: str
    parse: Parse
    render: Callable[[Any], Any]
    text: Callable[[Any], str]
    is_text: bool = False
    is_ordered: bool = True
