"""Records of custom tables: addressed, created, changed, found, deleted."""

from decimal import Decimal
from typing import Any

import pytest

from tabellion.platform.http import json_codec
from tabellion.platform.http.query import Query
from tests.support.custom import LOGS, PLACES, code_of, create, get, put
from tests.support.structure import Bench

FIRST_ID = 1_000_000_000_001


def properties(**values: Any) -> dict[str, Any]:
    return {"properties": [{"name": name, "value": value} for name, value in values.items()]}


async def post(bench: Bench, t: str = "Stays", **values: Any) -> tuple[int, str]:
    answer = await bench.call("records.v4.save", properties(**values), t=t)
    return answer.status, json_codec.decode(json_codec.encode(answer.body))["businessKey"]


async def listed(bench: Bench, call_id: str = "records.v5.list", t: str = "Stays", **query: str) -> Any:
    incoming = await bench.incoming(call_id, t=t)
    incoming.query = Query(list(query.items()))
    answer = await incoming.call.handler(incoming)
    return json_codec.decode(json_codec.encode(answer.body))


async def test_a_record_is_created_then_updated_by_its_business_key(stays: Bench) -> None:
    assert await post(stays, stayRef="ST-1", price="249.50", breakfast=1, bookedAt="2027-03-01 09:15:00") == (201, "ST-1")
    assert await post(stays, stayRef="ST-1", state="PAID") == (200, "ST-1")

    read = await get(stays, "ST-1")
    assert read.pop("creationMoment") < read.pop("updateMoment")
    assert read == {
        "id": FIRST_ID,
        "stayRef": "ST-1",
        "cardNumber": None,
        "bookedAt": "2027-03-01T08:15:00.000Z",
        "price": Decimal("249.5"),
        "state": "PAID",
        "breakfast": True,
        "voucher": None,
    }


@pytest.mark.parametrize("reference", ["ST-1", str(FIRST_ID), f"id={FIRST_ID}", "stayRef=ST-1", "STAYREF=ST-1", "voucher=7"])
async def test_a_record_is_found_by_all_that_identifies_it(reference: str, stays: Bench) -> None:
    await put(stays, "ST-1", voucher=7)

    assert (await get(stays, reference))["stayRef"] == "ST-1"
    assert await put(stays, reference, state="OPEN") == 200
    assert (await get(stays, "ST-1"))["state"] == "OPEN"
    await stays.call("records.v5.patch", {"attributes": {"state": "PAID"}}, t="Stays", r=reference)
    assert (await get(stays, "ST-1"))["state"] == "PAID"
    assert (await stays.call("records.v4.delete", t="Stays", r=reference)).status == 204
    assert await code_of(stays, "records.v5.get", t="Stays", r=reference) == (404, "record.unknown")


async def test_an_address_that_looks_like_an_id_is_a_business_key_first(bench: Bench) -> None:
    note = {"name": "note", "valueType": "STRING"}
    table = {"name": "T", "primaryKeyAttribute": "k", "attributes": [{"name": "k", "valueType": "LONG"}, note]}
    await create(bench, table)
    await put(bench, str(FIRST_ID + 1), "T")
    await put(bench, "5", "T")

    assert (await get(bench, str(FIRST_ID + 1), "T"))["id"] == FIRST_ID
    assert (await get(bench, f"id={FIRST_ID + 1}", "T"))["k"] == 5
    assert await put(bench, str(FIRST_ID + 1), "T", note="here") == 200
    assert ((await get(bench, f"id={FIRST_ID}", "T"))["note"], (await get(bench, "5", "T"))["note"]) == ("here", None)


async def test_a_business_key_decides_and_not_the_id_beside_it(stays: Bench) -> None:
    await put(stays, "A", state="OPEN")
    await put(stays, "B", state="OPEN")

    assert await post(stays, stayRef="B", state="PAID", id=FIRST_ID) == (200, "B")
    assert [(await get(stays, key))["state"] for key in "AB"] == ["OPEN", "PAID"]


async def test_put_creates_by_business_key_only(stays: Bench) -> None:
    assert await put(stays, "ST-9", state="OPEN") == 201
    assert (await stays.call("records.v4.put", properties(state="OPEN"), t="Stays", r="ST-10")).status == 200
    assert (await get(stays, "ST-10"))["stayRef"] == "ST-10"
    for reference in (f"id={FIRST_ID + 99}", "voucher=99"):
        for call in ("records.v4.put", "records.v5.put"):
            body = properties(state="OPEN") if "v4" in call else {"attributes": {"state": "OPEN"}}
            assert await code_of(stays, call, body, t="Stays", r=reference) == (404, "record.unknown")
    body = {"attributes": {"state": "OPEN"}}
    assert await code_of(stays, "records.v5.patch", body, t="Stays", r="ST-11") == (404, "record.unknown")
    assert await code_of(stays, "records.v4.get", t="Stays", r="price=1") == (400, "key.notUnique")


