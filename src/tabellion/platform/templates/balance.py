"""Whether HTML elements and Liquid blocks fit into each other, so that an HTML parser cannot tear a block apart."""

from tabellion.platform.templates.dialect import BLOCKS, DIVIDERS
from tabellion.platform.templates.lexer import SpanKind
from tabellion.platform.templates.markup import VOID, Document, PieceKind

# Their end tags may be left out.
_OPTIONAL = frozenset(
    {"p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup", "option", "html", "head", "body"}
)


def unbalanced(doc: Document) -> int | None:
    """Where a block begins that opens an element without closing it, or the other way round; None when there is none."""
    elements: list[str] = []
    # Each open block: where it begins, in which piece (None in text), and how many elements are open around it.
    blocks: list[tuple[int, int | None, int]] = []
    for number, (piece, liquid) in enumerate(doc.with_liquid()):
        if piece.kind is PieceKind.START and piece.name not in VOID | _OPTIONAL and doc.source[piece.end - 2] != "/":
            elements.append(piece.name)
        elif piece.kind is PieceKind.END and elements and piece.name == elements[-1]:
            elements.pop()
            if blocks and blocks[-1][1] is None and len(elements) < blocks[-1][2]:
                return blocks[-1][0]
        inside = None if piece.kind is PieceKind.TEXT else number
        for span in liquid:
            if span.kind is not SpanKind.TAG:
                continue
            if span.name in BLOCKS:
                blocks.append((span.start, inside, len(elements)))
            elif blocks and (span.name in DIVIDERS or span.name.startswith("end")):
                start, where, depth = blocks[-1]
                if where != inside or depth != len(elements):
                    return start
                if span.name.startswith("end"):
                    blocks.pop()
    return None
