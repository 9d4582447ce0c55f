"""The structure of custom tables: what is made, what is refused, what changes."""

from decimal import Decimal
from typing import Any

import pytest

from tabellion.features.customdata.endpoints import examples
from tabellion.kit.problem import Problem
from tests.support.custom import LOGS, PLACES, STAYS, change, code_of, create, get, put, structure
from tests.support.structure import Bench

PLAIN = {"mandatory": False, "indexed": False, "unique": False, "valueRestriction": None}


def _event(attribute: str, value: Any) -> Any:
    """An event with a test on one attribute."""
    conditions = {"stateAfterOperation": [{"attribute": attribute, "operator": "=", "value": value}]}
    rule = {"onOperation": "UPDATE", "matchingConditions": conditions}
    return {"name": f"on {attribute}", "triggerRules": [rule]}


async def refused(bench: Bench, document: Any) -> list[tuple[str, str]]:
    """Places and codes of what is wrong with a new table; nothing is made."""
    before = await bench.physical()
    with pytest.raises(Problem) as refusal:
        await create(bench, document)
    assert await bench.physical() == before
    return [(error.field, error.code) for error in refusal.value.errors]


async def columns(bench: Bench) -> dict[str, str]:
    """The columns of the custom tables, with their types."""
    cursor = await bench.db.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name ~ '^c[0-9]' "
        "ORDER BY ordinal_position",
        (f"l{bench.licence_id}",),
    )
    return dict(await cursor.fetchall())


async def indexes(bench: Bench) -> set[str]:
    """The columns of the indexes of the custom tables, unique ones with a `!`."""
    cursor = await bench.db.execute(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND tablename ~ '^c[0-9]'", (f"l{bench.licence_id}",)
    )
    rows = [row[0] for row in await cursor.fetchall()]
    return {("!" if "UNIQUE" in row else "") + row.split("(")[1].split(")")[0] for row in rows}


async def test_only_name_and_attributes_are_mandatory(bench: Bench) -> None:
    id_ = await create(bench, LOGS)
    assert await structure(bench, "Logs") == {
        "id": id_,
        "name": "Logs",
        "type": "LINKED_DATA",
        "primaryKeyAttribute": None,
        "creationTimeAttribute": None,
        "compositeKey": None,
        "bigTable": False,
        "valueAttribute": None,
        "attributes": [{"name": "text", "valueType": "STRING", **PLAIN}],
        "foreignKeys": [],
        "eventsToTrigger": [],
        "cleaningRule": None,
        "layout": None,
    }
    assert await structure(bench, id_.upper()) == await structure(bench, "LOGS")


async def test_the_whole_document_comes_back(guests: Bench) -> None:
    await create(guests, examples.CREATE, layout={"columns": ["price"]}, bigTable=True)
    read = await structure(guests)
    key = examples.FOREIGN_KEY
    table_id = (await guests.row("SELECT id FROM tabellion.profile_table WHERE licence_id = %s", guests.licence_id))[0]
    expected = {
        **examples.CREATE,
        "id": read["id"],
        "layout": {"columns": ["price"]},
        "bigTable": True,
        "foreignKeys": [{**key, "reference": {**key["reference"], "tableId": str(table_id)}}],
    }
    assert read == expected


async def test_the_table_behind_it_is_a_typed_one(stays: Bench) -> None:
    assert list((await columns(stays)).values()) == [
        "bigint",
        "timestamp with time zone",
        "timestamp with time zone",
        "text",
        "text",
        "timestamp with time zone",
        "numeric",
        "text",
        "boolean",
        "bigint",
    ]
    # The unique ones, the indexed one, which has the foreign key, and no second one for that.
    assert await indexes(stays) == {"!id", "created_at, updated_at", "!a1", "a2", "!a7"}


