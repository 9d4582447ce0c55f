"""Schedules: crontab(5) on the clocks of a time zone."""

from datetime import UTC, datetime

import pytest

from tabellion.kit.schedule import Schedule, schedule_faults


def _times(cron: str, zone: str, after: datetime, count: int) -> list[str]:
    schedule, found = Schedule(cron, zone), []
    for _ in range(count):
        after = schedule.next_after(after)
        found.append(after.strftime("%Y-%m-%d %H:%M"))
    return found


def test_a_schedule_is_read_on_the_clocks_of_its_time_zone():
    after = datetime(2027, 3, 1, tzinfo=UTC)
    assert _times("0 3 * * *", "Europe/Paris", after, 2) == ["2027-03-01 02:00", "2027-03-02 02:00"]
    assert _times("0 3 * * 1-5", "America/New_York", datetime(2027, 3, 5, 12, tzinfo=UTC), 2) == [
        "2027-03-08 08:00",
        "2027-03-09 08:00",
    ]


def test_a_time_that_clocks_skip_comes_right_after_the_gap():
    after = datetime(2027, 3, 27, 12, tzinfo=UTC)
    assert _times("30 2 * * *", "Europe/Paris", after, 2) == ["2027-03-28 01:00", "2027-03-29 00:30"]


def test_a_time_that_clocks_show_twice_comes_once_a_day():
    after = datetime(2027, 10, 30, 12, tzinfo=UTC)
    assert _times("30 2 * * *", "Europe/Paris", after, 2) == ["2027-10-31 00:30", "2027-11-01 01:30"]


def test_every_half_hour_does_not_stop_while_clocks_go_back():
    after = datetime(2027, 10, 30, 23, 45, tzinfo=UTC)
    assert _times("*/30 * * * *", "Europe/Paris", after, 4) == [
        "2027-10-31 00:00",
        "2027-10-31 00:30",
        "2027-10-31 01:00",
        "2027-10-31 01:30",
    ]


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "0 0 31 2 *",
        "H 3 * * *",
        "0 0 R * *",
        "0 0 1 h *",
        "0 0 * * R(1-5)",
        "@daily",
        "x",
        "0 3 * * *; x",
        "\x00" * 5,
    ],
)
def test_what_never_comes_is_no_schedule(cron):
    (fault,) = schedule_faults("schedule", cron, "UTC")
    assert (fault.field, "no schedule" in fault.message) == ("schedule.cron", True)


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        ("daily", "five fields are expected (minute, hour, day of month, month, day of week), as in '0 3 * * 1'"),
        ("0 24 * * *", "the hour '24' is none: * stands for any, else it is of 0 to 23 "),
        ("0 3 * * mondy", "the day of week 'mondy' is none: * stands for any, else it is of 0 to 7 or SUN to SAT "),
        ("H 3 * * *", "the minute 'H' is none: "),
        ("0 3 R * *", "the day of month 'R' is none: "),
        ("0 0 31 2 *", "its day never comes"),
    ],
)
def test_what_is_wrong_with_a_schedule_is_said_in_words(cron, said):
    (fault,) = schedule_faults("schedule", cron, "UTC")
    assert fault.message.startswith(f"'{cron}' is no schedule: {said}")


@pytest.mark.parametrize("zone", ["", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", "a\x00b"])
def test_an_unknown_time_zone_is_named(zone):
    (fault,) = schedule_faults("schedule", "0 3 * * *", zone)
    assert (fault.field, "time zone" in fault.message) == ("schedule.timeZone", True)
    assert [each.field for each in schedule_faults("schedule", "x", zone)] == ["schedule.cron", "schedule.timeZone"]
