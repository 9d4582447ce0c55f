"""Forms with files (multipart/form-data, RFC 7578), written to the spool while they arrive.

Files get names of our own; what the client calls them is only shown. Fields stay in memory.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from tabellion.kit.problem import Invalid, Malformed, Problem, invalid

_MAX_FIELDS, _MAX_FIELD_BYTES, MAX_FILES = 100, 256 * 1024, 20
# Boundaries, headers and fields around the files.
_AROUND_BYTES = 1024 * 1024
_WRITE_BYTES = 1024 * 1024
_LF = "lines of it end with a line feed alone (\\n); those of boundaries and of the heads of parts end with \\r\\n"
_BEHIND = "behind a boundary there is neither the end of its line (\\r\\n) nor '--'"
# The parser's words, in words for people.
_WORDS = {
    "Invalid line break after first boundary": _LF,
    "Invalid line break in segment header": _LF,
    "Unexpected byte in front of first boundary": "what stands in front of its first boundary does not end with \\r\\n",
    "Unexpected byte after first boundary": _BEHIND,
    "Unexpected bytes after boundary": _BEHIND,
    "Segment header failed to decode": "the head of a part is not in UTF-8",
    "Malformed segment header": "a line in the head of a part has no colon; is the empty line after the head missing?",
    "Invalid segment header name": "a line in the head of a part begins with what is no name of a header",
    "Unexpected segment header continuation": "the head of a part begins with a blank",
    "Maximum segment header length exceeded": "a line in the head of a part is too long",
    "Maximum segment header count exceeded": "the head of a part has too many lines",
    "Maximum segment count exceeded": f"it has more than {_MAX_FIELDS + MAX_FILES} parts",
    "Missing Content-Disposition segment header": "a part has no Content-Disposition, which names its field",
    "Invalid Content-Disposition segment header: Wrong type": "the Content-Disposition of a part is not form-data",
}


class FileTooLarge(Problem):
    """The file is over the limit of the licence's bulk calls (`GET /usage/v5/usage` tells it). Send it in several parts."""

    code = "file.tooLarge"

    def __init__(self, limit: int, version: str) -> None:
        super().__init__(f"the file is over {limit:,} bytes, the licence's limit for the file of a bulk call")
        if version == "v5":
            self.status = 413  # pyright: ignore[reportAttributeAccessIssue] - of this one


class FormExpected(Problem):
    """The call reads a form with files: `multipart/form-data`."""

    status = 415
    code = "contentType.unsupported"


class UploadedFile(NamedTuple):
    """A file of the form; `client_name` and `media_type` are what the client says. `sha256` is of its content."""

    field: str
    client_name: str
    path: Path
    size: int
    sha256: bytes
    media_type: str = ""


class Upload:
    """What a form held. Whoever wants to keep a file moves it away; `discard` deletes the rest."""

    def __init__(self, *, named: bool = False) -> None:
        self.fields: dict[str, str] = {}
        self.files: list[UploadedFile] = []
        self._named = named

    def file(self, field: str) -> UploadedFile | None:
        """The first file under a name."""
        return next((file for file in self.files if file.field == field), None)

    def wanted(self, field: str) -> UploadedFile:
        """The same, where the call does nothing without it. Raises `Invalid`, with what was sent instead."""
        if (found := self.file(field)) is not None:
            return found
        raise self.lacks(field)

    def lacks(self, field: str) -> Invalid:
        """That there is no file under a name, and what there is."""
        others = ", ".join(dict.fromkeys(f"'{file.field[:50]}'" for file in self.files))
        instead = f", but {others}" if others else ", but a text of that name" if field in self.fields else ""
        return invalid(field, "file.missing", f"the form has no file '{field}'{instead}")

    @property
    def fingerprint(self) -> bytes:
        """The same for the same form, whatever its boundaries; names of files count where they matter to the call."""
        digest = hashlib.sha256()
        for name, text in sorted(self.fields.items()):
            digest.update(f"{len(name)} {name} {len(text.encode())} {text}".encode())
        for file in self.files:
            digest.update(f"{len(file.field)} {file.field}".encode() + file.sha256)
            if self._named:
                digest.update(f"{len(file.client_name)} {file.client_name} {file.media_type}".encode())
        return digest.digest()

    def discard(self) -> None:
        """Delete the files that were not moved away."""
        for file in self.files:
            file.path.unlink(missing_ok=True)


class Rules(NamedTuple):
    """What a form is to be like. `file`: parts under this name are files though they say no file name, as some clients send
    them. `named`: names of files matter. `too_large` replaces the refusal of a file over the limit.
    """

    file: str = ""
    named: bool = False
    too_large: Problem | None = None


_USUAL = Rules()


