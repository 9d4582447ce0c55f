"""Structure of profile tables: what is read, made, changed and deleted."""

import time
from decimal import Decimal
from typing import Any

import pytest

from tabellion.kit.problem import Problem
from tests.support.structure import RUNNING_EXAMPLE, Bench, attribute, refused


async def test_the_running_example_is_read_as_the_contract_shows_it(bench: Bench) -> None:
    answer = await bench.create(RUNNING_EXAMPLE)
    assert (answer.status, answer.location) == (201, f"/v5/entities/hotels/profile-tables/{answer.body.id}")
    of_all = {"unique": False, "mandatory": True, "multiValued": False}

    assert await bench.read() == {
        "id": answer.body.id,
        "name": "Guests",
        "attributes": [
            {"type": "CUSTOM", "name": "profileId", **of_all, "unique": True, "valueType": "INTEGER"},
            {"type": "CUSTOM", "name": "creationMoment", **of_all, "valueType": "TIMESTAMP"},
            {"type": "CUSTOM", "name": "updateMoment", **of_all, "valueType": "TIMESTAMP"},
            {"type": "EMAIL_ADDRESS", "name": "emailAddress", "unique": True, "mandatory": True},
            {"type": "LASTNAME", "name": "lastName", "unique": False, "mandatory": True},
            {"type": "BIRTHDATE", "name": "birthDate", "unique": False, "mandatory": False},
            {
                "type": "CUSTOM",
                "name": "cardNumber",
                "unique": True,
                "mandatory": False,
                "valueType": "STRING",
                "valueRestriction": {"maxLength": 20},
                "multiValued": False,
            },
            {
                "type": "CUSTOM",
                "name": "interests",
                "unique": False,
                "mandatory": False,
                "valueType": "STRING",
                "valueRestriction": {"acceptedValues": ["SPA", "GOLF"]},
                "multiValued": True,
            },
        ],
        "subscriptions": [
            {"name": "Newsletter", "displayName": "Newsletter", "description": None},
            {"name": "Promo", "displayName": "Promo", "description": None},
        ],
        "segmentations": RUNNING_EXAMPLE["segmentations"],
        "displayOptions": RUNNING_EXAMPLE["displayOptions"],
        "layout": None,
    }
    v4 = await bench.read("structure.v4.get")
    simple = {"mandatory": False, "unique": False, "multiValued": False}
    assert v4["attributes"] == {
        "emailAddress": {"valueType": "EmailAddress", "mandatory": True, "unique": True, "multiValued": False},
        "lastName": {"valueType": "String", **simple, "mandatory": True},
        "birthDate": {"valueType": "Datum", **simple},
        "cardNumber": {"valueType": "String", **simple, "unique": True, "valueRestriction": {"maxLength": 20}},
        "interests": {
            "valueType": "String",
            **simple,
            "multiValued": True,
            "valueRestriction": {"acceptedValues": ["SPA", "GOLF"]},
        },
    }
    assert v4["subscriptions"] == [{"name": n, "displayName": n} for n in ("Newsletter", "Promo")]
    assert v4["segmentations"] == RUNNING_EXAMPLE["segmentations"]


async def test_a_table_is_found_by_id_and_by_name_in_its_entity_only(guests: Bench) -> None:
    names = await guests.read("structure.v4.list")
    table_id = names["profileTableNames"][0]["id"]
    assert names == {"profileTableNames": [{"id": table_id, "name": "Guests"}]}
    assert await guests.read("structure.v5.list", e="-") == {"profileTables": names["profileTableNames"]}

    for entity, reference in (("hotels", table_id), ("HOTELS", "gUESTS"), ("-", "Guests")):
        assert (await guests.read(e=entity, t=reference))["id"] == table_id
    for entity, reference, code in (
        ("hotels", "Nobody", "table.unknown"),
        ("hotels", f"0{table_id}", "table.unknown"),
        ("hotels", "9" * 30, "table.unknown"),
        ("spas", table_id, "table.unknown"),
        ("spas", "Guests", "table.unknown"),
        ("nowhere", "Guests", "entity.unknown"),
    ):
        with pytest.raises(Problem) as refusal:
            await guests.read(e=entity, t=reference)
        assert (refusal.value.status, refusal.value.code) == (404, code)


async def test_lists_are_ordered_by_name(bench: Bench) -> None:
    for name in ("beta", "Alpha", "Gamma"):
        await bench.create({"name": name, "attributes": []})

    assert [t["name"] for t in (await bench.read("structure.v5.list"))["profileTables"]] == ["Alpha", "beta", "Gamma"]
    assert await bench.read("structure.v5.list", e="spas") == {"profileTables": []}


