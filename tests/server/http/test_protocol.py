"""Requests as they come over the wire: in pieces, one after the other, hostile ones; on a real socket, without a database."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn
import uvloop
from uvicorn.server import ServerState

from tabellion.kit.problem import Malformed, Problem
from tabellion.platform.http.front import Front
from tabellion.platform.http.mount import _body
from tabellion.server.http import protocol, turn
from tests.support.waiting import until

_reported: list[Any] = []
_left: list[str] = []
_connections: set[Any] = set()
_go = threading.Event()


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    """Tells what it got; `/early` answers before the body, `/large` with 20 MB, `/wait` once the caller has left.

    `/bytes` answers with as many as its query says, in one piece; `/endless` for as long as somebody takes it.
    """
    path = scope["path"]
    if path == "/bytes":
        size = int(scope["query_string"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": b"x" * size})
        return
    if path == "/endless":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})
                await asyncio.sleep(0)
        finally:
            _left.append(path)
    if path == "/wait":
        while (await receive())["type"] != "http.disconnect":
            pass
        _left.append(path)
        return
    if path == "/slow":
        await asyncio.to_thread(_go.wait, 10)
    if path == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % (20 << 20))]})
        try:
            for _ in range(20):
                await send({"type": "http.response.body", "body": b"x" * (1 << 20), "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            _left.append(path)
        return
    assert not any(name == b"t" for name, _ in scope["headers"])
    size = 0
    if path != "/early":
        async for piece in _body(receive):
            size += len(piece)
    told = json.dumps({"m": scope["method"], "p": path, "q": scope["query_string"].decode(), "n": size})
    headers = [(b"content-length", b"%d" % len(told))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": told.encode()})


def _translate(error: BaseException) -> Problem:
    return error if isinstance(error, Problem) else Malformed(f"bug: {error!r}")


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    front = Front(
        _echo,
        new_id=lambda: "id-1",
        address=lambda *_: "",
        translate=_translate,
        report=lambda exchange, _: _reported.append(exchange),
    )
    loop = uvloop.new_event_loop()
    state = ServerState()
    config = uvicorn.Config(front, http=protocol.Protocol, ws="none", interface="asgi3", log_config=None, access_log=False)
    config.proxy_headers = False
    made = loop.run_until_complete(loop.create_server(lambda: protocol.Protocol(config, state, {}, loop), "127.0.0.1", 0))
    _connections.clear()
    state.connections = _connections
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield made.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    made.close()
    for connection in list(state.connections):
        connection.transport.abort()
    while state.tasks:
        loop.run_until_complete(asyncio.wait(state.tasks, timeout=10))
    loop.close()


def _wait_for(told: list[Any]) -> None:
    """A call is reported a moment after it was answered."""
    deadline = time.monotonic() + 5
    while not told and time.monotonic() < deadline:
        time.sleep(0.001)


def _answers(stream: bytes) -> list[tuple[int, dict[str, str], Any]]:
    found = []
    while stream:
        head, _, stream = stream.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        status = int(first.split()[1])
        size = int(headers.get("content-length", "0"))
        body, stream = stream[:size], stream[size:]
        found.append((status, headers, json.loads(body) if body else None))
    return found


def _send(port: int, *pieces: bytes, close: bool = True) -> list[tuple[int, dict[str, str], Any]]:
    """What is answered to pieces that come one after the other, until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            raw.sendall(piece)
        if close:
            raw.sendall(b"GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while chunk := raw.recv(1 << 20):
            answer += chunk
    return _answers(answer)


_GET = 'GET /a<é>?q="ü>=1 HTTP/1.1\r\nHost: x\r\nX: <é>\r\n\r\n'
_READ = {"m": "GET", "p": "/a%3C%C3%A9%3E", "q": "q=%22%C3%BC%3E=1", "n": 0}
_BODY = b'<"\xe9\r\n\r\nGET /no\xe9 HTTP/1.1\r\n\r\n'
_POST = b"POST /b\xe9 HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(_BODY) + _BODY
_CHUNKED = (
    b"POST /c\xe9 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"%x;e=1\r\n" % len(_BODY) + _BODY + b"\r\n6\r\n\r\n\r\n\r\n\r\n0\r\nT: 1\r\n\r\n"
)


def test_an_address_is_encoded_and_a_body_is_not(port: int) -> None:
    got = _send(port, _GET.encode(), b"\r\n", _POST, _CHUNKED)
    assert [answer[2] for answer in got[:3]] == [
        _READ,
        {"m": "POST", "p": "/b%E9", "q": "", "n": len(_BODY)},
        {"m": "POST", "p": "/c%E9", "q": "", "n": len(_BODY) + 6},
    ]
    assert got[3][2]["p"] == "/end"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
def test_in_pieces_of_any_size(port: int, size: int) -> None:
    stream = (_GET.encode() + b"\r\n" + _POST + _CHUNKED) * 3
    got = _send(port, *(stream[i : i + size] for i in range(0, len(stream), size)))
    assert [answer[0] for answer in got] == [200] * 10
    assert [answer[2]["p"] for answer in got[:6]] == ["/a%3C%C3%A9%3E", "/b%E9", "/c%E9"] * 2


def test_many_requests_at_once_are_answered_in_their_order(port: int) -> None:
    got = _send(port, b"".join(b"GET /%d HTTP/1.1\r\n\r\n" % n for n in range(3000)), b"NONSENSE\r\n\r\n", close=False)
    assert [answer[2]["p"] for answer in got[:3000]] == [f"/{n}" for n in range(3000)]
    assert [answer[0] for answer in got[3000:]] == [400]


_H = b"GET / HTTP/1.1\r\nHost: x\r\n"
_P = b"POST / HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"G@T / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1 x\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET /a\x01b HTTP/1.1\r\n\r\n",
        b"GET /a\x00b HTTP/1.1\r\n\r\n",
        b"GET a HTTP/1.1\r\n\r\n",
        b"GET / HTTP/2.0\r\n\r\n",
        b"GET / HTTP/0.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        _H + b"X: 1\nY: 2\r\n\r\n",
        _H + b"X: 1\rY: 2\r\n\r\n",
        _H + b"X: 1\r\n folded\r\n\r\n",
        _H + b"X : 1\r\n\r\n",
        _H + b"X\xe9: 1\r\n\r\n",
        _H + b": 1\r\n\r\n",
        _H + b"X: \x00\r\n\r\n",
        _H + b"nonsense\r\n\r\n",
        _H + b"X: 1\r\n" * 101 + b"\r\n",
        _P + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        _P + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        _P + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        _P + b"Content-Length: 3, 3\r\n\r\nabc",
        _P + b"Content-Length: +3\r\n\r\nabc",
        _P + b"Content-Length: -3\r\n\r\nabc",
        _P + b"Content-Length: 0x3\r\n\r\nabc",
        _P + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
        _P + b"Content-Length:\r\n\r\nabc",
        _P + b"Transfer-Encoding: identity\r\n\r\nabc",
        _P + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        _P + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        _P + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
        _P + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        _P + b"Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
        _P + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
        _P + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
        _P + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
        _P + b"Transfer-Encoding: chunked\r\n\r\n11111111111111111\r\nabc\r\n0\r\n\r\n",
    ],
)
@pytest.mark.parametrize("singly", [False, True])
def test_what_cannot_be_read_is_refused_with_a_document_and_nothing_behind_it_is_read(
    port: int, hostile: bytes, singly: bool, caplog: pytest.LogCaptureFixture
) -> None:
    _reported.clear()
    stream = hostile + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    pieces = [stream[i : i + 1] for i in range(len(stream))] if singly else [stream]
    (answer,) = _send(port, *pieces, close=False)
    status, headers, told = answer
    assert status in {400, 431}, told
    assert (told["status"], told["requestId"], headers["connection"]) == (status, "id-1", "close")
    assert told["code"] in {"request.malformed", "headers.tooLarge"}
    _wait_for(_reported)
    assert len(_reported) == 1
    assert not caplog.records