async def test_a_key_of_the_path_keeps_the_rules_of_its_attribute(stays: Bench) -> None:
    body = {"attributes": {"state": "OPEN"}}
    assert await code_of(stays, "records.v5.put", body, t="Stays", r="much-too-long") == (400, "attribute.value")


async def test_an_empty_text_is_no_business_key(stays: Bench) -> None:
    await put(stays, "ST-1")

    assert await code_of(stays, "records.v4.save", properties(stayRef=""), t="Stays") == (400, "attribute.mandatory")
    assert await code_of(stays, "records.v4.put", properties(state="PAID"), t="Stays", r="stayRef=") == (
        404,
        "record.unknown",
    )
    keyed = {"key": {"stayRef": ""}, "attributes": {"state": "PAID"}}
    assert await code_of(stays, "records.v5.putByKey", keyed, t="Stays") == (400, "attribute.mandatory")
    assert len((await listed(stays))["records"]) == 1


async def test_a_record_that_is_there_keeps_a_business_key(stays: Bench) -> None:
    await put(stays, "ST-1", voucher=7)

    emptied = {"attributes": {"stayRef": ""}}
    for call in ("records.v5.patch", "records.v5.put"):
        assert await code_of(stays, call, emptied, t="Stays", r="voucher=7") == (400, "attribute.mandatory")
    assert await code_of(stays, "records.v5.patch", emptied, t="Stays", r="ST-1") == (400, "attribute.mandatory")
    for key in ({"stayRef": "ST-1"}, {"voucher": 7}, {"id": FIRST_ID}, {"voucher": 8}):
        body = {"key": key} | emptied
        assert await code_of(stays, "records.v5.putByKey", body, t="Stays") == (400, "attribute.mandatory")


async def test_a_business_key_that_differs_from_the_path_is_refused(stays: Bench) -> None:
    assert await code_of(stays, "records.v4.put", properties(stayRef="B"), t="Stays", r="A") == (400, "key.mismatch")
    await put(stays, "A")
    assert await code_of(stays, "records.v4.put", properties(stayRef="B"), t="Stays", r="A") == (400, "key.mismatch")
    # The technical id names no key: it may change.
    assert await put(stays, f"id={FIRST_ID}", stayRef="B") == 200
    assert (await get(stays, "B"))["id"] == FIRST_ID


async def test_keys_are_generated_where_there_is_none(bench: Bench) -> None:
    await create(bench, LOGS)
    assert await post(bench, "Logs", text="one") == (201, str(FIRST_ID))
    assert await post(bench, "Logs", text="two") == (201, str(FIRST_ID + 1))
    assert await post(bench, "Logs", text="three", id=FIRST_ID) == (200, str(FIRST_ID))
    assert (await get(bench, str(FIRST_ID), "Logs"))["text"] == "three"
    assert await post(bench, "Logs", text="four", id=FIRST_ID + 9) == (201, str(FIRST_ID + 2)), "an id is given, not chosen"
    created = await bench.call("records.v5.create", {"attributes": {"id": FIRST_ID, "text": "five"}}, t="Logs")
    assert created.status == 201
    assert (await get(bench, str(FIRST_ID), "Logs"))["text"] == "three"
    body = {"attributes": {"text": "x"}}
    assert await code_of(bench, "records.v5.put", body, t="Logs", r=str(FIRST_ID + 5)) == (404, "record.unknown")
    assert await code_of(bench, "records.v5.put", body, t="Logs", r="ST-1") == (404, "record.unknown")


async def test_a_composite_key_identifies_by_all_its_values(bench: Bench) -> None:
    await create(bench, PLACES)
    assert (await post(bench, "Places", city="Oostende", street="Zeedijk", stars=3))[0] == 201
    assert (await post(bench, "Places", city="Oostende", street="Markt", stars=2))[0] == 201
    assert (await post(bench, "Places", city="Oostende", street="Zeedijk", stars=4)) == (200, str(FIRST_ID))
    for half in ({"city": "Oostende"}, {"street": "Markt", "stars": 1}):
        assert await code_of(bench, "records.v4.save", properties(**half), t="Places") == (400, "attribute.mandatory")
    key = {"key": {"city": "Oostende", "street": "Markt"}, "attributes": {"stars": 5}}
    assert (await bench.call("records.v5.putByKey", key, t="Places")).status == 200
    assert (await get(bench, str(FIRST_ID + 1), "Places"))["stars"] == 5
    clash = {"attributes": {"street": "Markt"}}
    assert await code_of(bench, "records.v5.patch", clash, t="Places", r=str(FIRST_ID)) == (409, "attribute.notUnique")
    for other in ({"city": "Oostende"}, {"city": "Oostende", "street": "Markt", "stars": 5}):
        body = {"key": other, "attributes": {"stars": 1}}
        assert await code_of(bench, "records.v5.putByKey", body, t="Places") == (400, "key.notUnique")
    new = {"key": {"city": "Oostende", "street": "Kaai"}, "attributes": {"street": "Dok"}}
    assert await code_of(bench, "records.v5.putByKey", new, t="Places") == (400, "key.mismatch")


