"""When a refused call may come back: never before its licence has a call left."""

from types import SimpleNamespace

import pytest

from tabellion.features.usage.errors import TooManyBulkCalls
from tabellion.features.usage.model import Limits
from tabellion.kit.problem import Problem
from tabellion.platform.database.errors import Unavailable
from tabellion.platform.http import render
from tabellion.platform.http.exchange import Exchange


@pytest.mark.parametrize(
    ("error", "reset_s", "told"),
    [
        (Unavailable(retry_after_s="1"), 7, "7"),
        (Unavailable(retry_after_s="30"), 7, "30"),
        (TooManyBulkCalls("used up", 1), 7, "7"),
        (TooManyBulkCalls("used up", 3600), 0, "3600"),
    ],
)
@pytest.mark.parametrize("v1", [False, True])
def test_who_is_to_come_back_is_let_in_then(error: Problem, reset_s: int, told: str, *, v1: bool) -> None:
    exchange = Exchange("id", "GET", "", "/", "", {}, b"")
    exchange.admission = SimpleNamespace(limits=Limits(2, 60, 5, 2, 0, reset_s, 1))
    answer = render.problem(error, exchange, None, v1=v1)
    assert answer.headers["Retry-After"] == told
    assert exchange.admission.limits.headers["X-RateLimit-Reset"] == str(reset_s)


def test_who_was_not_let_in_hears_what_the_refusal_says() -> None:
    answer = render.problem(Unavailable(retry_after_s="2"), Exchange("id", "GET", "", "/", "", {}, b""), None)
    assert answer.headers["Retry-After"] == "2"
