"""Foreign keys: what they let in, what a deletion does, and what they keep from being deleted."""

import asyncio
from typing import Any

import pytest

from tabellion.features.tables import references
from tabellion.kit.problem import Problem
from tests.features.tables.test_structure_races import until_waiting
from tests.support.custom import LOGS, STAYS, change, code_of, create, get, put, structure
from tests.support.structure import Bench


async def guest(bench: Bench, card: str, **attributes: Any) -> None:
    await bench.profile(f"{card.lower()}@example.com", cardNumber=card, **attributes)


def key(name: str, attribute: str, table: str, target: str, action: str = "CASCADE", type_: str = "PROFILE_TABLE") -> Any:
    reference = {"tableType": type_, "tableId": table, "attribute": target}
    return {"name": name, "attribute": attribute, "reference": reference, "onDelete": action}


def adding(foreign_key: Any) -> dict[str, Any]:
    return {"operation": "addForeignKey", "foreignKey": foreign_key}


async def test_a_record_refers_to_what_exists(stays: Bench) -> None:
    await guest(stays, "C1")
    await put(stays, "A", cardNumber="C1")
    for call, body, reference in (
        ("records.v4.put", {"properties": [{"name": "cardNumber", "value": "C2"}]}, "A"),
        ("records.v5.patch", {"attributes": {"cardNumber": "C2"}}, "A"),
        ("records.v5.put", {"attributes": {"cardNumber": "C2"}}, "B"),
    ):
        assert await code_of(stays, call, body, t="Stays", r=reference) == (400, "attribute.value")
    with pytest.raises(Problem, match="no row of 'Guests' has the 'cardNumber' 'C2'"):
        await put(stays, "B", cardNumber="C2")
    assert await put(stays, "A", cardNumber=None) == 200


async def test_a_key_that_refers_to_nothing_is_told_as_it_stands_in_the_address(guests: Bench) -> None:
    await create(guests, STAYS, foreignKeys=[key("k", "stayRef", "guests", "cardNumber")])
    with pytest.raises(Problem, match="no row of 'Guests' has the 'cardNumber' 'C2'"):
        await put(guests, "C2", state="OPEN")


@pytest.mark.parametrize(
    ("action", "left"), [("CASCADE", None), ("SET_NULL", {"cardNumber": None}), ("RESTRICT", {"cardNumber": "C1"})]
)
async def test_the_database_does_what_a_deletion_asks_for(action: str, left: Any, guests: Bench) -> None:
    await create(guests, STAYS, foreignKeys=[key("k", "cardNumber", "guests", "CARDNUMBER", action)])
    await guest(guests, "C1")
    await guest(guests, "C2")
    await put(guests, "A", cardNumber="C1")
    await put(guests, "B", cardNumber="C2")

    if action == "RESTRICT":
        assert await code_of(guests, "profiles.v4.delete", p="cardNumber=C1") == (409, "profile.inUse")
    else:
        assert (await guests.call("profiles.v4.delete", p="cardNumber=C1")).status == 204

    if left is None:
        assert await code_of(guests, "records.v5.get", t="Stays", r="A") == (404, "record.unknown")
    else:
        assert (await get(guests, "A"))["cardNumber"] == left["cardNumber"]
    assert (await get(guests, "B"))["cardNumber"] == "C2"


async def test_records_follow_a_key_that_changes(stays: Bench) -> None:
    await guest(stays, "C1")
    await put(stays, "A", cardNumber="C1")
    body = {"attributes": {"cardNumber": "C9"}}
    await stays.call("profiles.v5.patch", body, p="cardNumber=C1")
    assert (await get(stays, "A"))["cardNumber"] == "C9"


async def refusal(bench: Bench, call_id: str, body: Any = None, **options: Any) -> Problem:
    """The refusal of a call that must change nothing."""
    before = await bench.physical()
    with pytest.raises(Problem) as refused:
        await bench.call(call_id, body, **options)
    assert await bench.physical() == before
    return refused.value