async def test_create_leaves_what_exists_as_it_is(stays: Bench) -> None:
    body = {"attributes": {"stayRef": "ST-1", "state": "OPEN"}}
    assert (await stays.call("records.v5.create", body, t="Stays")).status == 201
    body["attributes"]["state"] = "PAID"
    assert await code_of(stays, "records.v5.create", body, t="Stays") == (409, "record.exists")
    assert (await get(stays, "ST-1"))["state"] == "OPEN"


async def test_put_by_the_key_of_the_body(stays: Bench) -> None:
    async def key(key: dict[str, Any], **attributes: Any) -> int:
        return (await stays.call("records.v5.putByKey", {"key": key, "attributes": attributes}, t="Stays")).status

    assert await key({"stayRef": "A"}, state="OPEN") == 201
    assert await key({"stayRef": "A"}, voucher=1) == 200
    assert await key({"voucher": 1}, state="PAID") == 200
    assert await key({"stayRef": "A"}, stayRef="A2") == 200
    assert await key({"id": FIRST_ID}, stayRef="B") == 200
    assert (await get(stays, "B"))["state"] == "PAID"
    for wrong, code in (
        ({}, "key.notUnique"),
        ({"price": 1}, "key.notUnique"),
        ({"voucher": 1, "stayRef": "B"}, "key.notUnique"),
        ({"x": 1}, "attribute.unknown"),
        ({"id": None}, "attribute.type"),
        ({"id": True}, "attribute.type"),
        ({"id": "ST-00001"}, "attribute.type"),
    ):
        body = {"key": wrong, "attributes": {"state": "OPEN"}}
        assert await code_of(stays, "records.v5.putByKey", body, t="Stays") == (400, code)
    body: Any = {"key": {"stayRef": "C"}, "attributes": {"stayRef": "D"}}
    assert await code_of(stays, "records.v5.putByKey", body, t="Stays") == (400, "key.mismatch")
    body = {"key": {"id": 5}, "attributes": {}}
    assert await code_of(stays, "records.v5.putByKey", body, t="Stays") == (404, "record.unknown")


async def test_unique_values_have_one_owner(stays: Bench) -> None:
    await put(stays, "A", voucher=1)
    await put(stays, "B", voucher=2)
    for call, body in (
        ("records.v4.put", properties(voucher=1)),
        ("records.v5.patch", {"attributes": {"voucher": 1}}),
    ):
        assert await code_of(stays, call, body, t="Stays", r="B") == (409, "attribute.notUnique")


async def test_all_the_errors_of_a_record_are_told(stays: Bench) -> None:
    body = properties(price="x", state="GONE", nothing=1, stayRef=None, bookedAt="soon")
    incoming = await stays.incoming("records.v4.save", body, t="Stays")
    with pytest.raises(Exception) as refusal:  # noqa: PT011 - looked at below
        await incoming.call.handler(incoming)
    errors: Any = refusal.value
    assert [(e.field, e.code) for e in errors.errors] == [
        ("properties[0].value", "attribute.type"),
        ("properties[1].value", "attribute.value"),
        ("properties[2].name", "attribute.unknown"),
        ("properties[3].value", "attribute.mandatory"),
        ("properties[4].value", "attribute.type"),
    ]
    assert await code_of(stays, "records.v4.save", properties(state="OPEN"), t="Stays") == (400, "attribute.mandatory")


@pytest.mark.parametrize(
    "key", ["'; DROP TABLE x; --", "a=b", "%s", "ÅÉ'\"", "  ", "\\", "count", "id=", "id=x", "-1", "state=OPEN"]
)
async def test_hostile_keys_are_only_texts(key: str, stays: Bench) -> None:
    name = {"stayRef": key[:8]}
    await stays.call("records.v5.putByKey", {"key": name, "attributes": {"state": "OPEN"}}, t="Stays")
    assert (await get(stays, f"stayRef={key[:8]}"))["stayRef"] == key[:8]
    assert len((await listed(stays, stayRef=key[:8]))["records"]) == 1


