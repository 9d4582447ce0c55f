"""The plain text of an HTML mail, for readers and filters that want one. Liquid goes along untouched."""

import html
import re

from tabellion.platform.templates.lexer import Span, SpanKind
from tabellion.platform.templates.markup import VOID, Document, Piece, PieceKind
from tabellion.platform.templates.references import address_text

_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "blockquote", "pre", "hr"})
_LINES = frozenset({"div", "tr", "li", "br", "dt", "dd", "section", "article", "header", "footer", "center", "body"})
_SKIPPED = frozenset({"head", "script", "style", "title", "select", "textarea"})
# How preheaders and what is for other screens are hidden. Not `mso-hide`: that is what all but Outlook show.
_HIDDEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.IGNORECASE)
_NO_HEIGHT = re.compile(r"(?<![\w-])(?:max-)?height\s*:\s*0(?:px)?\s*(?:!\s*important\s*)?(?:;|\Z)", re.IGNORECASE)
_CUT_OFF = re.compile(r"overflow\s*:\s*hidden", re.IGNORECASE)
# Addresses that lead to no page: what is done there is said by their words.
_NO_PAGE = re.compile(r"#|(?:mailto|tel|sms|javascript):", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")
# In HTML references and elements part what would be Liquid otherwise.
_BRACE = re.compile(r"\{(?=[{%]|\Z)")
# What pads preheaders and tells where words may break: without it nothing is lost.
_WIDTHLESS = re.compile("[\u034f\u200b\u2060\ufeff\u00ad]+")
# Joiners and directions pad, too, where they stand beside blanks. Within words they make one emoji of several.
_JOINERS = re.compile(r"(?:^|(?<=\s))[\u200c-\u200f]+|[\u200c-\u200f]+(?=\s|$)")


class _Writer:
    """Text with at most one blank between words and one empty line between paragraphs."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._breaks = 2
        self._blank = False
        self._after_link = False

    @property
    def length(self) -> int:
        """How many parts there are."""
        return len(self._parts)

    def said_since(self, length: int) -> str:
        """What was written after there were so many parts."""
        return "".join(self._parts[length:]).strip()

    def link(self, address: str) -> None:
        """An address behind its words."""
        self.words(" ")
        self.verbatim(f"({address})")
        self._after_link = True

    def words(self, text: str, *, liquid: bool = False) -> None:
        """Words of HTML; `liquid`: names in them are printed."""
        text = _WIDTHLESS.sub("", html.unescape(text)).replace("\xa0", " ")
        if not liquid and "{" in text:
            text = _BRACE.sub("{% raw %}{{% endraw %}", text)
        text = _BLANKS.sub(" ", _JOINERS.sub("", text))
        if not text.strip():
            self._blank = self._blank or bool(text)
            return
        if text.startswith(" ") or (self._after_link and text[0].isalnum()):
            self._blank = True
        self.verbatim(text.strip())
        self._blank = text.endswith(" ")

    def verbatim(self, text: str) -> None:
        if self._breaks and self._parts:
            self._parts.append("\n" * self._breaks)
        elif self._blank and self._parts:
            self._parts.append(" ")
        self._parts.append(text)
        self._breaks, self._blank, self._after_link = 0, False, False

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
    links: list[tuple[str, int]] = []
    lists: list[int] = []  # of each open list the number that came last; -1: it has none
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
                _number(piece, lists)
                _start(writer, doc, piece, links, lists)
            case PieceKind.END:
                _end(writer, piece, links, lists)
                if piece.name in {"ul", "ol"} and lists:
                    lists.pop()
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


def _number(piece: Piece, lists: list[int]) -> None:
    if piece.name in {"ul", "ol"}:
        lists.append(0 if piece.name == "ol" else -1)
    elif piece.name == "li" and lists and lists[-1] >= 0:
        lists[-1] += 1


def _start(writer: _Writer, doc: Document, piece: Piece, links: list[tuple[str, int]], lists: list[int]) -> None:
    _break(writer, piece, lists)
    if piece.name == "li":
        indent = "  " * (len(lists) - 1)
        writer.verbatim(f"{indent}{lists[-1]}." if lists and lists[-1] > 0 else f"{indent}-")
        writer.words(" ")
    elif piece.name == "hr":
        writer.verbatim("-" * 20)
        writer.broken(2)
    elif piece.name == "a":
        links.append((address_text(doc.value(piece, "href") or ""), writer.length))
    elif piece.name == "img":
        writer.words(doc.value(piece, "alt") or "", liquid=True)
    elif piece.name in {"td", "th"}:
        writer.words(" ")


def _end(writer: _Writer, piece: Piece, links: list[tuple[str, int]], lists: list[int]) -> None:
    if piece.name == "a" and links:
        href, length = links.pop()
        # An address that stands there already need not be said again.
        if href and not _NO_PAGE.match(href) and writer.said_since(length) != href:
            writer.link(href)
    _break(writer, piece, lists)


def _break(writer: _Writer, piece: Piece, lists: list[int]) -> None:
    if piece.name in {"ul", "ol"} and len(lists) > 1:
        writer.broken(1)  # a list within another goes on with it
    elif piece.name in _PARAGRAPHS:
        writer.broken(2)
    elif piece.name in _LINES:
        writer.broken(1)


def _is_hidden(doc: Document, piece: Piece) -> bool:
    style = doc.value(piece, "style") or ""
    if _HIDDEN.search(style) or doc.value(piece, "hidden") is not None:
        return True
    return _NO_HEIGHT.search(style) is not None and _CUT_OFF.search(style) is not None
