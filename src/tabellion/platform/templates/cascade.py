"""What a style sheet comes to once most of its rules are in `style` attributes, which come before all that is left in it.

Rules that hold on some screens (`@media`), or while readers do something (`:hover`), are made `!important` where they came
before one that is inlined, by weight or order. What the author made important for all screens is
inlined without that, where some screens have a rule about it: in an attribute, nothing would come before it. A
property that a rule says twice, the second time for those who know more (`background: #222; background: linear-
gradient(...)`), is still said twice afterwards, where the inliner would keep the last.
"""

import re
import sys
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tabellion.platform.templates.selectors import Weight, is_of_doing, selectors_of, subject, weight
from tabellion.platform.templates.stylesheets import Declaration, declarations, end_of_declaration

# Properties that set several others at once, each of which begins with its name.
_SHORTHANDS = frozenset({
    "animation", "background", "border", "columns", "flex", "font", "grid", "list-style", "margin", "outline", "overflow",
    "padding", "text-decoration", "transition",
})  # fmt: skip
_SIDES = ("top", "right", "bottom", "left")
# Which of one to four values each side has.
_PLACES = {1: (0, 0, 0, 0), 2: (0, 1, 0, 1), 3: (0, 1, 2, 1), 4: (0, 1, 2, 3)}
# With which of so many values the last may be the same, and then goes without saying.
_SAME_AS = {4: 1, 3: 0, 2: 0}
_FOUR = re.compile(r"(margin|padding)\s*:\s*([-+.\w% ]+?)\s*(!\s*important)?")
_NOTHING, _IMPORTANT = Weight(0, 0, 0), Weight(sys.maxsize, 0, 0)
_KEPT, _MARKED = "fb", "im"


def family(name: str) -> str:
    """The property that sets this one together with others, or itself."""
    for length in (1, 2):
        start = "-".join(name.split("-")[:length])
        if start in _SHORTHANDS:
            return start
    return "font" if name == "line-height" else name


def families(sheets: Iterable[str], *, conditional: bool = False) -> frozenset[str]:
    """What the rules without a condition are about, or those with one."""
    return frozenset(
        family(each.name) for sheet in sheets for each in declarations(sheet) if each.conditional == conditional
    )


class Rank(NamedTuple):
    """Where a declaration stands among those that are as important: what its selector weighs, then the order."""

    weight: Weight
    sheet: int
    rule: int


class Bounds(NamedTuple):
    """The lowest and the highest of declarations."""

    lowest: Rank
    highest: Rank


class Beaten(NamedTuple):
    """What comes after rules that stay in a style sheet.

    `inlined`: of each property the bounds of what is inlined. `own`: of each property what elements are called that say it
    in their own `style`, which comes before all rules.
    """

    inlined: Mapping[str, Bounds]
    own: Mapping[str, frozenset[str]]


def bounds(sheets: Iterable[tuple[int, str]]) -> dict[str, Bounds]:
    """Of each property the bounds of declarations without a condition, of style sheets with their numbers."""
    found: dict[str, Bounds] = {}
    for number, sheet in sheets:
        for each in declarations(sheet):
            if each.conditional:
                continue
            weights = [_IMPORTANT] if each.important else _weights(each)
            low, high = (Rank(of(weights), number, each.rule) for of in (min, max))
            known = found.get(family(each.name), Bounds(low, high))
            found[family(each.name)] = Bounds(min(low, known.lowest), max(high, known.highest))
    return found


def ahead_of_inlined(sheet: str, number: int, beaten: Beaten, *, whole: bool) -> str:
    """A style sheet whose conditional declarations come before those of attributes that they came before as rules.

    `whole`: all of it holds under a condition.
    """
    parts: list[str] = []
    position = 0
    for each in declarations(sheet):
        if not each.important and (whole or each.conditional) and _comes_before(each, number, beaten):
            parts += (sheet[position : each.end], " !important")
            position = each.end
    return "".join([*parts, sheet[position:]]) if parts else sheet


def _comes_before(each: Declaration, number: int, beaten: Beaten) -> bool:
    about = family(each.name)
    inlined = beaten.inlined.get(about)
    if inlined is None:
        return False
    weights = _weights(each)
    if not is_of_doing(each.selectors):
        return Rank(max(weights), number, each.rule) > inlined.lowest
    # `a:hover` is said once, for the links of all colours: it must not come before what is said of buttons.
    called = beaten.own.get(about, frozenset())
    above = Rank(min(weights), number, each.rule) > inlined.highest
    return above and not (called and any(subject(one) <= called for one in selectors_of(each.selectors)))