async def test_the_etag_changes_with_the_structure_and_if_match_is_honoured(guests: Bench) -> None:
    before = await guests.call("structure.v5.get")
    stale = f'"{before.etag}"'

    changed = await guests.change(attribute("room"), if_match=stale)
    assert changed.etag != before.etag
    assert (await guests.call("structure.v4.get")).etag == changed.etag
    assert (await refused(guests, attribute("bed"), if_match=stale)).status == 412
    with pytest.raises(Problem) as refusal:
        await guests.call("structure.v5.delete", if_match=stale)
    assert refusal.value.code == "etag.mismatch"
    assert (await guests.change(attribute("bed"), if_match="*")).status == 200


async def test_all_the_errors_of_a_new_table_come_at_once_with_their_places(bench: Bench) -> None:
    before = await bench.physical()
    with pytest.raises(Problem) as refusal:
        await bench.create(
            {
                "name": "1st",
                "attributes": [
                    {"name": "a b", "valueType": "STRING"},
                    {"name": "ok", "valueType": "STRING"},
                    {"name": "OK", "valueType": "MONEY"},
                    {"name": "what", "type": "NONSENSE"},
                    {"name": "profileId", "valueType": "LONG"},
                    {"name": "tags", "valueType": "STRING", "multiValued": True, "unique": True},
                    {"name": "essay", "valueType": "TEXT", "unique": True},
                    {"name": "size", "valueType": "INTEGER", "valueRestriction": {"min": "x", "pattern": "("}},
                    {"name": "born", "type": "BIRTHDATE", "valueType": "STRING"},
                    {"name": "langs", "type": "MOTHER_LANGUAGE", "multiValued": True},
                    {"name": "none"},
                    {"name": "odd", "valueType": "INTEGER", "defaultValue": "x"},
                ],
                "subscriptions": [{"name": "A"}, {"name": "a"}, {"name": " b"}, {"name": "c#"}],
                "segmentations": [
                    {"name": "S", "type": "SIMPLE", "categories": ["x"]},
                    {"name": "T", "type": "EXCLUSIVE"},
                    {"name": "U", "type": "EXCLUSIVE", "categories": ["x", "X", "y;z"]},
                    {"name": "V", "type": "OTHER"},
                ],
                "layout": 10**301,
            }
        )

    assert [(e.field, e.code) for e in refusal.value.errors] == [
        ("name", "structure.nameInvalid"),
        ("attributes[0].name", "structure.nameInvalid"),
        ("attributes[2].name", "structure.nameTaken"),
        ("attributes[2].valueType", "structure.typeUnknown"),
        ("attributes[3].type", "structure.typeUnknown"),
        ("attributes[4].name", "structure.nameReserved"),
        ("attributes[5].unique", "structure.typeMismatch"),
        ("attributes[6].unique", "structure.typeMismatch"),
        ("attributes[7].valueRestriction.pattern", "structure.restriction"),
        ("attributes[8].valueType", "structure.typeMismatch"),
        ("attributes[9].multiValued", "structure.typeMismatch"),
        ("attributes[10].valueType", "structure.typeUnknown"),
        ("attributes[11].defaultValue", "structure.defaultValue"),
        ("subscriptions[1].name", "structure.nameTaken"),
        ("subscriptions[2].name", "structure.nameInvalid"),
        ("subscriptions[3].name", "structure.nameInvalid"),
        ("segmentations[0].categories", "structure.categories"),
        ("segmentations[1].categories", "structure.categories"),
        ("segmentations[2].categories[1]", "structure.nameTaken"),
        ("segmentations[2].categories[2]", "structure.nameInvalid"),
        ("segmentations[3].type", "member.type"),
        ("layout", "structure.tooLarge"),
    ]
    assert await bench.physical() == before


@pytest.mark.parametrize("again", ["Guests", "GUESTS"])
async def test_a_name_is_used_once_in_an_entity(guests: Bench, again: str) -> None:
    before = await guests.physical()
    with pytest.raises(Problem) as refusal:
        await guests.create({"name": again, "attributes": []})
    assert (refusal.value.status, refusal.value.code) == (409, "name.used")
    assert await guests.physical() == before

    assert (await guests.create({"name": again, "attributes": []}, e="spas")).status == 201


HOSTILE = [
    '"; DROP SCHEMA tabellion CASCADE; --',
    "a'b",
    'a"b',
    "a\\b",
    "a%sb",
    "a%(x)s",
    "a{}b",
    "a\nb",
    "a\x00",
    "é",
    "\N{FULLWIDTH LATIN SMALL LETTER A}",
    "x" * 51,
    "",
    "_a",
    "and",
    "NULL",
    "creationmoment",
]


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_technical_name_is_plain_ascii(guests: Bench, name: str) -> None:
    refusal = await refused(guests, attribute(name), {"operation": "rename", "name": name or "1"})

    assert refusal.errors[0].field == "operations[0].attribute.name"


