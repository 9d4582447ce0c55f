"""The HTML of a mail from what was uploaded: the file itself, or a zip with one HTML file, its images and style sheets.

Names of entries are compared with the references in the HTML and used for nothing else.
"""

import io
import posixpath
import re
import secrets
from collections.abc import Callable, Sequence
from html import unescape
from pathlib import Path
from typing import NamedTuple
from unicodedata import normalize
from urllib.parse import unquote

from tabellion.features.campaigns.encodings import MAX_HTML_BYTES, decoded
from tabellion.features.campaigns.store import Image
from tabellion.kit.problem import Malformed
from tabellion.platform.files import ArchiveError, Entry, Kind, contents, inflate, kind_of

_MAX_TOTAL_BYTES, _MAX_IMAGE_BYTES, _MAX_IMAGES = 30 * 1024 * 1024, 5 * 1024 * 1024, 200
# By content: what an entry is called says nothing. SVG is a document that runs scripts.
_IMAGES = ((b"GIF8", "image/gif"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
_REFERENCE = re.compile(r"""(?<=["'(])\s*([^"'()<>\s][^"'()<>]*?)\s*(?=["')])""")

# Several of them in one attribute, each with the width or density that it is for.
_SEVERAL = re.compile(r"""(?i)\bsrcset\s*=\s*(?:"[^"]*"|'[^']*')""")
_EACH = re.compile(r"""([^\s,"'=]+)""")
# The value that stands without quotes, with what stands before it.
_BARE = re.compile(r"""(?i)(?<=[\s"'])((?:src|background|poster)\s*=\s*)([^\s"'<>=]+)""")
_LINK = re.compile(r"(?i)<link\b[^<>]{0,1000}>")
_STYLE_SHEET = re.compile(r"""(?i)\brel\s*=\s*["']?stylesheet\b""")
_HREF = re.compile(r"""(?i)\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+))""")
_MEDIA = re.compile(r"""(?i)\bmedia\s*=\s*(?:"([^"<>]*)"|'([^'<>]*)')""")


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
    found = _Found(images, address)
    styles = _StyleSheets(path, entries, charset)
    html = _LINK.sub(lambda link: styles.element(link[0], folder, found) or link[0], html)
    return Html(found.rewritten(html, folder), list(found.used.values()))


class _Found:
    """The images of a zip; `used` fills with those that something refers to."""

    def __init__(self, images: dict[str, Image], address: Callable[[str, str], str]) -> None:
        self.used: dict[str, Image] = {}
        self._images, self._address = images, address

    def rewritten(self, source: str, folder: str) -> str:
        """A source with addresses in the place of references; `folder`: where it lies in the zip."""
        source = _REFERENCE.sub(lambda one: self._hosted(one[1], folder) or one[0], source)
        source = _BARE.sub(lambda bare: bare[1] + (self._hosted(bare[2], folder) or bare[2]), source)
        return _SEVERAL.sub(
            lambda several: _EACH.sub(lambda one: self._hosted(one[1], folder) or one[0], several[0]), source
        )

    def _hosted(self, reference: str, folder: str) -> str | None:
        key = next((key for key in _keys(reference, folder) if key in self._images), None)
        if key is None:
            return None
        image = self.used[key] = self._images[key]
        return self._address(image.token, posixpath.basename(key))


class _StyleSheets:
    """The style sheets of a zip; together they may be as long as the HTML."""

    def __init__(self, path: Path, entries: Sequence[Entry], charset: str) -> None:
        self._path, self._charset = path, charset
        self._entries = {_key(entry.name): entry for entry in entries}
        self._read: dict[str, str] = {}
        self._left = MAX_HTML_BYTES

    def element(self, link: str, folder: str, images: _Found) -> str | None:
        """The element with the styles that a `<link>` is for; None: the zip has none for it. Raises `Malformed`."""
        href = _HREF.search(link)
        if href is None or not _STYLE_SHEET.search(link):
            return None
        key = next((key for key in _keys(next(filter(None, href.groups()), ""), folder) if key in self._entries), None)
        if key is None:
            return None
        if key not in self._read:
            name = self._entries[key].name
            raw = _bytes(self._path, self._entries[key], MAX_HTML_BYTES)
            self._read[key] = images.rewritten(_styles(raw, self._charset, name), posixpath.dirname(name))
        self._left -= len(self._read[key])
        if self._left < 0:
            raise Malformed(f"the style sheets are over {MAX_HTML_BYTES:,} characters")
        media = _MEDIA.search(link)
        attribute = f' media="{next(filter(None, media.groups()), "all")}"' if media else ""
        return f"<style{attribute}>\n{self._read[key]}\n</style>"


def _styles(raw: bytes, charset: str, name: str) -> str:
    if not raw.strip():
        return ""
    styles = decoded(raw, charset, f"the style sheet '{name[:60]}'")
    if "</style" in styles.lower():
        raise Malformed(f"the style sheet '{name[:60]}' holds '</style'")
    return styles


def _keys(reference: str, folder: str) -> list[str]:
    """What a reference may mean in the zip: as it stands, and without query and fragment."""
    plain = unescape(reference)
    both = (plain, re.split(r"[?#]", plain, maxsplit=1)[0])
    return [_key(posixpath.join(folder, unquote(each))) for each in dict.fromkeys(both) if each]


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
    # Letters with accents are one character or two, depending on the program that packed them.
    return normalize("NFC", posixpath.normpath(name.replace("\\", "/")).lower())


def _is_clutter(name: str) -> bool:
    """What packing programs add by themselves."""
    return name.startswith("__MACOSX/") or posixpath.basename(name).startswith(".")