@pytest.mark.parametrize(
    ("head", "method"),
    [
        (b"GET http://example.com/v?a=1 HTTP/1.1\r\nHost: x\r\n\r\n", "GET"),
        (b"GET /v?a=1#part HTTP/1.1\r\nHost: x\r\n\r\n", "GET"),
        (b"GET /v?a=1 HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n", "GET"),
        (b"GET /v?a=1 HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n", "GET"),
        (b"PUT /v?a=1 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nab", "PUT"),
        (
            b"PUT /v?a=1 HTTP/1.1\r\nConnection: uPgrade\r\nuPgRADE: h2c\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "PUT",
        ),
        (b"get /v?a=1 HTTP/1.1\r\n\r\n", "get"),
        (b"WHATEVER /v?a=1 HTTP/1.1\r\nContent-Length: 2\r\n\r\nab", "WHATEVER"),
    ],
)
def test_what_is_read_and_the_connection_goes_on(port: int, head: bytes, method: str) -> None:
    first, second = _send(port, head)
    assert (first[0], first[2]["m"], first[2]["p"], first[2]["q"]) == (200, method, "/v", "a=1")
    assert second[2]["p"] == "/end"


def test_the_root_of_an_absolute_address(port: int) -> None:
    assert _send(port, b"GET http://example.com?a=1 HTTP/1.1\r\n\r\n")[0][2] == {"m": "GET", "p": "/", "q": "a=1", "n": 0}


