"""Launches to so many that large mailbox providers look at the sender's domain: refused while it fails, unless overridden."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tabellion.platform import secrets
from tests.contract.conftest import Signed
from tests.contract.test_checklist import checklist, codes
from tests.support.names import NameServer
from tests.support.tenant import Tenant, schema_of
from tests.support.tenants import Tenants
from tests.support.waiting import until_they_wait

MAIL = "/v4/entity/hotels/mail"
LATER, MOMENT = "2090-03-05T07:00:00Z", "2090-03-05T07:00:00.000Z"
WHY = "the relay of the group signs for us"
_numbers = itertools.count(1)


def campaign(tenant: Tenant, target: dict[str, Any] | None = None, **settings: Any) -> int:
    number = tenant.campaign(f"Many{next(_numbers)}", **settings)
    if target is not None:
        assert tenant.json("PUT", f"{MAIL}/{number}/target", target).status_code == 200
    return number


def launch(tenant: Tenant, number: int, **body: Any) -> httpx.Response:
    """For later, so that nothing is sent."""
    return tenant.json("POST", f"{MAIL}/{number}/launch", {"scheduledAt": LATER} | body)


def notes(database: psycopg.Connection[Any], number: int) -> list[tuple[str, str, str]]:
    query = "SELECT actor, route, note FROM tabellion.audit WHERE object = %s AND note IS NOT NULL"
    return database.execute(query, (f"campaign/{number}",)).fetchall()


@pytest.fixture
def many(tenant: Tenant, database: psycopg.Connection[Any]) -> Tenant:
    """5,001 guests: Ann and others."""
    guests = tenant.json("GET", "/v4/entity/hotels/table").json()["profileTableNames"][0]["id"]
    database.execute(
        f"INSERT INTO {schema_of(tenant, database)}.p{guests} (created_at, updated_at, a1, a2) SELECT now(), now(), "
        "'g' || n || '@example.com', 'Guest ' || n FROM generate_series(1, 5000) n"
    )
    return tenant


@pytest.fixture
def good(signed: Signed, names: NameServer) -> Signed:
    """A sender that receivers find all they want of."""
    names.records.update(signed.records)
    return signed


def test_a_sender_that_is_set_up_may_send_to_many(many: Tenant, good: Signed, database: psycopg.Connection[Any]) -> None:
    number = campaign(many)
    launched = launch(many, number, overrideSenderCheck=WHY)
    assert (launched.status_code, launched.json()) == (
        200,
        {"campaignId": number, "state": "SCHEDULED", "scheduledAt": MOMENT},
    ), good
    # Nothing was overridden.
    assert notes(database, number) == []


def test_a_sender_that_is_not_may_not_unless_somebody_says_why(
    many: Tenant, good: Signed, names: NameServer, database: psycopg.Connection[Any]
) -> None:
    del names.records[f"_dmarc.{good.domain}", "TXT"]
    names.records[good.domain, "TXT"] = ["v=spf1 -all", "v=spf1 +all"]
    number = campaign(many)
    before = many.state()
    for body in ({}, {"scheduledAt": LATER}):
        refused = many.json("POST", f"{MAIL}/{number}/launch", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "campaign.senderCheck")
        assert [error["code"] for error in refused.json()["errors"]] == ["spf.several", "dmarc.missing"]
        assert good.domain in refused.json()["message"]
        assert "overrideSenderCheck" in refused.json()["message"]
    found = checklist(many, number)
    assert (found["launchable"], codes(found, "BLOCKING")) == (False, ["spf.several", "dmarc.missing"])
    for reason in (True, "", "  ", "a" * 501, "two\nlines"):
        assert launch(many, number, overrideSenderCheck=reason).status_code == 400
    misspelt = many.json("POST", f"{MAIL}/{number}/launch", {"overrideSenderCheck": WHY, "sheduledAt": LATER})
    assert misspelt.status_code == 400
    assert many.state() == before

    assert launch(many, number, overrideSenderCheck=WHY).json() == {
        "campaignId": number,
        "state": "SCHEDULED",
        "scheduledAt": MOMENT,
    }
    note = f"sender check overridden (spf.several, dmarc.missing): {WHY}"
    assert notes(database, number) == [("website", "campaigns.v4.launch", note)]
    # Another moment is another launch.
    again = {"scheduledAt": "2091-03-05T07:00:00Z"}
    assert many.json("POST", f"{MAIL}/{number}/launch", again).json()["code"] == "campaign.senderCheck"


def test_the_reason_comes_in_xml_as_well(many: Tenant, good: Signed, database: psycopg.Connection[Any]) -> None:
    number = campaign(many, **{"from": f"news@sub.{good.domain}.nowhere.example"})
    headers = {"Content-Type": "application/xml", "Accept": "application/xml"}
    xml = f"<mailLaunch><scheduledAt>{LATER}</scheduledAt>{{}}</mailLaunch>"
    refused = many.call("POST", f"{MAIL}/{number}/launch", content=xml.format(""), headers=headers)
    assert (refused.status_code, "<code>sender.domain</code>" in refused.text) == (409, True)
    sent = xml.format(f"<overrideSenderCheck>{WHY}</overrideSenderCheck>")
    launched = many.call("POST", f"{MAIL}/{number}/launch", content=sent, headers=headers)
    assert (launched.status_code, "<state>SCHEDULED</state>" in launched.text) == (200, True)
    assert [note for _, _, note in notes(database, number)] == [
        f"sender check overridden (dkim.missing, sender.domain): {WHY}"
    ]


def test_an_address_that_nobody_outside_knows_fails_without_a_question(
    many: Tenant, good: Signed, names: NameServer
) -> None:
    number = campaign(many, **{"from": "news@mailer.internal"})
    names.asked.clear()
    refused = launch(many, number).json()
    assert ([error["code"] for error in refused["errors"]], names.asked) == (["sender.local"], []), good


def test_name_servers_that_cannot_say_keep_nobody_from_launching(
    many: Tenant, signed: Signed, names: NameServer, database: psycopg.Connection[Any]
) -> None:
    number = campaign(many)
    names.closed = True
    try:
        launched = launch(many, number)
    finally:
        names.closed = False
    assert (signed.domain, "SOA") in names.asked
    assert (launched.status_code, launched.json()["state"]) == (200, "SCHEDULED")
    assert launched.json()["notice"].startswith("the sender's domain was not looked at: ")
    assert notes(database, number) == []


def test_that_mails_are_not_signed_is_known_without_name_servers(
    many: Tenant, signed: Signed, names: NameServer, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "UPDATE tabellion.sender SET dkim_domain = '', dkim_selector = '', dkim_key = '' WHERE dkim_domain = %s",
        (signed.domain,),
    )
    number = campaign(many)
    few = campaign(many, {"maxProfiles": 5000})
    names.closed = True
    try:
        refused = launch(many, number)
        found, of_few = checklist(many, number), checklist(many, few)
    finally:
        names.closed = False
    assert (signed.domain, "SOA") in names.asked
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.senderCheck")
    assert [error["code"] for error in refused.json()["errors"]] == ["dkim.missing"]
    assert codes(found, "BLOCKING") == ["dkim.missing"]
    assert {"dkim.missing", "sender.unchecked"} <= set(codes(of_few, "WARNING"))


def test_few_tests_triggered_mails_and_the_outbox_are_not_refused(
    many: Tenant, signed: Signed, names: NameServer, database: psycopg.Connection[Any]
) -> None:
    # The name server says of the domain that it does not exist, and of the root that it does.
    assert (signed.domain, "TXT") not in names.records
    for target in ({"maxProfiles": 5000}, {"exclude": 'lastName = "Vos"'}):
        assert launch(many, campaign(many, target)).status_code == 200
    refused = campaign(many, {"maxProfiles": 5001})
    assert launch(many, refused).json()["code"] == "campaign.senderCheck"
    assert many.json("POST", f"{MAIL}/{refused}/test", {"recipients": ["me@example.com"]}).status_code == 200
    for mode in ("TRANSACTIONAL", "CONTINUOUS"):
        number = campaign(many, mode=mode)
        assert many.json("POST", f"{MAIL}/{number}/launch").json() == {"campaignId": number, "state": "ACTIVE"}
    database.execute("DELETE FROM tabellion.relay WHERE licence_id = %s", (int(schema_of(many, database)[1:]),))
    assert launch(many, refused).status_code == 200
    assert "sender.domain" in codes(checklist(many, refused), "ERROR")


def test_mails_that_wait_for_another_relay_count_as_leaving(
    many: Tenant, signed: Signed, database: psycopg.Connection[Any]
) -> None:
    licence_id = int(schema_of(many, database)[1:])
    database.execute("INSERT INTO tabellion.relayed (licence_id) VALUES (%s)", (licence_id,))
    database.execute("DELETE FROM tabellion.relay WHERE licence_id = %s", (licence_id,))
    number = campaign(many)
    assert launch(many, number).json()["code"] == "campaign.senderCheck", signed
    (item,) = [item for item in checklist(many, number)["items"] if item["code"] == "relay.missing"]
    assert (item["severity"], "wait" in item["message"], "relay outbox" in item["advice"]) == ("ERROR", True, True)


def test_a_key_that_the_server_cannot_read_is_told(many: Tenant, good: Signed, database: psycopg.Connection[Any]) -> None:
    sealed_elsewhere = secrets.seal("a key", "another server")
    database.execute("UPDATE tabellion.sender SET dkim_key = %s WHERE dkim_domain = %s", (sealed_elsewhere, good.domain))
    number = campaign(many)
    assert "dkim.unreadable" in codes(checklist(many, number), "BLOCKING")
    refused = launch(many, number)
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.senderCheck")
    assert "TABELLION_SECRET_KEY" in refused.text


def test_what_was_changed_after_it_had_been_looked_at_is_not_launched(
    tenant: Tenant, tenants: Tenants, database: psycopg.Connection[Any]
) -> None:
    number = campaign(tenant)
    with psycopg.connect(tenants.database_url) as changing, ThreadPoolExecutor(1) as threads:
        changing.execute("UPDATE tabellion.campaign SET version = version + 1 WHERE id = %s", (number,))
        launched = threads.submit(launch, tenant, number)
        until_they_wait(database, "tabellion api")
        changing.commit()
        refused = launched.result()
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.state")
    assert "was changed at the same moment" in refused.json()["message"]
    assert tenant.json("GET", f"{MAIL}/{number}").json()["state"] == "IN_DEFINITION"
    assert launch(tenant, number).status_code == 200
