"""Takes Liquid out of HTML before parsers that know nothing of it, and puts it back afterwards, untouched.

In text a comment stands for it, because parsers move text out of tables and heads but leave comments where they are. In
attribute values, styles, titles and comments it is a word. Liquid that decides on whole attributes is one attribute.
"""

import re

import msgspec

from tabellion.platform.templates.lexer import Span, SpanKind
from tabellion.platform.templates.markup import FILLER, Document, Piece, PieceKind, cover
from tabellion.platform.templates.stylesheets import nested

# What css-inline leaves alone.
IGNORE = 'data-css-inline="ignore"'
# What style sheets say of their media that are for all mail programs.
_ANY_SCREEN = frozenset({"", "all", "screen", "only screen", "all, screen", "screen, all"})
_DECLARATION = re.compile(rf"\s*[^\s:{FILLER}]+\s*:.*", re.DOTALL)


class Shielded(msgspec.Struct, frozen=True):
    """A source without Liquid, and what was taken out."""

    text: str
    word: str
    taken: list[str]

    def restore(self, text: str) -> str:
        """Put Liquid back into what a parser made of the text."""
        placeholder = re.compile(rf'<!--{self.word}(\d+)x-->|{self.word}(\d+)x(?:="")?')
        return placeholder.sub(lambda found: self.taken[int(found[1] or found[2])], text)


class _Shielding:
    def __init__(self, doc: Document) -> None:
        self.doc = doc
        self.word = _unused_word(doc.source)
        self.taken: list[str] = []
        self.parts: list[str] = []
        self.position = 0

    def copy(self, until: int) -> None:
        self.parts.append(self.doc.source[self.position : until])
        self.position = until

    def take(self, start: int, end: int, form: str) -> None:
        """Replace a stretch of the source; `{}` in the form is the word."""
        self.copy(start)
        self.taken.append(self.doc.source[start:end])
        self.parts.append(form.format(f"{self.word}{len(self.taken) - 1}x"))
        self.position = end


def shield(doc: Document) -> Shielded:
    """Take all Liquid out of a source, and conditional sections for Outlook, which HTML parsers rewrite."""
    work = _Shielding(doc)
    covered = cover(doc.source, doc.liquid)
    for piece, liquid in doc.with_liquid():
        if piece.kind is PieceKind.DECLARATION and doc.source.startswith("<![", piece.start):
            work.take(piece.start, piece.end, "<!--{}-->")
        elif piece.kind is PieceKind.START and liquid:
            _shield_tag(work, piece, liquid, covered)
        else:
            if piece.kind is PieceKind.START and piece.name == "style" and is_conditional(doc.value(piece, "media")):
                work.copy(piece.end - 1)
                work.parts.append(f" {IGNORE}")
            if piece.kind is PieceKind.RAW and piece.name == "style":
                _mark_style(work, piece, liquid, covered)
            for span in liquid:
                work.take(span.start, span.end, "<!--{}-->" if piece.kind is PieceKind.TEXT else "{}")
    work.copy(len(doc.source))
    return Shielded("".join(work.parts), work.word, work.taken)


def is_conditional(media: str | None) -> bool:
    """Whether a style sheet is for some screens, or for paper, only."""
    return (media or "").strip().lower() not in _ANY_SCREEN


def _shield_tag(work: _Shielding, piece: Piece, liquid: list[Span], covered: str) -> None:
    """Liquid in a start tag: as words in values, as one attribute where it decides on attributes."""
    deciding = [each for each in piece.attributes if FILLER in covered[each.start : each.value_start]]
    region = (deciding[0].start, deciding[-1].end) if deciding else (0, 0)
    for span in liquid:
        if region[0] <= span.start < region[1]:
            if span.start >= work.position:
                work.take(*region, "{}")
        else:
            work.take(span.start, span.end, "{}")
    styles = (covered[each.value_start : each.value_end] for each in piece.attributes if each.name == "style")
    if not all(_only_values(style) for style in styles):
        work.copy(piece.end - (2 if work.doc.source[piece.end - 2] == "/" else 1))
        work.parts.append(f" {IGNORE}")
    work.copy(piece.end)


def _only_values(style: str) -> bool:
    """Whether Liquid in a style attribute stands in values only, so that what remains are declarations."""
    return all(_DECLARATION.fullmatch(each) for each in style.split(";") if each.strip())


def _mark_style(work: _Shielding, piece: Piece, liquid: list[Span], covered: str) -> None:
    """Leave a style sheet as it is that has Liquid elsewhere than in values, since what it selects shows only in the mail,
    or rules within rules, which the inliner loses.
    """
    free = (span for span in liquid if span.kind is not SpanKind.OUTPUT or not _in_value(covered, piece.start, span.start))
    stays = any(free) or nested(covered[piece.start : piece.end]) is not None
    if stays and work.position < piece.start - 1:
        work.copy(piece.start - 1)  # before the `>` of its tag
        work.parts.append(f" {IGNORE}")


def _in_value(covered: str, start: int, position: int) -> bool:
    """Whether a position in a style sheet follows a colon."""
    before = max((covered.rfind(mark, start, position), mark) for mark in ":;{}")
    return before[0] >= 0 and before[1] == ":"


def _unused_word(source: str) -> str:
    """Lower-case letters, as attribute names must be, that stand nowhere in the source."""
    word, folded = "lqd", source.lower()
    while word in folded:
        word += "q"
    return word
