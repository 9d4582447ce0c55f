"""Where sources keep texts (`capture`) with which more is done than to print them: a mark in them would go along.

In time that grows with a source's length only.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

from tabellion.platform.templates.lexer import Span, SpanKind

_NAME = re.compile(r"[\w-]+")
# They look at a text and hand nothing on.
_LOOKING = frozenset({"if", "unless", "elsif", "case", "when"})


class Stretches:
    """Positions of a source, such as `position in Stretches([(3, 9)])`, each from its start to before its end."""

    def __init__(self, stretches: Iterable[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(stretches):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __contains__(self, position: int) -> bool:
        at = bisect_right(self._starts, position) - 1
        return at >= 0 and position < self._ends[at]


def handed_on(spans: Sequence[Span], addresses: Stretches) -> Stretches:
    """The kept texts that go to a filter, get another name, or are printed into an address."""
    kept: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
    opened: list[Span] = []
    printed: list[tuple[int, str]] = []
    handed: set[str] = set()
    for span in spans:
        said = span.inner.strip()
        if span.kind is SpanKind.OUTPUT and _NAME.fullmatch(said) and span.start not in addresses:
            printed.append((span.start, said))
        elif span.kind is SpanKind.TAG and span.name == "capture":
            opened.append(span)
        elif span.kind is SpanKind.TAG and span.name == "endcapture" and opened:
            start = opened.pop()
            kept[start.inner.strip(" \t\r\n'\"")].append((start.end, span.start))
        elif span.kind is SpanKind.OUTPUT or (span.kind is SpanKind.TAG and span.name not in _LOOKING):
            handed.update(_NAME.findall(said))
    found: list[tuple[int, int]] = []
    names = list(handed)
    for name in names:
        for start, end in kept.get(name, ()):
            found.append((start, end))
            # What is printed within goes along.
            within = printed[bisect_left(printed, (start, "")) : bisect_left(printed, (end, ""))]
            further = {each for _, each in within if each in kept} - handed
            handed |= further
            names += further
    return Stretches(found)
