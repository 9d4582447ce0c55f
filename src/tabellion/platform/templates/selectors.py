"""What selectors of style sheets weigh, and what they may be about. By their looks: nothing is matched with a document."""

import re
from typing import NamedTuple

# The selectors of a list: commas in parentheses, brackets and strings are no ends.
_ONE = re.compile(r"""(?:[^,("'\[]|\([^)]*+\)?|\[[^\]]*+\]?|"[^"]*+"?|'[^']*+'?)+""")
_AROUND = re.compile(r":(?:not|is|has|matches|any|where)\(", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"\[[^\]]*+\]?")
_ELEMENT_PART = re.compile(r"::[\w-]+|:(?:before|after|first-line|first-letter)\b", re.IGNORECASE)
_CLASS, _ID, _PSEUDO = re.compile(r"\.[\w-]+"), re.compile(r"#[\w-]+"), re.compile(r":[\w-]+(?:\([^)]*+\)?)?")
_NAME = re.compile(r"[\w-]+")
# What readers do with an element: no `style` attribute can say it.
_DOING = re.compile(r":(?:hover|active|focus(?:-within|-visible)?)(?![\w-])", re.IGNORECASE)
# What they have chosen, in forms that open and close without scripts.
_CHOSEN = re.compile(r":(?:checked|target)(?![\w-])", re.IGNORECASE)
_STEP = re.compile(r"[\s>+~]+")


class Weight(NamedTuple):
    """What counts when two rules are about the same (CSS Selectors 4, 17): ids, classes and the like, elements."""

    ids: int
    classes: int
    elements: int


def selectors_of(prelude: str) -> list[str]:
    """The selectors that a rule has before its brace."""
    return [each.strip() for each in _ONE.findall(prelude) if each.strip()]


def weight(selector: str) -> Weight:
    """How much a selector weighs; what stands in `:where()` is counted, too, for being as rare."""
    selector, classes = _ATTRIBUTE.subn(" ", _AROUND.sub(" ", selector))
    selector, elements = _ELEMENT_PART.subn(" ", selector)
    selector, more = _CLASS.subn(" ", selector)
    selector, ids = _ID.subn(" ", selector)
    selector, pseudo = _PSEUDO.subn(" ", selector)
    return Weight(ids, classes + more + pseudo, elements + len(_NAME.findall(selector)))


def is_of_doing(prelude: str) -> bool:
    """Whether a rule holds only while readers point at something, press it or have come to it by keys."""
    found = selectors_of(prelude)
    return bool(found) and all(_DOING.search(each) for each in found)


def is_of_state(prelude: str) -> bool:
    """Whether a rule holds only while readers do something with an element, or have chosen it."""
    found = selectors_of(prelude)
    return bool(found) and all(_DOING.search(each) or _CHOSEN.search(each) for each in found)


def subject(selector: str) -> frozenset[str]:
    """What a selector says of the element itself that it styles: its name, `.class` and `#id`."""
    last = _STEP.split(_ATTRIBUTE.sub("", selector).strip())[-1]
    last = _PSEUDO.sub("", last).lower()
    return frozenset([*_CLASS.findall(last), *_ID.findall(last), *_NAME.findall(_ID.sub("", _CLASS.sub("", last)))])
