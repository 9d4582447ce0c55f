"""What lasts is told when it begins and when it ends."""

import logging

import pytest

from tabellion.kit.outage import Outage

_log = logging.getLogger("outage")


def test_it_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    outage = Outage(_log)
    outage.over("never was there")
    assert not outage
    for _ in range(3):
        outage.found("the disk is full")
    assert outage
    outage.found("the disk is gone")
    for _ in range(3):
        outage.over("the disk is back")
    outage.found("the disk is full")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "the disk is full"),
        ("WARNING", "the disk is gone"),
        ("INFO", "the disk is back"),
        ("WARNING", "the disk is full"),
    ]


def test_a_trace_comes_when_it_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(_log)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        outage.found("our own fault", trace=True)
    assert caplog.records[0].exc_info is not None
