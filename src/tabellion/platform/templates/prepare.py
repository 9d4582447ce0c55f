"""From what an author hands in to what is rendered: MJML to HTML, styles inlined, preheader, plain text, links, images.

Once per campaign and language, and in a caged process: the libraries used are written for well-meant documents.
"""

import html
import re

import mrml

from tabellion.platform.templates.documents import Content, Mistake, Prepared
from tabellion.platform.templates.images import images, style_parts
from tabellion.platform.templates.inline import inlined
from tabellion.platform.templates.lexer import SpanKind, place, scan
from tabellion.platform.templates.links import links
from tabellion.platform.templates.markup import Document, Piece, PieceKind, document
from tabellion.platform.templates.plaintext import plain_text
from tabellion.platform.templates.shield import shield
from tabellion.platform.templates.suggestion import did_you_mean
from tabellion.platform.templates.text_links import text_links

_OPTIONS = mrml.ParserOptions(include_loader=mrml.noop_loader())
_RENDER = mrml.RenderOptions(disable_comments=False)
_POSITION = re.compile(r" in root template(?: at position (\d+):\d+)?")
# What only the beginning of a document has. Others that begin so stand in its middle: `<![endif]>`, `<?xml:namespace ?>`.
_PROLOGUE = re.compile(r"<!doctype\b|<\?xml\s", re.IGNORECASE)
_LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_MJML_NAMES = (
    "accordion", "accordion-element", "accordion-text", "accordion-title", "all", "attributes", "body", "breakpoint",
    "button", "carousel", "carousel-image", "class", "column", "divider", "font", "group", "head", "hero", "image",
    "navbar", "navbar-link", "preview", "raw", "section", "social", "social-element", "spacer", "style", "table",
    "text", "title", "wrapper",
)  # fmt: skip
_MJML = tuple(f"mj-{name}" for name in _MJML_NAMES)
_PREHEADER = (
    '<div style="display:none;font-size:1px;line-height:1px;max-height:0;max-width:0;opacity:0;overflow:hidden;'
    'mso-hide:all">{text}{padding}</div>'
)
# Keeps mail programs from showing the mail's first words after the preheader.
_PADDING = "&#847;&zwnj;&nbsp;" * 60


def prepare(content: Content) -> Prepared:
    """Prepare an author's content. `Cages.prepare` is the place to call it."""
    source, notes = content.html, []
    if content.mjml:
        source, notes, errors = _from_mjml(content.mjml)
        if errors:
            return Prepared(errors=errors)
    if source:
        source, more = inlined(source)
        notes = [*notes, *more]
    said = plain_text(document(source)) if source else ""
    text = content.text or said
    if content.preheader and source:
        source = _with_preheader(source, content.preheader)
    doc = document(source)
    size = len(source.encode())
    words = len(_LIQUID.sub("x", said).split())
    found = links(doc) if source else text_links(text)
    return Prepared(
        source, text, bool(content.text), found, images(doc), size, notes, words=words, style_parts=style_parts(doc)
    )


def _from_mjml(source: str) -> tuple[str, list[Mistake], list[Mistake]]:
    """The HTML, notes and errors."""
    doc = document(source)
    if included := [piece.start for piece in doc.starts("mj-include")]:
        message = "MJML includes no files here; write what is in it in its place"
        return "", [], [Mistake(*place(source, start), "mjml.element", message) for start in included]
    shielded = shield(doc)
    try:
        made = mrml.to_html(shielded.text, _OPTIONS, _RENDER)
    except OSError as failure:
        where = _POSITION.search(str(failure))
        line, column = place(shielded.text, int(where[1])) if where and where[1] else (1, 1)
        unclosed = None if where and where[1] else _unclosed(doc)
        if unclosed is not None:
            message = f"this {unclosed.name} is never closed; end it with </{unclosed.name}>"
            return "", [], [Mistake(*place(source, unclosed.start), "mjml.malformed", message)]
        message = f"this MJML cannot be read: {shielded.restore(_POSITION.sub('', str(failure)))[:300]}"
        return "", [], [Mistake(line, column, "mjml.malformed", message)]
    notes = [
        Mistake(*place(shielded.text, each.start), "mjml.attribute", "MJML has no such attribute here; it is left out")
        for each in made.warnings
        if each.kind == "unexpected-attribute" and shielded.word not in shielded.text[each.start : each.end]
    ]
    html_source = shielded.restore(made.content)
    # What the library does not know it hands through, and mail programs show nothing of it.
    unknown = {piece.name for piece in document(html_source).pieces if piece.name.startswith("mj-")}
    errors = [
        Mistake(
            *place(source, piece.start), "mjml.element", f"MJML has no element {piece.name}{did_you_mean(piece.name, _MJML)}"
        )
        for piece in document(source).starts(*unknown)
    ]
    return html_source, notes, errors


def _unclosed(doc: Document) -> Piece | None:
    """The first element of MJML that is not closed before what it stands in."""
    opened: list[Piece] = []
    for piece in doc.pieces:
        if piece.name != "mjml" and not piece.name.startswith("mj-"):
            continue
        if piece.kind is PieceKind.START and doc.source[piece.end - 2] != "/":
            opened.append(piece)
        elif piece.kind is PieceKind.END and any(each.name == piece.name for each in opened):
            if opened[-1].name != piece.name:
                return opened[-1]
            opened.pop()
    return opened[-1] if opened else None


def _begin_of_words(doc: Document) -> int:
    """Where the body begins, or else what is shown: what comes before a doctype has browsers forget it."""
    body = next(doc.starts("body"), None)
    if body is not None:
        return body.end
    return max((piece.end for piece in doc.pieces if _is_before_words(doc, piece)), default=0)


def _is_before_words(doc: Document, piece: Piece) -> bool:
    if piece.kind is PieceKind.DECLARATION:
        return _PROLOGUE.match(doc.source, piece.start) is not None
    return (piece.kind, piece.name) in {(PieceKind.START, "html"), (PieceKind.END, "head")}


def _with_preheader(source: str, preheader: str) -> str:
    """The preheader first in the body, unseen there, seen in the list of mails."""
    escaped = "".join(
        preheader[span.start : span.end] if span.kind is not SpanKind.TEXT else html.escape(span.inner)
        for span in scan(preheader)[0]
    )
    block = _PREHEADER.format(text=escaped, padding=_PADDING)
    at = _begin_of_words(document(source))
    return f"{source[:at]}{block}{source[at:]}"