async def test_the_v4_document_lists_the_technical_fields_first(stays: Bench) -> None:
    read = await stays.read("customStructure.v4.get", t="Stays")
    assert read["businessKey"] == "stayRef"
    assert [(f["fieldName"], f["type"], f["required"]) for f in read["attributes"]] == [
        ("id", "Integer", False),
        ("creationMoment", "Moment", False),
        ("updateMoment", "Moment", False),
        ("stayRef", "String", True),
        ("cardNumber", "String", False),
        ("bookedAt", "Moment", False),
        ("price", "Number", False),
        ("state", "String", False),
        ("breakfast", "Boolean", False),
        ("voucher", "Integer", False),
    ]
    await create(stays, LOGS)
    assert (await stays.read("customStructure.v4.get", t="Logs"))["businessKey"] == "id"


@pytest.mark.parametrize(
    ("members", "faults"),
    [
        ({"name": "x" * 65}, [("name", "structure.nameInvalid")]),
        ({"name": "a b"}, [("name", "structure.nameInvalid")]),
        ({"type": "OTHER"}, [("type", "member.type")]),
        ({"primaryKeyAttribute": "x"}, [("primaryKeyAttribute", "attribute.unknown")]),
        ({"primaryKeyAttribute": "flag"}, [("attributes[1].unique", "structure.typeMismatch"), ("primaryKeyAttribute", "attribute.unknown")]),
        ({"primaryKeyAttribute": "text", "compositeKey": ["text", "when"]}, [("compositeKey", "structure.key")]),
        ({"compositeKey": ["text"]}, [("compositeKey", "structure.key")]),
        ({"compositeKey": ["text", "TEXT"]}, [("compositeKey", "structure.key")]),
        ({"compositeKey": ["text", "x"]}, [("compositeKey[1]", "attribute.unknown")]),
        ({"creationTimeAttribute": "text"}, [("creationTimeAttribute", "structure.typeMismatch")]),
        ({"valueAttribute": "text"}, [("valueAttribute", "structure.typeMismatch")]),
        ({"cleaningRule": {"attribute": "text", "olderThanDays": 0}}, [("cleaningRule.attribute", "structure.typeMismatch"), ("cleaningRule.olderThanDays", "structure.invalid")]),
        ({"eventsToTrigger": [{"name": "e", "triggerRules": [{"onOperation": "X", "onAnyAttribute": ["x"]}]}]}, [("eventsToTrigger[0].triggerRules[0].onOperation", "member.type"), ("eventsToTrigger[0].triggerRules[0].onAnyAttribute[0]", "attribute.unknown")]),
        (
            {"eventsToTrigger": [_event("num", Decimal("1E+400000")), _event("when", "soon"), _event("flag", [1])]},
            [(f"eventsToTrigger[{i}].triggerRules[0].matchingConditions.stateAfterOperation[0].value", code)
             for i, code in enumerate(["attribute.value", "attribute.type", "attribute.type"])],
        ),
        ({"attributes": [{"name": "id", "valueType": "LONG"}]}, [("attributes[0].name", "structure.nameReserved")]),
        ({"attributes": [{"name": "x", "valueType": "TEXT", "indexed": True}]}, [("attributes[0].indexed", "structure.typeMismatch")]),
        ({"attributes": [{"name": "x", "valueType": "BLOB"}]}, [("attributes[0].valueType", "structure.typeUnknown")]),
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(members: dict[str, Any], faults: list[Any], bench: Bench) -> None:
    attributes = [
        {"name": "text", "valueType": "STRING"},
        {"name": "flag", "valueType": "BOOLEAN"},
        {"name": "when", "valueType": "DATE"},
        {"name": "num", "valueType": "NUMBER"},
    ]
    assert await refused(bench, {"name": "T", "attributes": attributes, **members}) == faults


async def test_profile_tables_and_custom_tables_have_names_of_their_own(guests: Bench) -> None:
    await create(guests, LOGS, name="Guests")
    assert await code_of(guests, "customStructure.v5.create", {**LOGS, "name": "GUESTS"}) == (409, "name.used")
    assert (await guests.read("customStructure.v5.list"))["customTables"][0]["name"] == "Guests"


async def test_operations_change_the_structure_and_keep_the_records(stays: Bench) -> None:
    await put(stays, "A", state="OPEN", price=3)
    channel = {"name": "channel", "valueType": "STRING", "mandatory": True, "indexed": True, "defaultValue": "WEB"}
    read = await change(
        stays,
        {"operation": "addAttribute", "attribute": channel},
        {"operation": "updateAttribute", "name": "price", "changes": {"indexed": True, "valueRestriction": {"min": 0}}},
        {"operation": "removeAttribute", "name": "breakfast"},
        {"operation": "setCleaningRule", "cleaningRule": {"attribute": "creationMoment", "olderThanDays": 30}},
        {"operation": "rename", "name": "HotelStays"},
    )
    assert read == await structure(stays, "HotelStays")
    assert [a["name"] for a in read["attributes"]][-1] == "channel"
    assert read["cleaningRule"] == {"attribute": "creationMoment", "olderThanDays": 30}
    assert await indexes(stays) >= {"a4", "a8"}
    record = await get(stays, "A", "HotelStays")
    assert (record["channel"], record["state"], "breakfast" in record) == ("WEB", "OPEN", False)

    await change(stays, {"operation": "updateAttribute", "name": "price", "changes": {"indexed": False}}, t="HotelStays")
    assert "a4" not in await indexes(stays)


async def test_attributes_take_and_lose_the_meanings_that_a_table_gives_them(stays: Bench) -> None:
    removal = {"operation": "removeAttribute", "name": "price"}
    body = {"operations": [removal]}
    assert await code_of(stays, "customStructure.v5.change", body, t="Stays") == (400, "structure.inUse")
    read = await change(
        stays,
        {"operation": "addAttribute", "attribute": {"name": "total", "valueType": "NUMBER"}},
        {"operation": "setValueAttribute", "valueAttribute": "TOTAL"},
        {"operation": "setCreationTimeAttribute", "creationTimeAttribute": None},
        removal,
        {"operation": "removeAttribute", "name": "bookedAt"},
    )
    assert (read["valueAttribute"], read["creationTimeAttribute"]) == ("total", None)
    assert read == await structure(stays)


@pytest.mark.parametrize(
    ("operation", "status", "code"),
    [
        ({"operation": "removeAttribute", "name": "stayRef"}, 400, "structure.inUse"),
        ({"operation": "removeAttribute", "name": "price"}, 400, "structure.inUse"),
        ({"operation": "removeAttribute", "name": "cardNumber"}, 400, "structure.inUse"),
        ({"operation": "removeAttribute", "name": "id"}, 400, "structure.fixed"),
        ({"operation": "removeAttribute", "name": "x"}, 400, "attribute.unknown"),
        ({"operation": "updateAttribute", "name": "stayRef", "changes": {"unique": False}}, 400, "structure.fixed"),
        ({"operation": "updateAttribute", "name": "stayRef", "changes": {"mandatory": False}}, 400, "structure.fixed"),
        ({"operation": "updateAttribute", "name": "state", "changes": {"valueType": "LONG"}}, 400, "structure.fixed"),
        ({"operation": "updateAttribute", "name": "state", "changes": {"mandatory": True}}, 409, "structure.dataConflict"),
        ({"operation": "updateAttribute", "name": "price", "changes": {"unique": True}}, 409, "structure.dataConflict"),
        ({"operation": "updateAttribute", "changes": {}}, 400, "member.mandatory"),
        ({"operation": "addAttribute"}, 400, "member.mandatory"),
        ({"operation": "addAttribute", "attribute": {"name": "n", "valueType": "LONG", "mandatory": True}}, 409, "structure.dataConflict"),
        ({"operation": "removeForeignKey", "name": "x"}, 400, "foreignKey.unknown"),
        ({"operation": "setEventsToTrigger"}, 400, "member.mandatory"),
        ({"operation": "setCleaningRule"}, 400, "member.mandatory"),
        ({"operation": "setValueAttribute"}, 400, "member.mandatory"),
        ({"operation": "setValueAttribute", "valueAttribute": "state"}, 400, "structure.typeMismatch"),
        ({"operation": "setCreationTimeAttribute", "creationTimeAttribute": "nothing"}, 400, "attribute.unknown"),
        ({"operation": "addSubscription"}, 400, "member.type"),
        ({"operation": "rename", "name": "1"}, 400, "structure.nameInvalid"),
    ],
)  # fmt: skip
async def test_a_refused_change_changes_nothing(operation: dict[str, Any], status: int, code: str, stays: Bench) -> None:
    await put(stays, "A", price=1)
    await put(stays, "B", price=1)
    good = {"operation": "addAttribute", "attribute": {"name": "good", "valueType": "STRING"}}
    body = {"operations": [good, operation]}
    assert await code_of(stays, "customStructure.v5.change", body, t="Stays") == (status, code)


async def test_what_events_compare_with_is_kept_as_its_type_has_it(stays: Bench) -> None:
    events = [
        _event("price", "2.50"),
        _event("state", 1),
        _event("bookedAt", "2027-03-01 09:15:00"),
        _event("voucher", None),
    ]
    read = await change(stays, {"operation": "setEventsToTrigger", "eventsToTrigger": events})
    conditions = [e["triggerRules"][0]["matchingConditions"]["stateAfterOperation"] for e in read["eventsToTrigger"]]
    assert [c[0]["value"] for c in conditions] == [Decimal("2.5"), "1", "2027-03-01T08:15:00.000Z", None]


async def test_events_are_kept_as_they_are_and_hold_their_attributes(stays: Bench) -> None:
    events = [
        {
            "name": "paid",
            "triggerRules": [
                {
                    "onOperation": "UPDATE",
                    "onAnyAttribute": ["state"],
                    "matchingConditions": {
                        "stateBeforeOperation": [{"attribute": "breakfast", "operator": "!=", "value": True}],
                        "stateAfterOperation": [{"attribute": "state", "operator": "=", "value": "PAID"}],
                    },
                },
                {"onOperation": "CREATE", "onAnyAttribute": None, "matchingConditions": None},
            ],
        }
    ]
    read = await change(stays, {"operation": "setEventsToTrigger", "eventsToTrigger": events})
    assert read["eventsToTrigger"] == events
    for name in ("state", "breakfast"):
        body = {"operations": [{"operation": "removeAttribute", "name": name}]}
        assert await code_of(stays, "customStructure.v5.change", body, t="Stays") == (400, "structure.inUse")
    assert (await change(stays, {"operation": "setEventsToTrigger", "eventsToTrigger": []}))["eventsToTrigger"] == []


async def test_a_composite_key_is_unique_in_the_database(bench: Bench) -> None:
    await create(bench, PLACES)
    assert "!a1, a2" in await indexes(bench)
    read = await structure(bench, "Places")
    assert read["compositeKey"] == ["city", "street"]
    assert [a["mandatory"] for a in read["attributes"]] == [True, True, False]
    loose = {"operations": [{"operation": "updateAttribute", "name": "CITY", "changes": {"mandatory": False}}]}
    assert await code_of(bench, "customStructure.v5.change", loose, t="Places") == (400, "structure.fixed")
    stars = {"name": "stars", "valueType": "INTEGER", "mandatory": True}
    await create(bench, PLACES | {"name": "Rated", "attributes": [*PLACES["attributes"][:2], stars]})
    assert [a["mandatory"] for a in (await structure(bench, "Rated"))["attributes"]] == [True, True, True]


async def test_a_table_is_deleted_with_its_records(stays: Bench) -> None:
    await put(stays, "A")
    tag = (await stays.call("customStructure.v5.get", t="Stays")).etag
    assert await code_of(stays, "customStructure.v5.delete", t="Stays", if_match='"1-9"') == (412, "etag.mismatch")
    assert (await stays.call("customStructure.v5.delete", t="Stays", if_match=f'"{tag}"')).status == 204
    assert await code_of(stays, "customStructure.v5.get", t="Stays") == (404, "table.unknown")
    assert await code_of(stays, "records.v5.get", t="Stays", r="A") == (404, "table.unknown")
    assert await columns(stays) == {}
    await create(stays, STAYS)
