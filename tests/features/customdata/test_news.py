"""Changes of records are told in the statement of the change, where somebody listens."""

from typing import Any

import pytest

from tabellion.platform import outbox
from tabellion.platform.outbox import Interest
from tests.support.custom import change, get, put, structure
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


def rule(**members: Any) -> dict[str, Any]:
    return {"operation": "setEventsToTrigger", "eventsToTrigger": [
        {"name": "ruled", "triggerRules": [{"onOperation": "UPDATE", **members}]},
    ]}  # fmt: skip


def when(member: str, attribute: str, operator: str, value: Any) -> dict[str, Any]:
    return {"matchingConditions": {member: [{"attribute": attribute, "operator": operator, "value": value}]}}


async def test_with_rules_only_updates_that_match_one_are_told(heard: Bench) -> None:
    before = when("stateBeforeOperation", "state", "!=", "PAID")["matchingConditions"]
    after = when("stateAfterOperation", "state", "=", "PAID")["matchingConditions"]
    await change(heard, rule(onAnyAttribute=["state"], matchingConditions=before | after))
    await put(heard, "A", state="OPEN", price=5)
    assert [event[0] for event in await events(heard)] == ["CREATE"]
    await put(heard, "A", price=6)
    assert await events(heard) == []
    await put(heard, "A", state="PAID")
    assert [event[0] for event in await events(heard)] == ["UPDATE"]
    await put(heard, "A", price=7)
    assert await events(heard) == []
    await change(heard, {"operation": "setEventsToTrigger", "eventsToTrigger": []})
    await put(heard, "A", price=8)
    assert [event[0] for event in await events(heard)] == ["UPDATE"]


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        (when("stateAfterOperation", "price", ">", 9.5), True),
        (when("stateAfterOperation", "price", "<=", 9.5), False),
        (when("stateBeforeOperation", "price", "=", None), True),
        (when("stateBeforeOperation", "breakfast", "=", True), True),
        (when("stateAfterOperation", "breakfast", "!=", True), False),
        (when("stateAfterOperation", "bookedAt", ">=", "2027-01-01T00:00:00.000Z"), True),
        (when("stateAfterOperation", "bookedAt", "<", "2027-01-01T00:00:00.000Z"), False),
        (when("stateAfterOperation", "cardNumber", "=", "it's 100 %s"), False),
        (when("stateAfterOperation", "cardNumber", "!=", "'; DROP SCHEMA tabellion; --"), True),
        ({"onAnyAttribute": ["state"]}, False),
        ({"onAnyAttribute": []}, True),
        ({"onOperation": "CREATE", "onAnyAttribute": ["state"]}, True),
        ({"onOperation": "DELETE", "onAnyAttribute": ["state"]}, True),
        ({"onAnyAttribute": ["state", "PRICE"]}, True),
        ({}, True),
    ],
)
async def test_rules_compare_values_of_all_types(condition: dict[str, Any], told: bool, heard: Bench) -> None:
    await change(heard, rule(**condition))
    await put(heard, "A", breakfast=True, bookedAt="2027-03-01T08:00:00Z")
    await events(heard)
    await put(heard, "A", price=10)
    assert bool(await events(heard)) is told
