"""What encodings are called."""

import codecs

import pytest

from tabellion.kit.charsets import CHARSETS, charset_named


@pytest.mark.parametrize(
    ("name", "charset"),
    [
        ("utf8", "UTF-8"),
        ("US-ASCII", "UTF-8"),
        ("utf_16", "UTF-16"),
        ("ISO8859_1", "ISO-8859-1"),
        ("latin1", "ISO-8859-1"),
        ("Latin-9", "ISO-8859-15"),
        ("Cp1252", "Windows-1252"),
        ("windows 1252", "Windows-1252"),
        ("utf-32", None),
        ("", None),
    ],
)
def test_an_encoding_is_known_by_the_names_that_programs_have_for_it(name: str, charset: str | None) -> None:
    assert charset_named(name) == charset


def test_each_is_known_by_its_own_name_and_to_python() -> None:
    assert [charset_named(charset) for charset in CHARSETS] == list(CHARSETS)
    assert [codecs.lookup(charset).name for charset in CHARSETS] == ["utf-8", "utf-16", "iso8859-1", "iso8859-15", "cp1252"]
