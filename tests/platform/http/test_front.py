"""What the front does with answers on their way out."""

import asyncio
import gzip
import random
from typing import Any

import pytest

from tabellion.platform.http.exchange import Rendered
from tabellion.platform.http.front import send_rendered


async def test_a_large_answer_is_compressed_while_others_are_served() -> None:
    sent: list[dict[str, Any]] = []
    turns = 0

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0.001)

    body = random.Random(7).randbytes(1_000_000).hex().encode()
    going = asyncio.create_task(others())
    await asyncio.sleep(0)
    await send_rendered(send, Rendered(200, {"Content-Type": "application/json"}, body), "gzip")
    going.cancel()
    assert turns > 3
    assert gzip.decompress(sent[1]["body"]) == body


@pytest.mark.parametrize(
    ("size", "content_type", "accept_encoding", "packed"),
    [
        (1400, "application/json;charset=UTF-8", "gzip", True),
        (1399, "application/json;charset=UTF-8", "gzip", False),
        (5000, "application/problem+json", "br;q=1.0, GZIP ;q=0.5", True),
        (5000, "application/xml", "*", True),
        (5000, "image/png", "gzip", False),
        (5000, "text/html", "gzip; q=0", False),
        (5000, "text/html", "gzip;q=0.000", False),
        (5000, "text/html", "gzip;q=0.001", True),
        (5000, "text/html", "gzip;q=0, *", False),
        (5000, "text/html", "*, gzip;q=0", False),
        (5000, "text/html", "*;q=0, gzip", True),
        (5000, "text/html", "br, xgzip", False),
        (5000, "text/html", "", False),
    ],
)
async def test_what_is_compressed_and_for_whom(size: int, content_type: str, accept_encoding: str, packed: bool) -> None:
    start, sent = await _sent(Rendered(200, {"Content-Type": content_type}, b"x" * size), accept_encoding)
    headers, body = dict(start["headers"]), sent["body"]
    assert sent == {"type": "http.response.body", "body": body, "more_body": False}
    assert headers.get(b"content-encoding") == (b"gzip" if packed else None)
    assert b"vary" in headers or not packed
    assert (gzip.decompress(body) if packed else body) == b"x" * size
    assert headers[b"content-length"] == str(len(body)).encode()


@pytest.mark.parametrize(("status", "length"), [(200, b"0"), (201, b"0"), (204, None), (304, None)])
async def test_an_answer_that_never_has_a_body_has_no_length(status: int, length: bytes | None) -> None:
    start, _ = await _sent(Rendered(status, {}, b""))
    assert dict(start["headers"]).get(b"content-length") == length


async def _sent(rendered: Rendered, accept_encoding: str = "") -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await send_rendered(send, rendered, accept_encoding)
    return sent
