"""The HTML of a mail from what was uploaded: the file itself, or a zip with one HTML file, its images and style sheets.

Names of entries are compared with the references in the HTML and used for nothing else.
"""

import base64
import binascii
import contextlib
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

from tabellion.features.campaigns.encodings import MAX_HTML_BYTES, charset_of, decoded
from tabellion.features.campaigns.store import Image
from tabellion.kit.problem import Malformed
from tabellion.platform.files import ArchiveError, Entry, Kind, contents, inflate, kind_of

_MAX_TOTAL_BYTES, _MAX_IMAGE_BYTES, _MAX_IMAGES = 30 * 1024 * 1024, 5 * 1024 * 1024, 200
# By content: what an entry is called says nothing. SVG is a document that runs scripts.
_IMAGES = ((b"GIF8", "image/gif"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))
_REFERENCE = re.compile(r"""(?<=["'(])([^"'()<>]++)(?=["')])""")
# What stands before a value that is words, though it may be the name of a file. Not before names in Liquid.
_WORDS = re.compile(r"""(?i)(?<![\w-])(?<!assign )(?:alt|title|aria-label)\s{0,9}=\s{0,9}["']\Z""")
_BEFORE = 40
# Names may hold brackets, and quotes of the other kind. Within attributes quotes are written as references.
_ATTRIBUTE = re.compile(r"""(=\s*)(?:"([^"<>]++)"|'([^'<>]++)')""")
_URL = re.compile(r"""(?i)(\burl\(\s*(["']|&quot;|&apos;|&#0?3[49];|&#x2[27];))((?:(?!\2)[^<>\n]){1,1000}+)\2""")

