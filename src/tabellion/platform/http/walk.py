"""A walk through a document: where it is, what was wrong on the way, what nobody knew."""

from collections.abc import Callable, Container, Mapping
from typing import Any

from tabellion.kit.near import plain
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
    """What is noted on the way; `type_`, `strict`, `slips`, `merge` and `echoed` as in `shapes.Reader.read`."""

    __slots__ = ("echoed", "errors", "from_xml", "ignored", "merge", "refused", "slips", "strict", "type_")

    def __init__(self, type_: type, *, from_xml: bool, strict: bool, slips: bool, merge: bool, echoed: type | None) -> None:
        self.type_ = type_
        self.from_xml = from_xml
        self.strict = strict
        self.slips = slips
        self.merge = merge
        self.echoed = echoed
        self.refused = 0
        self.errors: list[FieldError] = []
        self.ignored: list[str] = []

    def unknown(self, path: Path, name: str, spelt: Mapping[str, str], given: Container[str]) -> None:
        """Note a member that nobody knows; `spelt`: by their plain names, the members that are; `given`: those sent."""
        here = (*path, name)
        place = text_of(here)
        if self._refuses(here, spelt, given):
            self.refused += 1
            self.note(FieldError(place, "member.unknown", message(name, text_of(path), spelt.values(), self.type_)))
        else:
            self.ignored.append(place)

    def _refuses(self, here: Path, spelt: Mapping[str, str], given: Container[str]) -> bool:
        # Each refusal compares names; a document of nothing but unknown members is not to cost seconds.
        if self.refused == _MAX_REFUSED:
            return False
        if not self.strict:
            # Integrations send a member in two spellings, of which one is read.
            meant = spelt.get(plain(here[-1])) if self.slips else None
            if meant is None or meant in given:
                return False
        return self.echoed is None or not knows(self.echoed, here)

    def wrong(self, path: Path, expected: str, meant: str | None = None) -> None:
        """Note a value of another kind, and which one may be meant."""
        place = text_of(path)
        name = f"'{place}'" if place else "the document"
        advice = "" if meant is None else f"; did you mean '{meant}'?"
        self.note(FieldError(place, "member.type", f"{name} expects {expected}{advice}"))

    def note(self, error: FieldError) -> None:
        """Note an error. Raises `Enough`."""
        self.errors.append(error)
        if len(self.errors) >= MOST_ERRORS:
            raise Enough


Read = Callable[[Any, Path, Context], Any]


def kind_of(value: Any) -> str:
    """What a value of a plain document is, for a message. XML has texts for numbers and booleans, too: one word for all."""
    match value:
        case None:
            return "null"
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return "a single value"


def text_of(path: Path) -> str:
    """A path as text: `attributes[2].value`. Names in it are cut to 100 characters: one may stand in each of the errors."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if text else ''}{str(part)[:_SHOWN]}"
    return text
