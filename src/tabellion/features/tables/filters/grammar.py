"""The parser of the v5 filter: recursive descent, with caps on length, depth and number of tests."""

import re
from typing import Any, NamedTuple

from tabellion.features.tables.filters.errors import FilterFault
from tabellion.features.tables.filters.tree import Compare, In, Junction, Like, Literal_, Node, Not, Null, Operand
from tabellion.features.tables.model import FILTER_WORDS
from tabellion.kit.near import meant

MAX_LENGTH = 8192
MAX_DEPTH = 50
MAX_TESTS = 500
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<moment>\d{4}-\d{2}-\d{2}(?:[Tt]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:[Zz]|[+\- ]\d{2}:?\d{2})?)?(?![\w-]))
    | (?P<now>now\s*+\(\s*+(?P<offset>[+-]?\s*+\d{1,9}\s*+[dhm])?\s*+\))
    | (?P<number>[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?(?![\w.]))
    | (?P<word>[^\W\d]\w*)
    | (?P<string>"(?:[^"]|"")*"|'(?:[^']|'')*')
    | (?P<operator>!=|>=|<=|=|>|<)
    | (?P<mark>[(),.])
    )""",
    re.VERBOSE | re.IGNORECASE,
)
# What other languages write.
_INSTEAD = {"&": "'and'", "|": "'or'", "!": "'not' or '!='", "~": "'contains' or 'startsWith'"}
_COMPARISONS = "=, !=, <, <=, >, >=, in, not in, contains, startsWith, is null or is not null"
_OTHER_TABLES = (
    ": a filter knows the table that it is for, and no other one. Keep what another one says in an attribute of this one "
    "(campaigns also take an audience of keys)"
)
_UNITS = {"d": 86_400, "h": 3600, "m": 60}


class Token(NamedTuple):
    """A piece of the text. `value` of a word that is a keyword is in lower case."""

    kind: str
    value: Any
    position: int


def parse(text: str) -> Node:
    """The tree of a filter. Raises `FilterFault`."""
    if len(text) > MAX_LENGTH:
        raise FilterFault(f"a filter has at most {MAX_LENGTH:,} characters", 0)
    return _Parser(_tokens(text)).whole()


def _tokens(text: str) -> list[Token]:
    found: list[Token] = []
    place = 0
    end = len(text.rstrip())
    while place < end:
        match = _TOKEN.match(text, place)
        if match is None:
            while text[place].isspace():
                place += 1
            sign = text[place]
            advice = f"; write {_INSTEAD[sign]}" if sign in _INSTEAD else ""
            hint = "a text without closing quote" if sign in "\"'" else f"'{sign}' is not understood{advice}"
            raise FilterFault(hint, place + 1)
        kind = match.lastgroup if match.lastgroup != "offset" else "now"
        start = match.start(kind or 0)
        found.append(_token(kind or "", match, start + 1))
        place = match.end()
    found.append(Token("end", "", len(text) + 1))
    return found


def _token(kind: str, match: re.Match[str], position: int) -> Token:
    value = match[kind]
    match kind:
        case "string":
            quote = value[0]
            return Token(kind, value[1:-1].replace(quote * 2, quote), position)
        case "now":
            offset = "".join((match["offset"] or "+0d").split()).lower()
            return Token(kind, int(offset[:-1]) * _UNITS[offset[-1]], position)
        case "word" if value.lower() in FILTER_WORDS:
            return Token("keyword", value.lower(), position)
        case _:
            return Token(kind, value, position)


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._place = 0
        self._depth = 0
        self._tests = 0

    def whole(self) -> Node:
        node = self._or()
        if self._peek().kind != "end":
            raise self._fault("'and', 'or' or the end was expected")
        return node

    def _or(self) -> Node:
        return self._joined("or", self._and)

    def _and(self) -> Node:
        return self._joined("and", self._not)

    def _joined(self, word: Any, part: Any) -> Node:
        parts = [part()]
        while self._take("keyword", word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Junction(word, tuple(parts))

    def _not(self) -> Node:
        negations = 0
        while self._take("keyword", "not"):
            negations += 1
        node = self._primary()
        # An even number of negations cancels out; a chain of them must not nest.
        return Not(node) if negations % 2 else node

    def _primary(self) -> Node:
        if not self._take("mark", "("):
            return self._test()
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._fault(f"more than {MAX_DEPTH} parentheses inside each other")
        node = self._or()
        self._expect("mark", ")", "a closing parenthesis was expected")
        self._depth -= 1
        return node

    def _test(self) -> Node:
        self._tests += 1
        if self._tests > MAX_TESTS:
            raise self._fault(f"more than {MAX_TESTS} tests")
        operand = self._operand()
        if self._take("keyword", "is"):
            negated = self._take("keyword", "not")
            self._expect("keyword", "null", "'null' was expected")
            return Null(operand, negated)
        if self._take("keyword", "not"):
            self._expect("keyword", "in", "'in' was expected")
            return In(operand, self._list(), negated=True)
        if self._take("keyword", "in"):
            return In(operand, self._list(), negated=False)
        for word in ("contains", "startswith"):
            if self._take("keyword", word):
                literal = self._literal()
                if literal.kind != "string":
                    raise FilterFault("a text in quotes was expected", literal.position)
                return Like(operand, literal, at_start=word == "startswith")
        token = self._peek()
        if token.kind != "operator":
            raise self._fault(f"a comparison was expected: {_COMPARISONS}")
        self._place += 1
        return Compare(operand, token.value, self._literal())

    def _operand(self) -> Operand:
        token = self._peek()
        if token.kind != "word":
            raise self._fault("the name of an attribute was expected")
        self._place += 1
        kinds = {"subscriptions": "subscription", "segmentations": "segmentation"}
        if not self._take("mark", "."):
            return Operand("attribute", token.value, token.position)
        kind: Any = kinds.get(token.value.lower())
        if kind is None:
            advice = meant(token.value, kinds) or _OTHER_TABLES
            raise FilterFault(f"only 'subscriptions.' and 'segmentations.' have members{advice}", token.position)
        name = self._peek()
        if name.kind not in {"word", "string", "keyword"}:
            raise self._fault(f"the name of a {kind} was expected; one with blanks in quotes")
        self._place += 1
        return Operand(kind, name.value, name.position)

    def _list(self) -> tuple[Literal_, ...]:
        self._expect("mark", "(", "an opening parenthesis was expected")
        literals = [self._literal()]
        while self._take("mark", ","):
            literals.append(self._literal())
        self._expect("mark", ")", "a comma or a closing parenthesis was expected")
        return tuple(literals)

    def _literal(self) -> Literal_:
        token = self._peek()
        self._place += 1
        match token.kind:
            case "string" | "number" | "moment" | "now":
                return Literal_(token.kind, token.value, token.position)
            case "keyword" if token.value in {"true", "false"}:
                return Literal_("bool", token.value == "true", token.position)
            case "keyword" if token.value == "null":
                raise FilterFault("nothing equals null: use 'is null' or 'is not null'", token.position)
            case _:
                self._place -= 1
                if token.kind == "operator":
                    raise self._fault("comparisons are =, !=, <, <=, > and >=; a value was expected")
                raise self._fault("a value was expected: a text in quotes, a number, true, false, a date or now()")

    def _peek(self) -> Token:
        return self._tokens[self._place]

    def _take(self, kind: str, value: str) -> bool:
        token = self._peek()
        if token.kind == kind and token.value == value:
            self._place += 1
            return True
        return False

    def _expect(self, kind: str, value: str, message: str) -> None:
        if not self._take(kind, value):
            raise self._fault(message)

    def _fault(self, message: str) -> FilterFault:
        return FilterFault(message, self._peek().position)
