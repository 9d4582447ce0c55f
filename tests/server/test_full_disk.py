"""What the operator hears of a full disk, which callers see as 503."""

import errno
import logging

import pytest
from psycopg import errors

from tabellion.platform.telemetry import seldom
from tabellion.server import app
from tabellion.server.app import translate


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), OSError(errno.EDQUOT, "quota"), errors.DiskFull("full")])
def test_it_is_told_once_a_minute_with_what_to_do(
    error: Exception, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(seldom, "monotonic", lambda: now[0])
    monkeypatch.setattr(app, "_full", seldom.Seldom())
    for _ in range(100):
        assert translate(error).status == 503
    now[0] += 61
    translate(error)
    told = [record for record in caplog.records if record.name == "tabellion.server.app"]
    assert [record.levelno for record in told] == [logging.ERROR] * 2
    assert "make room" in told[0].getMessage()
