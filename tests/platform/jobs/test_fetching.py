"""Whose job is next."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest
from procrastinate import App
from procrastinate.jobs import Job, Status

from tabellion.platform.database.connection import Database
from tabellion.platform.jobs import defer
from tabellion.platform.jobs.application import app
from tabellion.platform.jobs.turns import GaveWay, Trial, Turn, let_be_tried, let_give_way

GIVES_WAY, STAYS, TRIED = "test.gives_way", "test.stays", "test.tried"
let_give_way(GIVES_WAY)
let_be_tried(TRIED)


class Queue:
    """Jobs that are taken up by one worker and not run."""

    def __init__(self, db: Database, jobs: App, worker: int) -> None:
        self._db, self._jobs, self._worker = db, jobs, worker

    async def put(self, name: str, licence_id: int | None, lock: str | None = None, task: str = GIVES_WAY) -> None:
        await defer(self._db, task, licence_id=licence_id, lock=lock, name=name)

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

    async def gives_way(self, job: Job) -> bool:
        """Whether a job that has had its time leaves its place; then it waits for the next one."""
        try:
            kind = Trial if job.task_name == TRIED else Turn
            await kind(job.id, job.queue, least_s=0).end_if_others_wait(self._db)
        except GaveWay:
            await self._jobs.job_manager.retry_job(job)
            return True
        return False

    async def purge(self) -> None:
        await self._jobs.job_manager.delete_old_jobs(1)

    async def again(self, job: Job) -> None:
        await self._jobs.job_manager.retry_job(job, retry_at=datetime(2020, 1, 1, tzinfo=UTC))


@pytest.fixture
async def queue(database_url: str) -> AsyncIterator[Queue]:
    jobs = app(database_url)
    async with (
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db,
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
    assert list(await queue.taken()) == ["of 1", "of 2", "of 3", "of 4"]
    await queue.put("purge", None)
    assert list(await queue.taken()) == ["purge"]


async def test_a_long_job_of_the_servers_own_keeps_its_others_from_nothing(queue: Queue) -> None:
    await queue.put("strip", None)
    for licence_id in range(1, 6):
        await queue.put(f"of {licence_id}", licence_id)
    taken = await queue.taken()
    assert list(taken) == ["strip", "of 1", "of 2", "of 3"]
    await queue.put("due", None)
    own = await queue.taken()
    assert list(own) == ["due"]
    # Licences go on taking turns in the places that are left to them.
    await queue.finish(own["due"])
    assert await queue.gives_way(taken["of 1"])
    assert list(await queue.taken()) == ["of 4"]


async def test_a_job_leaves_for_the_servers_own_work_where_that_has_no_place(queue: Queue) -> None:
    for licence_id in range(1, 6):
        await queue.put(f"of {licence_id}", licence_id)
    taken = await queue.taken()
    await queue.put("strip", None)
    assert list(await queue.taken()) == ["strip"]
    # A worker has no sixth place.
    await queue.put("due", None)
    assert await queue.gives_way(taken["of 1"])
    # One is enough.
    assert not await queue.gives_way(taken["of 2"])
    own = await queue.taken()
    assert list(own) == ["due"]
    await queue.finish(own["due"])
    # That place is kept now; in the other three there are turns.
    assert list(await queue.taken()) == []
    assert await queue.gives_way(taken["of 2"])
    assert list(await queue.taken()) == ["of 5"]


async def test_licences_that_have_more_places_than_are_left_to_them_give_one_back(queue: Queue) -> None:
    for licence_id in range(1, 6):
        await queue.put(f"of {licence_id}", licence_id)
    taken = await queue.taken()
    await queue.put("strip", None)
    assert list(await queue.taken()) == ["strip"]
    assert await queue.gives_way(taken["of 1"])
    assert list(await queue.taken()) == []
    assert await queue.gives_way(taken["of 2"])
    assert list(await queue.taken()) == ["of 5"]


async def test_licences_have_a_place_whatever_the_server_does_itself(queue: Queue) -> None:
    for number in range(4):
        await queue.put(f"erase {number}", None)
    for licence_id in (1, 2):
        await queue.put(f"of {licence_id}", licence_id)
    assert list(await queue.taken()) == [*(f"erase {number}" for number in range(4)), "of 1"]


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


async def test_jobs_that_stay_leave_a_place_for_those_that_give_way(queue: Queue) -> None:
    for licence_id in range(1, 5):
        await queue.put(f"export {licence_id}", licence_id, task=STAYS)
    exports = await queue.taken()
    assert list(exports) == ["export 1", "export 2", "export 3"]
    await queue.put("import 5", 5)
    imports = await queue.taken()
    assert list(imports) == ["import 5"]

    # It gives way to no job that could not stay there, but to one that gives way in its turn.
    assert not await queue.gives_way(imports["import 5"])
    await queue.put("import 6", 6)
    assert await queue.gives_way(imports["import 5"])
    assert list(await queue.taken()) == ["import 6"]
    await queue.finish(exports["export 2"])
    assert list(await queue.taken()) == ["export 4"]


async def test_jobs_that_would_begin_anew_leave_once_at_most_and_where_they_cannot_stay(queue: Queue) -> None:
    for licence_id in range(1, 5):
        await queue.put(f"export {licence_id}", licence_id, task=TRIED)
    exports = await queue.taken()
    assert list(exports) == ["export 1", "export 2", "export 3", "export 4"]
    await queue.put("export 5", 5, task=TRIED)
    # Three stay, whoever waits and whenever they ask; the fourth leaves for one that has not been tried.
    for name in ("export 1", "export 4", "export 2", "export 1"):
        assert not await queue.gives_way(exports[name])
    assert await queue.gives_way(exports["export 3"])
    exports |= await queue.taken()
    assert list(exports)[4:] == ["export 5"]

    # It goes on where nobody waits whom it would make room for: not for one that was tried, or stays.
    await queue.put("etl 6", 6, task=STAYS)
    assert not await queue.gives_way(exports["export 5"])
    await queue.put("import 7", 7)
    assert await queue.gives_way(exports["export 5"])
    assert list(await queue.taken()) == ["import 7"]

    # Who was tried has a place when one of those who stay has ended, and stays whoever waits.
    await queue.finish(exports["export 4"])
    again = await queue.taken()
    assert list(again) == ["etl 6"]
    await queue.finish(again["etl 6"])
    again = await queue.taken()
    assert list(again) == ["export 3"]
    await queue.put("import 8", 8)
    assert not await queue.gives_way(again["export 3"])


async def test_long_jobs_that_can_go_on_later_let_everybody_have_a_turn(queue: Queue) -> None:
    for licence_id in range(1, 5):
        await queue.put(f"long {licence_id}", licence_id)
    long = await queue.taken()
    assert not await queue.gives_way(long["long 1"])  # nobody waits
    await queue.put("short 5", 5)
    await queue.put("short 6", 6)
    assert await queue.taken() == {}

    assert await queue.gives_way(long["long 2"])
    # A place is free now, so nobody else leaves for the first who waits; and who waits longest is next.
    assert not await queue.gives_way(long["long 3"])
    short = await queue.taken()
    assert list(short) == ["short 5"]
    assert await queue.gives_way(long["long 3"])
    short |= await queue.taken()
    assert list(short) == ["short 5", "short 6"]

    # Those that left have their turns among the others', however many these have to do.
    for number in range(3):
        await queue.put(f"more 5, {number}", 5)
    await queue.finish(short["short 5"])
    assert list(await queue.taken()) == ["long 2"]
    assert await queue.gives_way(long["long 1"])
    more = await queue.taken()
    assert list(more) == ["more 5, 0"]
    await queue.finish(more["more 5, 0"])
    assert list(await queue.taken()) == ["long 3"]


async def test_a_long_job_leaves_only_for_who_comes_next_then(queue: Queue) -> None:
    await queue.put("long 1", 1, "one table")
    await queue.put("long 2", 2)
    for licence_id in (1, 2):
        await queue.put(f"also {licence_id}", licence_id)
    taken = await queue.taken()
    assert list(taken) == ["long 1", "long 2", "also 1", "also 2"]
    # Others of its own licence wait for it, and those that would have to wait all the same.
    await queue.put("more 1", 1)
    await queue.put("more 2", 2)
    await queue.put("in order", 3, "one table")
    await queue.put("purge", None)
    for job in taken.values():
        assert not await queue.gives_way(job)
    own = await queue.taken()
    assert list(own) == ["purge"]
    await queue.finish(own["purge"])

    await queue.put("short 3", 3)
    assert await queue.gives_way(taken["also 2"])
    assert list(await queue.taken()) == ["short 3"]


async def test_a_long_job_leaves_also_where_the_servers_own_work_has_the_places(queue: Queue) -> None:
    for name in ("purge", "seal"):
        await queue.put(name, None)
    for licence_id in (1, 2):
        await queue.put(f"long {licence_id}", licence_id)
    taken = await queue.taken()
    assert list(taken) == ["purge", "seal", "long 1", "long 2"]
    await queue.put("short 3", 3)
    assert list(await queue.taken()) == []
    assert await queue.gives_way(taken["long 1"])
    assert list(await queue.taken()) == ["short 3"]


async def test_a_long_job_has_its_time_and_then_asks_now_and_then(queue: Queue, database_url: str) -> None:
    for licence_id in range(1, 5):
        await queue.put(f"long {licence_id}", licence_id)
    job = (await queue.taken())["long 1"]
    now = 100.0
    turn = Turn(job.id, job.queue, clock=lambda: now)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db:
        now = 102.0
        await turn.end_if_others_wait(db)
        await queue.put("short 5", 5)
        now = 102.4
        await turn.end_if_others_wait(db)
        now = 102.6
        with pytest.raises(GaveWay):
            await turn.end_if_others_wait(db)
        turn = Turn(job.id, job.queue, clock=lambda: now)
        now = 104.5
        await turn.end_if_others_wait(db)


async def test_old_turns_are_forgotten(queue: Queue, database_url: str) -> None:
    await queue.put("any", 1)
    await queue.taken()
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db:
        await db.execute("INSERT INTO tabellion.job_turn VALUES ('licence/7', now() - interval '25 hours')")
        await queue.purge()
        cursor = await db.execute("SELECT queue_name FROM tabellion.job_turn")
        assert await cursor.fetchall() == [("licence/1",)]
