"""Records that are older than their table's rule allows are deleted at night, and who listens is told."""

from datetime import UTC, datetime, timedelta
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


def referring(name: str, table: str, attribute: str, action: str) -> dict[str, Any]:
    """A table of records that refer to those of another one."""
    reference = {"tableType": "CUSTOM_TABLE", "tableId": table, "attribute": attribute}
    return {
        "name": name, "primaryKeyAttribute": "note",
        "attributes": [{"name": "note", "valueType": "STRING"}, {"name": "stay", "valueType": "STRING"}],
        "foreignKeys": [{"name": "of", "attribute": "stay", "onDelete": action, "reference": reference}],
    }  # fmt: skip


async def test_what_others_refer_to_stays_and_keeps_nothing_else(stays: Bench) -> None:
    await create(stays, referring("Notes", "Stays", "stayRef", "RESTRICT"))
    for name in "ABC":
        await put(stays, name, state="OPEN")
    await put(stays, "N", t="Notes", stay="B")
    await change(stays, ruled("creationMoment", 1))
    await clean(stays.db, utc_now() + timedelta(days=2))
    assert await left(stays) == ["B"]


async def test_what_goes_takes_along_what_was_made_to_and_what_would_take_along_more_stays(
    stays: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await create(stays, referring("Notes", "Stays", "stayRef", "CASCADE"))
    await create(stays, referring("Bills", "Notes", "note", "RESTRICT"))
    await create(stays, {"name": "Later", "primaryKeyAttribute": "a", "attributes": [{"name": "a", "valueType": "STRING"}]})
    for table in ("Stays", "Later"):
        await put(stays, "A", t=table)
        await change(stays, ruled("creationMoment", 1), t=table)
    await put(stays, "N", t="Notes", stay="A")
    await put(stays, "B", t="Bills", stay="N")
    tomorrow = utc_now() + timedelta(days=2)

    assert await clean(stays.db, tomorrow) == 1
    assert (await left(stays), await left(stays, "Notes"), await left(stays, "Later")) == (["A"], ["N"], [])
    assert "are referred to and stay" in caplog.text
    assert (await stays.call("records.v4.delete", t="Bills", r="B")).status == 204
    assert await clean(stays.db, tomorrow) == 1
    assert (await left(stays), await left(stays, "Notes")) == ([], [])


async def test_a_record_that_was_changed_is_as_old_as_its_change(stays: Bench) -> None:
    for name in "AB":
        await put(stays, name, state="OPEN")
    await stays.db.execute(f"UPDATE {await relation_of(stays, 'Stays')} SET created_at = now() - interval '9 days'")
    await change(stays, ruled("updateMoment", 3))
    await stays.db.execute(
        f"UPDATE {await relation_of(stays, 'Stays')} SET updated_at = now() - interval '5 days' WHERE a1 = 'A'"
    )
    assert await clean(stays.db, utc_now()) == 1
    assert await left(stays) == ["B"]


async def test_days_are_those_of_the_licence(stays: Bench) -> None:
    day = {"operation": "addAttribute", "attribute": {"name": "day", "valueType": "DATE"}}
    await change(stays, day, ruled("day", 1))
    for name in ("2027-03-09", "2027-03-10"):
        await put(stays, name[-5:], day=name)
    # In Brussels it is the 11th.
    await clean(stays.db, datetime(2027, 3, 10, 23, 30, tzinfo=UTC))
    assert await left(stays) == ["03-10"]


async def test_a_busy_record_does_not_keep_the_others(stays: Bench) -> None:
    await put(stays, "A", state="OPEN")
    await put(stays, "B", state="OPEN")
    await change(stays, ruled("creationMoment", 1))
    async with stays.connection() as other, other.transaction():
        await other.execute(f"SELECT FROM {await relation_of(stays, 'Stays')} WHERE a1 = 'A' FOR UPDATE")
        await clean(stays.db, utc_now() + timedelta(days=2))
    assert await left(stays) == ["A"]


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