@pytest.mark.parametrize("action", ["CASCADE", "RESTRICT"])
async def test_a_value_that_records_refer_to_is_not_cleared(action: str, guests: Bench) -> None:
    await create(guests, STAYS, foreignKeys=[key("k", "cardNumber", "guests", "CARDNUMBER", action)])
    await guest(guests, "C1")
    await guest(guests, "C2")
    for name in ("A", "B"):
        await put(guests, name, cardNumber="C1")
    v4 = {"attributes": [{"name": "cardNumber", "value": None}]}
    v5 = {"attributes": {"cardNumber": None}}
    keyed = {"key": {"emailAddress": "c1@example.com"}, "attributes": {"cardNumber": None}}
    for call, body, path in (
        ("profiles.v5.patch", v5, {"p": "cardNumber=C1"}),
        ("profiles.v5.put", keyed, {}),
        ("profiles.v4.put", v4, {"p": "emailAddress=c1@example.com"}),
        ("profiles.v4.put", v4, {"p": "1"}),
    ):
        refused = await refusal(guests, call, body, **path)
        assert (refused.status, refused.code, [e.field for e in refused.errors]) == (409, "profile.inUse", ["attributes"])
        for part in ("'cardNumber' of this profile", "'Stays'", "foreign key 'k'", "2 records", "another value"):
            assert part in refused.message
    assert (await get(guests, "A"))["cardNumber"] == "C1"
    assert (await guests.call("profiles.v5.patch", v5, p="cardNumber=C2")).status == 200
    await put(guests, "A", cardNumber=None)
    assert (await guests.call("records.v5.delete", t="Stays", r="B")).status == 204
    assert (await guests.call("profiles.v5.patch", v5, p="cardNumber=C1")).status == 200


async def test_records_that_may_lose_their_reference_lose_it_when_it_is_cleared(guests: Bench) -> None:
    await create(guests, STAYS, foreignKeys=[key("k", "cardNumber", "guests", "cardNumber", "SET_NULL")])
    await guest(guests, "C1")
    await put(guests, "A", cardNumber="C1")
    body = {"attributes": {"cardNumber": None}}
    assert (await guests.call("profiles.v5.patch", body, p="cardNumber=C1")).status == 200
    assert (await get(guests, "A"))["cardNumber"] is None


async def test_records_refer_to_records_whose_value_stays(stays: Bench) -> None:
    bills = {
        "name": "Bills",
        "attributes": [{"name": "stay", "valueType": "INTEGER"}, {"name": "twin", "valueType": "LONG"}],
    }
    await create(stays, bills, foreignKeys=[key("voucher", "stay", "Stays", "voucher", "CASCADE", "CUSTOM_TABLE")])
    await put(stays, "A", voucher=7)
    assert (await stays.call("records.v5.create", {"attributes": {"stay": 7}}, t="Bills")).status == 201
    body = {"attributes": {"voucher": None}}
    refused = await refusal(stays, "records.v5.patch", body, t="Stays", r="A")
    assert (refused.status, refused.code) == (409, "record.inUse")
    assert "1 record)" in refused.message
    await change(stays, {"operation": "removeForeignKey", "name": "voucher"}, t="Bills")
    assert (await stays.call("records.v5.patch", body, t="Stays", r="A")).status == 200


async def test_a_record_that_refers_to_itself_may_give_up_both(stays: Bench) -> None:
    twin = {"operation": "addAttribute", "attribute": {"name": "twin", "valueType": "LONG"}}
    await change(stays, twin, adding(key("twin", "twin", "Stays", "voucher", "CASCADE", "CUSTOM_TABLE")))
    shared = {"operations": [{"operation": "updateAttribute", "name": "voucher", "changes": {"unique": False}}]}
    assert await code_of(stays, "customStructure.v5.change", shared, t="Stays") == (400, "structure.inUse")
    await put(stays, "A", voucher=7)
    await put(stays, "A", twin=7)
    body = {"attributes": {"voucher": None}}
    assert (await refusal(stays, "records.v5.patch", body, t="Stays", r="A")).code == "record.inUse"
    await put(stays, "A", voucher=8)
    assert (await get(stays, "A"))["twin"] == 8
    await put(stays, "A", voucher=None, twin=None)
    assert ((await get(stays, "A"))["voucher"], (await get(stays, "A"))["twin"]) == (None, None)


