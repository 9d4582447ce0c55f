"""Campaigns to tables in which several profiles have one address, over the wire."""

from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.contract.test_sending import MAIL, outbox, state
from tests.support.tenant import Tenant
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

TABLE: dict[str, Any] = {
    "name": "Families",
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress", "unique": False},
        {"type": "CUSTOM", "name": "number", "valueType": "INTEGER", "unique": True},
        {"type": "LASTNAME", "name": "lastName"},
    ],
}
ADDRESSES = ["vos@example.com", "VOS@example.com", "bos@example.com", "vos@example.com"]


@pytest.fixture
def families(tenant: Tenant) -> Tenant:
    """Four people with two addresses: 1, 2 and 4 are a household."""
    made = tenant.json("POST", "/v5/entities/hotels/profile-tables", TABLE)
    assert made.status_code == 201, made.text
    for number, address in enumerate(ADDRESSES, 1):
        body = {"key": {"number": number}, "attributes": {"emailAddress": address, "lastName": f"Vos {number}"}}
        answer = tenant.json("PUT", "/v5/entities/hotels/profile-tables/Families/profiles", body)
        assert answer.status_code == 201, answer.text
    return tenant


def finished(tenant: Tenant, target: Any, name: str = "SpringOffer") -> Any:
    """The report of a campaign that has ended."""
    number = tenant.campaign(name, targetTable="Families")
    assert tenant.json("PUT", f"{MAIL}/{number}/target", target).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: state(tenant, number) == "FINISHED")
    return tenant.json("GET", f"{MAIL}/{number}/report").json()


def test_a_household_gets_one_mail_and_the_report_adds_up(families: Tenant, database: psycopg.Connection[Any]) -> None:
    report = finished(families, {})
    assert report["targeted"] == sum(report["excluded"].values()) + report["sent"] + report["uncertain"] == 4
    assert (report["sent"], report["excluded"]["duplicateAddress"]) == (2, 2)
    assert sorted((address, mail["Subject"]) for address, mail in outbox(families, database)) == [
        ("bos@example.com", "Spring is here, Vos 3"), ("vos@example.com", "Spring is here, Vos 1"),
    ]  # fmt: skip
    path = "/v4/entity/hotels/table/Families/profile/number={}/interaction"
    told = [families.json("GET", path.format(number)).json()["interactions"][0] for number in (1, 2)]
    assert [(each["outcome"], each.get("reason")) for each in told] == [
        ("DELIVERED", None), ("EXCLUDED", "duplicateAddress"),
    ]  # fmt: skip
    page = families.json("GET", "/v5/entities/hotels/mails/SpringOffer/report").json()
    assert page["excluded"] == {"duplicateAddress": 2}


def test_a_household_is_found_and_listed_by_its_address_whatever_its_case(families: Tenant) -> None:
    def numbers(query: str) -> list[Any]:
        answer = families.json("GET", f"/v5/entities/hotels/profile-tables/Families/profiles?{query}")
        assert answer.status_code == 200, answer.text
        return [each["attributes"]["number"] for each in answer.json()["profiles"]]

    assert numbers("filter=emailAddress%20%3D%20%22Vos@EXAMPLE.com%22") == [1, 2, 4]
    assert numbers("emailAddress=Vos@EXAMPLE.com") == [1, 2, 4]
    assert numbers("sort=emailAddress") == [3, 1, 2, 4]
    assert numbers("sort=-emailAddress,-number") == [4, 2, 1, 3]
    found = families.json("GET", "/v4/entity/hotels/table/Families/profile?search=emailAddress=Vos@EXAMPLE.com").json()
    assert len(found["profiles"]) == 3


def test_who_are_not_meant_keep_nobody_from_the_mail(families: Tenant, database: psycopg.Connection[Any]) -> None:
    report = finished(families, {"exclude": "number < 4"})
    assert (report["targeted"], report["sent"]) == (1, 1)
    report = finished(families, {"maxProfiles": 2}, "second")
    assert (report["targeted"], report["sent"], report["excluded"]["duplicateAddress"]) == (2, 1, 1)
    assert [mail["Subject"] for _, mail in outbox(families, database)] == ["Spring is here, Vos 4", "Spring is here, Vos 1"]


