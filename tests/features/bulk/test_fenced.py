"""Jobs over which the process dies, really: each attempt is a process of its own."""

import asyncio
import errno
import logging
import multiprocessing
import os
import signal
from contextlib import suppress
from typing import Any, NamedTuple

import psycopg
import pytest

from tabellion.features.bulk import fenced
from tabellion.kit.problem import FieldError
from tabellion.platform.jobs.turns import GaveWay

_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["tabellion.features.bulk.fenced", "pytest"])
_GIVEN_UP_AFTER = 5


class _Job(NamedTuple):
    progress: int


class _Deadly:
    """A kind of jobs; `behaviour` is what happens when it is worked on.

    killed, away (the disk is full), stopped, broken (an error of ours), polite (others have its place) or well.
    """

    word = "import"
    lock = 7

    def __init__(self, behaviour: str, progress: int = 0) -> None:
        self._behaviour = behaviour
        self._progress = progress
        self.failures: list[FieldError] = []
        self.done = 0

    async def begin(self, db: Any, number: int) -> _Job | None:
        return _Job(self._progress)

    async def work(self, db: Any, job: _Job) -> None:
        if self._behaviour == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._behaviour == "away":
            raise OSError(errno.ENOSPC, "no space left on device")
        if self._behaviour == "stopped":
            raise fenced.Stopped
        if self._behaviour == "broken":
            raise ValueError("ours")
        if self._behaviour == "polite":
            raise GaveWay
        self.done += 1

    async def fail(self, db: Any, job: _Job, why: FieldError) -> None:
        self.failures.append(why)


def _run(url: str, behaviour: str, progress: int = 0, number: int = 1) -> None:
    asyncio.run(fenced.run(url, _Deadly(behaviour, progress), number))


def _die(url: str, progress: int = 0, number: int = 1) -> None:
    process = _PROCESSES.Process(target=_run, args=(url, "killed", progress, number))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


async def _last(url: str, progress: int = 0, number: int = 1) -> _Deadly:
    """The next attempt, in which all would go well; once the server has noticed that the one before is dead."""
    kind = _Deadly("well", progress)
    async with asyncio.timeout(20):
        while True:
            try:
                await fenced.run(url, kind, number)
            except fenced.Busy:
                await asyncio.sleep(0.02)
            else:
                return kind


async def test_a_job_that_kills_each_time_is_given_up(database_url: str) -> None:
    for _ in range(_GIVEN_UP_AFTER):
        await _free(database_url)
        await asyncio.to_thread(_die, database_url)

    kind = await _last(database_url)

    assert kind.done == 0
    assert [(why.code, why.message) for why in kind.failures] == [
        ("internal", "the server died 5 times over it; tell its operator the number of the import, 1")
    ]
    # Who tries again begins to count anew, and others were never counted.
    assert (await _last(database_url)).done == 1
    assert (await _last(database_url, number=2)).done == 1


async def test_a_job_that_comes_further_each_time_goes_on(database_url: str) -> None:
    for progress in range(_GIVEN_UP_AFTER + 1):
        await _free(database_url)
        await asyncio.to_thread(_die, database_url, progress)

    assert (await _last(database_url, _GIVEN_UP_AFTER)).done == 1


async def test_what_is_away_for_a_time_is_waited_for(database_url: str) -> None:
    for _ in range(3 * _GIVEN_UP_AFTER):
        with pytest.raises(OSError, match="no space"):
            await fenced.run(database_url, _Deadly("away"), 1)

    assert (await _last(database_url)).done == 1


async def test_an_error_of_ours_is_tried_again_and_given_up_as_long_as_the_job_comes_no_further(database_url: str) -> None:
    async def fails(progress: int) -> None:
        with pytest.raises(ValueError, match="ours"):
            await fenced.run(database_url, _Deadly("broken", progress), 1)

    for progress in (0, 0, 0, 0, 7, 7, 7, 7):
        await fails(progress)
    # Between two of its turns nothing is wrong with a job, however many it has.
    for _ in range(2 * _GIVEN_UP_AFTER):
        with pytest.raises(GaveWay):
            await fenced.run(database_url, _Deadly("polite", 7), 1)
    for _ in range(_GIVEN_UP_AFTER - 1):
        await fails(7)

    kind = _Deadly("broken", 7)
    await fenced.run(database_url, kind, 1)
    assert [why.message for why in kind.failures] == [
        "an error of the server; tell its operator the number of the import, 1"
    ]
    assert (await _last(database_url)).done == 1


async def test_each_time_that_a_job_begins_to_wait_for_room_the_log_says_so(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "tabellion.features.bulk.waiting")
    for behaviour in ("away", "away", "stopped", "away", "well"):
        with suppress(OSError):
            await fenced.run(database_url, _Deadly(behaviour), 1)

    said = [record.message.partition(":")[0] for record in caplog.records if record.name.endswith("waiting")]
    assert said == ["import 1 waits", "import 1 waits no more"] * 2


async def _free(url: str) -> None:
    """Until the server has noticed the death of whoever held the job."""
    async with asyncio.timeout(20), await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
        while True:
            cursor = await db.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = %s", (_Deadly.lock,))
            if await cursor.fetchone() is None:
                return
            await asyncio.sleep(0.02)
