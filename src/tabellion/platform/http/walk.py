"""A walk through a document: where it is, what was wrong on the way, what nobody knew."""

from collections.abc import Callable, Iterable
from typing import Any

from tabellion.kit.problem import FieldError
from tabellion.platform.http.members import knows, message

Path = tuple[Any, ...]
_MAX_REFUSED = 20
# A document of nothing but faults is not to be answered by hundreds of megabytes; nobody reads more of them.
MOST_ERRORS = 1000
_SHOWN = 100


class Enough(Exception):
    """As many errors were found as are told."""


class Context:
    """What is noted on the way; `type_`, `strict`, `merge` and `echoed` as in `shapes.Reader.read`."""

    __slots__ = ("echoed", "errors", "from_xml", "ignored", "merge", "refused", "strict", "type_")

    def __init__(self, type_: type, *, from_xml: bool, strict: bool, merge: bool, echoed: type | None) -> None:
        self.type_ = type_
        self.from_xml = from_xml
        self.strict = strict
        self.merge = merge
        self.echoed = echoed
        self.refused = 0
        self.errors: list[FieldError] = []
        self.ignored: list[str] = []

    def unknown(self, path: Path, name: str, known: Iterable[str]) -> None:
        """Note a member that nobody knows."""
        here = (*path, name)
        place = text_of(here)
        # Each refusal compares names; a document of nothing but unknown members is not to cost seconds.
        if not self.strict or self.refused == _MAX_REFUSED or (self.echoed is not None and knows(self.echoed, here)):
            self.ignored.append(place)
            return
        self.refused += 1
        self.note(FieldError(place, "member.unknown", message(name, text_of(path), known, self.type_)))

    def wrong(self, path: Path, expected: str) -> None:
        """Note a value of another kind."""
        place = text_of(path)
        name = f"'{place}'" if place else "the document"
        self.note(FieldError(place, "member.type", f"{name} expects {expected}"))

    def note(self, error: FieldError) -> None:
        """Note an error. Raises `Enough`."""
        self.errors.append(error)
        if len(self.errors) >= MOST_ERRORS:
            raise Enough


Read = Callable[[Any, Path, Context], Any]


def text_of(path: Path) -> str:
    """A path as text: `attributes[2].value`. Names in it are cut to 100 characters: one may stand in each of the errors."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{str(part)[:_SHOWN]}"
    return text
