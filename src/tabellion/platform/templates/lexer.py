"""Cuts a source into text and Liquid, in time that grows with its length only.

python-liquid's own lexer looks for the end of every `{{` anew, which takes hours for a megabyte of them. This one also
serves the HTML pipeline, so that both agree on what is Liquid.
"""

import html
import re
from enum import Enum

import msgspec

# Longer expressions are no personalisation; the expression scanner below needs time by the square of their length.
MAX_EXPRESSION = 500
# More would not be read, and a hostile source could have one at every character.
MAX_FAULTS = 100
_OPENING = re.compile(r"\{\{|\{%")
# The end of an output or a tag, or an opening that comes before it.
_ENDS = {"{{": re.compile(r"\}\}|\{\{|\{%"), "{%": re.compile(r"%\}|\{\{|\{%")}
_NAME = re.compile(r"\s*(#|\w*)\s*")
_END_RAW = re.compile(r"\{%-?\s*endraw\s*-?%\}")
_COMMENTS = re.compile(r"\{%-?\s*(end)?comment\b(?:(?!%\}|\{%).)*%\}", re.DOTALL)


class SpanKind(Enum):
    """What a stretch of the source is."""

    TEXT = "text"
    OUTPUT = "output"
    TAG = "tag"
    # Text between `raw` and `endraw`: printed as it stands.
    RAW = "raw"
    COMMENT = "comment"


class Span(msgspec.Struct, frozen=True, gc=False):
    """A stretch of the source. `inner` is what stands between the delimiters, `name` the name of a tag."""

    kind: SpanKind
    start: int
    end: int
    inner: str = ""
    inner_start: int = 0
    name: str = ""
    trims_left: bool = False
    trims_right: bool = False


class Fault(msgspec.Struct, frozen=True):
    """Something wrong at a place in the source."""

    start: int
    code: str
    message: str


def scan(source: str) -> tuple[list[Span], list[Fault]]:
    """The whole source as spans, in order and without gaps, and what could not be read."""
    spans: list[Span] = []
    faults: list[Fault] = []
    position = text_start = 0

    def text(until: int) -> None:
        if until > text_start:
            spans.append(Span(SpanKind.TEXT, text_start, until, source[text_start:until]))

    while (opening := _OPENING.search(source, position)) is not None:
        start, mark = opening.start(), opening[0]
        end = _ENDS[mark].search(source, start + 2)
        if end is None or end[0] in _ENDS:
            closing = "}}" if mark == "{{" else "%}"
            faults.append(Fault(start, "template.unclosed", f"this {mark} is never closed; end it with {closing}"))
            position = start + 2
            continue
        text(start)
        span = _span(mark, source[start + 2 : end.start()], start, end.end())
        if span.name in {"raw", "comment"}:
            span, fault = _skip(source, span)
            if fault is not None:
                faults.append(fault)
        if len(span.inner) > MAX_EXPRESSION and span.kind in {SpanKind.OUTPUT, SpanKind.TAG}:
            message = f"an expression has at most {MAX_EXPRESSION} characters; take it apart with assign"
            faults.append(Fault(start, "template.tooLarge", message))
            span = Span(SpanKind.COMMENT, span.start, span.end)  # nobody is to parse it
        spans.append(span)
        position = text_start = span.end
    text(len(source))
    return spans, faults


def place(source: str, start: int) -> tuple[int, int]:
    """Line and column of a position, both from 1."""
    start = min(max(start, 0), len(source))
    return source.count("\n", 0, start) + 1, start - source.rfind("\n", 0, start)


def _span(mark: str, inner: str, start: int, end: int) -> Span:
    trims_left, trims_right = inner.startswith("-"), inner.endswith("-") and len(inner) > 1
    first = start + 2 + trims_left
    inner = inner[trims_left : len(inner) - trims_right]
    name = ""
    if mark == "{%":
        head = _NAME.match(inner)
        name = head[1] if head else ""
        skipped = head.end() if head else 0
    else:
        skipped = len(inner) - len(inner.lstrip())
    body = inner[skipped:].rstrip()
    if "&" in body or "\xa0" in body:  # what visual editors make of quotes, angle brackets and blanks
        body = html.unescape(body).replace("\xa0", " ")
    kind = SpanKind.OUTPUT if mark == "{{" else SpanKind.TAG
    return Span(kind, start, end, body, first + skipped, name, trims_left, trims_right)


def _skip(source: str, span: Span) -> tuple[Span, Fault | None]:
    """The whole of a raw or comment block, from its opening tag."""
    raw = span.name == "raw"
    found = _END_RAW.search(source, span.end) if raw else _end_of_comment(source, span.end)
    kind = SpanKind.RAW if raw else SpanKind.COMMENT
    until, end = (found.start(), found.end()) if found else (len(source), len(source))
    whole = Span(
        kind,
        span.start,
        end,
        source[span.end : until],
        span.end,
        "",
        span.trims_left,
        found is not None and "-%" in found[0],
    )
    if found is not None:
        return whole, None
    message = f"this block is never closed; end it with {{% end{span.name} %}}"
    return whole, Fault(span.start, "template.unclosed", message)


def _end_of_comment(source: str, position: int) -> re.Match[str] | None:
    depth = 1
    for found in _COMMENTS.finditer(source, position):
        depth += -1 if found[1] else 1
        if depth == 0:
            return found
    return None
