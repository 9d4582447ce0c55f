"""What limits come to in seconds and moments."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tabellion.features.delivery import Delivery, Limits
from tabellion.features.delivery.limits import (
    Contact,
    DomainLimit,
    SenderLimit,
    carried_over,
    counted_since,
    limited_domain,
    pauses,
)

NOW = datetime(2027, 3, 2, 9, 0, tzinfo=UTC)


def test_a_pace_is_a_pause() -> None:
    assert [Delivery(per_minute=120).every_s, Delivery().every_s] == [0.5, None]
    assert [DomainLimit("*", per_minute=30).every_s, DomainLimit("*").every_s] == [2.0, None]
    assert SenderLimit(7, per_hour=1800).every_s == 2.0


@pytest.mark.parametrize(
    ("limit", "step_s"),
    [
        (DomainLimit("*", per_minute=30), 2.0),
        (DomainLimit("*", connections=2), 0.1),
        (DomainLimit("*", per_minute=30, connections=2), 2.0),
        (DomainLimit("*", per_minute=6000, connections=1), 0.2),
        (DomainLimit("*", connections=1000), 0.01),
        (DomainLimit("*"), 0.01),
    ],
)
def test_mails_to_a_domain_are_put_off_as_far_apart_as_they_can_leave(limit: DomainLimit, step_s: float) -> None:
    assert limit.step_s == pytest.approx(step_s)


def test_what_is_not_named_has_the_pause_of_any_domain() -> None:
    named = DomainLimit("example.com", per_minute=60)
    senders = (SenderLimit(7, per_hour=3600),)
    keys = ("domain:example.com", "domain:example.net", "sender:7", "sender:8", "campaign:1")
    found = pauses(Limits(domains=(named, DomainLimit("*", per_minute=30)), senders=senders))
    assert [found(key) for key in keys] == [1.0, 2.0, 1.0, None, None]
    found = pauses(Limits(domains=(named, DomainLimit("*", connections=1))))
    assert [found(key) for key in keys] == [1.0, None, None, None, None]


@pytest.mark.parametrize(
    ("before_s", "after_s", "seconds"), [(None, 1, 0), (1, None, 0), (None, None, 0), (2, 1, 5), (1, 1, 10), (1, 2, 10)]
)
def test_a_faster_pace_counts_for_what_has_left(before_s: float | None, after_s: float | None, seconds: float) -> None:
    assert carried_over(NOW + timedelta(seconds=10), before_s, after_s, NOW) == NOW + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("days", "zone", "now", "since"),
    [
        (1, "UTC", "2027-03-02T09:00", "2027-03-02T00:00"),
        (7, "UTC", "2027-03-02T09:00", "2027-02-24T00:00"),
        (1, "Asia/Tokyo", "2027-03-02T15:00", "2027-03-02T15:00"),
        (1, "Asia/Tokyo", "2027-03-02T14:59", "2027-03-01T15:00"),
        # Summer time began on the day before.
        (2, "Europe/Brussels", "2027-03-29T09:00", "2027-03-27T23:00"),
    ],
)
def test_mails_count_from_the_beginning_of_a_day(days: int, zone: str, now: str, since: str) -> None:
    moment, wanted = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, since))
    assert counted_since(Contact(mails=1, days=days), ZoneInfo(zone), moment) == wanted


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("*", "*"), ("Example.COM", "example.com"), ("bücher.example", "xn--bcher-kva.example"), ("localhost", "localhost"),
        ("a" * 63 + ".example", "a" * 63 + ".example"), ("a" * 64 + ".example", None), ("*.example.com", None), ("", None),
        ("a..b", None), ("a@b", None), (".".join(["a" * 63] * 3 + ["b" * 61]), ".".join(["a" * 63] * 3 + ["b" * 61])),
        (".".join(["a" * 63] * 3 + ["b" * 62]), None),
    ],
)  # fmt: skip
def test_a_limit_is_for_a_domain_or_for_any(text: str, domain: str | None) -> None:
    assert limited_domain(text) == domain
