"""Where the declarations of a style sheet are, for changes that leave all else as it is. Time grows with its length only."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tabellion.platform.templates.selectors import is_of_state

# What may hold signs that mean nothing there, and the signs that mean something.
_TOKEN = re.compile(
    r"""/\*.*?(?:\*/|\Z)|"(?:[^"\\\n]|\\.)*+"?|'(?:[^'\\\n]|\\.)*+'?|url\(\s*+(?!["'])[^)]*+\)?|<!--|-->|\\.|[{};]""",
    re.DOTALL | re.IGNORECASE,
)
_QUOTE = re.compile(r"""\\?"|'|\\[^"]""", re.DOTALL)
_AT = re.compile(r"@([\w-]+)")
# At-rules whose rules hold under a condition; those of the others (fonts, animations, pages) style no element by themselves.
_CONDITIONS = frozenset({"media", "supports", "container", "document", "-moz-document"})
_NAME = re.compile(r"-{0,2}[a-zA-Z][a-zA-Z0-9-]*")
_IMPORTANT = re.compile(r"!\s*important\s*\Z", re.IGNORECASE)


class Declaration(NamedTuple):
    """A declaration of a rule. `end`: behind its value.

    `conditional`: within `@media` and the like, or for what readers do or have chosen.

    `rule` counts rules; `selectors` are the rule's, as they stand there.
    """

    name: str
    start: int
    end: int
    important: bool
    conditional: bool
    rule: int
    selectors: str


class _Block(NamedTuple):
    """What stands in braces: `styles` the declarations of a rule; `apart`: of what styles no element by itself."""

    styles: bool = False
    conditional: bool = False
    apart: bool = False
    selectors: str = ""


class _Stretch:
    """What stands between two signs, without blanks and comments around it."""

    def __init__(self) -> None:
        self.start, self.end = -1, -1

    def take(self, text: str, start: int, end: int) -> None:
        said = text[start:end]
        if said.strip():
            if self.start < 0:
                self.start = end - len(said.lstrip())
            self.end = start + len(said.rstrip())


def declarations(text: str) -> Iterator[Declaration]:
    """The declarations of rules, in order."""
    blocks: list[_Block] = []
    rule = 0
    for sign, stretch in _stretches(text):
        if sign == "{":
            blocks.append(_opened(text[stretch.start : stretch.end], blocks[-1] if blocks else _Block()))
            rule += 1
            continue
        if blocks and blocks[-1].styles and (found := _declaration(text, stretch, blocks[-1], rule)) is not None:
            yield found
        if sign == "}" and blocks:
            blocks.pop()


def nested(text: str) -> int | None:
    """Where the first rule begins that stands within a rule; None: there is none."""
    blocks: list[_Block] = []
    for sign, stretch in _stretches(text):
        if sign == "{":
            if blocks and blocks[-1].styles:
                return stretch.start
            blocks.append(_opened(text[stretch.start : stretch.end], blocks[-1] if blocks else _Block()))
        elif sign == "}" and blocks:
            blocks.pop()
    return None


def _stretches(text: str) -> Iterator[tuple[str, _Stretch]]:
    """What stands before each sign that means something, and before the end (with an empty sign)."""
    stretch = _Stretch()
    position = 0
    for token in _TOKEN.finditer(text):
        stretch.take(text, position, token.start())
        position = token.end()
        sign = token[0]
        if sign in {"{", "}", ";"}:
            yield sign, stretch
            stretch = _Stretch()
        elif not sign.startswith(("/*", "<!--", "-->")):
            stretch.take(text, token.start(), token.end())
    stretch.take(text, position, len(text))
    yield "", stretch


def with_any_quotes(text: str) -> str:
    """Styles that say the same with each `"` written as a single quote: those within are escaped (CSS Syntax, 4.3.7)."""
    return _TOKEN.sub(_any_quotes, text) if '"' in text else text


def _any_quotes(token: re.Match[str]) -> str:
    said = token[0]
    if said[0] in {'"', "'"}:
        closed = len(said) > 1 and said[-1] == said[0]
        inner = said[1:-1] if closed else said[1:]
        return f"{said[0]}{_QUOTE.sub(_escaped, inner)}{said[0] if closed else ''}"
    return _QUOTE.sub(_escaped, said) if said[0] in "uU" else said


def _escaped(quote: re.Match[str]) -> str:
    if quote[0] == "'":
        return r"\'"
    return r"\22 " if quote[0].endswith('"') else quote[0]


def end_of_declaration(text: str, position: int) -> int:
    """Where the declaration ends that a position is in: at its semicolon, or at the end of the text."""
    return next((token.start() for token in _TOKEN.finditer(text, position) if token[0] in {";", "}"}), len(text))


def _opened(prelude: str, around: _Block) -> _Block:
    at = _AT.match(prelude)
    if at is None:
        conditional = around.conditional or is_of_state(prelude)
        return around._replace(styles=not around.apart, conditional=conditional, selectors=prelude)
    if at[1].lower() == "layer":
        return around
    if at[1].lower() in _CONDITIONS:
        return around._replace(styles=False, conditional=True)
    return around._replace(styles=False, apart=True)


def _declaration(text: str, stretch: _Stretch, block: _Block, rule: int) -> Declaration | None:
    if stretch.start < 0:
        return None
    name, colon, value = text[stretch.start : stretch.end].partition(":")
    name = name.strip()
    if not colon or not value.strip() or not _NAME.fullmatch(name):
        return None
    important = _IMPORTANT.search(value[-40:]) is not None
    return Declaration(name.lower(), stretch.start, stretch.end, important, block.conditional, rule, block.selectors)
