"""What campaigns' calls answer at once, so that nobody finds out later: moments, addresses that get nothing, single contacts."""

from typing import Any

import psycopg

from tests.contract.test_sending import MAIL
from tests.support.tenant import Tenant, schema_of


def test_a_launch_answers_the_moment_that_it_has_understood(tenant: Tenant) -> None:
    number = tenant.campaign()
    # Without an offset it is on the licence's clocks.
    for moment, understood in (
        ("2087-03-30T02:30:00", "2087-03-30T02:30:00.000Z"), ("2087-03-05T08:00:00+01:00", "2087-03-05T07:00:00.000Z"),
    ):  # fmt: skip
        answer = tenant.json("POST", f"{MAIL}/{number}/launch", {"scheduledAt": moment})
        assert answer.json() == {"campaignId": number, "state": "SCHEDULED", "scheduledAt": understood}
        assert tenant.json("GET", f"{MAIL}/{number}").json()["scheduledAt"] == understood
    # One that begins at once has none.
    other = tenant.campaign("AtOnce")
    begun = tenant.json("POST", f"{MAIL}/{other}/launch", {"scheduledAt": "2020-01-01"})
    assert begun.json() == {"campaignId": other, "state": "IN_PROGRESS"}


def test_a_test_says_at_once_who_would_get_nothing(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    schema = schema_of(tenant, database)
    database.execute(f"INSERT INTO {schema}.suppression VALUES ('gone@example.com', 'HARD_BOUNCE', now())")
    number = tenant.campaign()
    before = tenant.state()
    body = {"recipients": ["me@example.com", "Gone@example.com", "no address"]}
    refused = tenant.json("POST", f"{MAIL}/{number}/test", body)
    assert refused.status_code == 400
    assert {each["field"]: each["message"] for each in refused.json()["errors"]} == {
        "recipients[1]": "nothing is sent to Gone@example.com: it is suppressed",
        "recipients[2]": "'no address' is no e-mail address",
    }
    assert tenant.state() == before
    assert tenant.json("POST", f"{MAIL}/{number}/test", {"recipients": ["me@example.com"]}).json()["sent"] == 1


def test_a_contact_without_its_profile_is_rejected_by_itself(tenant: Tenant) -> None:
    number = tenant.campaign(mode="CONTINUOUS")
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    ann = {"profile": "emailAddress=ann@example.com"}
    answer = tenant.json("POST", f"{MAIL}/{number}/contact", {"contacts": [ann, {"profileId": 1042}, {"profile": 3.5}, ann]})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["accepted"], found["rejected"]) == (2, 2)
    assert [each.get("code") for each in found["contacts"]] == [None, "member.mandatory", "member.type", None]
    assert "contacts[1].profile" in found["contacts"][1]["message"]
    assert "contacts[1].profileId" in answer.headers["x-ignored-members"]