async def test_lists_search_sort_and_number(stays: Bench) -> None:
    for i, state in enumerate(["OPEN", "PAID", "OPEN"]):
        await put(stays, f"S{i}", state=state, price=10 - i)

    async def keys(**query: str) -> list[str]:
        records = (await listed(stays, "records.v4.list", **query))["records"]
        return [next(p["value"] for p in record["properties"] if p["name"] == "stayRef") for record in records]

    assert await keys() == ["S0", "S1", "S2"]
    assert await keys(searchField="state", searchValue="OPEN") == ["S0", "S2"]
    assert await keys(searchField="id", searchValue=str(FIRST_ID + 1)) == ["S1"]
    assert await keys(searchField="", searchValue="") == ["S0", "S1", "S2"]
    assert await keys(searchField="voucher", searchValue="") == ["S0", "S1", "S2"]
    assert await keys(sortedField="price") == ["S2", "S1", "S0"]
    assert await keys(sortedField="state", ascending="false", number="2") == ["S1", "S0"]
    assert await keys(ascending="false") == ["S2", "S1", "S0"]
    assert await keys(sortedField="ID", ascending="false") == ["S2", "S1", "S0"]
    for query, code in (
        ({"searchField": "state"}, "parameter.invalid"),
        ({"searchField": "", "searchValue": "x"}, "parameter.invalid"),
        ({"searchValue": "x"}, "parameter.invalid"),
        ({"searchField": "x", "searchValue": "x"}, "attribute.unknown"),
        ({"searchField": "price", "searchValue": "x"}, "attribute.type"),
        ({"sortedField": "x"}, "attribute.unknown"),
        ({"sortedField": "state,price"}, "attribute.unknown"),
        ({"sortedField": "-price"}, "attribute.unknown"),
        ({"ascending": "x"}, "parameter.invalid"),
        ({"number": "0"}, "parameter.invalid"),
    ):
        with pytest.raises(Exception) as refusal:  # noqa: PT011 - looked at below
            await listed(stays, "records.v4.list", **query)
        assert getattr(refusal.value, "code", refusal.value) == code, query


async def test_pages_follow_filter_sort_and_cursor(stays: Bench) -> None:
    for i in range(5):
        await put(stays, f"S{i}", state="OPEN" if i % 2 else "PAID", price=i)
    query = {"filter": "price >= 1 and id > 0", "sort": "state,-price", "limit": "2"}
    first = await listed(stays, **query)
    second = await listed(stays, **query, cursor=first["nextCursor"])
    found = [record["businessKey"] for page in (first, second) for record in page["records"]]
    assert found == ["S3", "S1", "S4", "S2"]
    assert second["nextCursor"] is None
    assert await listed(stays, "records.v5.count", filter='state = "OPEN"') == {"count": 2}
    assert await listed(stays, "records.v5.count", state="PAID") == {"count": 3}


@pytest.mark.parametrize(("sort", "expected"), [("voucher", "S1 S3 S4 S0 S2"), ("-voucher", "S4 S3 S1 S0 S2")])
async def test_pages_by_a_unique_attribute_end_with_those_that_have_none(sort: str, expected: str, stays: Bench) -> None:
    for i in range(5):
        await put(stays, f"S{i}", voucher=i if i in {1, 3, 4} else None)

    for limit in range(1, 6):
        found: list[str] = []
        query = {"sort": sort, "limit": str(limit)}
        while True:
            page = await listed(stays, **query)
            found += [record["businessKey"] for record in page["records"]]
            if page["nextCursor"] is None:
                break
            query["cursor"] = page["nextCursor"]
        assert " ".join(found) == expected


async def test_tags_guard_changes(stays: Bench) -> None:
    await put(stays, "A", state="OPEN")
    tag = (await stays.call("records.v4.get", t="Stays", r="A")).etag
    assert tag is not None
    body = {"attributes": {"state": "PAID"}}
    quoted = f'"{tag}"'
    assert (await stays.call("records.v5.patch", body, t="Stays", r="A", if_match=quoted)).status == 200
    assert await code_of(stays, "records.v5.patch", body, t="Stays", r="A", if_match=quoted) == (412, "etag.mismatch")
    assert await code_of(stays, "records.v4.delete", t="Stays", r="A", if_match=quoted) == (412, "etag.mismatch")
    assert await code_of(stays, "records.v5.put", body, t="Stays", r="NEW", if_match="*") == (412, "etag.mismatch")


async def test_what_was_read_can_be_written_back_and_changes_nothing(stays: Bench) -> None:
    await put(stays, "A", state="OPEN", price="2.50")
    read = await stays.read("records.v4.get", t="Stays", r="A")
    before = (await stays.call("records.v4.get", t="Stays", r="A")).etag
    assert (await stays.call("records.v4.save", read, t="Stays")).status == 200
    assert (await stays.call("records.v4.get", t="Stays", r="A")).etag == before
