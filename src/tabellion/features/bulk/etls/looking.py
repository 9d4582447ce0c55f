"""Looking after ETLs whose files come from locations: by their schedules, or as soon as the files are there."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg

from tabellion.features.bulk.etls import store
from tabellion.features.bulk.etls.definition import Definition
from tabellion.features.bulk.etls.fetching import is_complete, meant, put_away
from tabellion.features.bulk.etls.model import Due, NewExecution
from tabellion.features.bulk.imports import new_folder, turn
from tabellion.features.transfers import open_location
from tabellion.kit.schedule import Schedule
from tabellion.platform import jobs
from tabellion.platform.database.connection import Database
from tabellion.platform.secrets import SecretUnreadable
from tabellion.platform.transfer import TransferError

TASK, LOOK, PUT_AWAY = "etls.run", "etls.look", "etls.putAway"
# Until a look is over, or its worker has died.
_BETWEEN_LOOKS = timedelta(minutes=1)


def next_run(definition: dict[str, Any], now: datetime) -> datetime | None:
    """When an ETL is looked after again: by its schedule, each minute where it waits for files, or never."""
    schedule = definition.get("schedule")
    if definition["source"]["type"] != "LOCATION":
        return None
    if schedule is None:
        return now + _BETWEEN_LOOKS
    return Schedule(schedule["cron"], schedule["timeZone"]).next_after(now)


async def start_due(db: Database, now: datetime) -> int:
    """Start what is due: executions of those with schedules, looks into locations for the others; returns how many.

    Once, however many workers look; what was missed while nothing ran is made up for by one execution.
    """
    count = 0
    while True:
        async with db.transaction():
            due = await store.due(db, now)
            if due is None:
                return count
            await store.set_next_run(db, due.id, next_run(due.definition, now))
            if due.definition.get("schedule") is not None:
                await enter(db, due, now)
            else:
                try:
                    async with db.transaction():
                        one = f"etl-look/{due.id}"
                        await jobs.defer(db, LOOK, licence_id=due.licence_id, queueing_lock=one, etl_id=due.id)
                except psycopg.errors.UniqueViolation:
                    continue  # the last look has not begun yet
        count += 1


async def enter(db: Database, due: Due, now: datetime, user_id: int | None = None) -> int:
    """Make an execution that fetches its files, and queue it; its number. Scheduled ones count as no bulk call."""
    definition = msgspec.to_builtins(msgspec.convert(due.definition, Definition))
    folder = new_folder("etl")
    new = NewExecution(due.licence_id, due.entity_id, user_id, due.id, definition, (), folder, due.location_id)
    number = await store.enter(db, new, now)
    turn_of = turn(definition["files"][0]["load"]["tableId"])
    await jobs.defer(db, TASK, licence_id=due.licence_id, lock=turn_of, execution_id=number)
    return number


async def look(db: Database, etl_id: int, clock: Callable[[], datetime]) -> int | None:
    """Look into the location of an ETL without a schedule, and start an execution when its files are there; its number."""
    due = await store.waiting(db, etl_id)
    if due is None or due.definition.get("schedule") is not None or await store.is_busy(db, etl_id):
        return None
    definition = msgspec.convert(due.definition, Definition)
    try:
        _, opening = await open_location(db, due.licence_id, due.entity_id, due.location_id)
        async with opening as folder:
            files = await folder.files()
    except TransferError as error:
        await store.looked(db, etl_id, clock(), f"{error.step}: {error.message}")
        return None
    except SecretUnreadable as error:
        await store.looked(db, etl_id, clock(), error.message)
        return None
    async with db.transaction():
        # The row is held from now on: of two looks at once, the second one sees what the first one has started.
        await store.looked(db, etl_id, clock(), None)
        if await store.waiting(db, etl_id) != due:
            # Changed, switched off or deleted while the files were listed, which takes a slow server minutes.
            return None
        await store.forget_gone(db, etl_id, [file.name for file in files])
        found = meant(files, definition, await store.taken_files(db, etl_id, but_failed=False))
        if not is_complete(found, definition) or await store.is_busy(db, etl_id):
            return None
        return await enter(db, due, clock())


async def put_files_away(db: Database, execution_id: int) -> None:
    """What the location says is to become of the files that an execution has loaded. Raises `TransferError`."""
    done = await store.execution(db, execution_id)
    if done is None or done.location_id is None:
        return
    loaded = await store.files_of(db, execution_id)
    try:
        location, opening = await open_location(db, done.licence_id, done.entity_id, done.location_id)
    except SecretUnreadable as error:
        raise TransferError("LOGIN", error.message) from None
    if location.after_read == "KEEP" or not loaded:
        return
    async with opening as folder:
        for name in await put_away(folder, location, loaded):
            await store.forget_file(db, execution_id, name)
