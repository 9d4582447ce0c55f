"""Changes of structure, and deletion: in order, all or none, and never against the data."""

from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.sql import Composable

from tabellion.features.tables.endpoints import CALLS
from tabellion.kit.problem import Problem
from tests.support.structure import RUNNING_EXAMPLE, Bench, attribute, refused, update
from tests.support.tenant import TABLE


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
        update("cardNumber", type="EMAIL_ADDRESS", valueType="TEXT", name="card", multiValued=True),
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
        {"operation": "addAttribute", "attribute": {"name": "second", "type": "EMAIL_ADDRESS"}},
        attribute("code", unique=True, defaultValue="x"),
        attribute("yes", "BOOLEAN", unique=True),
    )

    assert [(e.field, e.code) for e in refusal.errors] == [
        ("operations[1].operation", "member.type"),
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
        ("operations[9].changes", "structure.categories"),
        ("operations[10].changes.removeCategories[0]", "segmentation.category"),
        ("operations[10].changes.addCategories[0]", "structure.nameTaken"),
        ("operations[11].attribute.name", "structure.nameTaken"),
        ("operations[12].attribute.type", "structure.tooMany"),
        ("operations[13].attribute.defaultValue", "structure.defaultValue"),
        ("operations[14].attribute.unique", "structure.typeMismatch"),
    ]
    nothing = (await refused(guests)).errors[0]
    assert (nothing.field, nothing.code) == ("operations", "member.mandatory")


