"""The HTML of a mail from what was uploaded: the file itself, or a zip with one HTML file and its images.

Names of entries are compared with the references in the HTML and used for nothing else.
"""

import io
import posixpath
import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from tabellion.features.campaigns.store import Image
from tabellion.kit.problem import Malformed
from tabellion.platform.files import ArchiveError, Entry, Kind, contents, inflate, kind_of

MAX_HTML_BYTES = 2 * 1024 * 1024
_MAX_TOTAL_BYTES, _MAX_IMAGE_BYTES, _MAX_IMAGES = 30 * 1024 * 1024, 5 * 1024 * 1024, 200
_CODECS = {"utf8": "utf-8-sig", "utf-8": "utf-8-sig", "iso-8859-1": "latin-1", "iso-8859-15": "iso-8859-15"}
# By content: what an entry is called says nothing. SVG is a document that runs scripts.
_IMAGES = ((b"GIF8", "image/gif"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
_REFERENCE = re.compile(r"""(?<=["'(])\s*([^"'()<>\s][^"'()<>]*?)\s*(?=["')])""")

# Several of them in one attribute, each with the width or density that it is for.
_SEVERAL = re.compile(r"""(?i)\bsrcset\s*=\s*(?:"[^"]*"|'[^']*')""")
_EACH = re.compile(r"""([^\s,"'=]+)""")


class Html(NamedTuple):
    """The HTML with hosted addresses, and the images behind them."""

    html: str
    images: list[Image]


def read_html(path: Path, charset: str, address: Callable[[str, str], str]) -> Html:
    """The content of an uploaded file; `address(token, name)` gives the address of an image. Raises `Malformed`."""
    if kind_of(path) is Kind.PLAIN:
        return Html(decoded(path.read_bytes(), charset), [])
    try:
        return _from_zip(path, charset, address)
    except ArchiveError as error:
        raise Malformed(f"the file cannot be used: {error}") from None


def decoded(raw: bytes, charset: str) -> str:
    """HTML as text. Raises `Malformed`."""
    codec = _CODECS.get(charset.strip().lower())
    if codec is None:
        raise Malformed(f"the charset '{charset[:30]}' is none of utf-8, iso-8859-1, iso-8859-15")
    if len(raw) > MAX_HTML_BYTES:
        raise Malformed(f"the HTML is over {MAX_HTML_BYTES:,} bytes")
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        where = f"byte {error.start} (line {line})"
        raise Malformed(f"the HTML is not in {charset}: {where}; say with 'charset' what it is in") from None
    if "\0" in text:
        raise Malformed("the HTML holds a character NUL, which no text may have")
    if not text.strip():
        raise Malformed("the HTML is empty")
    return text


def _from_zip(path: Path, charset: str, address: Callable[[str, str], str]) -> Html:
    entries = [entry for entry in contents(path, cap=_MAX_TOTAL_BYTES) if not _is_clutter(entry.name)]
    pages = [entry for entry in entries if entry.name.lower().endswith((".html", ".htm"))]
    if len(pages) != 1:
        raise Malformed(f"the zip has {len(pages)} HTML files; one is wanted, and its images in folders beside it")
    folder = posixpath.dirname(pages[0].name)
    html = decoded(_bytes(path, pages[0], MAX_HTML_BYTES), charset)
    images: dict[str, Image] = {}
    for entry in entries:
        if entry is not pages[0] and (found := _image(path, entry)) is not None:
            images[_key(entry.name)] = found
    if len(images) > _MAX_IMAGES:
        raise Malformed(f"the zip has {len(images)} images; at most {_MAX_IMAGES} are taken")
    used: dict[str, Image] = {}

    def hosted(match: re.Match[str]) -> str:
        key = _key(posixpath.join(folder, unquote(match[1])))
        image = images.get(key)
        if image is None:
            return match[0]
        used[key] = image
        return address(image.token, posixpath.basename(key))

    rewritten = _REFERENCE.sub(hosted, html)
    rewritten = _SEVERAL.sub(lambda several: _EACH.sub(hosted, several[0]), rewritten)
    return Html(rewritten, list(used.values()))


def _image(path: Path, entry: Entry) -> Image | None:
    raw = _bytes(path, entry, _MAX_IMAGE_BYTES)
    media_type = next((type_ for magic, type_ in _IMAGES if raw.startswith(magic)), None)
    if media_type is None and raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        media_type = "image/webp"
    return None if media_type is None else Image(secrets.token_urlsafe(16), media_type, raw)


def _bytes(path: Path, entry: Entry, most: int) -> bytes:
    if entry.size > most:
        raise Malformed(f"'{entry.name[:60]}' is over {most:,} bytes")
    out = io.BytesIO()
    inflate(path, entry, out)
    return out.getvalue()


def _key(name: str) -> str:
    return posixpath.normpath(name.replace("\\", "/")).lower()


def _is_clutter(name: str) -> bool:
    """What packing programs add by themselves."""
    return name.startswith("__MACOSX/") or posixpath.basename(name).startswith(".")