def test_head_has_a_length_and_no_body(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(b"HEAD /x HTTP/1.1\r\n\r\n")
        answer = raw.recv(65536)
        assert answer.endswith(b"\r\n\r\n")
        assert b"content-length: 4" in answer
        raw.sendall(b"GET /y HTTP/1.1\r\n\r\n")
        assert raw.recv(9) == b"HTTP/1.1 "


def test_a_body_that_is_waited_for_is_asked_for(port: int) -> None:
    head = b"POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(head)
        assert raw.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        raw.sendall(b"abc")
        assert raw.recv(12) == b"HTTP/1.1 200"
    early = _send(port, head.replace(b"/x", b"/early"), close=False)
    assert (early[0][0], early[0][1]["connection"]) == (200, "close")


def test_an_early_answer_leaves_the_connection_in_order(port: int) -> None:
    body = b"x" * 3_000_000
    got = _send(port, b"POST /early HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body), body)
    assert [answer[2]["p"] for answer in got] == ["/early", "/end"]


@pytest.mark.parametrize(
    "head", [b"Content-Length: 60000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3938700\r\n", b"\r\n"]
)
def test_who_sends_more_than_is_read_is_held_back(port: int, head: bytes) -> None:
    _go.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(b"POST /slow HTTP/1.1\r\n" + head)
        raw.settimeout(0.3)
        sent, piece = 0, b"POST /x HTTP/1.1\r\n\r\n" * 5000 if head == b"\r\n" else b"x" * 100_000
        with suppress(TimeoutError):
            while sent < 60_000_000:
                sent += raw.send(piece[: 60_000_000 - sent])
        _go.set()
        assert sent < 16_000_000, "what the kernel keeps of both sides, and a piece"
        raw.settimeout(5)
        while sent < 60_000_000 and head != b"\r\n":
            sent += raw.send(piece[: 60_000_000 - sent])
        raw.sendall(b"\r\n0\r\n\r\n" if head.startswith(b"T") else b"")
        assert raw.recv(12) == b"HTTP/1.1 200"


def test_bodies_of_line_ends_cost_no_more_than_others(port: int) -> None:
    for content in (b"\r" * 300_000, b"\n" * 300_000, b"\r\n\r\n" * 75_000):
        begun = time.monotonic()
        head = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(content)
        assert _send(port, head, content, b"\r\n0\r\n\r\n")[0][2]["n"] == len(content)
        assert time.monotonic() - begun < 5, "a search from each of them to the end takes much longer"


def test_what_follows_the_last_request_is_not_read(port: int) -> None:
    last = b"GET /last HTTP/1.1\r\nConnection: close\r\n\r\n"
    for first in (last, last.replace(b"1.1", b"1.0"), b"GET /last HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"):
        (answer,) = _send(port, first + b"GET /not HTTP/1.1\r\n\r\n", close=False)
        assert answer[2]["p"] == "/last"


@pytest.mark.parametrize("endless", [b"0\r\n" + b"T: 1\r\n" * 50_000, b"0\r\nT: " + b"1" * 200_000, b"1;" + b"x" * 200_000])
def test_there_is_an_end_to_what_belongs_to_a_body(port: int, endless: bytes) -> None:
    pieces = (endless[i : i + 30_000] for i in range(0, len(endless), 30_000))
    (answer,) = _send(port, _P + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", *pieces, close=False)
    assert (answer[0], answer[2]["code"]) == (400, "request.malformed")


@pytest.mark.parametrize(
    ("sent", "statuses"),
    [
        (b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n", [200]),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"GET / HT", [200, 200, 200]),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", [200]),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc", [200]),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n", [400]),
        (b"no request\r\n\r\n", [400]),
    ],
)
def test_who_has_sent_everything_and_says_so_is_answered(port: int, sent: bytes, statuses: list[int]) -> None:
    """As `nc -N` does, and clients that close one direction of their socket."""
    _go.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(sent)
        raw.shutdown(socket.SHUT_WR)
        if b"/slow" in sent:
            until(lambda: any(each._last for each in list(_connections)))
        _go.set()
        answer = b""
        while chunk := raw.recv(1 << 20):
            answer += chunk
    assert [status for status, _, _ in _answers(answer)] == statuses
    until(lambda: not _connections)


@pytest.mark.parametrize("path", ["/wait", "/large", "/endless"])
def test_who_leaves_is_noticed(port: int, path: str, caplog: pytest.LogCaptureFixture) -> None:
    _reported.clear()
    _left.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        body = b"Content-Length: 10\r\n\r\nabc" if path == "/wait" else b"\r\n"
        raw.sendall(b"POST %b HTTP/1.1\r\n%b" % (path.encode(), body))
        if path != "/wait":
            raw.recv(1000)
    _wait_for(_reported)
    assert _left == [path]
    assert not caplog.records


def test_a_slow_head_and_a_silent_connection_are_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_WITHIN_S", 0.1)
    for sent in (b"GET /x HTTP/1.1\r\nX: 1", b"\r\n\r\nGET"):
        (answer,) = _send(port, sent, close=False)
        assert (answer[0], answer[2]["code"]) == (408, "request.timeout")
    for sent in (b"", b"\r\n\r\n"):
        assert _send(port, sent, close=False) == []
    monkeypatch.setattr(protocol, "HEAD_WITHIN_S", 5)
    assert _send(port, b"GET /x HT")[0][0] == 400


def test_a_body_that_comes_octet_by_octet_is_read_for_as_long_as_it_goes_on(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is for each piece, and not for the whole: uploads of gigabytes over a slow line take what they take."""
    monkeypatch.setattr(turn, "MORE_WITHIN_S", 1.5)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        raw.sendall(b"POST /x HTTP/1.1\r\nConnection: close\r\nContent-Length: 6\r\n\r\n")
        for _ in range(6):
            time.sleep(0.3)
            raw.sendall(b"x")
        answer = b""
        while chunk := raw.recv(1 << 20):
            answer += chunk
    ((status, _, told),) = _answers(answer)
    assert (status, told["n"]) == (200, 6)


def test_a_body_that_does_not_go_on_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turn, "MORE_WITHIN_S", 0.1)
    for sent in (b"Content-Length: 10\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nab"):
        (answer,) = _send(port, b"POST /x HTTP/1.1\r\n" + sent, close=False)
        assert (answer[0], answer[1]["connection"], answer[2]["code"]) == (408, "close", "request.timeout")


def test_an_answer_that_nobody_reads_is_given_up(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "TAKEN_WITHIN_S", 0.1)
    _reported.clear()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(b"GET /large HTTP/1.1\r\n\r\n")
        _wait_for(_reported)
        assert [exchange.path for exchange in _reported] == ["/large"]


def test_requests_wait_while_nobody_takes_the_answers_to_those_before_them(port: int) -> None:
    _reported.clear()
    many, size = 60, 1 << 20
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        raw.sendall(b"GET /bytes?%d HTTP/1.1\r\n\r\n" % size * many)
        _wait_for(_reported)
        for _ in range(2 * many):  # in which the loop would come to all of them
            _send(port)
        assert sum(exchange.path == "/bytes" for exchange in _reported) < 20, "what the kernel keeps of both sides"
        raw.sendall(b"GET /end HTTP/1.1\r\nConnection: close\r\n\r\n")
        taken = 0
        while chunk := raw.recv(1 << 20):
            taken += len(chunk)
    assert taken > many * size


def test_the_end_of_a_server_does_not_wait_for_who_takes_no_answers(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "TAKEN_WITHIN_S", 0.1)
    until(lambda: not _connections)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as raw:
        until(lambda: len(_connections) == 1)
        (ours,) = _connections
        while not ours._transport.get_write_buffer_size():
            _reported.clear()
            raw.sendall(b"GET /bytes?40000 HTTP/1.1\r\n\r\n")
            _wait_for(_reported)
        ours._loop.call_soon_threadsafe(ours.shutdown)
        until(lambda: not _connections)


@pytest.mark.parametrize(
    "address", [b"/a?search=lastName=De Smet", b"/a?x=2027-03-01 09:15:00", b"/a b/c", b"/a \x01", b"/\x01"]
)
def test_an_address_with_a_blank_is_refused_for_that(port: int, address: bytes) -> None:
    (answer,) = _send(port, b"GET " + address + b" HTTP/1.1\r\nHost: x\r\n\r\n", close=False)
    assert (answer[0], answer[2]["code"]) == (400, "request.malformed")
    assert "blanks and control characters in it are percent-encoded" in answer[2]["message"]


def test_what_is_wrong_in_a_body_is_told(port: int) -> None:
    (answer,) = _send(port, _P + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", b"zz\r\n\r\n", close=False)
    assert (answer[0], answer[2]["code"]) == (400, "request.malformed")
    assert "chunk" in answer[2]["message"]