CONFLICTS = [
    ([update("points", mandatory=True)], "2 profiles", "operations[0].changes.mandatory"),
    ([attribute("needed", mandatory=True)], "3 profiles", "operations[0].attribute.defaultValue"),
    ([attribute("fine"), update("lastName", unique=True)], "2 profiles", "operations[1].changes.unique"),
    ([update("lastName", valueRestriction={"acceptedValues": ["Vos", "Maes"]})], "1 profile ", "operations[0].changes.valueRestriction"),
    ([update("lastName", valueRestriction={"maxLength": 3})], "1 profile ", "operations[0].changes.valueRestriction"),
    ([update("lastName", valueRestriction={"minLength": 4})], "2 profiles", "operations[0].changes.valueRestriction"),
    ([update("lastName", valueRestriction={"pattern": "[A-Z]+[a-z]+"})], "1 profile ", "operations[0].changes.valueRestriction"),
    ([update("lastName", valueRestriction={"maxLength": 20, "pattern": "d.*"})], "2 profiles", "operations[0].changes.valueRestriction"),
    ([update("interests", valueRestriction={"acceptedValues": ["BEACH"]})], "1 profile ", "operations[0].changes.valueRestriction"),
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


async def test_an_attribute_becomes_unique_by_one_look_at_the_rows(guests: Bench) -> None:
    await guests.profile("a@example.com", lastName="Vos")
    asked: list[str] = []

    class Recording(psycopg.AsyncCursor[Any]):
        async def execute(self, query: Any, *args: Any, **options: Any) -> Any:
            asked.append(query.as_string(self) if isinstance(query, Composable) else str(query))
            return await super().execute(query, *args, **options)

    async with guests.connection() as db:
        db.cursor_factory = Recording
        await guests.change(update("lastName", unique=True), db=db)

    # Writers wait meanwhile, and nobody is told more than how many share a value when some do.
    assert [text.split()[0] for text in asked if f"{guests.licence_id}" in text and " ON " in text] == ["CREATE"]
    assert not any("GROUP BY" in text for text in asked)


async def test_rules_that_the_data_satisfy_are_taken(guests: Bench) -> None:
    await guests.profile("a@example.com", lastName="Vos", points=5, interests=["SPA"], cardNumber="Käse")
    await guests.profile("b@example.com", lastName="Maes", points=6)

    await guests.change(
        update("points", mandatory=True, valueRestriction={"min": 5, "max": 6}),
        update("lastName", unique=True, valueRestriction={"pattern": "\\pL+", "acceptedValues": ["Vos", "Maes", "Claes"]}),
        update("interests", valueRestriction={"acceptedValues": ["SPA"]}),
        update("cardNumber", valueRestriction={"minLength": 4, "maxLength": 4, "pattern": "\\pL+"}),
        update("cardNumber", name="cardNumber", type="CUSTOM", valueType="STRING", multiValued=False, valueRestriction=None),
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
    for address in ("ann@EXAMPLE.com", None, None):
        await guests.db.execute(insert, {**values, "address": address})
    assert "2 profiles" in (await refused(guests, update("emailAddress", unique=True))).message


async def test_categories_exchange_their_names_and_profiles_keep_theirs(guests: Bench) -> None:
    await guests.profile("a@example.com", segmentations={"Loyalty": "Gold"})
    swap = {"renameCategories": {"Gold": "Silver", "Silver": "Gold"}}

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


async def test_who_agreed_can_be_proved_after_a_subscription_was_removed(guests: Bench) -> None:
    async def history() -> list[tuple[str, bool, bool]]:
        consents = (await guests.read("profiles.v5.consents", p="emailAddress=ann@example.com"))["consents"]
        return [(c["subscription"], c["subscribe"], "subscriptionRemovedAt" in c) for c in consents]

    ann = "ann@example.com"
    await guests.profile(ann, subscriptions={"Newsletter": True})
    await guests.profile(ann, subscriptions={"Newsletter": False})
    await guests.profile("bob@example.com", subscriptions={"Newsletter": True})
    again = {"operation": "addSubscription", "subscription": {"name": "newsletter"}}
    await guests.change({"operation": "removeSubscription", "name": "Newsletter"}, again)

    assert await history() == [("Newsletter", False, True), ("Newsletter", True, True)]
    profile = await guests.read("profiles.v5.get", p=f"emailAddress={ann}")
    assert profile["subscriptions"] == {"Weekly offers": None, "newsletter": None}
    assert [s["name"] for s in (await guests.read())["subscriptions"]] == ["Weekly offers", "newsletter"]
    await guests.profile(ann, subscriptions={"newsletter": True})
    assert await history() == [("newsletter", True, False), ("Newsletter", False, True), ("Newsletter", True, True)]
    await guests.change({"operation": "removeSubscription", "name": "newsletter"})
    assert [each[2] for each in await history()] == [True, True, True]
    consent = "SELECT count(*) FROM l{}.consent"
    assert await guests.row(consent.format(guests.licence_id)) == (1,)
    await guests.call("profiles.v5.delete", p=f"emailAddress={ann}")
    assert await guests.row(consent.format(guests.licence_id)) == (0,)


async def test_the_consents_of_a_profile_are_those_of_no_other(guests: Bench) -> None:
    await guests.create({**TABLE, "name": "Staff"})
    who = [("Guests", "ann"), ("Guests", "bob"), ("Staff", "eve")]
    for table, name in who:
        for choice in (True, False):
            body = {"key": {"emailAddress": f"{name}@example.com"}, "attributes": {"lastName": "Vos"}}
            await guests.call("profiles.v5.put", {**body, "subscriptions": {"Newsletter": choice}}, t=table)
    # Each table counts its profiles from 1.
    read = [await guests.read("profiles.v5.consents", t=table, p=f"emailAddress={name}@example.com") for table, name in who]
    assert [len(each["consents"]) for each in read] == [2, 2, 2]
    await guests.call("profiles.v5.delete", p="emailAddress=ann@example.com")
    left = [
        await guests.read("profiles.v5.consents", t=table, p=f"emailAddress={name}@example.com") for table, name in who[1:]
    ]
    assert left == read[1:]


async def test_a_name_is_the_same_however_its_accents_are_made(guests: Bench) -> None:
    composed, apart = "Événements d'été", "E\u0301VE\u0301NEMENTS D'E\u0301TE\u0301"
    added = {"operation": "addSubscription", "subscription": {"name": apart.lower()}}
    tiers = {"name": "Café", "type": "EXCLUSIVE", "categories": ["Allongé"]}
    await guests.change(added, {"operation": "addSegmentation", "segmentation": tiers})
    assert (await guests.read())["subscriptions"][-1]["name"] == composed.lower()
    refusal = await refused(
        guests,
        {"operation": "addSubscription", "subscription": {"name": composed}},
        {"operation": "addSegmentation", "segmentation": {**tiers, "name": "CAFE\u0301"}},
        {"operation": "updateSegmentation", "name": "cafe\u0301", "changes": {"addCategories": ["allonge\u0301"]}},
    )
    assert [error.code for error in refusal.errors] == ["structure.nameTaken"] * 3
    await guests.profile("ann@example.com", subscriptions={composed: True}, segmentations={"CAFE\u0301": "ALLONGE\u0301"})
    profile = await guests.read("profiles.v5.get", p="emailAddress=ann@example.com")
    assert profile["subscriptions"][composed.lower()] is not None
    assert profile["segmentations"]["Café"] == "Allongé"
    await guests.change({"operation": "removeSubscription", "name": apart})


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


async def test_a_long_history_of_consent_does_not_keep_a_table_from_being_deleted(guests: Bench) -> None:
    for choice in (True, False):
        await guests.profile("ann@example.com", subscriptions={"Newsletter": choice})
    schema = f"l{guests.licence_id}"
    await guests.db.execute(
        f"CREATE FUNCTION {schema}.slow() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(0.4); RETURN OLD; END $$"
    )
    await guests.db.execute(
        f"CREATE TRIGGER slow BEFORE DELETE ON {schema}.consent FOR EACH ROW EXECUTE FUNCTION {schema}.slow()"
    )

    async with guests.connection() as db:
        await db.execute("SET statement_timeout = '300ms'")
        assert (await guests.call("structure.v5.delete", db=db)).status == 204
        assert await (await db.execute("SHOW statement_timeout")).fetchone() == ("300ms",)


async def test_a_deleted_table_leaves_nothing_behind(guests: Bench) -> None:
    table_id = (await guests.read())["id"]
    await guests.create({**TABLE, "name": "Other"})
    await guests.profile("a@example.com", subscriptions={"Newsletter": True})
    await guests.profile("a@example.com", subscriptions={"Newsletter": False})
    consent = f"SELECT count(*) FROM l{guests.licence_id}.consent WHERE table_id = %s"
    assert await guests.row(consent, int(table_id)) == (1,)
    other = int((await guests.read(t="Other"))["id"])
    for choice in (True, False):
        body = {"key": {"emailAddress": "a@example.com"}, "attributes": {"lastName": "V"}}
        await guests.call("profiles.v5.put", body | {"subscriptions": {"Newsletter": choice}}, t="Other")

    assert (await guests.call("structure.v5.delete", t="guests")).status == 204

    assert (await guests.row(consent, int(table_id)), await guests.row(consent, other)) == ((0,), (1,))
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
