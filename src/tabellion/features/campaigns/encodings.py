"""From the bytes of an upload to its text, in the encoding that it says; and what a mail says of its own."""

import re

from tabellion.kit.charsets import CHARSETS, LATIN_1, UTF_8, UTF_16, WINDOWS_1252, charset_named
from tabellion.kit.problem import Malformed

MAX_HTML_BYTES = 2 * 1024 * 1024
# Where a text says what it is in, if it does.
_HEAD_BYTES = 4096
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
# Where bytes are read otherwise than by the name of their encoding: without a byte-order mark, or as `_WINDOWS` has them.
_CODECS = {UTF_8: "utf-8-sig", WINDOWS_1252: LATIN_1}
# Windows-1252, which is what browsers read as ISO-8859-1 (WHATWG Encoding Standard); five bytes are control characters.
_WINDOWS = {byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(0x80, 0xA0)}
# What begins so is no HTML, whatever it is called.
_OTHERS = (
    (b"%PDF-", "a PDF"), (b"GIF8", "a GIF"), (b"\x89PNG", "a PNG"), (b"\xff\xd8\xff", "a JPEG"), (b"RIFF", "a WebP"),
    (b"{\\rtf", "an RTF"), (b"\xd0\xcf\x11\xe0", "an Office document"), (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
)  # fmt: skip
_DECLARED = re.compile(r"""(?i)(<meta\b[^<>]{0,300}?\bcharset\s*=\s*["']?)[\w.:-]{1,40}""")


def charset_of(raw: bytes, usual: str) -> str:
    """What a text is in of which nobody has said it: the usual, unless it is in another one and says so."""
    if mark := next((charset for mark, charset in _MARKS if raw.startswith(mark)), None):
        return mark
    if raw.isascii():
        return usual
    # Hardly any text is UTF-8 without being meant so; any octets can be in an encoding of single ones.
    if _can_be(raw, "utf-8"):
        return "utf-8"
    found = _DECLARED.search(raw[:_HEAD_BYTES].decode("ascii", "replace"))
    said = found[0].removeprefix(found[1]) if found else usual
    return usual if charset_named(said) in {UTF_8, UTF_16} else said


def _can_be(raw: bytes, codec: str) -> bool:
    try:
        raw.decode(codec)
    except UnicodeDecodeError:
        return False
    return True


def decoded(raw: bytes, charset: str, what: str = "the HTML") -> str:
    """A text that was uploaded. Raises `Malformed`."""
    known = charset_named(charset)
    if known is None:
        raise Malformed(f"the charset '{charset[:30]}' is none of {', '.join(CHARSETS).lower()}")
    codec = _CODECS.get(known, known)
    if len(raw) > MAX_HTML_BYTES:
        raise Malformed(f"{what} is over {MAX_HTML_BYTES:,} bytes")
    if other := next((name for magic, name in _OTHERS if raw.startswith(magic)), None):
        raise Malformed(f"this is {other} file, and {what} was wanted")
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        where = f"byte {error.start} (line {line})"
        raise Malformed(f"{what} is not in {charset}: {where}; say with 'charset' what it is in") from None
    if codec == LATIN_1:
        text = text.translate(_WINDOWS)
    if "\0" in text:
        raise Malformed(f"{what} holds a character NUL, which no text may have")
    if not text.strip():
        raise Malformed(f"{what} is empty")
    return text


def declared(html: str, charset: str) -> str:
    """HTML that says of itself what it is sent in, where it says anything of it."""
    return _DECLARED.sub(lambda found: f"{found[1]}{charset.lower()}", html)
