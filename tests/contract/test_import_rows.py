"""What becomes of the rows of imports: whose they are, what they change, what is told of it."""

import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.support.imports import STAYS, Imports, profile, zipped
from tests.support.tenant import Tenant
from tests.support.waiting import until_they_wait


def test_choices_of_a_file_come_from_an_import(imports: Imports, tenant: Tenant) -> None:
    def newsletter(name: str) -> dict[str, Any]:
        path = f"/v4/entity/hotels/table/Guests/profile/emailAddress={name}@example.com/subscription"
        return tenant.json("GET", path).json()["subscriptions"][0]

    moments: list[str] = []
    for rows, parameters in (
        ("bob@example.com,Bob,1\ncat@example.com,Cat,\n", None),
        ("ann@example.com,Vos,0\nbob@example.com,Rob,1\ndan@example.com,Dan,\n", None),
        ("bob@example.com,Bo,\n", {"emptyCells": "CLEAR"}),
    ):
        assert imports.do(f"emailAddress,lastName,subscriptions#Newsletter\n{rows}", parameters)["status"] == "DONE"
        moments.append(newsletter("bob")["moment"])

    for name, subscribed in (("ann", False), ("bob", True)):
        assert (newsletter(name)["subscribe"], newsletter(name)["source"]) == (subscribed, "import")
    assert profile(tenant, "emailAddress=bob@example.com")["attributes"]["lastName"] == "Bo"
    # A choice that is made again is the one that was made, and an empty cell unmakes none.
    assert len(set(moments)) == 1
    history = "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=bob@example.com/consents"
    assert len(tenant.json("GET", history).json()["consents"]) == 1
    for name in ("cat", "dan"):
        assert newsletter(name) == {"name": "Newsletter", "subscribe": None, "moment": None, "source": None}


def relation(db: psycopg.Connection[Any], tenant: Tenant) -> str:
    """The table that Guests are in."""
    table = "SELECT format('l%%s.p%%s', t.licence_id, t.id) FROM tabellion.profile_table t JOIN tabellion.licence l ON l.id = t.licence_id"
    (name,) = db.execute(f"{table} WHERE l.name = %s", (tenant.licence,)).fetchone() or ("",)
    return name


def test_a_later_row_of_the_same_key_wins(imports: Imports, tenant: Tenant) -> None:
    rows = "".join(f"bob@example.com,Bob{n}\nBOB@example.com,Rob{n}\n" for n in range(5))
    result = imports.do(zipped(f"emailAddress,lastName\n{rows}"), {"generateResultFile": True})

    assert (result["rowsCreated"], result["rowsUpdated"]) == (1, 9)
    assert profile(tenant, "emailAddress=bob@example.com")["attributes"]["lastName"] == "Rob4"
    with psycopg.connect(imports.url) as db:
        name = relation(db, tenant)
        later = db.execute(f"SELECT updated_at - created_at FROM {name} WHERE a1 ILIKE 'bob@%'".encode()).fetchone()
    # Each state has a moment of its own, and so an ETag.
    assert later == (timedelta(microseconds=9),)


