"""The versioned cache: freshness, one load for many callers, failures, cancellation, bounds."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabellion.platform.database.versioned import VersionedCache


class Loader:
    """Counts loads; holds them back while `gate` is closed."""

    def __init__(self) -> None:
        self.count = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None

    def of(self, value: str) -> Callable[[], Awaitable[str]]:
        async def load() -> str:
            self.count += 1
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            return value

        return load


async def test_a_cached_value_serves_its_version_and_older_ones() -> None:
    cache, loader = VersionedCache[int, str](10), Loader()

    assert await cache.get(1, 5, loader.of("five")) == "five"
    assert await cache.get(1, 5, loader.of("no")) == "five"
    assert await cache.get(1, 4, loader.of("no")) == "five"
    assert loader.count == 1


async def test_a_newer_version_is_loaded_and_replaces_the_old() -> None:
    cache, loader = VersionedCache[int, str](10), Loader()
    await cache.get(1, 5, loader.of("five"))

    assert await cache.get(1, 6, loader.of("six")) == "six"
    assert cache.peek(1, 6) == "six"
    assert cache.peek(1, 7) is None


async def test_concurrent_callers_share_one_load() -> None:
    cache, loader = VersionedCache[int, str](10), Loader()
    loader.gate.clear()
    callers = [asyncio.create_task(cache.get(1, 5, loader.of("five"))) for _ in range(20)]
    await asyncio.sleep(0)
    loader.gate.set()

    assert await asyncio.gather(*callers) == ["five"] * 20
    assert loader.count == 1


async def test_a_caller_that_needs_a_newer_version_does_not_get_the_load_under_way() -> None:
    cache, loader = VersionedCache[int, str](10), Loader()
    loader.gate.clear()
    old = asyncio.create_task(cache.get(1, 5, loader.of("five")))
    await asyncio.sleep(0)
    new = asyncio.create_task(cache.get(1, 6, loader.of("six")))
    await asyncio.sleep(0)
    loader.gate.set()

    assert await asyncio.gather(old, new) == ["five", "six"]
    assert cache.peek(1, 6) == "six"


async def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    cache, loader = VersionedCache[int, str](10), Loader()
    loader.error = ValueError("no")
    loader.gate.clear()
    callers = [asyncio.create_task(cache.get(1, 5, loader.of("five"))) for _ in range(3)]
    await asyncio.sleep(0)
    loader.gate.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    loader.error = None

    assert [type(outcome) for outcome in outcomes] == [ValueError] * 3
    assert await cache.get(1, 5, loader.of("five")) == "five"


async def test_when_the_loading_caller_is_cancelled_another_takes_over() -> None:
    cache, loader = VersionedCache[int, str](10), Loader()
    loader.gate.clear()
    first = asyncio.create_task(cache.get(1, 5, loader.of("five")))
    await asyncio.sleep(0)
    second = asyncio.create_task(cache.get(1, 5, loader.of("five")))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    loader.gate.set()

    assert await second == "five"
    assert first.cancelled()
    assert loader.count == 2


async def test_a_cancelled_waiter_does_not_disturb_the_load() -> None:
    cache, loader = VersionedCache[int, str](10), Loader()
    loader.gate.clear()
    first = asyncio.create_task(cache.get(1, 5, loader.of("five")))
    await asyncio.sleep(0)
    second = asyncio.create_task(cache.get(1, 5, loader.of("five")))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait([second])
    loader.gate.set()

    assert second.cancelled()
    assert await first == "five"
    assert loader.count == 1


async def test_what_is_forgotten_during_its_load_is_not_kept() -> None:
    cache, loader = VersionedCache[int, str](10), Loader()
    loader.gate.clear()
    caller = asyncio.create_task(cache.get(1, 5, loader.of("five")))
    await asyncio.sleep(0)
    cache.forget(1)
    loader.gate.set()

    assert await caller == "five"
    assert cache.peek(1, 5) is None


async def test_the_least_recently_used_entry_goes_first() -> None:
    cache, loader = VersionedCache[str, str](2), Loader()
    await cache.get("a", 1, loader.of("A"))
    await cache.get("b", 1, loader.of("B"))
    await cache.get("a", 1, loader.of("A"))
    await cache.get("c", 1, loader.of("C"))

    assert [cache.peek(key, 1) for key in "abc"] == ["A", None, "C"]
    assert len(cache) == 2


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5)), max_size=40), st.integers(1, 4))
def test_never_older_than_asked_for_and_never_over_the_bound(calls: list[tuple[int, int]], bound: int) -> None:
    async def run() -> None:
        cache = VersionedCache[int, int](bound)
        for key, version in calls:

            async def load(version: int = version) -> int:
                return version

            assert await cache.get(key, version, load) >= version
            assert len(cache) <= bound

    asyncio.run(run())


def test_a_cache_for_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        VersionedCache[int, int](0)
