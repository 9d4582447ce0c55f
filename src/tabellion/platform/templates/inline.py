"""Moves the rules of style sheets into the elements: what some mail programs read is the `style` attribute only."""

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from enum import Enum
from html import escape
from itertools import chain

import css_inline

from tabellion.platform.templates.balance import unbalanced
from tabellion.platform.templates.cascade import (
    Beaten,
    ahead_of_inlined,
    as_inlined,
    bounds,
    families,
    family,
    ready_to_inline,
    sides_apart,
    without_words,
)
from tabellion.platform.templates.documents import Mistake
from tabellion.platform.templates.lexer import place
from tabellion.platform.templates.markup import Document, Piece, PieceKind, cover, document
from tabellion.platform.templates.references import attribute_text
from tabellion.platform.templates.shield import IGNORE, is_conditional, shield
from tabellion.platform.templates.stylesheets import nested, with_any_quotes

# What cannot be inlined (`:hover`, media queries) stays in the style sheet. Nothing is ever loaded.
_INLINER = css_inline.CSSInliner(
    keep_style_tags=True, keep_link_tags=True, remove_inlined_selectors=True, load_remote_stylesheets=False
)
_DOCTYPE = re.compile(r"<!doctype[^>]*>", re.IGNORECASE)
_EMPTY_STYLE = re.compile(r"<style(?: type=\"text/css\")?>\s*</style>")
_OWN_BODY = "data-own"
_OF_HEAD = frozenset({"base", "link", "meta", "script", "style", "title"})


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
    shielded = shield(document(_with_body(document(_mark_bodies(doc)))))
    word = shielded.word
    bare = document(shielded.text)
    sheets: dict[_Way, list[str]] = {way: [] for way in _Way}
    numbered: list[tuple[int, str]] = []
    for number, (sheet, way) in enumerate(_with_ways(bare)):
        sheets[way].append(shielded.text[sheet.start : sheet.end])
        if way is _Way.INLINED:
            numbered.append((number, sheets[way][-1]))
    elsewhere = families(chain.from_iterable(sheets.values()), conditional=True) | families(sheets[_Way.CONDITIONAL])
    apart = sides_apart(sheets[_Way.INLINED])

    beaten = Beaten(bounds(numbered), _own_styles(bare))
    count = itertools.count()

    def ready(sheet: str, way: _Way) -> str:
        sheet = ahead_of_inlined(with_any_quotes(sheet), next(count), beaten, whole=way is _Way.CONDITIONAL)
        return ready_to_inline(sheet, word, elsewhere, apart) if way is _Way.INLINED else sheet

    try:
        html = _INLINER.inline(_with_any_quotes(_changed(shielded.text, ready)))
    except css_inline.InlineError as error:
        message = f"styles stay in the style sheet, because one of them cannot be read: {error}"
        return source, [Mistake(1, 1, "html.notInlined", message)]
    html = _as_inlined(html, word, changed=bool(apart))
    html = _EMPTY_STYLE.sub("", html.replace(f" {IGNORE}", ""))
    doctype = _DOCTYPE.search(source)
    if doctype is not None:
        html = _DOCTYPE.sub(lambda _: doctype[0], html, count=1)
    return _drop_bodies(shielded.restore(html)), list(_nested(doc))


def _nested(doc: Document) -> Iterator[Mistake]:
    covered = cover(doc.source, doc.liquid)
    for piece in doc.pieces:
        if piece.kind is PieceKind.RAW and piece.name == "style":
            at = nested(covered[piece.start : piece.end])
            if at is not None:
                message = (
                    "this is a rule within a rule, which most mail programs cannot read: its style sheet is not copied into "
                    "elements; write the rule by itself, or close the one before it with }"
                )
                yield Mistake(*place(doc.source, piece.start + at), "html.notInlined", message)


