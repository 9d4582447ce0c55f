"""JSON bodies: read strictly, with errors that say line, column and what was expected; written by msgspec.

Documents come out as dict, list, str, int, Decimal, bool and None; numbers with a fraction are exact. Refused beyond the
grammar of RFC 8259: a member twice in one object, NaN and Infinity, more than 64 levels, U+0000 and lone surrogates.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, Final, NoReturn

import msgspec

from tabellion.kit.problem import FieldError, Invalid, Malformed, inside
from tabellion.platform.http.walk import MOST_ERRORS, Path, text_of

MAX_DEPTH: Final = 64
BOM = b"\xef\xbb\xbf"
# These look at bodies that may be anything, so each takes what it has looked at once and never again (`++`): a text goes to
# its quote or, where it has none, to the end.
_TEXT = r'"(?:[^"\\]++|\\.)*+"?'
_BRACKET = re.compile(rf"{_TEXT}|([\[\]{{}}])", re.DOTALL)
_CONSTANT = re.compile(rf"{_TEXT}|(NaN|-?Infinity)", re.DOTALL)
_HUGE = re.compile(rf"{_TEXT}|(-?\d{{4301,}}+|-?\d++(?:\.\d++)?[eE][+-]?\d{{18,}}+)|\d++", re.DOTALL)
_MARKUP = re.compile(r"\s*<[?A-Za-z!]")
_ENCODED_ANEW = "in which JSON is read whatever charset its Content-Type names"
_UNFIT = re.compile("[\x00\ud800-\udfff]")
# The decoder's words, in words for people.
_WORDS = {
    "Expecting ',' delimiter": "a comma or a closing bracket was expected",
    "Expecting property name enclosed in double quotes": "a member name in double quotes was expected",
    "Expecting ':' delimiter": "a colon was expected",
    "Expecting value": "a value was expected",
    "Unterminated string starting at": "this text has no closing quote",
    "Invalid control character at": "a line break, tab or other control character inside a text must be escaped",
    "Invalid \\escape": "this backslash sequence does not exist in JSON",
    "Invalid \\uXXXX escape": "\\u needs four hexadecimal digits",
    "Extra data": "the document has ended; nothing more was expected",
    "Illegal trailing comma before end of object": "a comma before a closing brace is not allowed",
    "Illegal trailing comma before end of array": "a comma before a closing bracket is not allowed",
}


class JsonSyntax(Malformed):
    """The body is not JSON. `line` and `column` count from 1; 0 where the place is not known."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        where = f"line {line}, column {column}: " if line else ""
        super().__init__(where + message)
        self.line = line
        self.column = column

    @classmethod
    def at(cls, place: int, text: str, message: str) -> "JsonSyntax":
        """At a place of the text."""
        return cls(message, text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place))


def decode(body: bytes) -> Any:
    """The document of a body. Raises `JsonSyntax`, and `Invalid` (text.invalid) with the path of an unfit text."""
    body = body.removeprefix(BOM)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        before = body[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise JsonSyntax(f"the body is not valid UTF-8, {_ENCODED_ANEW}", line, column) from None
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_depth(text)
    try:
        document = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _fault(error, text) from None
    except _DuplicateMember as error:
        raise _duplicate(error.name, text) from None
    except (ValueError, ArithmeticError):
        # Python refuses integers of more than 4300 digits, and exponents of more than 17.
        raise _at(_HUGE, "a number has too many digits", text) from None
    except _NoNumber as error:
        raise _at(_CONSTANT, f"{error.name} is no JSON number", text) from None
    if b"\\u" in body:
        _check_texts(document)
    return document


def decode_part(name: str, body: bytes) -> Any:
    """The document of a part of a form; refusals name the part. Raises `Malformed`, `Invalid`."""
    try:
        return decode(body)
    except JsonSyntax as error:
        message = f"the part '{name}' is no JSON: {error.message}"
        raise Malformed(message, errors=[FieldError(name, error.code, message)]) from None
    except Invalid as error:
        raise Invalid(inside(name, error.errors)) from None


def encode(document: Any) -> bytes:
    """A document in bytes; Decimals as exact numbers."""
    return _ENCODER.encode(document)


def position(error: Malformed) -> tuple[int, int]:
    """Line and column of a fault, 0 and 0 where unknown."""
    return (error.line, error.column) if isinstance(error, JsonSyntax) else (0, 0)


class _DuplicateMember(Exception):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        raise _DuplicateMember(next(name for name, _ in pairs if name in seen or seen.add(name)))
    return found


class _NoNumber(Exception):
    """NaN or an infinity, where the decoder met it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _constant(name: str) -> NoReturn:
    raise _NoNumber(name)


def _at(pattern: re.Pattern[str], message: str, text: str) -> JsonSyntax:
    """The fault at the first place outside texts that a pattern finds."""
    place = next((m.start() for m in pattern.finditer(text) if m[1]), None)
    return JsonSyntax(message) if place is None else JsonSyntax.at(place, text, message)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=Decimal, parse_constant=_constant)
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def _fault(error: json.JSONDecodeError, text: str) -> JsonSyntax:
    message = _WORDS.get(error.msg, error.msg)
    if _MARKUP.match(text):
        message += "; this looks like XML, for which the header Content-Type is application/xml (v4 calls only)"
    if not text.strip():
        return JsonSyntax("the body is empty; a JSON document was expected", 1, 1)
    place = error.pos
    if error.msg == "Expecting ',' delimiter":
        # The decoder stops at the next token, often a line later; people look where the comma should stand.
        place = len(text[:place].rstrip())
    return JsonSyntax.at(place, text, message)


def _duplicate(name: str, text: str) -> JsonSyntax:
    message = f"the member '{name[:100]}' stands twice in one object"
    found = [m.start() for m in re.finditer(re.escape(json.dumps(name, ensure_ascii=False)) + r"\s*:", text)]
    # Only then is the second one surely at fault.
    return JsonSyntax.at(found[1], text, message) if len(found) == 2 else JsonSyntax(message)  # noqa: PLR2004


def _check_depth(text: str) -> None:
    depth = 0
    for match in _BRACKET.finditer(text):
        mark = match[1]
        if mark is None:
            continue
        if mark in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise JsonSyntax.at(match.start(), text, f"more than {MAX_DEPTH} levels of nesting")
        else:
            depth -= 1


def _check_texts(document: Any) -> None:
    errors = [
        FieldError(
            _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text_of(path)),
            "text.invalid",
            "a text holds U+0000 or half a surrogate pair",
        )
        for path in islice(_unfit(document, ()), MOST_ERRORS)
    ]
    if errors:
        raise Invalid(errors)


def _unfit(value: Any, path: Path) -> Iterator[Path]:
    """Where the texts are that may not be. Paths become texts only there: a name in them may be as long as the body."""
    if isinstance(value, str):
        if _UNFIT.search(value):
            yield path
    elif isinstance(value, list):
        for index, item in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] - plain documents
            yield from _unfit(item, (*path, index))
    elif isinstance(value, dict):
        for name, item in value.items():  # pyright: ignore[reportUnknownVariableType] - plain documents
            inner = (*path, name)
            yield from _unfit(name, inner)
            yield from _unfit(item, inner)
