"""Whose job is next."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest
from procrastinate import App
from procrastinate.jobs import Job, Status

from tabellion.platform.database.connection import Database
from tabellion.platform.jobs import defer, install
from tabellion.platform.jobs.application import app


class Queue:
    """Jobs that are taken up by one worker and not run."""

    def __init__(self, db: Database, jobs: App, worker: int) -> None:
        self._db, self._jobs, self._worker = db, jobs, worker

    async def put(self, name: str, licence_id: int | None, lock: str | None = None) -> None:
        await defer(self._db, "test.any", licence_id=licence_id, lock=lock, name=name)

    async def next(self) -> Job | None:
        return await self._jobs.job_manager.fetch_job(None, self._worker)

    async def taken(self) -> dict[str, Job]:
        """What a worker with room for everything takes up, in order."""
        found: dict[str, Job] = {}
        while (job := await self.next()) is not None:
            found[str(job.task_kwargs["name"])] = job
        return found

    async def finish(self, job: Job) -> None:
        await self._jobs.job_manager.finish_job(job, status=Status.SUCCEEDED, delete_job=True)

    async def again(self, job: Job) -> None:
        await self._jobs.job_manager.retry_job(job, retry_at=datetime(2020, 1, 1, tzinfo=UTC))


@pytest.fixture
async def queue(empty_database_url: str) -> AsyncIterator[Queue]:
    install(empty_database_url)
    jobs = app(empty_database_url)
    async with (
        await psycopg.AsyncConnection.connect(empty_database_url, autocommit=True) as db,
        jobs.open_async(),
    ):
        yield Queue(db, jobs, await jobs.job_manager.register_worker())


async def test_many_jobs_of_one_licence_keep_nobody_else_waiting(queue: Queue) -> None:
    for number in range(1, 5):
        await queue.put(f"loud {number}", 1)
    await queue.put("quiet", 2)
    await queue.put("purge", None)

    first = await queue.taken()
    assert list(first) == ["purge", "loud 1", "quiet", "loud 2"]

    # A place is kept for those who have had none yet, however much the one has to do.
    await queue.finish(first["quiet"])
    assert list(await queue.taken()) == []
    await queue.put("late", 3)
    assert list(await queue.taken()) == ["late"]
    await queue.finish(first["loud 1"])
    assert list(await queue.taken()) == ["loud 3"]


async def test_the_servers_own_jobs_wait_for_no_licence(queue: Queue) -> None:
    for licence_id in range(1, 6):
        await queue.put(f"of {licence_id}", licence_id)
    assert list(await queue.taken()) == ["of 1", "of 2", "of 3"]
    await queue.put("purge", None)
    assert list(await queue.taken()) == ["purge"]


async def test_jobs_with_the_same_lock_are_done_in_their_order_also_when_one_is_tried_again(queue: Queue) -> None:
    for number in (1, 2):
        await queue.put(f"import {number}", 1, "one table")
    first = await queue.taken()
    assert list(first) == ["import 1"]
    await queue.again(first["import 1"])
    again = await queue.taken()
    assert list(again) == ["import 1"]
    await queue.finish(again["import 1"])
    assert list(await queue.taken()) == ["import 2"]