def test_each_gets_a_mail_where_the_target_says_so(families: Tenant, database: psycopg.Connection[Any]) -> None:
    report = finished(families, {"oncePerAddress": False})
    assert (report["sent"], report["excluded"]["duplicateAddress"]) == (4, 0)
    assert sorted(address for address, _ in outbox(families, database)) == sorted(ADDRESSES)


def test_the_target_tells_and_keeps_what_was_said(families: Tenant) -> None:
    number = families.campaign(targetTable="Families")
    target = f"{MAIL}/{number}/target"
    assert families.json("GET", target).json()["oncePerAddress"] is True
    for said, kept in ((False, False), (None, True), ("false", False), (True, True)):
        assert families.json("PUT", target, {"oncePerAddress": said}).status_code == 200
        assert families.json("GET", target).json()["oncePerAddress"] is kept
    xml = "<mailTarget><oncePerAddress>false</oncePerAddress></mailTarget>"
    assert families.call("PUT", target, content=xml, headers={"Content-Type": "application/xml"}).status_code == 200
    assert families.json("GET", target).json()["oncePerAddress"] is False
    wrong = families.json("PUT", target, {"oncePerAddress": "sometimes"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "oncePerAddress")


def test_triggers_and_tests_send_as_often_as_they_are_asked(families: Tenant, database: psycopg.Connection[Any]) -> None:
    number = families.campaign(mode="CONTINUOUS", targetTable="Families")
    assert families.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    contacts = [{"profile": f"number={i}"} for i in (1, 2, 4, 1)]
    assert families.json("POST", f"{MAIL}/{number}/contact", {"contacts": contacts}).json()["accepted"] == 4
    until(lambda: len(outbox(families, database)) == 4)
    test = {"recipients": [], "profiles": ["number=1", "number=2"]}
    assert families.json("POST", f"{MAIL}/{number}/test", test).json()["sent"] == 2
    until(lambda: len(outbox(families, database)) == 6)


def test_who_unsubscribes_gets_no_more_at_the_address_whoever_else_has_it(
    families: Tenant, database: psycopg.Connection[Any]
) -> None:
    people = "/v5/entities/hotels/profile-tables/Families"
    added = {"operations": [{"operation": "addSubscription", "subscription": {"name": "News"}}]}
    assert families.json("POST", f"{people}/change-requests", added).status_code == 200
    addresses = ("vos@exämple.com", "VOS@EXÄMPLE.com", "bos@example.com", "vos@xn--exmple-cua.com")
    for number, address in enumerate(addresses, 1):
        body = {"key": {"number": number}, "attributes": {"emailAddress": address}, "subscriptions": {"News": True}}
        assert families.json("PUT", f"{people}/profiles", body).status_code == 200
    assert finished(families, {"subscription": "News"})["sent"] == 2
    (mail,) = (mail for address, mail in outbox(families, database) if address == "vos@xn--exmple-cua.com")
    address = urlsplit(mail["List-Unsubscribe"].strip("<>")).path
    assert families.client.post(address, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    chosen = [families.json("GET", f"{people}/profiles/number={n}").json()["subscriptions"]["News"] for n in (1, 2, 3, 4)]
    assert chosen == [False, False, True, False]
    (consent, _) = families.json("GET", f"{people}/profiles/number=2/consents").json()["consents"]
    assert (consent["source"], consent["way"], consent["subscribe"]) == ("mail", "one-click", False)
    # Somebody with the address subscribes again: an old mail's button ends that, too.
    again = {"key": {"number": 2}, "subscriptions": {"News": True}}
    assert families.json("PUT", f"{people}/profiles", again).status_code == 200
    assert families.client.post(address, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    assert finished(families, {"subscription": "News"}, "second")["targeted"] == 1


def test_an_address_of_several_people_names_nobody_and_the_refusal_says_what_does(families: Tenant) -> None:
    number = families.campaign(targetTable="Families")
    shared = "emailAddress=vos@example.com"
    for path, body, field in (
        (f"/v5/entities/hotels/mails/{number}/preview", {"profile": shared}, "profile"),
        (f"{MAIL}/{number}/test", {"recipients": ["me@example.com"], "profile": shared}, "profile"),
        (f"{MAIL}/{number}/test", {"recipients": [], "profiles": ["number=1", shared]}, "profiles[1]"),
    ):
        refused = families.json("POST", path, body)
        (fault,) = refused.json()["errors"]
        assert (refused.status_code, fault["code"], fault["field"]) == (400, "key.notUnique", field)
        assert fault["message"].endswith("identifies no profile; a profile is addressed by number, profileId")


def test_the_checklist_foretells_the_mails_and_the_report_agrees(families: Tenant) -> None:
    people = "/v5/entities/hotels/profile-tables/Families/profiles"
    for number, address in enumerate(("duo@exämple.com", "duo@xn--exmple-cua.com", "DUO@EXÄMPLE.com", "uno@exämple.com"), 5):
        body = {"key": {"number": number}, "attributes": {"emailAddress": address}}
        assert families.json("PUT", people, body).status_code == 201
    number = families.campaign(targetTable="Families")

    def foretold(target: Any) -> Any:
        assert families.json("PUT", f"{MAIL}/{number}/target", target).status_code == 200
        return families.json("GET", f"/v5/entities/hotels/mails/{number}/checklist").json()["recipients"]

    def of(duplicates: int, mails: int) -> Any:
        excluded = {"noAddress": 0, "language": 0, "suppressed": 0, "duplicateAddress": duplicates}
        return {"targeted": duplicates + mails, "excluded": excluded, "mails": mails}

    assert foretold({"oncePerAddress": False}) == of(0, 8)
    assert foretold({"maxProfiles": 2}) == of(1, 1)
    assert foretold({"filter": "number > 4"}) == of(2, 2)
    assert foretold({}) == of(4, 4)
    assert families.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: state(families, number) == "FINISHED")
    report = families.json("GET", f"{MAIL}/{number}/report").json()
    assert (report["targeted"], report["sent"], report["excluded"]["duplicateAddress"]) == (8, 4, 4)
    assert families.json("GET", f"/v5/entities/hotels/mails/{number}/checklist").json()["recipients"] is None


def test_the_checklist_foretells_who_gets_nothing_for_other_reasons(tenant: Tenant) -> None:
    table = {
        "name": "Various",
        "attributes": [
            {"type": "EMAIL_ADDRESS", "name": "emailAddress", "unique": False, "mandatory": False},
            {"type": "MOTHER_LANGUAGE", "name": "motherLanguage"},
            {"type": "CUSTOM", "name": "number", "valueType": "INTEGER", "unique": True},
            {"type": "LASTNAME", "name": "lastName"},
        ],
    }
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables", table).status_code == 201
    people = [
        (None, "EN"),
        ("a@example.com", "NL"),
        ("a@example.com", "EN"),
        ("A@example.com", None),
        ("b@example.com", "en"),
    ]
    for number, (address, language) in enumerate(people):
        attributes = {"emailAddress": address, "motherLanguage": language}
        body = {"key": {"number": number}, "attributes": attributes}
        answer = tenant.json("PUT", "/v5/entities/hotels/profile-tables/Various/profiles", body)
        assert answer.status_code == 201, answer.text
    number = tenant.campaign(targetTable="Various", supportedLanguages=["EN"])
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {}).status_code == 200
    excluded = {"noAddress": 1, "language": 1, "suppressed": 0, "duplicateAddress": 1}
    path = f"/v5/entities/hotels/mails/{number}/checklist"
    assert tenant.json("GET", path).json()["recipients"] == {"targeted": 5, "excluded": excluded, "mails": 2}
    triggered = tenant.campaign("trigger", mode="CONTINUOUS", targetTable="Various")
    assert tenant.json("GET", path.replace(str(number), str(triggered))).json()["recipients"] is None
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {"filter": "number < 2"}).status_code == 200
    (item,) = (each for each in tenant.json("GET", path).json()["items"] if each["code"] == "target.empty")
    assert item["message"] == "nobody in the target would get a mail now: 1 language, 1 noAddress"
    # Who has no address is triggered, gets nothing and is told apart at once.
    assert tenant.json("POST", f"{MAIL}/{triggered}/launch").status_code == 200
    assert tenant.json("POST", f"{MAIL}/{triggered}/profile/number=0", []).status_code == 200
    report = tenant.json("GET", f"{MAIL}/{triggered}/report").json()
    assert (report["targeted"], report["excluded"]["noAddress"], report["pending"]) == (1, 1, 0)
