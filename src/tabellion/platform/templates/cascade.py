"""What a style sheet comes to once most of its rules are in `style` attributes, which come before all that is left in it.

Rules that hold on some screens (`@media`) were written to come before the ones that are inlined: they are made
`!important` where they are about a property that was inlined. What the author made important for all screens is
inlined without that, where some screens have a rule about it: in an attribute, nothing would come before it. A
property that a rule says twice, the second time for those who know more (`background: #222; background: linear-
gradient(...)`), is still said twice afterwards, where the inliner would keep the last.
"""

import re
from collections.abc import Iterable

from tabellion.platform.templates.stylesheets import Declaration, declarations, end_of_declaration

# Properties that set several others at once, each of which begins with its name.
_SHORTHANDS = frozenset({
    "animation", "background", "border", "columns", "flex", "font", "grid", "list-style", "margin", "outline", "overflow",
    "padding", "text-decoration", "transition",
})  # fmt: skip
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


def ahead_of_inlined(sheet: str, inlined: frozenset[str], *, whole: bool) -> str:
    """A style sheet whose conditional declarations come before those of attributes, where they are about the same.

    `whole`: all of it holds under a condition.
    """
    parts: list[str] = []
    position = 0
    for each in declarations(sheet):
        if each.important or family(each.name) not in inlined or not (whole or each.conditional):
            continue
        parts += (sheet[position : each.end], " !important")
        position = each.end
    return "".join([*parts, sheet[position:]]) if parts else sheet


def ready_to_inline(sheet: str, word: str, elsewhere: frozenset[str]) -> str:
    """A style sheet that says by words of ours what the inliner would lose.

    No rule says a property twice: but for the last time it has another name. What is important and what some screens have
    rules about (`elsewhere`) is marked.
    """
    said: dict[tuple[int, str], list[Declaration]] = {}
    for each in declarations(sheet):
        if not each.conditional:
            said.setdefault((each.rule, each.name), []).append(each)
    added: list[tuple[int, str]] = []
    for times in said.values():
        if not any(each.important for each in times):
            added += [(each.start, f"{word}{_KEPT}{number}-") for number, each in enumerate(times[:-1])]
        elif family(times[0].name) in elsewhere:
            added += [(sheet.rindex("!", each.start, each.end), f" {word}{_MARKED}") for each in times if each.important]
    parts: list[str] = []
    position = 0
    for start, text in sorted(added):
        parts += (sheet[position:start], text)
        position = start
    return "".join([*parts, sheet[position:]]) if parts else sheet


def as_inlined(style: str, word: str) -> str:
    """The value of a `style` attribute that the inliner has made: fallbacks first, marked importance taken away."""
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
