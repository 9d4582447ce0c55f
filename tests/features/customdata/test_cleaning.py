"""Records that are older than their table's rule allows are deleted at night, and who listens is told."""

from datetime import timedelta
from typing import Any

import pytest

from tabellion.features.customdata import CustomTable, cleaning
from tabellion.features.customdata.cleaning import clean
from tabellion.kit.clock import utc_now
from tabellion.platform.database.connection import Database
from tests.features.customdata.test_news import events, heard
from tests.support.custom import change, create, put
from tests.support.structure import Bench

__all__ = ["heard"]


def ruled(attribute: str, days: int) -> dict[str, Any]:
    return {"operation": "setCleaningRule", "cleaningRule": {"attribute": attribute, "olderThanDays": days}}


async def relation_of(bench: Bench, table: str) -> str:
    query = "SELECT id FROM tabellion.custom_table WHERE licence_id = %s AND name = %s"
    (number,) = await bench.row(query, bench.licence_id, table)
    return f"l{bench.licence_id}.c{number}"


async def left(bench: Bench, table: str = "Stays") -> list[str]:
    cursor = await bench.db.execute(f"SELECT a1 FROM {await relation_of(bench, table)} ORDER BY 1")
    return [row[0] for row in await cursor.fetchall()]


async def test_old_records_go_and_the_rest_stays(heard: Bench) -> None:
    await change(heard, ruled("bookedAt", 30))
    now = utc_now()
    for name, days in (("OLD", 31), ("EDGE", 29), ("NEW", 0)):
        await put(heard, name, bookedAt=(now - timedelta(days=days)).isoformat())
    await put(heard, "NEVER", state="OPEN")
    await events(heard)
    await clean(heard.db, now)
    assert await left(heard) == ["EDGE", "NEVER", "NEW"]
    assert [(type_, data["a1"]) for type_, _, data in await events(heard)] == [("DELETE", "OLD")]
    await clean(heard.db, now)
    assert await events(heard) == []


async def test_more_than_a_batch_goes(stays: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabellion.features.customdata.cleaning._BATCH", 2)
    await change(stays, ruled("creationMoment", 1))
    for name in "ABCDE":
        await put(stays, name, state="OPEN")
    await clean(stays.db, utc_now())
    assert len(await left(stays)) == 5
    await clean(stays.db, utc_now() + timedelta(days=1, minutes=1))
    assert await left(stays) == []


async def test_a_rule_that_is_taken_away_meanwhile_deletes_no_more(stays: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await change(stays, ruled("creationMoment", 1))
    for name in "ABCDE":
        await put(stays, name, state="OPEN")
    monkeypatch.setattr("tabellion.features.customdata.cleaning._BATCH", 2)
    batch = cleaning.clean_batch

    async def then_none(db: Database, table: CustomTable, *args: Any, **told: Any) -> int:
        count = await batch(db, table, *args, **told)
        if table.licence_id != stays.licence_id:
            return count
        await change(stays, {"operation": "setCleaningRule", "cleaningRule": None})
        return count

    monkeypatch.setattr(cleaning, "clean_batch", then_none)
    async with stays.connection() as db:
        await clean(db, utc_now() + timedelta(days=2))
    assert len(await left(stays)) == 3


async def test_what_others_refer_to_stays_and_keeps_nothing_else(stays: Bench) -> None:
    document = {
        "name": "Notes", "primaryKeyAttribute": "note",
        "attributes": [{"name": "note", "valueType": "STRING"}, {"name": "stay", "valueType": "STRING"}],
        "foreignKeys": [{"name": "of", "attribute": "stay", "onDelete": "RESTRICT",
                         "reference": {"tableType": "CUSTOM_TABLE", "tableId": "Stays", "attribute": "stayRef"}}],
    }  # fmt: skip
    await create(stays, document)
    for name in "ABC":
        await put(stays, name, state="OPEN")
    await put(stays, "N", t="Notes", stay="B")
    await change(stays, ruled("creationMoment", 1))
    await clean(stays.db, utc_now() + timedelta(days=2))
    assert await left(stays) == ["B"]


async def test_a_busy_table_does_not_keep_the_others(stays: Bench, caplog: pytest.LogCaptureFixture) -> None:
    document = {"name": "Later", "primaryKeyAttribute": "ref", "attributes": [{"name": "ref", "valueType": "STRING"}]}
    await create(stays, document)
    await put(stays, "A", state="OPEN")
    await put(stays, "B", t="Later")
    for table in ("Stays", "Later"):
        await change(stays, ruled("creationMoment", 1), t=table)
    await stays.db.execute("SET lock_timeout = '50ms'")
    async with stays.connection() as other, other.transaction():
        await other.execute(f"LOCK TABLE {await relation_of(stays, 'Stays')}")
        assert await clean(stays.db, utc_now() + timedelta(days=2)) == 1
    assert await left(stays) == ["A"]
    assert await left(stays, "Later") == []
    assert "was busy" in caplog.text