# Several of them in one attribute, each with the width or density that it is for (HTML, 4.8.4.2.1).
_SEVERAL = re.compile(r"""(?i)\bsrcset\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_EACH = re.compile(r"[^\s,](?:\S*[^\s,])?")
# The value that stands without quotes, with what stands before it.
_BARE = re.compile(r"""(?i)(?<=[\s"'])((?:src|srcset|background|poster)\s*=\s*)([^\s"'<>=]+)""")
_EMBEDDED = re.compile(r"(?i)data:image/[a-z.+-]{1,20};base64,([a-z0-9+/=%\s]{20,}+)")
_LINK = re.compile(r"(?i)<link\b[^<>]{0,1000}>")
_STYLE_SHEET = re.compile(r"""(?i)\brel\s*=\s*["']?stylesheet\b""")
_HREF = re.compile(r"""(?i)\bhref\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+))""")
_MEDIA = re.compile(r"""(?i)\bmedia\s*=\s*(?:"([^"<>]*)"|'([^'<>]*)')""")


class Html(NamedTuple):
    """The HTML with hosted addresses, and the images behind them."""

    html: str
    images: list[Image]


def of_page(raw: bytes, charset: str | None, usual: str, address: Callable[[str, str], str]) -> Html:
    """The content of a page by itself, and the images that are written into it. Raises `Malformed`."""
    found = _Found({}, address)
    html = decoded(raw, charset or charset_of(raw, usual))
    return Html(found.unpacked(html), list(found.used.values()))


def read_html(path: Path, charset: str | None, usual: str, address: Callable[[str, str], str]) -> Html:
    """The content of an uploaded file; `address(token, name)` gives the address of an image.

    `charset` None: nobody has said it, and it is the usual one unless the file says otherwise. Raises `Malformed`.
    """
    if kind_of(path) is Kind.PLAIN:
        return of_page(path.read_bytes(), charset, usual, address)
    try:
        return _from_zip(path, charset, usual, address)
    except ArchiveError as error:
        raise Malformed(f"the file cannot be used: {error}") from None


def _from_zip(path: Path, charset: str | None, usual: str, address: Callable[[str, str], str]) -> Html:
    entries = [entry for entry in contents(path, cap=_MAX_TOTAL_BYTES) if not _is_clutter(entry.name)]
    pages = [entry for entry in entries if entry.name.lower().endswith((".html", ".htm"))]
    if len(pages) != 1:
        names = ", ".join(f"'{_path(page.name)[:60]}'" for page in pages[:3])
        which = f" ({names}{', ...' if len(pages) > 3 else ''})" if pages else ""  # noqa: PLR2004 - names enough
        raise Malformed(f"the zip has {len(pages)} HTML files{which}; one is wanted, and its images in folders beside it")
    folder = posixpath.dirname(_path(pages[0].name))
    raw = _bytes(path, pages[0], MAX_HTML_BYTES)
    charset = charset or charset_of(raw, usual)
    html = decoded(raw, charset)
    images: dict[str, Image] = {}
    count = 0
    for entry in entries:
        if entry is not pages[0] and (found := _image(path, entry)) is not None:
            count += 1
            for name in _names(entry.name):
                images.setdefault(_key(name), found)
    if count > _MAX_IMAGES:
        raise Malformed(f"the zip has {count} images; at most {_MAX_IMAGES} are taken")
    found = _Found(images, address)
    styles = _StyleSheets(path, entries, charset)
    html = _LINK.sub(lambda link: styles.element(link[0], folder, found) or link[0], html)
    return Html(found.unpacked(found.rewritten(html, folder)), list(found.used.values()))


class _Found:
    """The images of a zip, and those that are written into its HTML; `used` fills with those that something refers to."""

    def __init__(self, images: dict[str, Image], address: Callable[[str, str], str]) -> None:
        self.used: dict[str, Image] = {}
        self._images, self._address = images, address
        self._embedded: dict[bytes, Image] = {}

    def rewritten(self, source: str, folder: str) -> str:
        """A source with addresses in the place of references; `folder`: where it lies in the zip."""
        source = _REFERENCE.sub(lambda one: self._reference(one, folder) or one[0], source)
        source = _ATTRIBUTE.sub(lambda one: self._attribute(one, folder) or one[0], source)
        source = _URL.sub(lambda one: one[1] + (self._hosted(one[3].strip(), folder) or one[3]) + one[2], source)
        source = _BARE.sub(lambda bare: bare[1] + (self._hosted(bare[2], folder) or bare[2]), source)
        return _SEVERAL.sub(lambda several: self._several(several, folder), source)

    def _several(self, found: re.Match[str], folder: str) -> str:
        start, end = (at - found.start() for at in found.span(1 if found[1] is not None else 2))
        each = _EACH.sub(lambda one: self._one_of_several(one[0], folder), found[0][start:end])
        return f"{found[0][:start]}{each}{found[0][end:]}"

    def _one_of_several(self, said: str, folder: str) -> str:
        # `600w,b.png` has the end of one and the beginning of the next; names may have commas, too.
        return self._hosted(said, folder) or ",".join(self._hosted(part, folder) or part for part in said.split(","))

    def _reference(self, found: re.Match[str], folder: str) -> str | None:
        return None if _is_words(found, 1) else self._hosted(found[1].strip(), folder)

    def _attribute(self, found: re.Match[str], folder: str) -> str | None:
        value = 2 if found[2] else 3
        hosted = None if _is_words(found, value) else self._hosted(found[value].strip(), folder)
        return f'{found[1]}"{hosted}"' if hosted else None

    def _hosted(self, reference: str, folder: str) -> str | None:
        key = next((key for key in _keys(reference, folder) if key in self._images), None)
        if key is None:
            return None
        image = self._images[key]
        self.used[image.token] = image
        return self._address(image.token, posixpath.basename(key))

    def unpacked(self, source: str) -> str:
        """A source with addresses in the place of images that are written into it, which many mail programs do not show."""
        return _EMBEDDED.sub(lambda one: self._unpacked(one[1]) or one[0], source)

    def _unpacked(self, text: str) -> str | None:
        try:
            raw = base64.b64decode(unquote("".join(text.split())), validate=True)
        except (binascii.Error, ValueError):
            return None
        known = self._embedded.get(raw)
        image = known or _of_bytes(raw)
        if image is None or len(raw) > _MAX_IMAGE_BYTES or (known is None and len(self.used) >= _MAX_IMAGES):
            return None
        self._embedded[raw] = self.used[image.token] = image
        number = list(self._embedded).index(raw) + 1
        return self._address(image.token, f"embedded-{number}.{image.media_type.partition('/')[2]}")


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
            self._read[key] = images.rewritten(_styles(raw, self._charset, name), posixpath.dirname(_path(name)))
        self._left -= len(self._read[key])
        if self._left < 0:
            raise Malformed(f"the style sheets are over {MAX_HTML_BYTES:,} characters")
        media = _MEDIA.search(link)
        attribute = f' media="{next(filter(None, media.groups()), "all")}"' if media else ""
        return f"<style{attribute}>\n{self._read[key]}\n</style>"


def _is_words(found: re.Match[str], value: int) -> bool:
    """Whether a value is for those who do not see the image."""
    start = found.start(value)
    return _WORDS.search(found.string, max(0, start - _BEFORE), start) is not None


def _styles(raw: bytes, charset: str, name: str) -> str:
    if not raw.strip():
        return ""
    styles = decoded(raw, charset, f"the style sheet '{name[:60]}'")
    if "</style" in styles.lower():
        raise Malformed(f"the style sheet '{name[:60]}' holds '</style'")
    return styles


def _keys(reference: str, folder: str) -> list[str]:
    """What a reference may mean in the zip: as it stands, unescaped, and without query and fragment."""
    plain = unescape(reference)
    both = (plain, re.split(r"[?#]", plain, maxsplit=1)[0])
    names = [name for each in both if each for name in (each, unquote(each, "utf-8"), unquote(each, "cp1252"))]
    # What is looked for from the root of a website lies beside the page in a zip of one folder.
    names += [name.lstrip("/") for name in names if re.match("/[^/]", name)]
    return [_key(posixpath.join(folder, _path(name))) for name in dict.fromkeys(names)]


def _image(path: Path, entry: Entry) -> Image | None:
    return _of_bytes(_bytes(path, entry, _MAX_IMAGE_BYTES))


def _of_bytes(raw: bytes) -> Image | None:
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


def _path(name: str) -> str:
    """A name with slashes between folders, whatever the program that packed it has there."""
    return name.replace("\\", "/")


def _names(name: str) -> list[str]:
    """What a name may be: zips do not say which code page of DOS or Windows a name beyond ASCII is in."""
    found = [name]
    if not name.isascii():
        for charset in ("cp850", "cp1252"):
            with contextlib.suppress(UnicodeError):
                found.append(name.encode("cp437").decode(charset))
    return found


def _key(name: str) -> str:
    # Letters with accents are one character or two, depending on the program that packed them. Nothing is above the root.
    return normalize("NFC", posixpath.normpath(posixpath.join("/", _path(name).lower())))


def _is_clutter(name: str) -> bool:
    """What packing programs add by themselves."""
    path = _path(name)
    return path.startswith("__MACOSX/") or posixpath.basename(path).startswith(".")
