"""What comes over a connection, taken apart: httptools' parser is given whole heads, one request at a time.

What follows a request waits until that was answered; so refusals come in their turn, and nothing piles up.
"""

import re
from typing import Any, Protocol

import httptools

from tabellion.kit.problem import Malformed, Problem
from tabellion.platform.http.problems import HeadersTooLarge
from tabellion.server.http.head import LONGEST_LINE_BYTES, MOST_HEADERS, end_of_head, readable
from tabellion.server.http.turn import Turn

_CHUNKED = -1
_BLANK = b"\r\n"
_ORIGIN = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://[^/?]*")
_UPGRADE = re.compile(rb"\nupgrade(?=[ \t]*:)", re.IGNORECASE)
_METHOD = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?= )")
_VERSIONS = frozenset({"1.0", "1.1"})
_ADDRESS = "the address of the request cannot be read: blanks and control characters in it are percent-encoded"
# Method, address, version.
_WORDS_OF_A_REQUEST_LINE = 3


class Start(Protocol):
    """Has a request answered."""

    def __call__(self, request: dict[str, Any], *, keep_alive: bool, asked_for: bool) -> Turn:
        """`request`: what its head tells of the ASGI scope; the others as `Turn` has them."""
        ...


class Reader:
    """Reads the requests of one connection. `start` is called with each head; the body goes to the turn that it gives."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._turn: Turn | None = None
        self._parser = httptools.HttpRequestParser(self)
        # How much of a head that goes on was looked through.
        self._searched = 0
        self._between = True
        # Of the request that is being read.
        self._method = ""
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_read = False
        # Of its body: how many bytes are to come.
        self._left = 0
        # Bytes of a body in chunks since there was some content: sizes, what is said of them, headers behind the body.
        self._dry = 0

    @property
    def is_busy(self) -> bool:
        """Whether a request waits for the end of its answer."""
        return self._turn is not None and not self._turn.over

    @property
    def in_body(self) -> bool:
        """Whether the head of a request was read, and not all of its body."""
        return self._head_read and not self._between

    def take(self, data: bytes | bytearray) -> int:
        """Read what can be read now; how many bytes that was. Raises `Problem`, after which there is nothing to be read."""
        at, size = 0, len(data)
        try:
            while at < size:
                if not self._between:
                    at = self._take_body(data, at)
                elif self.is_busy:
                    break
                elif data[at] in _BLANK:
                    at += 1
                else:
                    end = end_of_head(data, at, self._searched)
                    if not end:
                        self._searched = size - at
                        break
                    self._searched = 0
                    self._take_head(readable(data, at, end))
                    at = end
        except httptools.HttpParserError as error:
            raise _problem_of(error) from None
        return at

    def _take_head(self, head: bytes | bytearray) -> None:
        self._between = self._head_read = False
        self._dry = 0
        self._method = ""
        # The parser takes headers in several lines; proxies before it may read them differently.
        if b"\n " not in head and b"\n\t" not in head:
            try:
                self._parser.feed_data(head)
            except httptools.HttpParserError as error:
                self._take_again(bytes(head), error)
        if not self._head_read:
            raise Malformed("the head of the request cannot be read")

    def _take_again(self, head: bytes, error: httptools.HttpParserError) -> None:
        """Without what the parser stumbled over, if that is no reason to refuse the request here."""
        unknown = _METHOD.match(head) if isinstance(error, httptools.HttpParserInvalidMethodError) else None
        if unknown is not None:
            # The application says which methods there are.
            self._method = unknown[0].decode()
            head = b"POST" + head[unknown.end() :]
        elif isinstance(error.__context__, _OfferedUpgradeError):
            head = _UPGRADE.sub(b"\nx-declined-upgrade", head)
        elif len(head.partition(b"\n")[0].split()) > _WORDS_OF_A_REQUEST_LINE:
            raise Malformed(_ADDRESS)
        else:
            raise error
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(head)

    def _take_body(self, data: bytes | bytearray, at: int) -> int:
        """Give the parser of the body what there is, and nothing of what may follow; up to where that was."""
        if self._left == 0:
            raise Malformed("the body of the request cannot be read")
        if self._left == _CHUNKED:
            # A body in chunks ends with two line ends, which may have come apart.
            if data[at] in _BLANK:
                end = at + 1
            else:
                end = data.find(b"\r\n\r\n", at) + 4
                end = len(data) if end < 4 else end  # noqa: PLR2004 - not found
            self._dry += end - at
        else:
            end = min(len(data), at + self._left)
            self._left -= end - at
        self._parser.feed_data(data if end - at == len(data) else memoryview(data)[at:end])
        if self._dry > LONGEST_LINE_BYTES or len(self._headers) > MOST_HEADERS:
            raise Malformed("there is too much around the body of the request")
        return end

    # What the parser tells.

    def on_message_begin(self) -> None:
        """A request begins."""
        if self._between:
            raise Malformed("the head of the request cannot be read")
        self._url = b""
        self._headers = []

    def on_url(self, url: bytes) -> None:
        """The address of the request, or a piece of it."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; behind the body it is none of the request."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole: have the request answered."""
        parser = self._parser
        if parser.should_upgrade():
            if parser.get_method() == b"CONNECT":
                raise Malformed("CONNECT is for proxies, and this server is none")
            # The parser would take the body for what follows in the other protocol.
            raise _OfferedUpgradeError
        version = parser.get_http_version()
        if version not in _VERSIONS:
            raise Malformed("this server speaks HTTP/1.1 and HTTP/1.0")
        if len(self._headers) > MOST_HEADERS:
            raise HeadersTooLarge(f"a request may have {MOST_HEADERS} headers; this one has {len(self._headers)}")
        headers, self._headers = self._headers, []
        asked_for = False
        self._left = 0
        for name, value in headers:
            if name == b"content-length":
                self._left = int(value)
            elif name == b"transfer-encoding":
                if version == "1.0":
                    raise Malformed("a request of HTTP/1.0 has a length, not a Transfer-Encoding")
                self._left = _CHUNKED
            elif name == b"expect":
                asked_for = value.lower() == b"100-continue"
        url = self._url.partition(b"#")[0]
        if not url.startswith(b"/"):
            url = _ORIGIN.sub(b"", url, count=1)
        path, _, query = url.partition(b"?")
        request = {
            "method": self._method or parser.get_method().decode("ascii"),
            "path": path.decode("ascii"),
            "raw_path": path,
            "query_string": query,
            "headers": headers,
            "http_version": version,
        }
        self._head_read = True
        # Clients of HTTP/1.0 read to the end of the connection, also some that ask for it to be kept.
        keep_alive = version == "1.1" and parser.should_keep_alive()
        self._turn = self._start(request, keep_alive=keep_alive, asked_for=asked_for)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._dry = 0
        if self._turn is not None:
            self._turn.put(body)

    def on_message_complete(self) -> None:
        """What comes now is another request."""
        self._between = True
        if self._turn is not None:
            self._turn.end_body()


class _OfferedUpgradeError(Exception):
    """Another protocol was offered (h2c by Java, websockets); it is declined by an answer in this one."""


def _problem_of(error: httptools.HttpParserError) -> Problem:
    if isinstance(error, httptools.HttpParserCallbackError) and isinstance(error.__context__, Problem):
        return error.__context__
    if isinstance(error, httptools.HttpParserInvalidURLError):
        return Malformed(_ADDRESS)
    return Malformed(f"the request cannot be read as HTTP/1.1: {error}")
