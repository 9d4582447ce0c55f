"""What the front does with answers on their way out."""

import asyncio
import gzip
import random
from typing import Any

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
