"""By what a person is known where data are kept as text: news on their way, answers, files."""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote

# `joann@` does not have `ann@` in it; but what comes before may be the end of something escaped: of an octet in an address
# of a call (%3d), of a character in JSON (\n, \u00a0), of an octet as the database prints it (\302). Nor does
# `ann@example.com.au` have `ann@example.com` in it; a dot with anything else behind it ends a sentence.
_LETTER_BEFORE, _LETTER_AFTER = "[a-z0-9._+-]", "[a-z0-9]"
_BEFORE = (rf"(?<!{_LETTER_BEFORE})", r"(?<=%[0-9a-f]{2})", r"(?<=\\[bfnrt])", r"(?<=\\u[0-9a-f]{4})", r"(?<=\\[0-7]{3})")
_AFTER = rf"(?!-|\.?{_LETTER_AFTER})"
_ESCAPES = {ord("\\"): r"\\", **{octet: f"\\{octet:03o}" for octet in range(0x80, 0x100)}}
# What LIKE does not take as it stands.
_WILD = str.maketrans({sign: f"\\{sign}" for sign in "\\%_"})

_ENCODINGS = ("utf-8", "cp1252", "utf-16-le", "utf-16-be")


class Traces(NamedTuple):
    """`texts`: spellings of an address, in lower case, and with letters beyond ASCII in capitals; `rows`: ids (table, row)
    of profiles on the wire, and `records` those of records that go with them; `mails`: ids of their mails.
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
        return _pattern(self.texts)

    @property
    def likes(self) -> list[str]:
        """Patterns of LIKE for the texts, wherever they stand: to be asked first."""
        return _likes(self.texts)

    @property
    def escaped(self) -> str | None:
        """As `pattern`, for what `encode(..., 'escape')` of the database makes of octets."""
        return _pattern(map(_escaped, self.texts))

    @property
    def escaped_likes(self) -> list[str]:
        """As `likes`, for the same."""
        return _likes(map(_escaped, self.texts))

    def finder(self) -> Callable[[bytes], bool]:
        """What tells whether a part of a file names the address: in the encodings of files that are written here or sent."""
        wanted = [
            (text.encode(encoding), re.compile(_octets_pattern(text, encoding)))
            for text in self.texts
            for encoding in _ENCODINGS
            if encoding != "cp1252" or _fits(text)
        ]

        def is_in(octets: bytes) -> bool:
            # Letters beyond ASCII keep their case; addresses have them in their domains, in lower case or all in capitals.
            low = octets.lower()
            return any(text in low and pattern.search(low) for text, pattern in wanted)

        return is_in

    @property
    def members(self) -> list[str]:
        """Members (`MEMBER`) of which there is one in news of the person, as JSON in lower case, if they are not named."""
        rows = [member for _, member in self._named_rows()]
        return [*rows, *(f'"interactionid":"{mail}"' for mail in self.mails)]

    def are_in(self, text: str) -> bool:
        """Whether news, as JSON, are of the person."""
        low, pattern = text.lower(), self.pattern
        return (
            (pattern is not None and re.search(pattern, low) is not None)
            or any(f'"interactionid":"{mail}"' in low for mail in self.mails)
            or any(f'"tableid":"{table.lower()}"' in low and member in low for table, member in self._named_rows())
        )

    def _named_rows(self) -> Iterator[tuple[str, str]]:
        """By their tables, rows as receivers are told of them."""
        yield from ((table, f'"profileid":"{row}"') for table, row in self.rows)
        yield from ((table, f'"id":"{row}"') for table, row in self.records)


# A regular expression for what `Traces.members` are some of.
MEMBER = '"(?:profileid|id|interactionid)":"[0-9]+"'


def traces_of(
    forms: Iterable[str],
    rows: Iterable[tuple[str, str]] = (),
    mails: Iterable[int] = (),
    records: Iterable[tuple[str, int]] = (),
) -> Traces:
    """Of an address that may be written in several forms; in addresses of calls as well."""
    texts = {text for form in forms for text in (form.lower(), _with_capitals(form.lower()))}
    texts |= {quote(text, safe="").lower() for text in texts}
    of_records = tuple((table, str(record)) for table, record in records)
    return Traces(tuple(sorted(texts)), tuple(rows), tuple(str(mail) for mail in mails), of_records)


def _with_capitals(text: str) -> str:
    """What stands in capitals, as those make it small who know the case of ASCII alone: octets, and many a database."""
    return "".join(letter if letter.isascii() or len(letter.upper()) > 1 else letter.upper() for letter in text)


def _escaped(text: str) -> str:
    octets = text.encode()
    return "".join(map(_ESCAPES.get, octets, map(chr, octets)))


def _likes(texts: Iterable[str]) -> list[str]:
    return [f"%{text.translate(_WILD)}%" for text in texts]


def _pattern(texts: Iterable[str]) -> str | None:
    any_ = "|".join(map(re.escape, texts))
    return f"(?:{'|'.join(_BEFORE)})(?:{any_}){_AFTER}" if any_ else None


def _octets_pattern(text: str, encoding: str) -> bytes:
    if not encoding.startswith("utf-16"):
        return (_pattern((text,)) or "").encode(encoding)
    high, low = ("", "\0") if encoding.endswith("le") else ("\0", "")
    before, hyphen, dot, after = (f"{high}{letter}{low}".encode() for letter in (_LETTER_BEFORE, "-", r"\.", _LETTER_AFTER))
    return b"(?<!%s)%s(?!%s|(?:%s)?%s)" % (before, re.escape(text.encode(encoding)), hyphen, dot, after)


def _fits(text: str) -> bool:
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True