def test_unique_values_lead_to_their_profile_or_are_taken(imports: Imports, tenant: Tenant) -> None:
    def told(rows: str, parameters: Any) -> list[tuple[str, str, str]]:
        result = imports.do(f"emailAddress,lastName,cardNumber,code\n{rows}", parameters | {"generateResultFile": True})
        errors = {r["lineNumber"]: (r["errorCode"], r["errorColumn"]) for r in imports.errors(result["id"])}
        assert list(errors) == sorted(errors)
        done = [(r["lineNumber"], r["operation"]) for r in imports.result_rows(result["id"])]
        for counter, operation in (
            ("Created", "CREATED"),
            ("Updated", "UPDATED"),
            ("Unchanged", "UNCHANGED"),
            ("InError", "ERROR"),
        ):
            assert result[f"rows{counter}"] == [each[1] for each in done].count(operation)
        return [(*each, *errors.get(each[0], ())) for each in done]

    added = {"operation": "addAttribute", "attribute": {"name": "code", "valueType": "STRING", "unique": True}}
    change = tenant.json("POST", "/v5/entities/hotels/profile-tables/Guests/change-requests", {"operations": [added]})
    assert change.status_code == 200, change.text
    first = "bob@example.com,Bob,C1,a\ncat@example.com,Cat,C2,b\nfay@example.com,,C9,c\n,\n"
    assert [each[1] for each in told(first, {})] == ["CREATED", "CREATED", "ERROR", "ERROR"]
    by_all = (
        "bob@example.com,Bo,C2,\n"
        "dan@example.com,Dan,C1,\n"
        "CAT@example.com,Cat,C3,\n"
        ",Kat,C3,\n"
        "eve@example.com,Eve,C4,\n"
        "eve@example.com,Eva,,\n"
        ",Kat,C1,b\n"
        ",\n"
    )
    assert told(by_all, {}) == [
        ("2", "ERROR", "attribute.ambiguous", ""),
        ("3", "UPDATED"),
        ("4", "UPDATED"),
        ("5", "UPDATED"),
        ("6", "CREATED"),
        ("7", "UPDATED"),
        ("8", "ERROR", "attribute.ambiguous", ""),
        ("9", "ERROR", "row.columns", ""),
    ]
    rows = (
        "dan@example.com,Dan,C3",
        "fay@example.com,Fay,C1",
        "Eve@example.com,Eva,C4",
        "eve@example.com,Eva,C5",
        "no address,Gus,C6",
        "gus@example.com,Gus,C6",
    )
    by_address = "".join(f"{row},\n" for row in rows)
    assert told(by_address, {"keyColumn": "emailAddress"}) == [
        ("2", "ERROR", "attribute.notUnique", "cardNumber"),
        ("3", "ERROR", "attribute.notUnique", "cardNumber"),
        ("4", "UPDATED"),
        ("5", "UPDATED"),
        ("6", "ERROR", "attribute.value", "emailAddress"),
        ("7", "CREATED"),
    ]
    # Rows that have nothing in common, and yet are of one profile: the later one comes later, and so do those after it.
    of_one = "dan@example.com,Dan,,\ndon@example.com,Don,C1,\nDON@example.com,Zed,,\n,Zoe,,a\ncat@example.com,X,C5,\n"
    assert [each[1] for each in told(of_one, {})] == ["UNCHANGED", "UPDATED", "UPDATED", "UPDATED", "ERROR"]
    # The third leaves a card to the fourth, which would else belong to two.
    left = "hal@example.com,Hal,D1,\nivy@example.com,Ivy,D3,z\njan@example.com,Jan,D4,z\nhal@example.com,Hil,D3,y\n"
    assert [each[1] for each in told(left, {})] == ["CREATED", "CREATED", "UPDATED", "UPDATED"]
    # With a key the same: who is given what an earlier row leaves, and not what a later one will leave.
    left = "jan@example.com,Jan,D5,z\nhal@example.com,Hil,D4,\nivy@example.com,Ivy,D3,\nJan@example.com,Jan,D1,z\n"
    assert [each[1] for each in told(left, {"keyColumn": "emailAddress"})] == ["UPDATED", "UPDATED", "CREATED", "UPDATED"]
    early = "hal@example.com,Hil,D1,\njan@example.com,Jan,D6,z\n"
    assert [each[1] for each in told(early, {"keyColumn": "emailAddress"})] == ["ERROR", "UPDATED"]
    empty = "kim@example.com,Kim,,\nDON@example.com,,C1,a\n"
    assert told(empty, {"keyColumn": "cardNumber", "emptyCells": "CLEAR"}) == [
        ("2", "ERROR", "attribute.mandatory", "cardNumber"),
        ("3", "ERROR", "attribute.mandatory", "lastName"),
    ]
    found = [profile(tenant, f"cardNumber=C{n}")["attributes"] for n in (1, 3, 5)]
    assert [(a["emailAddress"], a["lastName"]) for a in found] == [
        ("DON@example.com", "Zoe"),
        ("CAT@example.com", "Kat"),
        ("eve@example.com", "Eva"),
    ]


def test_the_profile_that_a_row_has_found_stays_what_it_was_until_the_block_is_in(imports: Imports, tenant: Tenant) -> None:
    """That row says nothing new, so no change of its profile keeps others away; another row waits for a lock meanwhile."""
    imports.do(zipped("emailAddress,lastName\nbob@example.com,Bob\ncat@example.com,Cat\n"))
    job_id = imports.send(zipped("emailAddress,lastName\nbob@example.com,Bob\ncat@example.com,New\n")).json()["id"]
    importing = threading.Thread(target=imports.run, args=(job_id,))
    with psycopg.connect(imports.url) as db, psycopg.connect(imports.url, autocommit=True) as looking:
        guests = relation(db, tenant)
        db.execute(f"SELECT FROM {guests} WHERE a1 = 'cat@example.com' FOR UPDATE".encode())
        importing.start()
        until_they_wait(looking, "tabellion import")
        free = looking.execute(f"SELECT id FROM {guests} WHERE a1 = 'bob@example.com' FOR UPDATE SKIP LOCKED".encode())
        assert free.fetchall() == []
    importing.join()
    result = imports.result(job_id)
    assert (result["rowsUpdated"], result["rowsUnchanged"]) == (1, 1)