class _Way(Enum):
    """What is done with a style sheet."""

    INLINED = "inlined"
    # It has Liquid where nobody can tell what it selects, or rules within rules: it stays as it is.
    KEPT = "kept"
    # It is for some screens only.
    CONDITIONAL = "conditional"


def _with_ways(doc: Document) -> Iterator[tuple[Piece, _Way]]:
    way = _Way.INLINED
    for piece in doc.pieces:
        if piece.kind is PieceKind.START and piece.name == "style":
            kept = _Way.KEPT if IGNORE in doc.source[piece.start : piece.end] else _Way.INLINED
            way = _Way.CONDITIONAL if is_conditional(doc.value(piece, "media")) else kept
        elif piece.kind is PieceKind.RAW and piece.name == "style":
            yield piece, way


def _changed(html: str, change: Callable[[str, _Way], str]) -> str:
    """The source with other style sheets."""
    parts: list[str] = []
    position = 0
    for piece, way in _with_ways(document(html)):
        parts += (html[position : piece.start], change(html[piece.start : piece.end], way))
        position = piece.end
    return "".join([*parts, html[position:]])


def _with_any_quotes(source: str) -> str:
    """The source with `style` attributes that lose nothing when the inliner writes all their quotes as single ones."""
    parts: list[str] = []
    position = 0
    for piece in document(source).pieces:
        for each in piece.attributes if piece.kind is PieceKind.START else ():
            style = attribute_text(source[each.value_start : each.value_end]) if each.name == "style" else ""
            if style != (safe := with_any_quotes(style)):
                parts += (source[position : each.value_start], escape(safe))
                position = each.value_end
    return "".join([*parts, source[position:]])


def _own_styles(doc: Document) -> dict[str, frozenset[str]]:
    """Of each property what elements are called that say it in their `style`: names, `.class`, `#id`."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for piece in doc.pieces:
        style = doc.value(piece, "style") if piece.kind is PieceKind.START else None
        if style:
            called = {piece.name, *(f".{each}" for each in (doc.value(piece, "class") or "").lower().split())}
            called.add(f"#{(doc.value(piece, 'id') or '').lower()}")
            for each in style.split(";"):
                found[family(each.partition(":")[0].strip().lower())] |= called
    return {name: frozenset(called) for name, called in found.items()}


def _as_inlined(html: str, word: str, *, changed: bool) -> str:
    """What was inlined, without the words of ours."""
    if word not in html and not changed:
        return html
    parts: list[str] = []
    position = 0
    for piece in document(html).pieces:
        for each in piece.attributes if piece.kind is PieceKind.START else ():
            if each.name == "style":
                parts += (html[position : each.value_start], as_inlined(html[each.value_start : each.value_end], word))
                position = each.value_end
    return without_words("".join([*parts, html[position:]]), word)


def _mark_bodies(doc: Document) -> str:
    """Mark the author's own `tbody` elements: the parser adds others, between a loop and its rows."""
    parts: list[str] = []
    position = 0
    for piece in doc.starts("tbody"):
        parts += (doc.source[position : piece.start], f"<tbody {_OWN_BODY}", doc.source[piece.start + 6 : piece.end])
        position = piece.end
    return "".join([*parts, doc.source[position:]])


def _with_body(doc: Document) -> str:
    """A source without head and body has its body begin with Liquid that stands behind style sheets.

    The parser would keep that in the head, as it does comments, and what is in the head is not shown.
    """
    if any(doc.starts("head", "body")):
        return doc.source
    # Nothing is put before a doctype.
    doctype = _DOCTYPE.search(doc.source)
    start = max([doctype.end() if doctype else 0, *(piece.end for piece in doc.starts("html"))])
    for piece, liquid in doc.with_liquid():
        if piece.start < start:
            continue
        if piece.kind is PieceKind.TEXT and liquid:
            return f"{doc.source[: piece.start]}<body>{doc.source[piece.start :]}"
        if piece.kind is PieceKind.START and piece.name not in _OF_HEAD:
            break
    return doc.source


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
