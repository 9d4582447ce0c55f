"""The checker: a body is judged by the very code that reads it in a call, so that both always agree."""

from collections.abc import Mapping

import msgspec

from tabellion.kit.problem import FieldError, Malformed, Problem
from tabellion.platform.http import json_codec, shapes
from tabellion.platform.http.call import Call


class SyntaxFault(msgspec.Struct):
    """Where a body stops being JSON. `line` and `column` count from 1; 0: not known."""

    line: int
    column: int
    message: str


class Verdict(msgspec.Struct):
    """What the checker says. `errors`: missing and ill-typed members; `unknown`: members the call would ignore."""

    ok: bool
    syntax: SyntaxFault | None = None
    errors: tuple[FieldError, ...] = ()
    unknown: tuple[str, ...] = ()


def check(body: bytes, call: Call | None) -> Verdict:
    """Judge a body: its syntax, and against the shape of a call when one is named."""
    try:
        document = json_codec.decode(body)
    except Malformed as error:
        line, column = json_codec.position(error)
        return Verdict(ok=False, syntax=SyntaxFault(line, column, error.message), errors=error.errors)
    except Problem as error:
        return Verdict(ok=False, errors=error.errors or (FieldError("", error.code, error.message),))
    if call is None or call.body is None:
        return Verdict(ok=True)
    try:
        strict = call.is_strict("")
        _, ignored = shapes.reader(call.body).read(document, strict=strict, merge=call.merges, echoed=call.sent_back)
    except Problem as error:
        return Verdict(ok=False, errors=error.errors, unknown=tuple(getattr(error, "ignored", ())))
    return Verdict(ok=not ignored, unknown=tuple(ignored))


def calls_with_body(calls: Mapping[str, Call]) -> list[Call]:
    """The calls that the checker offers."""
    return [call for call in calls.values() if call.body is not None]
