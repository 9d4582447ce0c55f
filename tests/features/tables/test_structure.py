"""Structure of profile tables: what is read, made, changed and deleted (contract, section 10)."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest

from tabellion.features.tables.endpoints import CALLS
from tabellion.kit.problem import Problem
from tests.support.structure import Bench
from tests.support.tenant import TABLE

RUNNING_EXAMPLE: dict[str, Any] = {
    "name": "Guests",
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress"},
        {"type": "LASTNAME", "name": "lastName", "mandatory": True},
        {"type": "BIRTHDATE", "name": "birthDate"},
        {
            "type": "CUSTOM",
            "name": "cardNumber",
            "unique": True,
            "valueType": "STRING",
            "valueRestriction": {"maxLength": 20},
        },
        {
            "type": "CUSTOM",
            "name": "interests",
            "valueType": "STRING",
            "multiValued": True,
            "valueRestriction": {"acceptedValues": ["SPA", "GOLF"]},
        },
    ],
    "subscriptions": [{"name": "Newsletter", "displayName": "Newsletter"}, {"name": "Promo"}],
    "segmentations": [
        {"name": "Vip", "type": "SIMPLE"},
        {"name": "Loyalty", "type": "EXCLUSIVE", "categories": ["Silver", "Gold"]},
    ],
    "displayOptions": {"forAttributes": [{"name": "lastName", "displayName": "Last name", "description": "Last name"}]},
}


async def refused(bench: Bench, *operations: dict[str, Any], **options: Any) -> Problem:
    """A change request that must fail, and change nothing."""
    before = await bench.physical()
    with pytest.raises(Problem) as refusal:
        await bench.change(*operations, **options)
    assert await bench.physical() == before
    return refusal.value


def attribute(name: str, value_type: str = "STRING", **members: Any) -> dict[str, Any]:
    return {"operation": "addAttribute", "attribute": {"name": name, "valueType": value_type, **members}}


def update(name: str, /, **changes: Any) -> dict[str, Any]:
    return {"operation": "updateAttribute", "name": name, "changes": changes}


# Reading


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
    for name in ("beta", "Alpha", "gamma"):
        await bench.create({"name": name, "attributes": []})

    assert [t["name"] for t in (await bench.read("structure.v5.list"))["profileTables"]] == ["Alpha", "beta", "gamma"]


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


# Making


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
        (field, "structure.invalid")
        for field in (
            "name",
            "attributes[0].name",
            "attributes[2].name",
            "attributes[2].valueType",
            "attributes[3].type",
            "attributes[4].name",
            "attributes[5].unique",
            "attributes[6].unique",
            "attributes[7].valueRestriction.pattern",
            "attributes[8].valueType",
            "attributes[9].multiValued",
            "attributes[10].valueType",
            "attributes[11].defaultValue",
            "subscriptions[1].name",
            "subscriptions[2].name",
            "subscriptions[3].name",
            "segmentations[0].categories",
            "segmentations[1].categories",
            "segmentations[2].categories[1]",
            "segmentations[2].categories[2]",
            "segmentations[3].type",
            "layout",
        )
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
        "operations[3].segmentation",
    ]
    assert [e.field for e in refusal.errors] == fields


async def test_a_table_that_has_used_up_its_columns_says_so(bench: Bench) -> None:
    await bench.create({"name": "Guests", "attributes": []})
    many = [f"n{i}" for i in range(500)]
    await bench.change(*(attribute(n) for n in many))
    for _ in range(2):
        await bench.change(*({"operation": "removeAttribute", "name": n} for n in many), *(attribute(n) for n in many))

    refusal = await refused(
        bench, *({"operation": "removeAttribute", "name": n} for n in many), *(attribute(n) for n in many)
    )

    assert (refusal.status, refusal.code) == (400, "structure.invalid")
    assert "1,600" in refusal.message


# Changing


async def test_operations_run_in_order_on_the_real_table(guests: Bench) -> None:
    await guests.profile("ann@example.com", points=3)
    answer = await guests.change(
        attribute("roomType", valueRestriction={"acceptedValues": ["SEA", "GARDEN"]}, defaultValue="SEA"),
        update("roomType", valueRestriction={"acceptedValues": ["SEA", "GARDEN", "SUITE"]}, mandatory=True),
        {"operation": "removeAttribute", "name": "POINTS"},
        attribute("points", "TEXT"),
        {"operation": "addSubscription", "subscription": {"name": "Events"}},
        {"operation": "removeSubscription", "name": "newsletter"},
        {"operation": "addSegmentation", "segmentation": {"name": "Tier", "type": "EXCLUSIVE", "categories": ["A", "B"]}},
        {"operation": "updateSegmentation", "name": "Tier", "changes": {"addCategories": ["C"], "removeCategories": ["a"], "renameCategories": {"B": "Basic"}}},
        {"operation": "removeSegmentation", "name": "Vip"},
        {"operation": "rename", "name": "HotelGuests"},
    )  # fmt: skip

    assert answer.status == 200
    structure = await guests.read(t="hotelguests")
    by_name = {a["name"]: a for a in structure["attributes"]}
    assert by_name["roomType"]["mandatory"]
    assert by_name["points"]["valueType"] == "TEXT"
    assert [s["name"] for s in structure["subscriptions"]] == ["Weekly offers", "Events"]
    assert [(g["name"], g.get("categories")) for g in structure["segmentations"]] == [
        ("Loyalty", ["Silver", "Gold"]),
        ("Tier", ["Basic", "C"]),
    ]
    profile = await guests.read("profiles.v5.get", t="HotelGuests", p="emailAddress=ann@example.com")
    assert (profile["attributes"]["roomType"], profile["attributes"]["points"]) == ("SEA", None)
    with pytest.raises(Problem):
        await guests.read(t="Guests")


async def test_all_the_errors_of_a_change_request_come_at_once_and_nothing_is_changed(guests: Bench) -> None:
    refusal = await refused(
        guests,
        attribute("fine"),
        {"operation": "explode"},
        {"operation": "addAttribute"},
        {"operation": "updateAttribute", "name": "nobody", "changes": {}},
        update("cardNumber", type="CUSTOM", valueType="TEXT", name="card", multiValued=True),
        update("profileId", mandatory=False),
        {"operation": "removeAttribute", "name": "updateMoment"},
        {"operation": "removeSubscription", "name": "nothing"},
        {"operation": "updateSegmentation", "name": "nothing", "changes": {}},
        {"operation": "updateSegmentation", "name": "Vip", "changes": {"addCategories": ["x"]}},
        {
            "operation": "updateSegmentation",
            "name": "Loyalty",
            "changes": {"addCategories": ["gold"], "removeCategories": ["x"]},
        },
        attribute("emailaddress"),
    )

    assert [(e.field, e.code) for e in refusal.errors] == [
        ("operations[1].operation", "structure.invalid"),
        ("operations[2].attribute", "member.mandatory"),
        ("operations[3].name", "attribute.unknown"),
        ("operations[4].changes.name", "structure.fixed"),
        ("operations[4].changes.type", "structure.fixed"),
        ("operations[4].changes.valueType", "structure.fixed"),
        ("operations[4].changes.multiValued", "structure.fixed"),
        ("operations[5].name", "structure.fixed"),
        ("operations[6].name", "structure.fixed"),
        ("operations[7].name", "subscription.unknown"),
        ("operations[8].name", "segmentation.unknown"),
        ("operations[9].changes", "structure.invalid"),
        ("operations[10].changes.removeCategories[0]", "segmentation.category"),
        ("operations[10].changes.addCategories[0]", "structure.invalid"),
        ("operations[11].attribute.name", "structure.invalid"),
    ]
    assert (await refused(guests)).errors[0].field == "operations"


CONFLICTS = [
    ([update("points", mandatory=True)], "2 profiles", "operations[0].changes.mandatory"),
    ([attribute("needed", mandatory=True)], "3 profiles", "operations[0].attribute.defaultValue"),
    ([attribute("fine"), update("lastName", unique=True)], "2 profiles", "operations[1].changes.unique"),
    ([update("lastName", valueRestriction={"acceptedValues": ["Vos", "Maes"]})], "1 profile ", "operations[0].changes.valueRestriction"),
    ([update("lastName", valueRestriction={"maxLength": 3})], "1 profile ", "operations[0].changes.valueRestriction"),
    ([update("lastName", valueRestriction={"minLength": 4})], "2 profiles", "operations[0].changes.valueRestriction"),
    ([update("lastName", valueRestriction={"pattern": "[A-Z]+[a-z]+"})], "1 profile ", "operations[0].changes.valueRestriction"),
    ([update("interests", valueRestriction={"acceptedValues": ["SPA"]})], "1 profile ", "operations[0].changes.valueRestriction"),
    ([update("points", valueRestriction={"max": 4})], "1 profile ", "operations[0].changes.valueRestriction"),
    ([update("spent", valueRestriction={"min": Decimal("0.2")})], "1 profile ", "operations[0].changes.valueRestriction"),
    ([update("birthDate", valueRestriction={"min": "01/01/2000"})], "1 profile ", "operations[0].changes.valueRestriction"),
    ([update("member", valueRestriction={"acceptedValues": [True]})], "1 profile ", "operations[0].changes.valueRestriction"),
    ([{"operation": "updateSegmentation", "name": "Loyalty", "changes": {"removeCategories": ["Gold"]}}], "1 profile ", "operations[0].changes.removeCategories[0]"),
]  # fmt: skip


async def test_data_that_break_a_new_rule_are_counted(guests: Bench) -> None:
    await guests.profile("a@example.com", lastName="Vos", points=5, spent=Decimal("0.1"), interests=["SPA", "GOLF"])
    await guests.profile("b@example.com", lastName="de Vos", birthDate="1984-05-12", segmentations={"Loyalty": "Gold"})
    await guests.profile("c@example.com", lastName="Vos", member=False)

    for operations, count, field in CONFLICTS:
        refusal = await refused(guests, *operations)
        assert (refusal.status, refusal.code) == (409, "structure.dataConflict"), operations
        assert count in refusal.message, operations
        assert [e.field for e in refusal.errors] == [field], operations


async def test_rules_that_the_data_satisfy_are_taken(guests: Bench) -> None:
    await guests.profile("a@example.com", lastName="Vos", points=5, interests=["SPA"])
    await guests.profile("b@example.com", lastName="Maes", points=6)

    await guests.change(
        update("points", mandatory=True, valueRestriction={"min": 5, "max": 6}),
        update("lastName", unique=True, valueRestriction={"pattern": "\\pL+", "acceptedValues": ["Vos", "Maes", "Claes"]}),
        update("interests", valueRestriction={"acceptedValues": ["SPA"]}),
        update("cardNumber", valueRestriction=None),
        attribute("city", mandatory=True, defaultValue="O'Brien \\ %s"),
        attribute("when", "TIMESTAMP", mandatory=True, defaultValue="01/07/2027 08:00:00"),
        attribute("sizes", "NUMBER", multiValued=True, defaultValue=[1, Decimal("2.5")]),
    )

    with pytest.raises(Problem) as refusal:
        await guests.profile("c@example.com", lastName="Jansen", points=7)
    assert {e.code for e in refusal.value.errors} == {"attribute.mandatory", "attribute.value"}
    profile = (await guests.read("profiles.v5.get", p="lastName=Vos"))["attributes"]
    # 08:00 in the licence's time zone.
    assert (profile["city"], profile["when"]) == ("O'Brien \\ %s", "2027-07-01T06:00:00.000Z")
    assert profile["sizes"] == [1, Decimal("2.5")]
    await guests.change(update("emailAddress", unique=False))
    with pytest.raises(Problem) as refusal:
        await guests.read("profiles.v5.get", p="emailAddress=a@example.com")
    assert refusal.value.code == "key.notUnique"


async def test_a_unique_attribute_is_unique_in_the_database_and_addresses_whatever_their_case(guests: Bench) -> None:
    relation = f"l{guests.licence_id}.p{(await guests.read())['id']}"
    insert = f"INSERT INTO {relation} (created_at, updated_at, a1) VALUES (%(now)s, %(now)s, %(address)s)"
    values = {"now": "2027-03-01T00:00:00Z"}
    await guests.db.execute(insert, {**values, "address": "Ann@example.com"})
    with pytest.raises(psycopg.errors.UniqueViolation):
        await guests.db.execute(insert, {**values, "address": "ann@EXAMPLE.com"})

    await guests.change(update("emailAddress", unique=False))
    await guests.db.execute(insert, {**values, "address": "ann@EXAMPLE.com"})
    assert "2 profiles" in (await refused(guests, update("emailAddress", unique=True))).message


async def test_categories_exchange_their_names_and_profiles_keep_theirs(guests: Bench) -> None:
    await guests.profile("a@example.com", segmentations={"Loyalty": "Gold"})
    swap = {"renameCategories": {"Silver": "Gold", "Gold": "Silver"}}

    await guests.change({"operation": "updateSegmentation", "name": "Loyalty", "changes": swap})

    assert (await guests.read())["segmentations"][1]["categories"] == ["Gold", "Silver"]
    profile = await guests.read("profiles.v5.get", p="emailAddress=a@example.com")
    assert profile["segmentations"]["Loyalty"] == "Silver"
    clash = {"renameCategories": {"Gold": "silver"}}
    await refused(guests, {"operation": "updateSegmentation", "name": "Loyalty", "changes": clash})
    none = {"removeCategories": ["Gold", "Silver"]}
    assert (await refused(guests, {"operation": "updateSegmentation", "name": "Loyalty", "changes": none})).status == 400


async def test_a_removed_attribute_leaves_the_display_options(bench: Bench) -> None:
    shown = {"forAttributes": [{"name": "LASTNAME", "displayName": "x"}, {"name": "birthDate"}, "odd"], "more": 1}
    await bench.create({**RUNNING_EXAMPLE, "displayOptions": shown})

    await bench.change({"operation": "removeAttribute", "name": "lastName"})

    assert (await bench.read())["displayOptions"] == {"forAttributes": [{"name": "birthDate"}, "odd"], "more": 1}


async def test_renaming_keeps_the_id_and_respects_the_names_of_others(guests: Bench) -> None:
    table_id = (await guests.read())["id"]
    await guests.create({"name": "Staff", "attributes": []})

    assert (await refused(guests, attribute("x"), {"operation": "rename", "name": "sTAFF"})).code == "name.used"
    await guests.change({"operation": "rename", "name": "GUESTS"})
    assert await guests.read(t=table_id) == await guests.read()
    assert (await guests.read())["name"] == "GUESTS"


async def test_a_change_that_changes_nothing_leaves_the_version(guests: Bench) -> None:
    before = await guests.physical()

    await guests.change(update("lastName", mandatory=True), {"operation": "rename", "name": "Guests"})

    assert await guests.physical() == before


async def test_an_update_that_touches_no_unique_attribute_stays_in_its_page(guests: Bench) -> None:
    await guests.profile("a@example.com", points=1)
    async with guests.db.transaction():
        await guests.profile("a@example.com", points=2)
        counts = await guests.row(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE schemaname = %s AND relname = %s",
            f"l{guests.licence_id}",
            f"p{(await guests.read())['id']}",
        )
    assert counts == (1, 1)


# Deleting


async def test_a_deleted_table_leaves_nothing_behind(guests: Bench) -> None:
    table_id = (await guests.read())["id"]
    await guests.create({**TABLE, "name": "Other"})
    await guests.profile("a@example.com", subscriptions={"Newsletter": True})
    consent = f"SELECT count(*) FROM l{guests.licence_id}.consent WHERE table_id = %s"
    assert await guests.row(consent, int(table_id)) == (1,)

    assert (await guests.call("structure.v5.delete", t="guests")).status == 204

    assert await guests.row(consent, int(table_id)) == (0,)
    assert await guests.row("SELECT to_regclass(%s)::text", f"l{guests.licence_id}.p{table_id}") == (None,)
    with pytest.raises(Problem) as refusal:
        await guests.call("structure.v5.delete", t=table_id)
    assert refusal.value.code == "table.unknown"
    assert [t["name"] for t in (await guests.read("structure.v5.list"))["profileTables"]] == ["Other"]
    assert (await guests.create()).status == 201


async def test_every_change_is_in_the_audit_trail(guests: Bench) -> None:
    table_id = (await guests.read())["id"]
    await guests.change(attribute("x"))
    await guests.call("structure.v5.delete")

    cursor = await guests.db.execute(
        "SELECT route, actor, object FROM tabellion.audit WHERE licence_id = %s AND user_id IS NOT NULL ORDER BY id",
        (guests.licence_id,),
    )
    routes = ("structure.v5.create", "structure.v5.change", "structure.v5.delete")
    assert await cursor.fetchall() == [(route, "website", f"profile-table/{table_id}") for route in routes]


async def test_the_examples_of_the_documentation_work(bench: Bench) -> None:
    examples = {call.id: call for call in CALLS}
    await bench.create(examples["structure.v5.create"].body_example)
    table_id = (await bench.read())["id"]
    for call_id in ("structure.v4.get", "structure.v5.get"):
        assert await bench.read(call_id) == {**examples[call_id].answer_example, "id": table_id}

    await bench.call("structure.v5.change", examples["structure.v5.change"].body_example)
    assert await bench.read() == {**examples["structure.v5.change"].answer_example, "id": table_id}