async def receive(
    body: AsyncIterator[bytes], content_type: str | None, folder: Path, *, max_bytes: int, version: str,
    rules: Rules = _USUAL,
) -> Upload:  # fmt: skip
    """Read a form to its end; no file may be over `max_bytes`.

    Raises `FormExpected`, `FileTooLarge`, `Malformed`; then, and when the client goes away, nothing is left in the folder.
    """
    media_type, options = parse_options_header(content_type or "")
    boundary = options.get("boundary", "")
    if media_type != "multipart/form-data":
        sent = f"'{media_type[:100]}'" if media_type else "a body of no said type"
        raise FormExpected(f"this call reads multipart/form-data (curl -F), not {sent}")
    upload = Upload(named=rules.named)
    part = _Part(upload, folder, max_bytes, rules.too_large or FileTooLarge(max_bytes, version), rules.file)
    if not boundary:
        raise Malformed(
            "the form cannot be read: its Content-Type names no boundary; leave that header to the library that writes it"
        )
    size = 0
    # Known once the body has come to its end.
    begun: bool | None = None
    try:
        with _Parser(boundary, max_segment_count=_MAX_FIELDS + MAX_FILES) as parser:
            async for chunk in body:
                size += len(chunk)
                part.check_form(size)
                for event in parser.parse(chunk) if chunk else ():
                    if isinstance(event, MultipartSegment):
                        part.begin(event)
                    elif event is None:
                        await part.end()
                    else:
                        await part.add(bytes(event))
            begun = parser.has_begun
    except BaseException as error:
        part.abandon()
        upload.discard()
        if isinstance(error, MultipartError):
            said = str(error.args[0])
            why = _WORDS.get(said, said) if begun is None else _end_missing(boundary, size, begun=begun)
            raise Malformed(f"the form cannot be read: {why}") from None
        raise
    return upload


def _end_missing(boundary: str, size: int, *, begun: bool) -> str:
    """Why a form of `size` bytes has no end, `begun` or not."""
    if not size:
        return "the body is empty"
    if not begun:
        return f"the boundary of its Content-Type, '{boundary[:70]}', does not stand in the body"
    return "it breaks off before its last boundary"


class _Parser(PushMultipartParser):
    """The library's parser, but for a `Content-Length` in a part, which it takes at its word.

    The boundary says where a part ends; other headers than disposition and type "MUST be ignored" (RFC 7578, section 4.8).
    Clients get this one wrong, for they count before they encode. Under another name it is one of those that nobody reads.
    """

    @property
    def has_begun(self) -> bool:
        """Whether the first boundary came."""
        return self._segment_count > 0 or self._delimiter[2:] in self._buffer

    def _on_segment_headerline(self, line: bytes) -> None:
        is_length = line.partition(b":")[0].strip().lower() == b"content-length"
        super()._on_segment_headerline(b"X-" + line if is_length else line)


class _Part:
    """The part of the form that is being read."""

    def __init__(self, upload: Upload, folder: Path, max_bytes: int, too_large: Problem, file: str) -> None:
        self._named_as_file = file
        self._upload = upload
        self._folder = folder
        self._max_bytes = max_bytes
        self._too_large = too_large
        self._segment: MultipartSegment | None = None
        self._waiting = bytearray()
        self._path: Path | None = None
        self._file: BinaryIO | None = None
        self._digest = hashlib.sha256()
        self._size = 0

    def check_form(self, size: int) -> None:
        """What is around the files is small."""
        if size > self._max_bytes + _AROUND_BYTES:
            raise self._too_large

    def begin(self, segment: MultipartSegment) -> None:
        """A part with a file name, or under the name of the call's file, is a file."""
        self._segment = segment
        self._size = 0
        is_file = segment.filename is not None or (segment.name or "") == self._named_as_file != ""
        if not is_file and len(self._upload.fields) >= _MAX_FIELDS:
            raise Malformed(f"the form has more than {_MAX_FIELDS} fields")
        if is_file:
            if len(self._upload.files) >= MAX_FILES:
                raise Malformed(f"the form has more than {MAX_FILES} files")
            self._path = self._folder / f"upload-{secrets.token_hex(16)}"
            self._file = self._path.open("xb")
            self._digest = hashlib.sha256()

    async def add(self, piece: bytes) -> None:
        self._size += len(piece)
        self._waiting += piece
        if self._file is None:
            if self._size > _MAX_FIELD_BYTES:
                raise Malformed(f"a field of the form is over {_MAX_FIELD_BYTES:,} bytes")
        elif self._size > self._max_bytes:
            raise self._too_large
        elif len(self._waiting) >= _WRITE_BYTES:
            await self._write()

    async def end(self) -> None:
        segment, path = self._segment, self._path
        assert segment is not None  # noqa: S101 - the parser begins a part before it ends it
        name = segment.name or ""
        if self._file is None or path is None:
            if name in self._upload.fields:
                raise Malformed(f"the form has the field '{name[:50]}' twice")
            try:
                self._upload.fields[name] = self._waiting.decode()
            except UnicodeDecodeError:
                raise Malformed(f"the field '{name[:50]}' of the form is not in UTF-8") from None
        else:
            await self._write()
            self._file.close()
            self._file, self._path = None, None
            digest, media_type = self._digest.digest(), segment.content_type or ""
            file = UploadedFile(name, segment.filename or "", path, self._size, digest, media_type)
            self._upload.files.append(file)
        self._waiting = bytearray()

    def abandon(self) -> None:
        """Delete what was begun."""
        if self._file is not None:
            self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    async def _write(self) -> None:
        piece, self._waiting = self._waiting, bytearray()
        await asyncio.to_thread(self._store, piece)

    def _store(self, piece: bytearray) -> None:
        assert self._file is not None  # noqa: S101 - only files are written
        self._digest.update(piece)
        self._file.write(piece)
