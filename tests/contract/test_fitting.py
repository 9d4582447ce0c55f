"""Campaigns whose table changes under them: what they name cannot go while they are on their way, and nothing hangs."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, LiteralString

import httpx
import psycopg
import pytest

from tabellion.kit.clock import utc_now
from tests.contract.test_checklist import checklist
from tests.contract.test_pacing import DAYS
from tests.contract.test_sending import MAIL, hrefs, local, outbox, state
from tests.support import plain
from tests.support.mailing import begin_now
from tests.support.tenant import Tenant, schema_of
from tests.support.waiting import until, until_they_wait

pytestmark = pytest.mark.usefixtures("worker")

GUESTS = "/v5/entities/hotels/profile-tables/Guests/change-requests"
LATER = {"scheduledAt": "2090-03-05T07:00:00Z"}


def change(tenant: Tenant, **operation: Any) -> httpx.Response:
    return tenant.json("POST", GUESTS, {"operations": [operation]})


def aimed(tenant: Tenant, target: dict[str, Any], mode: str = "MASS") -> int:
    number = tenant.campaign(mode=mode)
    assert tenant.json("PUT", f"{MAIL}/{number}/target", target).status_code == 200
    return number


@pytest.mark.parametrize("mode", ["MASS", "CONTINUOUS"])
def test_a_target_that_its_table_does_not_know_any_more_keeps_from_being_launched(tenant: Tenant, mode: str) -> None:
    number = aimed(tenant, {"filter": "points > 3"}, mode)
    assert checklist(tenant, number)["launchable"]
    assert change(tenant, operation="removeAttribute", name="points").status_code == 200
    found = checklist(tenant, number)
    assert not found["launchable"]
    before = tenant.state()
    refused = tenant.json("POST", f"{MAIL}/{number}/launch")
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.incomplete")
    (error,) = refused.json()["errors"]
    assert (error["field"], error["code"]) == ("target.filter", "attribute.unknown")
    assert "points" in error["message"]
    assert tenant.state() == before
    assert f"target.filter: {error['message']}" in [item["message"] for item in found["items"]]
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200


def test_contents_that_name_what_was_removed_keep_from_being_launched(tenant: Tenant) -> None:
    number = tenant.campaign()
    subject = {"subject": "{{ profile.points }} points"}
    assert tenant.json("PUT", f"{MAIL}/{number}/content/subject", subject).status_code == 200
    assert change(tenant, operation="removeAttribute", name="points").status_code == 200
    refused = tenant.json("POST", f"{MAIL}/{number}/launch")
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.incomplete")
    assert [error["field"] for error in refused.json()["errors"]] == ["content.subject"]
    assert "points" in refused.json()["message"]
    assert not checklist(tenant, number)["launchable"]


def forget(
    tenant: Tenant, database: psycopg.Connection[Any], attribute: str, catalogue: LiteralString = "profile_table"
) -> None:
    """Take an attribute out of the structure past the calls, as an earlier version did while campaigns were launched."""
    database.execute(
        f"UPDATE tabellion.{catalogue} SET definition = jsonb_set(definition, '{{attributes}}', (SELECT jsonb_agg(a) FROM "
        "jsonb_array_elements(definition->'attributes') a WHERE a->>'name' <> %s)) WHERE licence_id = "
        "(SELECT id FROM tabellion.licence WHERE name = %s)",
        (attribute, tenant.licence),
    )
    database.execute(
        "UPDATE tabellion.licence SET catalogue_version = catalogue_version + 1 WHERE name = %s", (tenant.licence,)
    )


def test_a_mail_is_shown_online_while_its_table_is_changed(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign()
    html = '<body>Dear {{ profile.lastName }} <a href="{{ onlineUrl }}">o</a> <a href="{{ unsubscribeUrl }}">x</a></body>'
    put = tenant.call("PUT", f"{MAIL}/{number}/content/body", content=html, headers={"Content-Type": "text/html"})
    assert put.status_code == 200, put.text
    tenant.json("POST", f"{MAIL}/{number}/launch")
    until(lambda: state(tenant, number) == "FINISHED")
    ((_, mail),) = outbox(tenant, database)
    online = local(tenant, hrefs(mail)[0])
    with ThreadPoolExecutor(1) as reader, psycopg.connect(database.info.dsn) as change:
        query = (
            "SELECT t.id, a ->> 'number' FROM tabellion.profile_table t JOIN tabellion.licence l ON l.id = t.licence_id, "
            "jsonb_array_elements(t.definition -> 'attributes') a WHERE l.name = %s AND a ->> 'name' = 'points'"
        )
        ((table, column),) = change.execute(query, (tenant.licence,)).fetchall()
        change.execute(f"ALTER TABLE {schema_of(tenant, database)}.p{table} DROP COLUMN a{column}")
        asked = reader.submit(plain.get, online)
        until_they_wait(database, "tabellion api")
        forget(tenant, change, "points")
        change.commit()
        assert (asked.result().status_code, "Dear Vos" in asked.result().text) == (200, True)


def test_a_scheduled_campaign_that_cannot_begin_is_held_and_says_why(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    assert (
        change(tenant, operation="addAttribute", attribute={"type": "ADDRESS_COUNTRY", "name": "addressCountry"}).status_code
        == 200
    )
    number = aimed(tenant, {"exclude": 'addressCountry = "BE"'})
    assert tenant.json("POST", f"{MAIL}/{number}/launch", LATER).status_code == 200
    forget(tenant, database, "addressCountry")
    begin_now(database, number)
    until(lambda: state(tenant, number) == "PAUSED")
    held = tenant.json("GET", f"{MAIL}/{number}").json()
    assert held["pausedBecause"].startswith("it does not fit the table 'Guests' any more: target.exclude: ")
    reason = [item["message"] for item in checklist(tenant, number)["items"] if item["severity"] == "BLOCKING"]
    assert len(reason) == 1
    assert reason[0].startswith("target.exclude: ")
    refused = tenant.json("POST", f"{MAIL}/{number}/resume")
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.incomplete")
    assert "addressCountry" in refused.json()["message"]
    rows = database.execute(
        "SELECT route FROM tabellion.audit WHERE object = %s AND actor = 'server'", (f"campaign/{number}",)
    ).fetchall()
    # Once, and not every second.
    assert rows == [("campaign pause: does not fit its table",)]
    assert outbox(tenant, database) == []
    attribute = {"type": "ADDRESS_COUNTRY", "name": "addressCountry"}
    assert change(tenant, operation="addAttribute", attribute=attribute).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/resume").json()["state"] == "IN_PROGRESS"
    assert tenant.json("GET", f"{MAIL}/{number}").json()["pausedBecause"] is None
    until(lambda: state(tenant, number) == "FINISHED")
    assert [address for address, _ in outbox(tenant, database)] == ["ann@example.com"]


def test_contents_that_cannot_be_filled_any_more_are_not_sent(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign()
    assert tenant.json("PUT", f"{MAIL}/{number}/content/subject", {"subject": "{{ points }}!"}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch", LATER).status_code == 200
    forget(tenant, database, "points")
    begin_now(database, number)
    until(lambda: state(tenant, number) == "PAUSED")
    refused = tenant.json("POST", f"{MAIL}/{number}/resume")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (409, "content")
    assert tenant.json("POST", f"{MAIL}/{number}/cancel").json()["state"] == "CANCELLED"


def test_a_trigger_says_that_the_target_does_not_fit(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = aimed(tenant, {"filter": "points > 3"}, "CONTINUOUS")
    assert tenant.json("POST", f"{MAIL}/{number}/launch").json()["state"] == "ACTIVE"
    forget(tenant, database, "points")
    refused = tenant.json("POST", f"{MAIL}/{number}/profile/emailAddress=ann@example.com", [])
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.incomplete")
    assert refused.json()["errors"][0]["field"] == "target.filter"


def test_what_a_launched_campaign_needs_is_not_taken_away(tenant: Tenant, other_tenant: Tenant) -> None:
    number = aimed(tenant, {"filter": "points > 3", "subscription": "Newsletter", "segmentations": [{"name": "Vip"}]})
    subject = {"subject": "{{ profile.member }} {{ segmentations.Loyalty }}"}
    assert tenant.json("PUT", f"{MAIL}/{number}/content/subject", subject).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch", LATER).status_code == 200
    for kind, name in (
        ("Attribute", "points"), ("Attribute", "member"), ("Attribute", "emailAddress"), ("Subscription", "Newsletter"),
        ("Segmentation", "Vip"), ("Segmentation", "Loyalty"),
    ):  # fmt: skip
        before = tenant.state()
        refused = change(tenant, operation=f"remove{kind}", name=name)
        assert (refused.status_code, refused.json()["code"]) == (409, "table.inUse"), name
        message = refused.json()["message"]
        assert "the campaign 'SpringOffer' is SCHEDULED and needs what was to be taken away (without it: " in message
        assert "take it back into definition (unschedule)" in message
        assert ("EMAIL_ADDRESS" if name == "emailAddress" else name) in message, message
        assert tenant.state() == before
    both = [
        {"operation": f"remove{kind}", "name": name}
        for kind, name in (("Subscription", "Newsletter"), ("Attribute", "member"))
    ]
    refused = tenant.json("POST", GUESTS, {"operations": both})
    assert refused.status_code == 409
    assert all(name in refused.json()["message"] for name in ("'Newsletter'", "'profile.member'")), refused.text
    # What it does not need may go, here and elsewhere.
    assert change(tenant, operation="removeAttribute", name="spent").status_code == 200
    assert change(other_tenant, operation="removeAttribute", name="points").status_code == 200
    assert change(tenant, operation="rename", name="People").status_code == 200
    people = GUESTS.replace("Guests", "People")
    assert tenant.json("POST", f"{MAIL}/{number}/cancel").status_code == 200
    gone = tenant.json("POST", people, {"operations": [{"operation": "removeAttribute", "name": "points"}]})
    assert gone.status_code == 200


def test_a_campaign_that_has_lost_something_keeps_nobody_from_other_changes(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    number = aimed(tenant, {"filter": "points > 3", "exclude": "spent > 1"})
    assert tenant.json("POST", f"{MAIL}/{number}/launch", LATER).status_code == 200
    forget(tenant, database, "points")
    assert change(tenant, operation="removeAttribute", name="member").status_code == 200
    refused = change(tenant, operation="removeAttribute", name="spent")
    assert (refused.status_code, refused.json()["code"]) == (409, "table.inUse")


def test_contents_of_an_active_campaign_let_go_of_an_attribute(tenant: Tenant) -> None:
    number = tenant.campaign(mode="TRANSACTIONAL")
    one = f"{MAIL}/{number}"
    assert tenant.json("PUT", f"{one}/content/subject", {"subject": "{{ points }} points"}).status_code == 200
    assert tenant.json("POST", f"{one}/launch").json()["state"] == "ACTIVE"
    assert change(tenant, operation="removeAttribute", name="points").json()["code"] == "table.inUse"
    assert tenant.json("POST", f"{one}/pause").status_code == 200
    assert tenant.json("PUT", f"{one}/content/subject", {"subject": "Points"}).status_code == 200
    assert tenant.json("POST", f"{one}/resume").json()["state"] == "ACTIVE"
    assert change(tenant, operation="removeAttribute", name="points").status_code == 200


def test_a_campaign_whose_audience_is_written_down_needs_its_target_no_more(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    number = aimed(tenant, {"exclude": "points > 3"})
    day = DAYS[(utc_now().weekday() + 3) % 7]
    closed = {"windows": [{"days": [day], "from": "00:00", "to": "00:01"}]}
    place = f"/v5/entities/hotels/mails/{number}/delivery-settings"
    assert tenant.json("PUT", place, {"sendingHours": closed, "mailsPerMinute": 1}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: tenant.json("GET", f"{MAIL}/{number}/report").json()["pending"] == 1)
    assert change(tenant, operation="removeAttribute", name="points").status_code == 200
    assert change(tenant, operation="removeAttribute", name="lastName").json()["code"] == "table.inUse"
    assert tenant.json("POST", f"{MAIL}/{number}/cancel").json()["state"] == "CANCELLED"


@pytest.mark.parametrize("named", [True, False], ids=["named", "country"])
def test_what_tells_the_clocks_of_recipients_stays_while_mails_are_to_leave(tenant: Tenant, *, named: bool) -> None:
    attribute = {"type": "ADDRESS_COUNTRY", "name": "addressCountry"}
    if named:
        attribute = {"type": "CUSTOM", "name": "zone", "valueType": "STRING"}
    assert change(tenant, operation="addAttribute", attribute=attribute).status_code == 200
    number = aimed(tenant, {})
    day = DAYS[(utc_now().weekday() + 3) % 7]
    hours: dict[str, Any] = {"windows": [{"days": [day], "from": "10:00", "to": "10:01"}], "timeZone": "RECIPIENT"}
    place = f"/v5/entities/hotels/mails/{number}/delivery-settings"
    if named:
        hours["attribute"] = "Zone"
    assert tenant.json("PUT", place, {"sendingHours": hours}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch", LATER).status_code == 200
    refused = change(tenant, operation="removeAttribute", name=attribute["name"])
    assert (refused.status_code, refused.json()["code"]) == (409, "table.inUse")
    assert "the campaign 'SpringOffer' is SCHEDULED" in refused.json()["message"]
    assert "sending hours" in refused.json()["message"]
    # Also when its audience is written down, and the mails wait for their hours.
    begin = tenant.json("POST", f"{MAIL}/{number}/launch", {"scheduledAt": "2020-03-05T07:00:00Z"})
    assert begin.status_code == 200, begin.text
    until(lambda: tenant.json("GET", f"{MAIL}/{number}/report").json()["pending"] == 1)
    assert change(tenant, operation="removeAttribute", name=attribute["name"]).json()["code"] == "table.inUse"
    assert change(tenant, operation="removeAttribute", name="spent").status_code == 200
    hours = {**hours, "timeZone": "LICENCE", "attribute": None}
    assert tenant.json("PUT", place, {"sendingHours": hours}).status_code == 200
    assert change(tenant, operation="removeAttribute", name=attribute["name"]).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/cancel").status_code == 200


def test_sending_hours_that_name_what_was_removed_keep_from_being_launched(tenant: Tenant) -> None:
    number = aimed(tenant, {})
    place = f"/v5/entities/hotels/mails/{number}/delivery-settings"
    windows = [{"days": DAYS, "from": "10:00", "to": "11:00"}]
    hours = {"windows": windows, "timeZone": "RECIPIENT"}
    assert change(
        tenant, operation="addAttribute", attribute={"type": "CUSTOM", "name": "zone", "valueType": "STRING"}
    ).is_success
    assert tenant.json("PUT", place, {"sendingHours": hours | {"attribute": "zone"}}).status_code == 200
    assert change(tenant, operation="removeAttribute", name="zone").status_code == 200
    (item,) = [item for item in checklist(tenant, number)["items"] if item["severity"] == "BLOCKING"]
    assert "sendingHours.attribute" in item["message"]
    refused = tenant.json("POST", f"{MAIL}/{number}/launch", LATER)
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.incomplete")
    assert refused.json()["errors"][0]["field"] == "sendingHours.attribute"
    # A country that the table never had means the licence's clocks, as was said.
    assert tenant.json("PUT", place, {"sendingHours": hours | {"attribute": None}}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch", LATER).status_code == 200