async def test_a_record_that_comes_while_its_reference_is_cleared_keeps_it_from_being(stays: Bench) -> None:
    await guest(stays, "C1")
    body = {"attributes": {"cardNumber": None}}
    async with stays.connection() as db, stays.connection() as other:
        incoming = await stays.incoming("profiles.v5.patch", body, db=other, p="cardNumber=C1")
        async with db.transaction():
            await stays.call("records.v5.put", {"attributes": {"cardNumber": "C1"}}, t="Stays", r="A", db=db)
            clearing = asyncio.create_task(incoming.call.handler(incoming))
            await until_waiting(stays, "%UPDATE%")
        with pytest.raises(Problem) as refused:
            await clearing
    assert refused.value.code == "profile.inUse"
    assert (await get(stays, "A"))["cardNumber"] == "C1"


async def test_a_table_that_is_gone_holds_nothing(stays: Bench) -> None:
    await guest(stays, "C1")
    await put(stays, "A", cardNumber="C1")
    await stays.call("customStructure.v5.delete", t="Stays")
    assert (await stays.call("profiles.v5.patch", {"attributes": {"cardNumber": None}}, p="cardNumber=C1")).status == 200


async def test_a_refused_deletion_says_who_is_in_the_way(guests: Bench) -> None:
    await create(guests, STAYS, foreignKeys=[key("k", "cardNumber", "guests", "cardNumber", "CASCADE")])
    await guest(guests, "C1")
    await put(guests, "A", cardNumber="C1")
    await put(guests, "B", cardNumber="C1")
    bills = {"name": "Bills", "attributes": [{"name": "stay", "valueType": "STRING"}]}
    await create(guests, bills, foreignKeys=[key("stay", "stay", "Stays", "stayRef", "RESTRICT", "CUSTOM_TABLE")])
    assert (await guests.call("records.v5.create", {"attributes": {"stay": "A"}}, t="Bills")).status == 201
    refused = await refusal(guests, "records.v5.delete", t="Stays", r="A")
    assert refused.message == (
        "this record cannot be deleted: records of 'Bills' (foreign key 'stay' of its 'stay': 1 record) refer to it; "
        "delete them, or have them refer to something else, first"
    )
    refused = await refusal(guests, "profiles.v5.delete", p="cardNumber=C1")
    assert refused.code == "profile.inUse"
    assert "records that would be deleted" in refused.message


async def test_technical_ids_and_custom_tables_can_be_referred_to(guests: Bench) -> None:
    await create(guests, STAYS, foreignKeys=[])
    id_ = (await structure(guests))["id"]
    bills = {
        "name": "Bills",
        "attributes": [
            {"name": "guest", "valueType": "INTEGER"},
            {"name": "stay", "valueType": "STRING"},
            {"name": "stayId", "valueType": "LONG"},
        ],
        "foreignKeys": [
            key("guest", "guest", "Guests", "profileId", "SET_NULL"),
            key("stay", "stay", id_, "stayRef", "RESTRICT", "CUSTOM_TABLE"),
            key("stay-id", "stayId", "Stays", "id", "SET_NULL", "CUSTOM_TABLE"),
        ],
    }
    await create(guests, bills)
    read = (await structure(guests, "Bills"))["foreignKeys"]
    assert [(k["reference"]["tableId"] == id_, k["reference"]["attribute"]) for k in read] == [
        (False, "profileId"),
        (True, "stayRef"),
        (True, "id"),
    ]
    await guest(guests, "C1")
    await put(guests, "A")
    stay = await get(guests, "A")
    made = {"attributes": {"guest": 1, "stay": "A", "stayId": stay["id"]}}
    assert (await guests.call("records.v5.create", made, t="Bills")).status == 201
    assert await code_of(guests, "records.v5.delete", t="Stays", r="A") == (409, "record.inUse")
    assert await code_of(guests, "customStructure.v5.delete", t="Stays") == (409, "table.inUse")
    assert await code_of(guests, "records.v5.create", {"attributes": {"stayId": 5}}, t="Bills") == (400, "attribute.value")


