"""Of several ways to come to something, one is taken, and nothing is left of the others."""

import asyncio

import pytest

from tabellion.platform.sockets import first_of


async def test_what_others_have_come_to_meanwhile_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabellion.platform.sockets._NEXT_AFTER_S", 0)
    closed: list[str] = []
    both = asyncio.Event()

    async def first() -> str:
        await both.wait()
        return "first"

    async def second() -> str:
        both.set()
        return "second"

    async def close(name: str) -> None:
        closed.append(name)

    taken = await first_of([first, second], close)

    assert sorted([taken, *closed]) == ["first", "second"]


async def test_it_fails_as_the_last_one_did() -> None:
    async def failing(text: str) -> str:
        raise OSError(text)

    async def close(_: str) -> None:
        raise AssertionError

    with pytest.raises(OSError, match="two"):
        await first_of([lambda: failing("one"), lambda: failing("two")], close)
    with pytest.raises(OSError, match="no address"):
        await first_of([], close)