def _weights(each: Declaration) -> list[Weight]:
    return [weight(one) for one in selectors_of(each.selectors)] or [_NOTHING]


def sides_apart(sheets: Iterable[str]) -> frozenset[str]:
    """Of margin and padding those of which rules set single sides: their order is lost where rules set all sides as well."""
    names = {each.name for sheet in sheets for each in declarations(sheet) if not each.conditional}
    return frozenset(name for name in ("margin", "padding") if any(f"{name}-{side}" in names for side in _SIDES))


def ready_to_inline(sheet: str, word: str, elsewhere: frozenset[str], apart: frozenset[str] = frozenset()) -> str:
    """A style sheet that says by words of ours what the inliner would lose.

    No rule says a property twice: but for the last time it has another name. What is important and what some screens have
    rules about (`elsewhere`) is marked. Properties of `apart` are said side by side.
    """
    said: dict[tuple[int, str], list[Declaration]] = {}
    for each in declarations(sheet):
        if not each.conditional:
            # As it is written: `Margin` beside `margin` is for programs that know the one only, and the inliner keeps both.
            said.setdefault((each.rule, sheet[each.start : each.start + len(each.name)]), []).append(each)
    changes: list[tuple[int, int, str]] = []
    for (_, name), times in said.items():
        before, last = times[:-1], times[-1]
        if not any(each.important for each in times):
            changes += [(each.start, each.start, f"{word}{_KEPT}{number}-") for number, each in enumerate(before)]
        sides = _sides(sheet[last.start : last.end], word, elsewhere) if name in apart and not before else ""
        if sides:
            changes.append((last.start, last.end, sides))
        elif family(last.name) in elsewhere:
            places = (sheet.rindex("!", each.start, each.end) for each in times if each.important)
            changes += [(place, place, f" {word}{_MARKED}") for place in places]
    parts: list[str] = []
    position = 0
    for start, end, text in sorted(changes):
        parts += (sheet[position:start], text)
        position = end
    return "".join([*parts, sheet[position:]]) if parts else sheet


def _sides(declaration: str, word: str, elsewhere: frozenset[str]) -> str:
    """`padding: 1px 2px` side by side; empty where that is not simple."""
    found = _FOUR.fullmatch(declaration)
    values = found[2].split() if found else []
    if found is None or not 1 <= len(values) <= len(_SIDES):
        return ""
    name = found[1]
    importance = f" {word}{_MARKED}{found[3]}" if found[3] and name in elsewhere else (found[3] or "")
    top, right, bottom, left = (values[place] for place in _PLACES[len(values)])
    pairs = zip(_SIDES, (top, right, bottom, left), strict=True)
    return ";".join(f"{name}-{side}:{value}{importance}" for side, value in pairs)


def _together(style: str) -> str:
    """The value of a `style` attribute with four sides of the same thing in one."""
    for name in ("margin", "padding"):
        if "&" in style or style.count(f"{name}-") != len(_SIDES):
            continue
        found = {side: re.search(rf"(?<![\w-]){name}-{side}:\s*([^;!\s]+)\s*(?:;|\Z)", style) for side in _SIDES}
        if any(each is None for each in found.values()) or re.search(rf"(?<![\w-]){name}\s*:", style, re.IGNORECASE):
            continue
        spans = sorted(each.span() for each in found.values() if each)
        values = [each[1] for each in found.values() if each]
        while len(values) > 1 and values[-1] == values[_SAME_AS[len(values)]]:
            values.pop()
        for start, end in reversed(spans[1:]):
            style = style[:start] + style[end:]
        style = f"{style[: spans[0][0]]}{name}: {' '.join(values)};{style[spans[0][1] :]}"
    return style


def as_inlined(style: str, word: str) -> str:
    """The value of a `style` attribute that the inliner has made: fallbacks first, marked importance taken away."""
    style = _together(style)
    if word not in style:
        return style
    style = re.sub(rf"\s*{word}{_MARKED}\s*!\s*important", "", style, flags=re.IGNORECASE)
    first: list[str] = []
    rest: list[str] = []
    position = 0
    for found in re.finditer(rf"{word}{_KEPT}[0-9]+-", style):
        if found.start() < position:
            continue
        end = end_of_declaration(style, found.end())
        first.append(f"{style[found.end() : end].strip()};")
        rest.append(style[position : found.start()])
        position = min(end + 1, len(style))
    return "".join([*first, *rest, style[position:]])


def without_words(text: str, word: str) -> str:
    """A text in which nothing of ours is left."""
    return re.sub(rf"{word}{_KEPT}[0-9]+-| ?{word}{_MARKED}", "", text) if word in text else text