async def test_a_table_may_refer_to_itself(stays: Bench) -> None:
    sibling = {"operation": "addAttribute", "attribute": {"name": "follows", "valueType": "STRING"}}
    own = key("follows", "follows", "Stays", "stayRef", "RESTRICT", "CUSTOM_TABLE")
    await change(stays, sibling, adding(own))
    await put(stays, "A")
    await put(stays, "B", follows="A")
    await put(stays, "C", follows="C")
    assert await code_of(stays, "records.v5.delete", t="Stays", r="A") == (409, "record.inUse")
    body = {"attributes": {"follows": "X"}}
    assert await code_of(stays, "records.v5.patch", body, t="Stays", r="A") == (400, "attribute.value")
    assert (await stays.call("records.v5.delete", t="Stays", r="B")).status == 204
    assert (await stays.call("records.v5.delete", t="Stays", r="A")).status == 204
    for operation in (
        {"operation": "removeAttribute", "name": "stayRef"},
        {"operation": "removeAttribute", "name": "follows"},
    ):
        body = {"operations": [operation]}
        assert await code_of(stays, "customStructure.v5.change", body, t="Stays") == (400, "structure.inUse")
    # What refers to a table from within is in nobody's way.
    await create(stays, STAYS | {"name": "Tree"}, foreignKeys=[])
    up = key("up", "cardNumber", "Tree", "stayRef", "RESTRICT", "CUSTOM_TABLE")
    await stays.call("customStructure.v5.change", {"operations": [adding(up)]}, t="Tree")
    assert (await stays.call("customStructure.v5.delete", t="Tree")).status == 204
    again = {**own, "onDelete": "SET_NULL"}
    await change(stays, {"operation": "removeForeignKey", "name": "follows"}, adding(again))
    await change(
        stays,
        {"operation": "removeForeignKey", "name": "follows"},
        {"operation": "removeAttribute", "name": "follows"},
    )
    assert (await stays.call("customStructure.v5.delete", t="Stays")).status == 204


