"""When failed deliveries are tried again, and which headers are ours."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from tabellion.features.webhooks.model import Subscription, is_own_header, next_attempt

PLANNED = datetime(2027, 3, 1, 9, 15, tzinfo=UTC)
DAY = 24 * 3600


class Chance(random.Random):
    """Always the least, or always the most."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def uniform(self, a: float, b: float) -> float:
        return (a, b)[self.place]


@pytest.mark.parametrize(
    ("attempts", "now", "wish", "earliest", "latest"),
    [
        (1, 0, None, 4, 6),
        (2, 5, None, 241, 359),
        (3, 300, None, 1500, 2100),
        (7, 36_000, None, 53_280, 61_920),
        (8, 57_600, None, 80_640, DAY),
        # Already over: soon, but never after a day.
        (1, 3600, None, 3605, 3605),
        (1, 4, None, 9, 6),
        (8, DAY - 1, None, DAY, DAY),
        (8, DAY, None, None, None),
        (9, 10, None, None, None),
        (1, 0, 600, 600, 600),
        (1, 100, 600, 700, 700),
        (2, 5, 1, 241, 359),
        (1, 0, 2 * DAY, DAY, DAY),
    ],
)
def test_the_next_attempt(attempts: int, now: int, wish: int | None, earliest: int | None, latest: int | None) -> None:
    for place, expected in enumerate((earliest, latest)):
        retry_after = None if wish is None else timedelta(seconds=wish)
        found = next_attempt(PLANNED, attempts, PLANNED + timedelta(seconds=now), Chance(place), retry_after)
        assert found == (None if expected is None else PLANNED + timedelta(seconds=expected))


@pytest.mark.parametrize(("seconds", "signs"), [(None, False), (-1, False), (0, False), (1, True)])
def test_the_previous_secret_signs_until_its_time_is_over(seconds: int | None, signs: bool) -> None:
    until = None if seconds is None else PLANNED + timedelta(seconds=seconds)
    nothing: dict[str, Any] = dict.fromkeys(set(Subscription.__struct_fields__) - {"unreadable"})
    subscription = Subscription(**nothing | {"secret": b"new", "previous_secret": b"old", "previous_until": until})
    assert subscription.secrets(PLANNED) == ([b"new", b"old"] if signs else [b"new"])
    assert replace(subscription, previous_secret=None).secrets(PLANNED) == [b"new"]


@pytest.mark.parametrize(
    "name", ["Host", "USER-AGENT", "Connection", "te", "Proxy-Authorization", "WEBHOOK-ID", "webhook-x"]
)
def test_headers_that_are_ours_to_say(name: str) -> None:
    assert is_own_header(name)
    assert not is_own_header(f"X-{name}")
