"""Campaigns to tables in which several profiles have one address, over the wire."""

from typing import Any

import psycopg
import pytest

from tests.contract.test_sending import MAIL, outbox, state, until
from tests.support.tenant import Tenant

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
