"""Links of a prepared mail, and putting tracked addresses in the place of links.

At definition time every link gets an index, and a mark around its address that nobody can forge, because it holds a
random word. After rendering, the mail is split at the marks: that costs next to nothing per mail.
"""

import html
import re
import secrets
from collections.abc import Callable

import msgspec

from tabellion.platform.templates.kept_texts import Stretches, handed_on
from tabellion.platform.templates.markup import Document, Piece, PieceKind, document
from tabellion.platform.templates.references import address_text

_SCHEME = re.compile(r"\s*([a-zA-Z][a-zA-Z0-9+.-]*):")


class Link(msgspec.Struct, frozen=True):
    """An `<a href>` or `<area href>`, in the order of the source. `href` is as written, with Liquid, without entities.

    Those that only Outlook reads are among them: in conditional comments, and of its drawn buttons (VML).

    `dynamic` says that the address is known in the mail only.
    """

    index: int
    href: str
    dynamic: bool
    text: str = ""

    @property
    def scheme(self) -> str:
        """`https`, `mailto` and so on in lower case; empty when the address begins without one."""
        found = _SCHEME.match(self.href)
        return found[1].lower() if found else ""


def links(doc: Document) -> list[Link]:
    """All links, indexed from 0."""
    found: list[Link] = []
    inside = ""  # the name of the element that the words belong to
    for piece in doc.opened():
        if piece.kind is PieceKind.START and _leads(piece):
            href = doc.value(piece, "href")
            inside = piece.name if href is not None and piece.name != "area" else ""
            if href is not None:
                dynamic = "{{" in href or "{%" in href
                found.append(Link(len(found), address_text(href), dynamic))
        elif piece.kind is PieceKind.END and piece.name == inside:
            inside = ""
        elif inside and piece.kind is PieceKind.TEXT:
            words = f"{found[-1].text} {html.unescape(doc.source[piece.start : piece.end])}"
            found[-1] = msgspec.structs.replace(found[-1], text=" ".join(words.split())[:200])
    return found


def _leads(piece: Piece) -> bool:
    return piece.name in {"a", "area"} or piece.name.startswith("v:")


def new_mark() -> str:
    """A word for `mark_links`, to be kept with the campaign."""
    return f"lk{secrets.token_hex(12)}"


def mark_links(source: str, mark: str, wanted: Callable[[Link], bool]) -> str:
    """The source with a mark around the address of each wanted link, but for those that are handed on with a kept text."""
    doc = document(source)
    tags = Stretches((piece.start, piece.end) for piece in doc.pieces if piece.kind is PieceKind.START)
    apart = handed_on(doc.liquid, tags)
    parts: list[str] = []
    position = 0
    index = 0
    found = links(doc)
    for piece in doc.opened():
        if piece.kind is not PieceKind.START or not _leads(piece):
            continue
        for each in piece.attributes:
            if each.name != "href":
                continue
            if wanted(found[index]) and piece.start not in apart:
                quote = "" if each.value_start and source[each.value_start - 1] in {'"', "'"} else '"'
                parts += (
                    source[position : each.value_start],
                    f"{quote}{mark}{index}:",
                    source[each.value_start : each.value_end],
                )
                parts.append(f"{mark}{quote}")
                position = each.value_end
            index += 1
            break
    return "".join([*parts, source[position:]])


def fill_links(rendered: bytes, mark: str, tracked: Callable[[int, str], str]) -> bytes:
    """A rendered mail with tracked addresses: `tracked` gets a link's index and its address in this mail."""
    pieces = rendered.split(mark.encode())
    for number in range(1, len(pieces), 2):
        index, _, address = pieces[number].partition(b":")
        pieces[number] = html.escape(tracked(int(index), address_text(address.decode()))).encode()
    return b"".join(pieces)
