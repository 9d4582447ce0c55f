"""A mail as bytes (RFC 5322, 2045, 2046), ready to be signed.

It is written here, which is several times faster than building a tree for each recipient; only names of files are encoded by
the standard library's `email.policy.SMTP`. All lines end with CRLF and have at most 998 octets, and no header can bring
another one along.
"""

import base64
import binascii
import re
from datetime import datetime
from email.policy import SMTP
from email.utils import format_datetime
from functools import lru_cache

import msgspec

from tabellion.kit.domain import in_ascii
from tabellion.platform.mail.octets import Lines, finder

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DOT_ATOM = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_MAX_ADDRESS, _MAX_LINE = 320, 900
# One line of a header, and what one encoded word in it holds (RFC 5322, 2047).
_LINE, _WORD_BYTES = 78, 42
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:; ?[\w-]+=(?:[\w.+-]+|\"[\w .+-]*\"))*", re.ASCII)
# From this share of octets that quoted-printable would triple, base64 is shorter.
_MANY = 1 / 6
# What mailboxes escape, and what a boundary between parts begins with.
_from, _boundary = finder(b"From "), finder(b"--=_")


class Unsendable(ValueError):
    """The mail cannot be written as it was asked for; the message says what is wrong."""


class Attachment(msgspec.Struct, frozen=True):
    """A file that goes with a mail."""

    name: str
    media_type: str
    content: bytes


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail is made of.

    Without `html` it is plain text. `sender` and `reply_to` are addresses, `sender_name` the words before the first.
    `text` and `html` are in UTF-8 and leave in `charset`. `extra` are further headers with ASCII values, structured by
    the caller (List-Unsubscribe): they are taken as they are. `message_id` is without its brackets.
    """

    sender: str
    recipient: str
    subject: str
    text: bytes
    html: bytes
    date: datetime
    message_id: str
    sender_name: str = ""
    reply_to: str = ""
    charset: str = "utf-8"
    extra: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()


def one_line(text: str) -> bool:
    """Whether a text may stand in a header: no control characters, no line ends of any kind."""
    return _CONTROL.search(text) is None


def address_of(text: str) -> str | None:
    """An address as relays take it, the domain in ASCII (IDNA); None where there is no such form."""
    local, at, written = text.strip().rpartition("@")
    domain = in_ascii(written)
    if domain is None:
        return None
    address = f"{local}{at}{domain}"
    return address if len(address) <= _MAX_ADDRESS and _DOT_ATOM.fullmatch(address) else None


def formless(text: str) -> str:
    """Why an address has no form that relays take."""
    if not text.rpartition("@")[0].isascii():
        return "the address has letters beyond ASCII before its @ (ü, for instance), which no mail is sent to (SMTPUTF8)"
    return "the address has a form that mail servers do not take"


def relayed_form(text: str) -> str:
    """An address as relays take it; what has no such form, as it is."""
    return address_of(text) or text


def normal_form(text: str) -> str:
    """What an address is compared by: lower case, the domain in ASCII; of what is no address, the text in lower case."""
    return relayed_form(text).strip().lower()


def compose(mail: Mail) -> Lines:
    """The mail's bytes. Raises `Unsendable`."""
    boundary = f"=_{binascii.hexlify(mail.message_id.encode())[:48].decode()}"
    headers = [
        _sender(mail.sender_name, mail.sender),
        f"To: {_plain(mail.recipient)}\r\n",
        _unstructured("Subject", mail.subject),
        _date(mail.date),
        f"Message-ID: <{mail.message_id}>\r\n",
        *([f"Reply-To: {_plain(mail.reply_to)}\r\n"] if mail.reply_to else []),
        *(_given(name, value) for name, value in mail.extra),
        "MIME-Version: 1.0\r\n",
    ]
    content = _alternative(mail, f"{boundary}a")
    if mail.attachments:
        parts = [content, *(_attached(each) for each in mail.attachments)]
        content = _multipart("mixed", f"{boundary}m", parts)
    return Lines("".join(headers).encode() + content)


def _alternative(mail: Mail, boundary: str) -> bytes:
    if not mail.html:
        return _text("plain", mail.text, mail.charset)
    return _multipart(
        "alternative", boundary, [_text("plain", mail.text, mail.charset), _text("html", mail.html, mail.charset)]
    )


