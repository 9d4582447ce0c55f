"""The plain text of an HTML mail, for readers and filters that want one. Liquid goes along untouched."""

import html
import re

from tabellion.platform.templates.lexer import Span, SpanKind
from tabellion.platform.templates.markup import VOID, Document, Piece, PieceKind
from tabellion.platform.templates.references import address_text

_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre", "hr"})
_LINES = frozenset({"div", "tr", "li", "br", "dt", "dd", "section", "article", "header", "footer", "center", "body"})
_SKIPPED = frozenset({"head", "script", "style", "title", "select", "textarea"})
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")
# What pads preheaders: joiners and blanks of no width.
_WIDTHLESS = re.compile("[\u034f\u200b-\u200f\u2060\ufeff\u00ad]+")


class _Writer:
    """Text with at most one blank between words and one empty line between paragraphs."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._breaks = 2
        self._blank = False

    def words(self, text: str) -> None:
        text = _BLANKS.sub(" ", _WIDTHLESS.sub("", html.unescape(text)).replace("\xa0", " "))
        if not text.strip():
            self._blank = self._blank or bool(text)
            return
        if text.startswith(" "):
            self._blank = True
        self.verbatim(text.strip())
        self._blank = text.endswith(" ")

    def verbatim(self, text: str) -> None:
        if self._breaks and self._parts:
            self._parts.append("\n" * self._breaks)
        elif self._blank and self._parts:
            self._parts.append(" ")
        self._parts.append(text)
        self._breaks, self._blank = 0, False

    def control(self, text: str) -> None:
        """A Liquid tag: prints nothing, so that blanks and breaks go on across it."""
        if self._parts and self._breaks:
            self._parts.append("\n" * self._breaks)
            self._breaks = 0
        elif self._blank:
            self._parts.append(" ")
            self._blank = False
        self._parts.append(text)

    def broken(self, breaks: int) -> None:
        self._breaks, self._blank = max(self._breaks, breaks), False

    def text(self) -> str:
        return "".join(self._parts).strip() + "\n"


def plain_text(doc: Document) -> str:
    """The text of an HTML source: addresses of links in brackets, `alt` of images, one line for each row of a table."""
    writer = _Writer()
    hidden = ""  # the name of the element that is skipped, and how deep it is nested in its like
    depth = 0
    links: list[str] = []
    for piece, liquid in doc.with_liquid():
        if hidden:
            if piece.name == hidden and piece.kind in {PieceKind.START, PieceKind.END}:
                depth += 1 if piece.kind is PieceKind.START else -1
            if depth == 0:
                hidden = ""
            continue
        match piece.kind:
            case PieceKind.TEXT:
                _text(writer, doc, piece, liquid)
            case PieceKind.START if piece.name in _SKIPPED or _is_hidden(doc, piece):
                if piece.name not in VOID:
                    hidden, depth = piece.name, 1
            case PieceKind.START:
                _start(writer, doc, piece, links)
            case PieceKind.END:
                _end(writer, piece, links)
            case _:
                pass
    return writer.text()


def _text(writer: _Writer, doc: Document, piece: Piece, liquid: list[Span]) -> None:
    position = piece.start
    for span in liquid:
        writer.words(doc.source[position : span.start])
        said = html.unescape(doc.source[span.start : span.end]).replace("\xa0", " ")
        if span.kind is SpanKind.TAG:
            writer.control(said)
        elif span.kind is not SpanKind.COMMENT:
            writer.verbatim(said)
        position = span.end
    writer.words(doc.source[position : piece.end])


def _start(writer: _Writer, doc: Document, piece: Piece, links: list[str]) -> None:
    _break(writer, piece)
    if piece.name == "li":
        writer.verbatim("-")
        writer.words(" ")
    elif piece.name == "hr":
        writer.verbatim("-" * 20)
        writer.broken(2)
    elif piece.name == "a":
        links.append(address_text(doc.value(piece, "href") or ""))
    elif piece.name == "img":
        writer.words(doc.value(piece, "alt") or "")
    elif piece.name in {"td", "th"}:
        writer.words(" ")


def _end(writer: _Writer, piece: Piece, links: list[str]) -> None:
    if piece.name == "a" and links:
        href = links.pop()
        if href and not href.startswith(("#", "mailto:", "tel:")):
            writer.words(" ")
            writer.verbatim(f"({href})")
    _break(writer, piece)


def _break(writer: _Writer, piece: Piece) -> None:
    if piece.name in _PARAGRAPHS:
        writer.broken(2)
    elif piece.name in _LINES:
        writer.broken(1)


def _is_hidden(doc: Document, piece: Piece) -> bool:
    return bool(_HIDDEN.search(doc.value(piece, "style") or "")) or doc.value(piece, "hidden") is not None