def told(imports: Imports) -> list[tuple[str, str, list[str]]]:
    """The events of the licence that wait: type, first attribute, and the columns that they are about."""
    with psycopg.connect(imports.url) as db:
        query = (
            "SELECT e.event_type, e.data ->> 'a1', e.fields FROM tabellion.outbox_event e "
            "JOIN tabellion.licence l ON l.id = e.licence_id WHERE l.name = %s ORDER BY 1, 2"
        )
        return db.execute(query, (imports.tenant.licence,)).fetchall()


def test_changes_are_told_as_single_calls_tell_them(imports: Imports, tenant: Tenant) -> None:
    for kind in ("CREATE", "UPDATE", "UPDATED_SUBSCRIPTION", "UPDATED_SEGMENT"):
        hook = {"eventType": kind, "targetUrl": "https://8.8.8.8/hook"}
        assert tenant.json("POST", "/v4/entity/hotels/table/Guests/webhookSubscription", hook).status_code == 201
    rows = "ann@example.com,New,true,Gold\nbob@example.com,Bob,true,\nann@example.com,New,true,Gold\n"

    header = "emailAddress,lastName,subscriptions#Newsletter,segmentations#Loyalty\n"
    result = imports.do(header + rows)
    imports.do(f"{header}cat@example.com,Cat,,\n")

    assert (result["rowsCreated"], result["rowsUpdated"], result["rowsUnchanged"]) == (1, 1, 1)
    assert [event[:2] for event in told(imports)] == [
        ("CREATE", "bob@example.com"),
        ("CREATE", "cat@example.com"),
        ("UPDATE", "ann@example.com"),
        ("UPDATED_SEGMENT", "ann@example.com"),
        ("UPDATED_SUBSCRIPTION", "ann@example.com"),
        ("UPDATED_SUBSCRIPTION", "bob@example.com"),
    ]


@pytest.mark.usefixtures("stays")
def test_changes_of_records_are_told_as_well_by_the_rules_of_their_table(imports: Imports, tenant: Tenant) -> None:
    for kind in ("CREATE", "UPDATE"):
        hook = {"eventType": kind, "targetUrl": "https://8.8.8.8/hook"}
        assert tenant.json("POST", f"{STAYS}/webhookSubscription", hook).status_code == 201
    paid = {"stateBeforeOperation": [{"attribute": "state", "operator": "!=", "value": "PAID"}]}
    rule = {"onOperation": "UPDATE", "onAnyAttribute": ["state"], "matchingConditions": paid}
    events = [{"name": "paid", "triggerRules": [rule]}]
    change = {"operations": [{"operation": "setEventsToTrigger", "eventsToTrigger": events}]}
    assert tenant.json("POST", "/v5/entities/hotels/custom-tables/Stays/change-requests", change).status_code == 200

    imports.do("stayRef,state,price\nST-00001,PAID,1\nST-00002,OPEN,2\n", path=STAYS)
    assert told(imports) == [("CREATE", "ST-00002", ["a1", "a5", "a4"]), ("UPDATE", "ST-00001", ["a5", "a4"])]

    imports.do("stayRef,state,price\nST-00001,OPEN,1\nST-00002,OPEN,3\n", path=STAYS)
    assert len(told(imports)) == 2, "what no rule says is not told"


def record(tenant: Tenant, reference: str) -> dict[str, Any]:
    answer = tenant.json("GET", f"/v5/entities/hotels/custom-tables/Stays/records/{reference}")
    assert answer.status_code == 200, answer.text
    return answer.json()["attributes"]


@pytest.mark.usefixtures("stays")
def test_an_import_into_a_custom_table(imports: Imports, tenant: Tenant) -> None:
    rows = "ST-00001,50.5,PAID\nST-2,1,OPEN\nST-3,1,LATER\n,2,OPEN\nST-2,3,PAID\n"
    result = imports.do(f"stayRef,price,state\n{rows}", {"generateResultFile": True}, path=STAYS)

    assert (result["rowsUpdated"], result["rowsCreated"], result["rowsInError"]) == (2, 1, 2)
    told = [(row["lineNumber"], row["errorCode"], row["errorColumn"]) for row in imports.errors(result["id"])]
    assert told == [("4", "attribute.value", "state"), ("5", "attribute.mandatory", "stayRef")]
    stay = record(tenant, "ST-00001")
    assert (stay["price"], stay["state"], stay["breakfast"]) == (50.5, "PAID", False)
    assert record(tenant, "ST-2")["price"] == 3


