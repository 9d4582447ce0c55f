"""What the suppression list means for which mails, and that an address is one however its domain is written."""

import csv
import io
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from tests.contract.test_preferences import boxes
from tests.contract.test_sending import MAIL, PROFILES, local, outbox, state
from tests.support import plain
from tests.support.mailing import Sink
from tests.support.tenant import Tenant
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

ANN = "/v5/suppressions/ann@example.com"
CONTACT = "/v4/entity/hotels/transactionalmail/Booked/contact"
# One domain: as people write it, in capitals, and as relays and providers have it.
SMALL, CAPITALS, ASCII = "exämple.com", "EXÄMPLE.COM", "xn--exmple-cua.com"


def mass(tenant: Tenant, name: str, **target: Any) -> dict[str, Any]:
    """Send a mass campaign; its report."""
    number = tenant.campaign(name)
    assert tenant.json("PUT", f"{MAIL}/{number}/target", target).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: state(tenant, number) == "FINISHED")
    return tenant.json("GET", f"{MAIL}/{number}/report").json()


def booked(tenant: Tenant, address: str = "ann@example.com") -> tuple[str, str | None]:
    """Trigger a transactional mail; what came of it, and why."""
    body = {"profile": {"attributes": [{"name": "emailAddress", "value": address}]}}
    answer = tenant.json("POST", CONTACT, body)
    assert answer.status_code == 200, answer.text
    return outcome(tenant, answer.json())


def outcome(tenant: Tenant, triggered: dict[str, Any]) -> tuple[str, str | None]:
    path = f"/v4/entity/hotels/table/Guests/profile/{triggered['profileId']}/interaction"

    def found() -> Any:
        one = next(
            each for each in tenant.json("GET", path).json()["interactions"]
            if each["interactionId"] == triggered["interactionId"]
        )  # fmt: skip
        return one if one["outcome"] != "QUEUED" else None

    told = until(found)
    return told["outcome"], told.get("reason")


@pytest.fixture
def transactional(tenant: Tenant) -> None:
    number = tenant.campaign("Booked", "TRANSACTIONAL")
    assert tenant.json("POST", f"{MAIL}/{number}/launch").json()["state"] == "ACTIVE"


