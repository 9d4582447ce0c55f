"""A mail from strangers taken apart, whatever is wrong with it.

The standard library's parser is used with its oldest policy, which leaves headers as they are: what the newer ones do to
hostile headers is slower and more than is needed here.
"""

import email
import html
import re
from collections.abc import Iterator
from email.header import decode_header
from email.message import Message
from typing import NamedTuple

# Reports stand at the beginning; what follows is the mail that was sent, which we know.
MOST_BYTES = 256 * 1024
_MOST_PARTS, _MOST_TEXT, _MOST_HEADER = 60, 64_000, 1_000
_BLOCKS = re.compile(r"</?(?:p|br|div|tr|li|h\d|pre|table|td)\b", re.IGNORECASE)


class Part(NamedTuple):
    """A part that is not made of others. `fields`: of reports, group by group, names in lower case."""

    kind: str
    text: str
    fields: tuple[dict[str, str], ...] = ()


class Opened(NamedTuple):
    """A mail: its headers (names in lower case, the first of each), and its parts up to the mail that was returned."""

    headers: dict[str, str]
    kind: str
    report: str
    parts: tuple[Part, ...]

    def header(self, name: str) -> str:
        """A header's text, or nothing."""
        return self.headers.get(name, "")


def opened(raw: bytes) -> Opened:
    """Take a mail apart. Never raises: what cannot be taken apart is one text."""
    raw = raw[:MOST_BYTES]
    try:
        message = email.message_from_bytes(_tamed(raw))
        headers: dict[str, str] = {}
        for name, value in message.items()[:300]:
            headers.setdefault(name.lower(), decoded(str(value)))
        parts = tuple(_parts(message))
        report = str(message.get_param("report-type", "") or "").lower()
        return Opened(headers, message.get_content_type(), report, parts)
    except Exception:  # noqa: BLE001 - the parser was not written for what strangers send; they get no further than this
        text = raw[:_MOST_TEXT].decode("latin-1")
        return Opened({}, "text/plain", "", (Part("text/plain", text),))


def _tamed(raw: bytes) -> bytes:
    """The mail with its content headers cut to a length: the parser's time grows with the square of theirs."""
    lines: list[bytes] = []
    length = -1
    for line in raw.splitlines(keepends=True):
        if line[:1] not in {b" ", b"\t"}:
            length = 0 if line[:8].lower() == b"content-" else -1
        if length >= 0:
            length += len(line)
            if length > _MOST_HEADER:
                if len(line) == length:
                    lines.append(line[:_MOST_HEADER] + b"\n")
                continue
        lines.append(line)
    return b"".join(lines)


def decoded(value: str) -> str:
    """A header's text, its encoded words decoded as far as that is possible."""
    value = value[:_MOST_HEADER]
    if "=?" not in value:
        return " ".join(value.split())
    try:
        pieces = [
            piece if isinstance(piece, str) else piece.decode(_charset(charset), "replace")
            for piece, charset in decode_header(value)
        ]
    except (ValueError, LookupError):
        return " ".join(value.split())
    return " ".join("".join(pieces).split())


def _parts(message: Message) -> Iterator[Part]:
    """The parts in order, without going into the mail that was returned."""
    waiting: list[Message] = [message]
    seen = 0
    while waiting and seen < _MOST_PARTS:
        part = waiting.pop(0)
        seen += 1
        kind = part.get_content_type()
        payload = part.get_payload()
        if kind in {"message/delivery-status", "message/feedback-report", "message/disposition-notification"}:
            yield _report(kind, part)
        elif kind in {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global"}:
            yield Part(kind, _inner(part))
        elif part.is_multipart() and isinstance(payload, list):
            waiting[:0] = [each for each in payload if isinstance(each, Message)]
        elif kind.startswith("text/") or part is message:
            text = _text(part)
            yield Part(kind, flat(text) if kind == "text/html" else text)


def _report(kind: str, part: Message) -> Part:
    payload = part.get_payload()
    if isinstance(payload, list):
        text = "\n\n".join(str(each) for each in payload if isinstance(each, Message))
    else:
        text = _text(part)
    # Some encode the report as a whole, which the standard forbids and the parser does not expect.
    if "base64" in str(part.get("Content-Transfer-Encoding", "")).lower() and ":" not in text[:200]:
        again = email.message_from_string(f"Content-Transfer-Encoding: base64\n\n{text}")
        text = _text(again)
    return Part(kind, text[:_MOST_TEXT], fields_of(text[:_MOST_TEXT]))


def fields_of(text: str) -> tuple[dict[str, str], ...]:
    """The fields of a report: groups between empty lines, long fields unfolded, the first of each name."""
    groups: list[dict[str, str]] = []
    group: dict[str, str] = {}
    last = ""
    for line in text.splitlines()[:2_000]:
        if not line.strip():
            if group:
                groups.append(group)
            group, last = {}, ""
        elif line[0] in " \t" and last:
            group[last] += f" {line.strip()}"
        else:
            name, colon, value = line.partition(":")
            name = name.strip().lower()
            if colon and name and " " not in name:
                last = name if name not in group else ""
                group.setdefault(name, value.strip())
            elif last:
                # A diagnostic whose further lines were not indented.
                group[last] += f" {line.strip()}"
    if group:
        groups.append(group)
    return tuple({name: value[:4_000] for name, value in each.items()} for each in groups)


def flat(text: str) -> str:
    """The words of HTML."""
    text = _BLOCKS.sub(r"\n\g<0>", text)
    found: list[str] = []
    place = 0
    while (begin := text.find("<", place)) >= 0:
        found.append(text[place:begin])
        end = text.find(">", begin)
        if end < 0:
            break
        place = end + 1
    else:
        found.append(text[place:])
    return html.unescape("".join(found))


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return ""
    charset = part.get_content_charset()
    return payload[:_MOST_TEXT].decode(_charset(charset), "replace")


def _inner(part: Message) -> str:
    payload = part.get_payload()
    if isinstance(payload, list) and payload and isinstance(payload[0], Message):
        return str(payload[0])[:_MOST_TEXT]
    return _text(part)


def _charset(name: str | None) -> str:
    try:
        "".encode(name or "utf-8")
    except (LookupError, ValueError):
        return "latin-1"
    return "utf-8" if not name or name.lower() in {"us-ascii", "ascii", "unknown-8bit", "8bit"} else name