@pytest.mark.parametrize(
    "name", ['"Weekly" offers', "it's", "100 %s {0} %(x)s", "\\') --", "Überraschung", "日本", "x" * 100, "-", "null"]
)
async def test_any_printable_name_of_a_choice_is_text_and_nothing_else(guests: Bench, name: str) -> None:
    await guests.change(
        {"operation": "addSubscription", "subscription": {"name": name, "description": name}},
        {"operation": "addSegmentation", "segmentation": {"name": name, "type": "EXCLUSIVE", "categories": [name, "other"]}},
    )

    await guests.profile("ann@example.com", subscriptions={name: True}, segmentations={name: name})
    profile = await guests.read("profiles.v5.get", p="emailAddress=ann@example.com")
    assert profile["subscriptions"][name] is True
    assert profile["segmentations"][name] == name
    assert (await guests.read())["subscriptions"][-1] == {"name": name, "displayName": name, "description": name}


async def test_what_the_console_keeps_is_returned_unchanged(bench: Bench) -> None:
    kept = {"a": [1, 2**70, Decimal("1.50"), Decimal("0.1234567890123456789"), None, True, "é'\"\\"], "b": {"": {}}}
    await bench.create({"name": "Guests", "attributes": [], "displayOptions": kept, "layout": [kept]})

    found = await bench.read()
    assert found["displayOptions"] == kept
    assert found["layout"] == [kept]
    for hostile in (Decimal("1E+131000"), [Decimal("1E-16000")], {"a": 10**400}, "x" * 200_001):
        with pytest.raises(Problem) as refusal:
            await bench.create({"name": "Other", "attributes": [], "displayOptions": hostile})
        assert refusal.value.errors[0].field == "displayOptions"
    # The most that is kept: 200,000 bytes with the quotes, and 300 digits on either side of the point.
    for number, at_most in enumerate(("x" * 199_998, Decimal("1E+300"), Decimal("1E-300"))):
        await bench.create({"name": f"T{number}", "attributes": [], "displayOptions": at_most})
    for hostile in ("x" * 199_999, Decimal("1E+301"), Decimal(f"1.{'0' * 300}1")):
        with pytest.raises(Problem) as refusal:
            await bench.create({"name": "Other", "attributes": [], "displayOptions": hostile})


async def test_limits_are_kept(bench: Bench) -> None:
    def names(n: int) -> list[str]:
        return [f"n{i}" for i in range(n)]

    most: dict[str, Any] = {
        "name": "Guests",
        "attributes": [{"name": n, "valueType": "STRING"} for n in names(500)],
        "subscriptions": [{"name": n} for n in names(200)],
        "segmentations": [{"name": n} for n in names(200)],
    }
    await bench.create(most)
    assert len((await bench.read("structure.v4.get"))["attributes"]) == 500

    over = (
        attribute("one"),
        {"operation": "addSubscription", "subscription": {"name": "one"}},
        {"operation": "addSegmentation", "segmentation": {"name": "one"}},
        {"operation": "addSegmentation", "segmentation": {"name": "two", "type": "EXCLUSIVE", "categories": names(501)}},
    )
    refusal = await refused(bench, *over)
    fields = [
        "operations[0].attribute",
        "operations[1].subscription",
        "operations[2].segmentation",
        "operations[3].segmentation.categories",
    ]
    assert [(e.field, e.code) for e in refusal.errors] == [(field, "structure.tooMany") for field in fields]


async def test_thousands_too_many_are_refused_at_once_and_told_once(bench: Bench) -> None:
    many = [f"n{i}" for i in range(20_000)]
    document = {
        "name": "Guests",
        "attributes": [{"name": n, "valueType": "STRING"} for n in many],
        "subscriptions": [{"name": n} for n in many],
        "segmentations": [{"name": "one", "type": "EXCLUSIVE", "categories": many}, *({"name": n} for n in many)],
    }
    incoming = await bench.incoming("structure.v5.create", document)
    started = time.perf_counter()
    with pytest.raises(Problem) as refusal:
        await incoming.call.handler(incoming)
    assert time.perf_counter() - started < 1
    assert [(e.field, e.code) for e in refusal.value.errors] == [
        ("attributes[500]", "structure.tooMany"),
        ("subscriptions[200]", "structure.tooMany"),
        ("segmentations[0].categories", "structure.tooMany"),
        ("segmentations[201]", "structure.tooMany"),
    ]
    await bench.create()
    refusal = await refused(bench, *({"operation": "removeAttribute", "name": n} for n in many))
    assert [(e.field, e.code) for e in refusal.errors] == [("operations", "structure.tooMany")]


async def test_a_table_that_has_used_up_its_columns_says_so(bench: Bench) -> None:
    await bench.create({"name": "Guests", "attributes": []})
    many = [f"n{i}" for i in range(500)]
    await bench.change(*(attribute(n) for n in many))
    for _ in range(2):
        await bench.change(*({"operation": "removeAttribute", "name": n} for n in many), *(attribute(n) for n in many))

    refusal = await refused(
        bench, *({"operation": "removeAttribute", "name": n} for n in many), *(attribute(n) for n in many)
    )

    assert (refusal.status, refusal.code) == (400, "structure.tooMany")
    assert "1,600" in refusal.message
