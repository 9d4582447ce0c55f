"""The one error model: every refusal a caller can see is a `Problem` with a stable code.

Features subclass it in their `errors.py`; `platform.http` renders it (JSON, XML, problem document, v1 XML) in one place.
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import ClassVar

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One thing wrong in a document. `field` is a path such as `attributes[2].value`, or empty."""

    field: str
    code: str
    message: str


class Problem(Exception):
    """A refusal: nothing was changed, and the caller is told what is wrong, where, and what to do.

    `code` is stable and documented; `status` is the HTTP status; `errors` points at the parts of the document;
    `headers` are added to the answer.
    """

    status: ClassVar[int] = 400
    code: str = "request.malformed"

    def __init__(self, message: str, *, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


class Malformed(Problem):
    """The request cannot be read: syntax, encoding, nesting, duplicate members. Mend the body and send it again."""


class Invalid(Problem):
    """The document can be read but its content is wrong; all its errors are reported at once, in document order.

    The answer's code is that of the first error.
    """

    def __init__(self, errors: Sequence[FieldError]) -> None:
        first = errors[0]
        message = first.message if len(errors) == 1 else f"{len(errors)} errors; first: {first.message}"
        super().__init__(message, errors=errors)
        self.code = first.code


def invalid(field: str, code: str, message: str) -> Invalid:
    """An `Invalid` with a single error."""
    return Invalid([FieldError(field, code, message)])


@contextmanager
def gathered(faults: list[FieldError]) -> Generator[None]:
    """Add what is refused within to `faults`, so that one answer tells it together with what else is wrong."""
    try:
        yield
    except Invalid as error:
        faults += error.errors


def inside(part: str, errors: Iterable[FieldError]) -> list[FieldError]:
    """Errors of a document that is part of another one, or of a form: their paths begin with its name there."""
    return [FieldError(f"{part}.{each.field}" if each.field else part, each.code, each.message) for each in errors]
