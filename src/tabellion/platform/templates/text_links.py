"""Links of a plain text: found where it says an address of the web, marked before it is rendered, filled afterwards."""

import re
from collections.abc import Callable, Iterator

from tabellion.platform.templates.kept_texts import Stretches, handed_on
from tabellion.platform.templates.lexer import SpanKind, scan
from tabellion.platform.templates.links import Link
from tabellion.platform.templates.markup import FILLER

# Stands for what decides on text, as FILLER does for what prints some.
_DECIDES = "\ue0f1"
# Parentheses may stand in an address, and more often around it.
_ADDRESS = re.compile(rf"""(?i)\bhttps?://(?:[^\s<>"(){_DECIDES}]|\([^\s<>"(){_DECIDES}]*\))+""")
_BEHIND = ".,;:!?'*_"


def text_links(source: str) -> list[Link]:
    """The links of a text, indexed from 0."""
    found = (source[start:end] for start, end in _places(source))
    return [Link(index, address, "{{" in address) for index, address in enumerate(found)]


def mark_text_links(source: str, mark: str) -> str:
    """The text with a mark around each address, but for those that are handed on with a text that is kept."""
    parts: list[str] = []
    position = 0
    places = list(_places(source))
    apart = handed_on(scan(source)[0], Stretches(places))
    for index, (start, end) in enumerate(places):
        if start in apart:
            continue
        parts += (source[position:start], f"{mark}{index}:{source[start:end]}{mark}")
        position = end
    return "".join([*parts, source[position:]])


def fill_text_links(rendered: bytes, mark: str, filled: Callable[[int, str], str]) -> bytes:
    """A rendered text with other addresses: `filled` gets a link's index and its address in this mail."""
    pieces = rendered.split(mark.encode())
    for number in range(1, len(pieces), 2):
        index, _, address = pieces[number].partition(b":")
        pieces[number] = filled(int(index), address.decode()).encode()
    return b"".join(pieces)


def _places(source: str) -> Iterator[tuple[int, int]]:
    parts: list[str] = []
    for span in scan(source)[0]:
        if span.kind is SpanKind.TEXT:
            parts.append(span.inner)
        else:
            parts.append((FILLER if span.kind is SpanKind.OUTPUT else _DECIDES) * (span.end - span.start))
    covered = "".join(parts)
    for found in _ADDRESS.finditer(covered):
        address = found[0].rstrip(_BEHIND)
        # What goes on with a condition is not known here to its end.
        if not covered.startswith(_DECIDES, found.start() + len(address)):
            yield found.start(), found.start() + len(address)