async def test_what_is_referred_to_stays(stays: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await guest(stays, "C1")
    assert "'cardNumber': no records yet)" in (await refusal(stays, "structure.v5.delete")).message
    await put(stays, "A", cardNumber="C1")
    await put(stays, "B", cardNumber="C1")
    await put(stays, "C")
    monkeypatch.setattr(references, "MOST_COUNTED", 1)
    assert "'cardNumber': more than 1 records)" in (await refusal(stays, "structure.v5.delete")).message
    monkeypatch.setattr(references, "MOST_COUNTED", 2)
    refused = await refusal(stays, "structure.v5.delete")
    assert refused.code == "table.inUse"
    assert refused.message == (
        "records of 'Stays' (foreign key 'to-guest' of its 'cardNumber': 2 records) refer to the table 'Guests'; "
        "remove that foreign key first (removeForeignKey, in a change request of 'Stays'), or delete 'Stays'"
    )
    for operation, place in (
        ({"operation": "removeAttribute", "name": "cardNumber"}, "operations[0]"),
        ({"operation": "updateAttribute", "name": "cardNumber", "changes": {"unique": False}}, "operations[0]"),
    ):
        refused = await refusal(stays, "structure.v5.change", {"operations": [operation]})
        assert (refused.status, refused.code, refused.errors[0].field) == (409, "table.inUse", place)
        assert refused.message == (
            "'cardNumber' is what records of 'Stays' (foreign key 'to-guest' of its 'cardNumber': 2 records) refer to; "
            "remove that foreign key first (removeForeignKey, in a change request of 'Stays')"
        )
    await change(stays, {"operation": "removeForeignKey", "name": "TO-GUEST"})
    assert (await stays.call("structure.v5.delete", t="Guests")).status == 204


async def test_a_table_may_refer_to_what_the_same_request_adds_to_it(stays: Bench) -> None:
    both = [{"name": "number", "valueType": "LONG", "unique": True}, {"name": "follows", "valueType": "LONG"}]
    follows = adding(key("follows", "follows", "Stays", "number", "RESTRICT", "CUSTOM_TABLE"))
    read = await change(stays, *({"operation": "addAttribute", "attribute": each} for each in both), follows)
    assert [each["name"] for each in read["foreignKeys"]] == ["to-guest", "follows"]
    # What is referred to is deleted without a look at each record that may refer to it.
    query = "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND indexdef LIKE '%%(a9)'"
    assert len(await (await stays.db.execute(query, (f"l{stays.licence_id}",))).fetchall()) == 1


async def test_what_a_foreign_key_may_clear_cannot_become_mandatory(guests: Bench) -> None:
    await create(guests, STAYS, foreignKeys=[key("k", "cardNumber", "guests", "cardNumber", "SET_NULL")])
    body = {"operations": [{"operation": "updateAttribute", "name": "cardNumber", "changes": {"mandatory": True}}]}
    assert await code_of(guests, "customStructure.v5.change", body, t="Stays") == (400, "structure.foreignKey")


async def test_a_foreign_key_needs_records_that_fit(stays: Bench) -> None:
    await change(stays, {"operation": "removeForeignKey", "name": "to-guest"})
    await put(stays, "A", cardNumber="C1")
    body = {"operations": [adding(STAYS["foreignKeys"][0])]}
    assert await code_of(stays, "customStructure.v5.change", body, t="Stays") == (409, "structure.dataConflict")
    await guest(stays, "C1")
    assert (await change(stays, adding(STAYS["foreignKeys"][0])))["foreignKeys"][0]["name"] == "to-guest"


@pytest.mark.parametrize(
    ("foreign_key", "place", "code"),
    [
        (key("k", "x", "Guests", "cardNumber"), "attribute", "attribute.unknown"),
        (key("k", "state", "Guests", "cardNumbr"), "reference.attribute", "attribute.unknown"),
        (key("k", "state", "Guests", "lastName"), "reference.attribute", "key.notUnique"),
        (key("k", "state", "Guests", "emailAddress"), "reference.attribute", "structure.foreignKey"),
        (key("k", "price", "Guests", "cardNumber"), "attribute", "structure.foreignKey"),
        (key("k", "state", "Guests", "profileId"), "attribute", "structure.foreignKey"),
        (key("k", "state", "Other", "cardNumber"), "reference.tableId", "table.unknown"),
        (key("k", "state", "Guests", "cardNumber", "NOTHING"), "onDelete", "member.type"),
        (
            {n: v for n, v in key("k", "state", "Guests", "cardNumber").items() if n != "onDelete"},
            "onDelete",
            "member.mandatory",
        ),
        (key("k", "state", "Guests", "cardNumber", type_="X"), "reference.tableType", "member.type"),
        (key("k", "cardNumber", "Guests", "cardNumber"), "attribute", "structure.foreignKey"),
        (key("to-guest", "state", "Guests", "cardNumber"), "name", "structure.nameTaken"),
        (key("k", "stayRef", "Guests", "cardNumber", "SET_NULL"), "onDelete", "structure.foreignKey"),
    ],
)
async def test_what_cannot_be_referred_to_is_refused(foreign_key: Any, place: str, code: str, stays: Bench) -> None:
    before = await stays.physical()
    with pytest.raises(Exception) as refusal:  # noqa: PT011 - looked at below
        await change(stays, adding(foreign_key))
    assert await stays.physical() == before
    errors: Any = refusal.value
    assert [(e.field, e.code) for e in errors.errors] == [(f"operations[0].foreignKey.{place}", code)]
    if place == "onDelete" and code != "structure.foreignKey":
        assert errors.errors[0].message.endswith("one of CASCADE, RESTRICT, SET_NULL")
    if "cardNumbr" in repr(foreign_key):
        assert errors.errors[0].message.endswith("no attribute 'cardNumbr'; did you mean 'cardNumber'?")


async def test_a_table_of_another_entity_cannot_be_referred_to(guests: Bench) -> None:
    body = {**STAYS, "name": "Elsewhere"}
    assert await code_of(guests, "customStructure.v5.create", body, e="spas") == (400, "table.unknown")


async def test_a_change_that_cannot_have_its_lock_gives_up(stays: Bench) -> None:
    await create(stays, LOGS)
    async with stays.connection() as other, other.transaction():
        relation = (await stays.row("SELECT id FROM tabellion.custom_table WHERE name = 'Stays'"
                                    " AND licence_id = %s", stays.licence_id))[0]  # fmt: skip
        await other.execute(f"LOCK TABLE l{stays.licence_id}.c{relation} IN ACCESS SHARE MODE")
        body = {"operations": [{"operation": "removeAttribute", "name": "breakfast"}]}
        async with asyncio.timeout(10):
            assert await code_of(stays, "customStructure.v5.change", body, t="Stays") == (503, "unavailable")
