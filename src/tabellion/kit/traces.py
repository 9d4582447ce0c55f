"""By what a person is known where data are kept as text: news on their way, answers, files."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Final, NamedTuple, Protocol
from urllib.parse import quote

from tabellion.kit.letters import capitals

# `joann@` does not have `ann@` in it, nor has `öann@`; but what comes before may be the end of something escaped: of an
# octet in an address of a call (%3d), of a character in JSON (\n, \u00a0), of an octet as the database prints it (\302), if
# that is no letter. Letters beyond ASCII are those from Latin to Hebrew, no others: some scripts set words apart by nothing.
# Nor does `ann@example.com.au` have `ann@example.com` in it; a dot with anything else behind it ends a sentence, and one of
# a file's name (`ann@example.com.csv`) is no part of a domain.
_HEX, _OCTAL, _NEXT = "[0-9a-f]", "[0-7]", ("%", "[89ab]", "[0-9a-f]")
_ESCAPED: tuple[tuple[str, ...], ...] = (
    ("%", _HEX, _HEX), (r"\\", "[bfnrt]"), (r"\\", "u", _HEX, _HEX, _HEX, _HEX), (r"\\", _OCTAL, _OCTAL, _OCTAL),
)  # fmt: skip
_ESCAPED_LETTERS: tuple[tuple[str, ...], ...] = (
    ("%", "c", "[3-9a-f]", *_NEXT), ("%", "d", _OCTAL, *_NEXT), ("%", "e", "1", "%", "b", "[89a-f]", *_NEXT),
    (r"\\", "u", "0", "0", "[c-f]", _HEX), (r"\\", "u", "0", "[1-5]", _HEX, _HEX), (r"\\", "u", "1", "[ef]", _HEX, _HEX),
    (r"\\", "3", "0", "[3-7]", r"\\", "2", _OCTAL, _OCTAL), (r"\\", "3", "[12]", _OCTAL, r"\\", "2", _OCTAL, _OCTAL),
    (r"\\", "3", "4", "1", r"\\", "2", "7", _OCTAL, r"\\", "2", _OCTAL, _OCTAL),
)  # fmt: skip
_ENDINGS = ("csv", "txt", "zip", "gz", "gzip")
_ESCAPES = {ord("\\"): r"\\", **{octet: f"\\{octet:03o}" for octet in range(0x80, 0x100)}}
# What LIKE does not take as it stands.
_WILD = str.maketrans({sign: f"\\{sign}" for sign in "\\%_"})

# In addresses of calls it may be either.
_AT = ("@", "%40")


def _around(no_letter: str, high: str = "", low: str = "") -> tuple[str, str]:
    """What stands before and after an address. `no_letter`: before it; `high`, `low`: what is around each octet of ASCII."""

    def of(*signs: str) -> str:
        return "".join(f"{high}{sign}{low}" for sign in signs)

    escaped = "|".join(f"(?<={of(*each)})" for each in _ESCAPED)
    no_escaped_letter = "".join(f"(?<!{of(*each)})" for each in _ESCAPED_LETTERS)
    over = f"(?!{of('-')}|(?:{of('[.]')})?{of('[a-z0-9]')})"
    endings = f"(?:{'|'.join(of('[.]', *each) for each in _ENDINGS)})+"
    before = f"(?:(?<!{of('[a-z0-9._+-]')}){no_letter}|(?:{escaped}){no_escaped_letter})"
    return before, f"(?:{over}|(?={endings}{over}))"


_TEXT = _around("(?<![\u00c0-\u05ff\u1e00-\u1fff])")
# A file may be in either: octets from 80 to BF end a character in UTF-8, and are one in cp1252, which has few letters there.
_FEW = "[\x8a\x8c\x8e\x9a\x9c\x9e\x9f]"
_OCTETS = _around(
    f"(?<![\xc3-\xd7][\x80-\xbf])(?<!\xe1[\xb8-\xbf][\x80-\xbf])(?<![\xc0-\xff])(?:(?<!{_FEW})|(?<=[\x80-\xff]{_FEW}))"
)
# By encodings, with the octets of a letter.
_AROUND = {
    "utf-8": (_OCTETS, 1),
    "cp1252": (_OCTETS, 1),
    "utf-16-le": (_around("(?<![\xc0-\xff]\0)(?<![\0-\xff][\1-\5\x1e\x1f])", low="\0"), 2),
    "utf-16-be": (_around("(?<!\0[\xc0-\xff])(?<![\1-\5\x1e\x1f][\0-\xff])", high="\0"), 2),
}
# So far before an address what escapes a letter may begin, in octets.
CONTEXT: Final = 32

# What may stand at each place of an address: the letter, or another one that is the same.
_Spelling = list[tuple[str, ...]]


class Traces(NamedTuple):
    """`texts`: forms of an address in lower case; `rows`: ids (table, row) of profiles on the wire, and `records` those of
    records that go with them; `mails`: ids of their mails.
    """

    texts: tuple[str, ...]
    rows: tuple[tuple[str, str], ...] = ()
    mails: tuple[str, ...] = ()
    records: tuple[tuple[str, str], ...] = ()

    @property
    def pattern(self) -> str | None:
        """A regular expression, of Python and PostgreSQL, for the texts, not within other addresses; None without texts.

        The database takes fifteen times as long for it as for `likes`, which most texts have nothing of.
        """
        return _pattern(self._spellings())

    @property
    def likes(self) -> list[str]:
        """Patterns of LIKE for the texts, wherever they stand: to be asked first."""
        return [_like(each) for each in self._spellings()]

    @property
    def escaped(self) -> str | None:
        """As `pattern`, for what `encode(..., 'escape')` of the database makes of octets."""
        return _pattern(self._spellings(_escaped))

    @property
    def escaped_likes(self) -> list[str]:
        """As `likes`, for the same."""
        return [_like(each) for each in self._spellings(_escaped)]

    def finder(self) -> "Finder":
        """What tells whether a part of a file names the address: in the encodings of files that are written here or sent."""
        wanted = [
            (_longest_run(each).encode("latin-1"), re.compile((_pattern([each], around) or "").encode("latin-1")), width)
            for encoding, (around, width) in _AROUND.items()
            for each in self._spellings(partial(_octets, encoding=encoding))
        ]

        def is_in(octets: bytes, begin: int = 0, end: int = sys.maxsize) -> bool:
            low = octets.lower()
            return any(
                found.start() < end and found.start() % width == 0
                for run, pattern, width in wanted
                if run in low
                for found in pattern.finditer(low, begin)
            )

        return is_in

    def _spellings(self, written: Callable[[str], str | None] = str) -> list[_Spelling]:
        """How the texts may stand somewhere, also in addresses of calls. `written`: what is there for a letter.

        The sign in the middle is one thing in each: a longer run to look for first, which few texts have.
        """
        spellings = [[(at,) if letter == "@" else _choices(letter) for letter in text] for text in self.texts for at in _AT]
        made = [[tuple(filter(None, map(written, choices))) for choices in each] for each in spellings]
        return [each for each in made if all(each)]

    @property
    def members(self) -> list[str]:
        """Members (`MEMBER`) of which there is one in news of the person, as JSON in lower case, if they are not named."""
        rows = [member for _, member in self._named_rows()]
        return [*rows, *(f'"interactionid":"{mail}"' for mail in self.mails)]

    def news_finder(self) -> Callable[[str], bool]:
        """What tells whether news, as JSON, are of the person: made once, for there may be hundreds of thousands."""
        wanted = [(_longest_run(each), re.compile(_pattern([each]) or "")) for each in self._spellings()]
        mails = {f'"interactionid":"{mail}"' for mail in self.mails}
        tables: dict[str, set[str]] = {}
        for table, member in self._named_rows():
            tables.setdefault(member, set()).add(f'"tableid":"{table.lower()}"')

        def are_in(text: str) -> bool:
            low = text.lower()
            if any(run in low and pattern.search(low) for run, pattern in wanted):
                return True
            members = set(_MEMBER.findall(low))
            return not members.isdisjoint(mails) or any(
                table in low for member in members & tables.keys() for table in tables[member]
            )

        return are_in

    def _named_rows(self) -> Iterator[tuple[str, str]]:
        """By their tables, rows as receivers are told of them."""
        yield from ((table, f'"profileid":"{row}"') for table, row in self.rows)
        yield from ((table, f'"id":"{row}"') for table, row in self.records)


class Finder(Protocol):
    """See `Traces.finder`."""

    def __call__(self, octets: bytes, begin: int = 0, end: int = sys.maxsize, /) -> bool:
        """Whether the address begins from one place on and before another one. The octets begin with a whole letter."""
        ...


# A regular expression for what `Traces.members` are some of.
MEMBER = '"(?:profileid|id|interactionid)":"[0-9]+"'
_MEMBER = re.compile(MEMBER)


def traces_of(
    forms: Iterable[str],
    rows: Iterable[tuple[str, str]] = (),
    mails: Iterable[int] = (),
    records: Iterable[tuple[str, int]] = (),
) -> Traces:
    """Of an address that may be written in several forms."""
    texts = {form.lower() for form in forms}
    of_records = tuple((table, str(record)) for table, record in records)
    return Traces(tuple(sorted(texts)), tuple(rows), tuple(str(mail) for mail in mails), of_records)


def _choices(letter: str) -> tuple[str, ...]:
    """What is the same as a small letter, where only the case of ASCII is known: its capitals, and all as octets of URLs."""
    if letter.isascii() and letter.isalnum():
        return (letter,)
    capital = letter.upper()
    same = capitals().get(letter, letter) + (capital if len(capital) == 1 else "")
    return tuple(dict.fromkeys([*same, *(quote(each, safe="").lower() for each in same)]))


def _escaped(text: str) -> str:
    octets = text.encode()
    return "".join(map(_ESCAPES.get, octets, map(chr, octets)))


def _octets(text: str, encoding: str) -> str | None:
    """A text in an encoding, its octets as letters; None: it has no place there.

    In lower case as the octets are that are searched: one of two may look like a capital of ASCII (U+0142 is 42 01).
    """
    try:
        return text.encode(encoding).lower().decode("latin-1")
    except UnicodeEncodeError:
        return None


def _like(spelling: _Spelling) -> str:
    """What is there in all spellings."""
    known = (choices[0].translate(_WILD) if len(choices) == 1 else "%" for choices in spelling)
    return f"%{''.join(known)}%"


def _longest_run(spelling: _Spelling) -> str:
    """The longest part that is the same in all spellings."""
    same = groupby(spelling, key=lambda choices: len(choices) == 1)
    return max(("".join(each for (each,) in run) for is_same, run in same if is_same), key=len, default="")


def _pattern(spellings: Iterable[_Spelling], around: tuple[str, str] = _TEXT) -> str | None:
    any_ = "|".join("".join(f"(?:{'|'.join(map(re.escape, choices))})" for choices in each) for each in spellings)
    before, after = around
    return f"{before}(?:{any_}){after}" if any_ else None