def _multipart(kind: str, boundary: str, parts: list[bytes]) -> bytes:
    line = f"--{boundary}\r\n".encode()
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n'.encode()
    return head + b"".join(line + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()


def _text(kind: str, raw: bytes, charset: str) -> bytes:
    if charset.lower() != "utf-8":
        # What the encoding lacks: HTML has names for it, plain text has not.
        text = raw.decode()
        if kind == "html":
            raw = text.encode(charset, errors="xmlcharrefreplace")
        else:
            try:
                raw = text.encode(charset)
            except UnicodeEncodeError:
                charset = "utf-8"
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not raw.endswith(b"\n"):
        raw += b"\n"
    head = f"Content-Type: text/{kind}; charset={charset.lower()}\r\nContent-Transfer-Encoding: "
    if _is_plain(raw):
        return (head + "7bit\r\n\r\n").encode() + raw.replace(b"\n", b"\r\n")
    beyond = len(raw) - len(raw.translate(None, delete=_BEYOND))
    if beyond > len(raw) * _MANY:
        return (head + "base64\r\n\r\n").encode() + _base64(raw.replace(b"\n", b"\r\n"))
    quoted = binascii.b2a_qp(raw, istext=True)
    if _from(quoted):
        # Mailboxes would put a sign before it, and the signature would not be that of the mail any more.
        # Broken, as the line may have its 76 characters already (RFC 2045, 6.7).
        quoted = _BEGINS_FROM.sub(b"=46ro=\nm ", quoted)
    return (head + "quoted-printable\r\n\r\n").encode() + quoted.replace(b"\n", b"\r\n")


_BEGINS_FROM = re.compile(rb"^From ", re.MULTILINE)
_BEYOND = bytes(range(0x80, 0x100))


def _is_plain(raw: bytes) -> bool:
    """Whether a text needs no encoding on its way: ASCII in lines that nobody folds.

    And none of them may be taken for a boundary between parts, or be one that mailboxes escape.
    """
    if not raw.isascii() or b"\0" in raw or _from(raw) or _boundary(raw):
        return False
    start = 0
    # From line end to line end in steps as long as a line may be.
    while len(raw) - start > _MAX_LINE:
        end = raw.rfind(b"\n", start, start + _MAX_LINE)
        if end < 0:
            return False
        start = end + 1
    return True


def _attached(attachment: Attachment) -> bytes:
    if not one_line(attachment.name):
        raise Unsendable("the name of an attachment has control characters")
    if len(attachment.media_type) > _MAX_ADDRESS or not _MEDIA_TYPE.fullmatch(attachment.media_type):
        raise Unsendable(f"'{attachment.media_type[:100]}' is no media type")
    name = SMTP.fold(
        "Content-Disposition", _parsed("Content-Disposition", f'attachment; filename="{_quotable(attachment.name)}"')
    )
    head = f"Content-Type: {attachment.media_type}\r\nContent-Transfer-Encoding: base64\r\n{name}\r\n"
    return head.encode() + _base64(attachment.content)


def _quotable(name: str) -> str:
    """The name without signs that end it, and without what readers would decode though nobody encoded it (RFC 2047)."""
    return re.sub(r'["\\]|(?<==)\?', "_", name)


def _base64(raw: bytes) -> bytes:
    return base64.encodebytes(raw).replace(b"\n", b"\r\n")


def _plain(address: str) -> str:
    if len(address) > _MAX_ADDRESS or not _DOT_ATOM.fullmatch(address):
        raise Unsendable(f"'{address[:100]}' is no address that a mail can go to")
    return address


@lru_cache(8)
def _date(moment: datetime) -> str:
    return f"Date: {format_datetime(moment)}\r\n"


@lru_cache(256)
def _sender(name: str, address: str) -> str:
    if not one_line(name):
        raise Unsendable("the name of the sender has control characters")
    address = _plain(address)
    if not name:
        return f"From: {address}\r\n"
    if name.isascii() and "=?" not in name and len(name) + len(address) < _LINE - 12:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'From: "{quoted}" <{address}>\r\n'
    return f"From: {_words(name)}\r\n <{address}>\r\n"


def _unstructured(name: str, value: str) -> str:
    """A header of words.

    The standard library is not asked to fold it: it decodes what looks like an encoded word, and writes line ends that were
    hidden in one.
    """
    if not one_line(value):
        raise Unsendable(f"the header {name} has control characters")
    if value.isascii() and "=?" not in value:
        if len(name) + len(value) < _LINE - 2:
            return f"{name}: {value}\r\n"
        if "  " not in value and max(map(len, value.split(" "))) < _LINE - 2:
            return _given(name, value)
    return f"{name}: {_words(value)}\r\n"


def _words(value: str) -> str:
    """A text as encoded words (RFC 2047), one a line, each of whole characters."""
    words: list[str] = []
    chunk = b""
    for character in value:
        octets = character.encode()
        if len(chunk) + len(octets) > _WORD_BYTES:
            words.append(_word(chunk))
            chunk = b""
        chunk += octets
    return "\r\n ".join([*words, _word(chunk)])


def _word(octets: bytes) -> str:
    return f"=?utf-8?b?{binascii.b2a_base64(octets, newline=False).decode()}?="


def _parsed(name: str, value: str) -> str:
    return SMTP.header_factory(name, value)


def _given(name: str, value: str) -> str:
    """A header as it is, folded where it has blanks."""
    if not _NAME.fullmatch(name) or not value.isascii() or not one_line(value):
        raise Unsendable(f"the header {name[:50]} cannot be written")
    if len(name) + len(value) < _LINE - 4:
        return f"{name}: {value}\r\n"
    lines, line = [], f"{name}:"
    for word in value.split(" "):
        if len(line) + len(word) >= 76 and line != f"{name}:":  # noqa: PLR2004 - one line of RFC 5322
            lines.append(line)
            line = ""
        line += f" {word}"
    lines.append(line)
    if any(len(each) > _MAX_LINE for each in lines):
        raise Unsendable(f"the header {name} is too long")
    return "\r\n".join(lines) + "\r\n"