def unsubscribe(tenant: Tenant, database: psycopg.Connection[Any], number: int = -1) -> None:
    """Use the one-click address of a mail, as mail programs do."""
    header = outbox(tenant, database)[number][1]["List-Unsubscribe"]
    answer = plain.post(local(tenant, header.strip("<>")), data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200


@pytest.mark.usefixtures("transactional")
def test_who_unsubscribes_gets_transactional_mails_until_the_address_bounces(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    assert mass(tenant, "First")["sent"] == 1
    unsubscribe(tenant, database)
    assert tenant.json("GET", ANN).json()["reason"] == "UNSUBSCRIBE"
    assert mass(tenant, "Second")["excluded"]["suppressed"] == 1
    continuous = tenant.campaign("Welcome", "CONTINUOUS")
    assert tenant.json("POST", f"{MAIL}/{continuous}/launch").status_code == 200
    answer = tenant.json("POST", f"{MAIL}/{continuous}/contact", {"contacts": [{"profile": "emailAddress=ann@example.com"}]})
    assert outcome(tenant, answer.json()["contacts"][0]) == ("EXCLUDED", "suppressed")
    assert booked(tenant) == ("DELIVERED", None)
    # So do tests of such a campaign, with the profile's own data.
    assert tenant.json("POST", f"{MAIL}/Booked/test", {"profiles": ["emailAddress=ann@example.com"]}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/First/test", {"profiles": ["emailAddress=ann@example.com"]}).status_code == 400

    bounce = {"type": "HARD_BOUNCE", "address": "Ann@example.com", "reason": "550 no such user"}
    assert tenant.json("POST", "/v5/bounces", {"bounces": [bounce]}).json()["accepted"] == 1
    found = tenant.json("GET", ANN).json()
    assert (found["reason"], found["detail"]) == ("HARD_BOUNCE", "550 no such user")
    assert found["unsubscribed"] < found["since"]
    assert booked(tenant) == ("EXCLUDED", "suppressed")

    # The address works again: that is no reason to write to whoever does not want it.
    assert tenant.json("DELETE", ANN).status_code == 204
    found = tenant.json("GET", ANN).json()
    assert (found["reason"], found["detail"], found["unsubscribed"]) == ("UNSUBSCRIBE", None, None)
    assert booked(tenant) == ("DELIVERED", None)
    assert tenant.json("DELETE", ANN).status_code == 204
    assert tenant.json("GET", ANN).status_code == 404


@pytest.mark.usefixtures("transactional")
@pytest.mark.parametrize("reason", ["HARD_BOUNCE", "SOFT_BOUNCE", "COMPLAINT", "MANUAL"])
def test_an_unsubscription_hides_no_other_reason(reason: str, tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    assert mass(tenant, "First")["sent"] == 1
    assert tenant.json("PUT", ANN, {"reason": reason, "detail": "why"}).status_code == 200
    before = tenant.json("GET", ANN).json()
    assert before["unsubscribed"] is None
    assert booked(tenant) == ("EXCLUDED", "suppressed")
    unsubscribe(tenant, database, 0)
    after = tenant.json("GET", ANN).json()
    assert {**after, "unsubscribed": None} == before
    assert after["unsubscribed"] is not None
    unsubscribe(tenant, database, 0)
    assert tenant.json("PUT", ANN, {"reason": "UNSUBSCRIBE"}).json() == after
    assert booked(tenant) == ("EXCLUDED", "suppressed")
    # Whoever keeps a list of those who unsubscribed finds them.
    for wanted in (reason, "UNSUBSCRIBE"):
        assert tenant.json("GET", f"/v5/suppressions?reason={wanted}").json()["suppressions"] == [after]


def test_addresses_and_details_are_no_formulas_in_an_exported_list_and_come_back_as_they_were(tenant: Tenant) -> None:
    given = [
        {"address": address, "reason": "MANUAL", "detail": detail}
        for address, detail in [
            ("=cmd|'/c'!a0@example.com", "=1+1"), ("+32470123456@example.com", "-5.1.1"), ("'-x@example.com", "'=1"),
            ("''+y@example.com", "''-"), ("o'neil@example.com", "'it's gone"),
        ]
    ]  # fmt: skip
    assert tenant.json("POST", "/v5/suppressions", {"suppressions": given}).json() == {"added": 5, "known": 0}
    listed = tenant.json("GET", "/v5/suppressions").json()["suppressions"]
    assert {each["address"]: each["detail"] for each in listed} == {each["address"]: each["detail"] for each in given}
    exported = tenant.call("GET", "/v5/suppression-export").content
    cells = [cell for row in csv.reader(io.StringIO(exported.decode(), newline="")) for cell in row]
    assert [cell for cell in cells if cell[:1] in {"=", "+", "-", "@"}] == []
    for each in listed:
        assert tenant.json("DELETE", one(each["address"])).status_code == 204
    as_csv = {"Content-Type": "text/csv"}
    assert tenant.call("POST", "/v5/suppressions", content=exported, headers=as_csv).json() == {"added": 5, "known": 0}
    assert tenant.json("GET", "/v5/suppressions").json()["suppressions"] == listed


def test_a_list_goes_out_and_in_with_both_reasons(tenant: Tenant) -> None:
    given = (
        "address,reason,since,detail\na@example.com,HARD_BOUNCE,2026-03-01,gone\na@example.com,UNSUBSCRIBE,2026-02-01,\n"
        "b@example.com,UNSUBSCRIBE,2026-02-01,\nB@example.com,complaint,2026-04-01,spam\n"
    )
    as_csv = {"Content-Type": "text/csv"}
    answer = tenant.call("POST", "/v5/suppressions", content=given, headers=as_csv)
    assert answer.json() == {"added": 2, "known": 0}
    listed = tenant.json("GET", "/v5/suppressions").json()["suppressions"]
    assert [(each["reason"], each["since"][:10], each["detail"], each["unsubscribed"][:10]) for each in listed] == [
        ("HARD_BOUNCE", "2026-03-01", "gone", "2026-02-01"),
        ("COMPLAINT", "2026-04-01", "spam", "2026-02-01"),
    ]
    exported = tenant.call("GET", "/v5/suppression-export").content
    for each in listed:
        for _ in range(2):
            assert tenant.json("DELETE", one(each["address"])).status_code == 204
    assert tenant.call("POST", "/v5/suppressions", content=exported, headers=as_csv).json() == {"added": 2, "known": 0}
    assert tenant.json("GET", "/v5/suppressions").json()["suppressions"] == listed
    wrong = {"suppressions": [{"address": "a@example.com", "reason": "MANUAL", "unsubscribed": "yesterday"}]}
    refused = tenant.json("POST", "/v5/suppressions", wrong)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "suppressions[0].unsubscribed")


def test_who_takes_a_subscription_again_is_unsubscribed_no_more(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    ann = f"{PROFILES}/emailAddress=ann@example.com"
    assert tenant.json("PATCH", ann, {"subscriptions": {"Newsletter": True}}).status_code == 200
    first = tenant.campaign("First")
    body = '<a href="{{ preferencesUrl }}">choose</a>'
    put = tenant.call("PUT", f"{MAIL}/{first}/content/body", content=body, headers={"Content-Type": "text/html"})
    assert put.status_code == 200
    assert tenant.json("POST", f"{MAIL}/{first}/launch").status_code == 200
    until(lambda: state(tenant, first) == "FINISHED")
    content = outbox(tenant, database)[0][1].get_body(("html",)).get_content()
    choose = local(tenant, content.partition('href="')[2].partition('"')[0])
    assert plain.post(choose, data={"stop": "1"}).status_code == 200
    assert tenant.json("PUT", ANN, {"reason": "HARD_BOUNCE"}).json()["unsubscribed"] is not None
    number = boxes(plain.get(choose).text)["Newsletter"][0]
    assert plain.post(choose, data={"shown": number, "want": number}).status_code == 200
    found = tenant.json("GET", ANN).json()
    assert (found["reason"], found["unsubscribed"]) == ("HARD_BOUNCE", None)
    assert tenant.json("DELETE", ANN).status_code == 204
    assert tenant.json("GET", ANN).status_code == 404


@pytest.fixture
def abroad(tenant: Tenant, sink: Sink) -> dict[str, int]:
    """Guests of a domain beyond ASCII who got a mail: the interaction of each."""
    assert tenant.json("DELETE", f"{PROFILES}/emailAddress=ann@example.com").status_code == 204
    for address in (f"New@{SMALL}", f"OLD@{CAPITALS}", f"mid@Ex{CAPITALS[2:]}", f"plain@{ASCII}"):
        body = {"key": {"emailAddress": address}, "attributes": {"lastName": "N"}}
        assert tenant.json("PUT", PROFILES, body).status_code == 201
    assert mass(tenant, "First")["sent"] == 4
    assert reached(sink) == {f"{name}@{ASCII}" for name in ("new", "old", "mid", "plain")}
    found = tenant.json("GET", f"{PROFILES}?limit=10").json()["profiles"]
    numbers = {}
    for each in found:
        path = f"/v4/entity/hotels/table/Guests/profile/{each['profileId']}/interaction"
        (one,) = tenant.json("GET", path).json()["interactions"]
        numbers[each["attributes"]["emailAddress"].partition("@")[0].lower()] = one["interactionId"]
    return numbers


def one(address: str) -> str:
    return f"/v5/suppressions/{quote(address, safe='')}"


def reached(sink: Sink) -> set[str]:
    return {address.lower() for address in sink.recipients()}


def tell(tenant: Tenant, **bounce: Any) -> Any:
    (one,) = tenant.json("POST", "/v5/bounces", {"bounces": [bounce]}).json()["bounces"]
    return one.get("code") or one["takenFor"]


@pytest.mark.usefixtures("transactional")
def test_an_address_is_one_however_its_domain_is_written(tenant: Tenant, abroad: dict[str, int], sink: Sink) -> None:
    # As a provider has it, with the mail and without.
    assert tell(tenant, type="HARD_BOUNCE", interactionId=abroad["new"], address=f"new@{ASCII}") == "HARD_BOUNCE"
    assert tell(tenant, type="HARD_BOUNCE", interactionId=abroad["old"], address=f"new@{ASCII}") == "attribute.value"
    assert tell(tenant, type="HARD_BOUNCE", address=f"Old@{ASCII.upper()}") == "HARD_BOUNCE"
    sink.mails.clear()
    report = mass(tenant, "Second")
    assert (report["sent"], report["excluded"]["suppressed"]) == (2, 2)
    assert report["targeted"] == sum(report["excluded"].values()) + report["sent"] + report["uncertain"]
    assert reached(sink) == {f"mid@{ASCII}", f"plain@{ASCII}"}
    assert booked(tenant, f"new@{SMALL}") == ("EXCLUDED", "suppressed")
    assert booked(tenant, f"OLD@{CAPITALS}") == ("EXCLUDED", "suppressed")
    assert tenant.json("POST", f"{MAIL}/First/test", {"profiles": [f"emailAddress=New@{SMALL}"]}).status_code == 400

    # By people, in any of its forms; it is on the list once, in one of them.
    put = tenant.json("PUT", one(f"mid@{CAPITALS}"))
    assert put.json()["address"] == f"mid@{ASCII}"
    body = {"suppressions": [{"address": f"Mid@{SMALL}"}, {"address": f"plain@{SMALL}"}, {"address": f"plain@{ASCII}"}]}
    assert tenant.json("POST", "/v5/suppressions", body).json() == {"added": 1, "known": 1}
    everybody = [f"{name}@{ASCII}" for name in ("mid", "new", "old", "plain")]
    for domain in (SMALL, CAPITALS, ASCII):
        listed = tenant.json("GET", f"/v5/suppressions?domain={quote(domain)}").json()["suppressions"]
        assert [each["address"] for each in listed] == everybody
    assert mass(tenant, "Third")["excluded"]["suppressed"] == 4
    for name, domain in (("new", CAPITALS), ("OLD", SMALL), ("mid", SMALL), ("plain", CAPITALS)):
        assert tenant.json("GET", one(f"{name}@{domain}")).status_code == 200
        assert tenant.json("DELETE", one(f"{name}@{domain}")).status_code == 204
    assert tenant.json("GET", "/v5/suppressions").json()["suppressions"] == []
    assert mass(tenant, "Fourth")["sent"] == 4


def test_what_a_relay_refuses_for_good_is_suppressed_in_the_same_form(
    tenant: Tenant, abroad: dict[str, int], sink: Sink
) -> None:
    sink.refuse = {f"New@{ASCII}": "550 5.1.1 no such user"}
    assert mass(tenant, "Second")["hardBounces"] == 1
    assert tenant.json("GET", one(f"new@{SMALL}")).json()["address"] == f"new@{ASCII}"
    assert mass(tenant, "Third")["excluded"]["suppressed"] == 1
