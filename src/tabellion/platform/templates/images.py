"""What a mail loads when it is shown: images, and what its style sheets are made of."""

import re
from collections.abc import Iterator

import msgspec

from tabellion.platform.templates.markup import FILLER, Document, Piece, PieceKind, cover
from tabellion.platform.templates.references import attribute_text
from tabellion.platform.templates.stylesheets import declarations

_URL = re.compile(r"""(?i)url\(\s*["']?([^"')]*)""")
_IMPORT = re.compile(r"""(?i)@import\s+["']([^"'\n;]*)""")
_COMMENT = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
# Of `srcset`, where an address is followed by the width or density that it is for.
_WORD, _SIZE = re.compile(r"\S+"), re.compile(r"\d+(?:\.\d+)?[wxh](?:,|\Z)")


class Image(msgspec.Struct, frozen=True):
    """An `<img>`, or what stands behind words or for it on some screens.

    `alt` is None when there is none; an empty one says that the image is decoration.
    """

    source: str
    alt: str | None
    dynamic: bool


def images(doc: Document) -> list[Image]:
    """All images, also those behind words, those for some screens and those that only Outlook shows."""
    covered = cover(doc.source, doc.liquid)
    found: list[Image] = []
    for piece in doc.opened():
        if piece.kind is PieceKind.START and piece.name == "img":
            found.append(_image(doc, piece, covered))
        found += (Image(source, "", "{{" in source or "{%" in source) for source in _others(doc, piece, covered))
    return found


def style_parts(doc: Document) -> list[str]:
    """The addresses of style sheets and fonts that the mail loads."""
    covered = cover(doc.source, doc.liquid)
    found: list[str] = []
    for piece in doc.opened():
        if piece.kind is PieceKind.START and piece.name == "link":
            if "stylesheet" in (doc.value(piece, "rel") or "").lower().split():
                found.append(attribute_text(doc.value(piece, "href") or ""))
        elif piece.kind is PieceKind.RAW and piece.name == "style":
            _, others = _sheet(doc, piece, covered)
            found += (each[1] for pattern in (_URL, _IMPORT) for each in pattern.finditer(others))
    return list(_outside(found))


def _image(doc: Document, piece: Piece, covered: str) -> Image:
    names = {each.name: each for each in piece.attributes}
    source, alt = doc.value(piece, "src") or "", doc.value(piece, "alt")
    # A loop or condition among the attributes may bring an alt that is not seen here.
    hidden = any(FILLER in name for name in names)
    return Image(
        attribute_text(source),
        attribute_text(alt) if alt is not None else "" if hidden else None,
        "src" in names and FILLER in covered[names["src"].start : names["src"].end],
    )


def _others(doc: Document, piece: Piece, covered: str) -> Iterator[str]:
    """The addresses of images that no `<img>` has as its source."""
    if piece.kind is PieceKind.RAW and piece.name == "style":
        rules, _ = _sheet(doc, piece, covered)
        yield from _outside(found[1] for found in _URL.finditer(rules))
    if piece.kind is not PieceKind.START:
        return
    sources = [doc.value(piece, "background"), doc.value(piece, "poster")]
    sources.append(doc.value(piece, "src") if piece.name.startswith("v:") else None)
    sources += _of_several(doc, piece, covered)
    yield from _outside(attribute_text(source) for source in sources if source)
    yield from _outside(found[1] for found in _URL.finditer(attribute_text(doc.value(piece, "style") or "")))


def _of_several(doc: Document, piece: Piece, covered: str) -> Iterator[str]:
    for each in piece.attributes:
        if each.name == "srcset":
            for word in _WORD.finditer(covered, each.value_start, each.value_end):
                yield _SIZE.sub("", doc.source[word.start() : word.end()].strip(","), count=1)


def _sheet(doc: Document, piece: Piece, covered: str) -> tuple[str, str]:
    """What the rules of a style sheet say, and all else in it: imports, fonts."""
    rules: list[str] = []
    others: list[str] = []
    position = piece.start
    for each in declarations(covered[piece.start : piece.end]):
        start, end = piece.start + each.start, piece.start + each.end
        rules.append(doc.source[start:end])
        others.append(doc.source[position:start])
        position = end
    others.append(doc.source[position : piece.end])
    return _COMMENT.sub("", ";".join(rules)), _COMMENT.sub("", ";".join(others))


def _outside(sources: Iterator[str] | list[str]) -> Iterator[str]:
    """Those addresses that are not written out in themselves, and no places in the mail."""
    for source in sources:
        text = source.strip()
        if text and not text.lower().startswith(("data:", "#")):
            yield text
