"""Changes of records are told in the statement of the change, where somebody listens (contract, section 23.2)."""

from typing import Any

import pytest

from tabellion.platform import outbox
from tabellion.platform.outbox import Interest
from tests.support.custom import get, put, structure
from tests.support.structure import Bench


@pytest.fixture
async def heard(stays: Bench) -> Bench:
    """Somebody listens to everything of the table `Stays`."""
    subject = (await structure(stays))["id"]
    async with stays.db.transaction():
        await stays.db.execute(
            "UPDATE tabellion.licence SET catalogue_version = catalogue_version + 1 WHERE id = %s", (stays.licence_id,)
        )
        interests = [Interest("CUSTOM_TABLE", subject, type_) for type_ in ("CREATE", "UPDATE", "DELETE")]
        await outbox.declare(stays.db, stays.licence_id, interests)
    return stays


async def events(bench: Bench) -> list[tuple[str, Any, Any]]:
    cursor = await bench.db.execute(
        "DELETE FROM tabellion.outbox_event WHERE licence_id = %s AND subject_kind = 'CUSTOM_TABLE' "
        "RETURNING event_type, fields, data",
        (bench.licence_id,),
    )
    return await cursor.fetchall()


async def test_nobody_listens_and_nothing_is_written(stays: Bench) -> None:
    await put(stays, "A", state="OPEN")
    assert await events(stays) == []


async def test_changes_tell_what_they_were_given_and_the_identifiers(heard: Bench) -> None:
    await put(heard, "A", state="OPEN", voucher=7)
    id_ = (await get(heard, "A"))["id"]
    assert await events(heard) == [("CREATE", ["a5", "a7", "a1"], {"id": id_, "a1": "A", "a5": "OPEN", "a7": 7})]

    await put(heard, "A", state="OPEN")
    assert await events(heard) == []

    await put(heard, "A", state="PAID")
    assert await events(heard) == [("UPDATE", ["a5"], {"id": id_, "a1": "A", "a5": "PAID", "a7": 7})]

    await heard.call("records.v4.delete", t="Stays", r="A")
    assert await events(heard) == [("DELETE", None, {"id": id_, "a1": "A", "a7": 7})]
