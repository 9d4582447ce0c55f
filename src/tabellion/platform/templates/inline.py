"""Moves the rules of style sheets into the elements: what some mail programs read is the `style` attribute only."""

import re

import css_inline

from tabellion.platform.templates.balance import unbalanced
from tabellion.platform.templates.documents import Mistake
from tabellion.platform.templates.lexer import place
from tabellion.platform.templates.markup import Document, PieceKind, document
from tabellion.platform.templates.shield import IGNORE, shield

# What cannot be inlined (`:hover`, media queries) stays in the style sheet. Nothing is ever loaded.
_INLINER = css_inline.CSSInliner(
    keep_style_tags=True, keep_link_tags=True, remove_inlined_selectors=True, load_remote_stylesheets=False
)
_DOCTYPE = re.compile(r"<!doctype[^>]*>", re.IGNORECASE)
_EMPTY_STYLE = re.compile(r"<style(?: type=\"text/css\")?>\s*</style>")
_OWN_BODY = "data-own"


def inlined(source: str) -> tuple[str, list[Mistake]]:
    """The source with its rules inlined; as it was, with the reason, when that cannot be done."""
    doc = document(source)
    if not any(piece.kind is PieceKind.RAW and piece.name == "style" for piece in doc.pieces):
        return source, []
    at = unbalanced(doc)
    if at is not None:
        message = (
            "this block opens an element that it does not close: styles stay in the style sheet; close it within the block"
        )
        return source, [Mistake(*place(source, at), "html.notInlined", message)]
    shielded = shield(document(_mark_bodies(doc)))
    try:
        html = _INLINER.inline(shielded.text)
    except css_inline.InlineError as error:
        message = f"styles stay in the style sheet, because one of them cannot be read: {error}"
        return source, [Mistake(1, 1, "html.notInlined", message)]
    html = _EMPTY_STYLE.sub("", html.replace(f" {IGNORE}", ""))
    doctype = _DOCTYPE.search(source)
    if doctype is not None:
        html = _DOCTYPE.sub(lambda _: doctype[0], html, count=1)
    return _drop_bodies(shielded.restore(html)), []


def _mark_bodies(doc: Document) -> str:
    """Mark the author's own `tbody` elements: the parser adds others, between a loop and its rows."""
    parts: list[str] = []
    position = 0
    for piece in doc.starts("tbody"):
        parts += (doc.source[position : piece.start], f"<tbody {_OWN_BODY}", doc.source[piece.start + 6 : piece.end])
        position = piece.end
    return "".join([*parts, doc.source[position:]])


def _drop_bodies(html: str) -> str:
    """Take out the `tbody` elements that the parser added."""
    doc = document(html)
    parts: list[str] = []
    position = 0
    own: list[bool] = []
    for piece in doc.pieces:
        if piece.name != "tbody" or piece.kind not in {PieceKind.START, PieceKind.END}:
            continue
        if piece.kind is PieceKind.START:
            own.append(doc.value(piece, _OWN_BODY) is not None)
        keeps = own[-1] if own else True
        if piece.kind is PieceKind.END and own:
            own.pop()
        parts.append(html[position : piece.start])
        if keeps:
            parts.append(html[piece.start : piece.end].replace(f' {_OWN_BODY}=""', ""))
        position = piece.end
    return "".join([*parts, html[position:]])