@pytest.mark.usefixtures("stays")
def test_foreign_keys_and_composite_keys_of_an_import(imports: Imports, tenant: Tenant) -> None:
    table = {
        "name": "Nights",
        "type": "INTERACTIONS",
        "compositeKey": ["stay", "night"],
        "attributes": [
            {"name": "stay", "valueType": "STRING", "mandatory": True},
            {"name": "night", "valueType": "INTEGER", "mandatory": True},
            {"name": "room", "valueType": "STRING"},
        ],
        "foreignKeys": [
            {
                "name": "ofStay",
                "attribute": "stay",
                "reference": {"tableType": "CUSTOM_TABLE", "tableId": "Stays", "attribute": "stayRef"},
                "onDelete": "CASCADE",
            }
        ],
    }
    made = tenant.json("POST", "/v5/entities/hotels/custom-tables", table)
    assert made.status_code == 201, made.text
    path = "/v4/entity/hotels/customTable/Nights"

    first = imports.do("stay,night,room\nST-00001,1,12\nST-00001,2,12\nST-9,1,12\nST-00001,1,14\n", path=path)
    again = imports.do("stay,night,room\nST-00001,1,14\nST-00001,2,13\nST-00001,3,1\n", path=path)

    assert (first["rowsCreated"], first["rowsUpdated"], first["rowsInError"]) == (2, 1, 1)
    (row,) = imports.errors(first["id"])
    assert (row["lineNumber"], row["errorCode"], row["errorColumn"]) == ("4", "attribute.value", "stay")
    assert row["errorMessage"] == "attribute 'stay' refers to nothing: no row of 'Stays' has this 'stayRef'"
    assert (again["rowsCreated"], again["rowsUpdated"], again["rowsUnchanged"]) == (1, 1, 1)


@pytest.mark.usefixtures("stays")
def test_empty_cells_clear_no_value_that_records_refer_to(imports: Imports, tenant: Tenant) -> None:
    def key(name: str, attribute: str, kind: str, table: str, target: str) -> dict[str, Any]:
        reference = {"tableType": kind, "tableId": table, "attribute": target}
        key = {"name": name, "attribute": attribute, "reference": reference, "onDelete": "CASCADE"}
        return {"operation": "addForeignKey", "foreignKey": key}

    stays = "/v5/entities/hotels/custom-tables/Stays"
    added = [
        {"operation": "addAttribute", "attribute": {"name": name, "valueType": "STRING", "unique": unique}}
        for name, unique in (("code", True), ("follows", False))
    ]
    keys = [
        key("guest", "cardNumber", "PROFILE_TABLE", "Guests", "cardNumber"),
        key("own", "follows", "CUSTOM_TABLE", "Stays", "code"),
    ]
    changed = tenant.json("POST", f"{stays}/change-requests", {"operations": [*added, *keys]})
    assert changed.status_code == 200, changed.text
    clearing = {"emptyCells": "CLEAR", "keyColumn": "emailAddress"}
    imports.do("emailAddress,lastName,cardNumber\nbob@example.com,Bob,C1\ncat@example.com,Cat,C2\n")
    imports.do("stayRef,cardNumber,code,follows\nS1,C1,x,\nS2,,y,x\n", path=STAYS)

    cleared = "bob@example.com,\ncat@example.com,\nbob@example.com,C9\nzed@example.com,C7\n"
    result = imports.do(f"emailAddress,cardNumber\n{cleared}", clearing)
    own = imports.do("stayRef,code,cardNumber\nS1,,C9\nS2,,\n", {"emptyCells": "CLEAR"}, path=STAYS)

    left = imports.do("emailAddress,cardNumber\nbob@example.com,\n", {"keyColumn": "emailAddress"})
    assert left["rowsUnchanged"] == 1
    told = [(row["lineNumber"], row["errorCode"], row["errorColumn"]) for row in imports.errors(result["id"])]
    assert told == [("2", "profile.inUse", "cardNumber"), ("5", "attribute.mandatory", "")]
    assert "attribute 'lastName' is mandatory" in imports.errors(result["id"])[1]["errorMessage"]
    assert profile(tenant, "emailAddress=bob@example.com")["attributes"]["cardNumber"] == "C9"
    assert profile(tenant, "emailAddress=cat@example.com")["attributes"]["cardNumber"] is None
    assert record(tenant, "S1")["cardNumber"] == "C9"
    assert [(row["lineNumber"], row["errorCode"]) for row in imports.errors(own["id"])] == [("2", "record.inUse")]
    assert (record(tenant, "S1")["code"], record(tenant, "S2")["code"], record(tenant, "S2")["follows"]) == ("x", None, "x")
