"""Filters on texts and addresses.

What is printed into HTML is escaped there, unless it is `Markup`: what the author wrote. Methods of `Markup` escape what
is joined to them, so that a value from the data never becomes HTML.
"""

import re
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from liquid import Markup, RenderContext, escape, soft_str
from liquid.exceptions import OutputStreamLimitError
from liquid.filter import with_context

from tabellion.platform.templates.filters.values import MAX_TEXT, joined, refuse, sized, text, whole

_BLANKS = re.compile(r"\s+")
_TAG = re.compile(r"<[^<>]*>")
_ENTITY = re.compile(r"&(?:[A-Za-z][A-Za-z0-9]{1,30}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});")
_CHARACTER = re.compile(rf"{_ENTITY.pattern}|.", re.DOTALL)


def _of_text(function: Callable[[str], str]) -> Callable[[object], str]:
    def apply(value: object) -> str:
        return function(text(value))

    return apply


def _default(value: object, fallback: object = "", *, allow_false: bool = False) -> object:
    """The fallback when there is no value: null, false, an empty text or an empty list."""
    if value is False:
        return value if allow_false else fallback
    if value is None or (isinstance(value, str | list) and not value):
        return fallback
    return value


def _append(value: object, more: object) -> str:
    return sized(text(value) + text(more))


def _prepend(value: object, more: object) -> str:
    return sized(text(more) + text(value))


def _replace(value: object, old: object, new: object = "") -> str:
    before, sought, by = text(value), text(old), text(new)
    # Known before it is made: a million times a million characters is no text that could be refused afterwards.
    if len(before) + before.count(sought) * max(0, len(by) - len(sought)) > MAX_TEXT:
        raise OutputStreamLimitError(f"a text of more than {MAX_TEXT:,} characters", token=None)
    return sized(before.replace(sought, by))


def _replace_first(value: object, old: object, new: object = "") -> str:
    return sized(text(value).replace(text(old), text(new), 1))


def _remove(value: object, part: object) -> str:
    return text(value).replace(text(part), "")


def _truncate(value: object, length: object = 50, ellipsis: object = "...") -> str:
    whole_text, end, limit = text(value), text(ellipsis), whole(length, "the length of truncate")
    if (size := _size(whole_text)) <= limit:
        return whole_text
    return _part(whole_text, 0, min(size, max(0, limit - _size(end)))) + end


def _truncatewords(value: object, count: object = 15, ellipsis: object = "...") -> str:
    words, limit = text(value).split(), max(1, whole(count, "the count of truncatewords"))
    return text(value) if len(words) <= limit else joined(" ", words[:limit]) + text(ellipsis)


def _slice(value: object, start: object, length: object = 1) -> str:
    first, count = whole(start, "the start of slice"), max(0, whole(length, "the length of slice"))
    found = text(value)
    first = first if first >= 0 else max(0, _size(found) + first)
    return _part(found, first, first + count)


def _size(value: str) -> int:
    return len(value) - sum(len(each) - 1 for each in _ENTITY.findall(value)) if isinstance(value, Markup) else len(value)


def _part(value: str, first: int, end: int) -> str:
    """The characters between the two. In HTML, what stands for one (`&amp;`) is one, and not cut."""
    if not isinstance(value, Markup) or "&" not in value:
        return value[first:end]
    return Markup("".join(_CHARACTER.findall(value)[first:end]))


def _split(value: object, separator: object) -> list[str]:
    found, by = text(value), text(separator)
    if not found:
        return []
    return found.split(None if by == " " else by) if by else list(found)


@with_context
def _newline_to_br(value: object, *, context: RenderContext) -> str:
    lines = text(value).replace("\r\n", "\n")
    if not context.autoescape:
        return lines
    return Markup("<br>\n").join(lines.split("\n"))


def _strip_html(value: object) -> str:
    return _without(_TAG, "", text(value))


def _without(pattern: re.Pattern[str], by: str, value: str) -> str:
    """A text with something in the place of others. What the author wrote stays that: `re` makes a plain text of it."""
    return type(value)(pattern.sub(by, value))


@with_context
def _url_encode(value: object, *, context: RenderContext) -> str:
    encoded = urllib.parse.quote(str(text(value)), safe="")
    return Markup(encoded) if context.autoescape else encoded


def _url_param(value: object, name: object, content: object) -> str:
    """The address with one more parameter, before its fragment."""
    address, hash_mark, fragment = str(text(value)).partition("#")
    if not text(name):
        raise refuse("url_param needs the name of the parameter")
    pair = urllib.parse.urlencode({str(text(name)): str(text(content))}, quote_via=urllib.parse.quote)
    return sized(f"{address}{'&' if '?' in address else '?'}{pair}{hash_mark}{fragment}")


@with_context
def _escape(value: object, *, context: RenderContext) -> str:
    """Escapes for HTML: in HTML parts everything is escaped once anyway."""
    return escape(soft_str(text(value))) if context.autoescape else str(escape(text(value)))


FILTERS: Mapping[str, Callable[..., Any]] = {
    "default": _default,
    "append": _append,
    "prepend": _prepend,
    "replace": _replace,
    "replace_first": _replace_first,
    "remove": _remove,
    "upcase": _of_text(lambda value: value.upper()),
    "downcase": _of_text(lambda value: value.lower()),
    "capitalize": _of_text(lambda value: value[:1].upper() + value[1:]),
    "strip": _of_text(lambda value: value.strip()),
    "lstrip": _of_text(lambda value: value.lstrip()),
    "rstrip": _of_text(lambda value: value.rstrip()),
    "squish": _of_text(lambda value: _without(_BLANKS, " ", value.strip())),
    "strip_newlines": _of_text(lambda value: value.replace("\r", "").replace("\n", "")),
    "strip_html": _strip_html,
    "newline_to_br": _newline_to_br,
    "truncate": _truncate,
    "truncatewords": _truncatewords,
    "slice": _slice,
    "split": _split,
    "escape": _escape,
    "url_encode": _url_encode,
    "url_param": _url_param,
}
