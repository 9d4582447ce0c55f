"""HTML with Liquid in it, cut into pieces by position. Nothing is rewritten here, nothing is lost.

Before the HTML is looked at, each stretch of Liquid is covered by as many filler characters, so that no `<` or quote in it
is taken for HTML and all positions stay true.
"""

import re
from collections.abc import Iterator
from enum import Enum

import msgspec

from tabellion.platform.templates.lexer import Span, SpanKind, scan

# A private character; as good as any letter to a scanner of HTML.
FILLER = "\ue0f0"
_TAG = re.compile(r"<(?:(!--)|([!?])|(/?)([a-zA-Z][^\s/>]*))")
_ATTRIBUTE = re.compile(r"""[\s/]*([^\s/>=][^\s/>=]*)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>]*))?""")
# A conditional comment that only Outlook opens: what is behind its head is HTML for it.
_CONDITION = re.compile(r"<!--\[if\b[^\]<>]{0,200}\]>(?:<!)?(?:-->)?")
# Elements whose content is no markup.
_RAW = frozenset({"style", "script", "title", "textarea", "xmp", "noscript", "mj-title", "mj-preview", "mj-style"})
_END_OF_RAW = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in _RAW}
VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}
)


class PieceKind(Enum):
    """What a piece of HTML is."""

    TEXT = "text"
    # The content of style, script, title and the like.
    RAW = "raw"
    COMMENT = "comment"
    # Doctype and what else begins with `<!` or `<?`.
    DECLARATION = "declaration"
    START = "start"
    END = "end"


class Attribute(msgspec.Struct, frozen=True, gc=False):
    """An attribute; `value_start` and `value_end` exclude quotes, both are `end` when there is no value."""

    name: str
    start: int
    end: int
    value_start: int
    value_end: int


class Piece(msgspec.Struct, frozen=True):
    """A stretch of the source. `name` is an element's, in lower case; of RAW, its element's."""

    kind: PieceKind
    start: int
    end: int
    name: str = ""
    attributes: tuple[Attribute, ...] = ()


class Document(msgspec.Struct, frozen=True):
    """A source with its pieces and its Liquid, both in order."""

    source: str
    pieces: list[Piece]
    liquid: list[Span]

    def value(self, piece: Piece, name: str) -> str | None:
        """An attribute's value as it is written, Liquid and entities and all."""
        for each in piece.attributes:
            if each.name == name:
                return self.source[each.value_start : each.value_end]
        return None

    def with_liquid(self) -> Iterator[tuple[Piece, list[Span]]]:
        """Each piece with the Liquid in it."""
        index = 0
        for piece in self.pieces:
            first = index
            while index < len(self.liquid) and self.liquid[index].start < piece.end:
                index += 1
            yield piece, self.liquid[first:index]

    def opened(self) -> Iterator[Piece]:
        """The pieces as Outlook reads them: conditional comments are taken apart."""
        covered = cover(self.source, self.liquid)
        for piece in self.pieces:
            condition = _CONDITION.match(covered, piece.start, piece.end) if piece.kind is PieceKind.COMMENT else None
            if condition is None:
                yield piece
                continue
            for inner in _pieces(covered[condition.end() : piece.end]):
                yield _moved(inner, condition.end())

    def starts(self, *names: str) -> Iterator[Piece]:
        """The start tags of elements."""
        return (piece for piece in self.pieces if piece.kind is PieceKind.START and piece.name in names)


def document(source: str) -> Document:
    """Cut a source into pieces, in time that grows with its length only."""
    liquid = [span for span in scan(source)[0] if span.kind is not SpanKind.TEXT]
    return Document(source, list(_pieces(cover(source, liquid))), liquid)


def cover(source: str, liquid: list[Span]) -> str:
    """The source with fillers where Liquid stands."""
    parts: list[str] = []
    position = 0
    for span in liquid:
        parts += (source[position : span.start], FILLER * (span.end - span.start))
        position = span.end
    parts.append(source[position:])
    return "".join(parts)


def _pieces(text: str) -> Iterator[Piece]:
    position = text_start = 0
    last = text.rfind(">")
    while (found := _TAG.search(text, position)) is not None:
        piece = _piece(text, found, last)
        if piece is None:  # a tag without an end: text, up to here at least
            position = found.end()
            continue
        if found.start() > text_start:
            yield Piece(PieceKind.TEXT, text_start, found.start())
        yield piece
        position = text_start = piece.end
        if piece.kind is PieceKind.START and piece.name in _RAW:
            end = _END_OF_RAW[piece.name].search(text, position)
            until = end.start() if end else len(text)
            if until > position:
                yield Piece(PieceKind.RAW, position, until, piece.name)
            position = text_start = until
    if len(text) > text_start:
        yield Piece(PieceKind.TEXT, text_start, len(text))


def _piece(text: str, found: re.Match[str], last: int) -> Piece | None:
    comment, declaration, slash, name = found.groups()
    start = found.start()
    if comment:
        end = text.find("-->", found.end())
        return Piece(PieceKind.COMMENT, start, end + 3 if end >= 0 else len(text))
    if found.end() > last:
        return None
    if declaration or slash:
        end = text.find(">", found.end())
        if end < 0:
            return None
        return Piece(PieceKind.END if slash else PieceKind.DECLARATION, start, end + 1, (name or "").lower())
    attributes: list[Attribute] = []
    position = found.end()
    while (attribute := _ATTRIBUTE.match(text, position)) is not None:
        attributes.append(_attribute(attribute))
        position = attribute.end()
    end = text.find(">", position)
    if end < 0:
        return None
    return Piece(PieceKind.START, start, end + 1, name.lower(), tuple(attributes))


def _moved(piece: Piece, by: int) -> Piece:
    attributes = tuple(
        Attribute(each.name, each.start + by, each.end + by, each.value_start + by, each.value_end + by)
        for each in piece.attributes
    )
    return Piece(piece.kind, piece.start + by, piece.end + by, piece.name, attributes)


def _attribute(found: re.Match[str]) -> Attribute:
    name, value = found.groups()
    start, end = found.start(1), found.end()
    if value is None:
        return Attribute(name.lower(), start, end, end, end)
    quoted = len(value) > 1 and value[0] in {'"', "'"}
    return Attribute(name.lower(), start, end, found.start(2) + quoted, found.end(2) - quoted)
