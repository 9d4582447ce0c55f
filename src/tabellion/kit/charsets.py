"""The encodings that texts of callers are read in and written in, by whatever name programs have for them."""

import re

UTF_8, UTF_16, LATIN_1, LATIN_9, WINDOWS_1252 = "UTF-8", "UTF-16", "ISO-8859-1", "ISO-8859-15", "Windows-1252"
CHARSETS = (UTF_8, UTF_16, LATIN_1, LATIN_9, WINDOWS_1252)
# By their letters and digits: programs write ISO8859_1, iso-8859-1, latin1 and Cp1252.
_NO_LETTER = re.compile("[^a-z0-9]")
_BY_NAME = {_NO_LETTER.sub("", charset.lower()): charset for charset in CHARSETS} | {
    "usascii": UTF_8,
    "ascii": UTF_8,
    "latin1": LATIN_1,
    "latin9": LATIN_9,
    "cp1252": WINDOWS_1252,
}


def charset_named(name: str) -> str | None:
    """One of `CHARSETS`, as a Content-Type names it and Python knows it too; None for an encoding that is not read."""
    return _BY_NAME.get(_NO_LETTER.sub("", name.lower()))
