"""Webhooks to what comes of mails: told in the transaction of the event, to those who listen, and of people only."""

from typing import Any

import psycopg
import pytest

from tests.contract.test_sending import MAIL, guests, hrefs, local, outbox, state
from tests.support import plain
from tests.support.mailing import Sink
from tests.support.tenant import Tenant, schema_of
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

HOOKS = "/v4/entity/hotels/webhookSubscription"
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"}


def subscribe(tenant: Tenant, event_type: str, campaign: str) -> dict[str, Any]:
    body = {"on": "EMAIL_CAMPAIGN", "onElementId": campaign, "eventType": event_type, "targetUrl": "https://8.8.8.8/hook"}
    made = tenant.json("POST", HOOKS, body)
    assert made.status_code == 201, made.text
    return tenant.json("GET", f"{HOOKS}/{made.json()['id']}").json()


def told(tenant: Tenant, database: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """What is in the outbox for dispatchers, which do not run here."""
    rows = database.execute(
        "SELECT o.data, o.event_type, o.subject_id FROM tabellion.outbox_event o JOIN tabellion.licence l ON l.id = o.licence_id "
        "WHERE l.name = %s AND o.subject_kind = 'EMAIL_CAMPAIGN' ORDER BY o.id",
        (tenant.licence,),
    )
    found = [(row[0], row[1], row[2]) for row in rows]
    assert all(data["eventType"] == kind for data, kind, _ in found)
    return [data | {"subject": subject} for data, _, subject in found]


def launched(tenant: Tenant, number: int) -> None:
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: state(tenant, number) == "FINISHED")


def test_who_listens_to_a_campaign_hears_what_comes_of_its_mails(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign()
    for kind in ("SENT", "OPEN", "CLICK", "UNSUBSCRIBE"):
        assert subscribe(tenant, kind, "SpringOffer")["onElementId"] == str(number)
    assert tenant.json("POST", f"{MAIL}/{number}/test", {"recipients": ["me@example.com"]}).status_code == 200
    launched(tenant, number)
    until(lambda: len(outbox(tenant, database)) == 2)
    (mail,) = [mail for address, mail in outbox(tenant, database) if address == "ann@example.com"]
    click, page, trap, picture = (local(tenant, address) for address in hrefs(mail))
    plain.get(picture, headers=BROWSER)
    plain.get(click, headers=BROWSER)
    plain.get(click, headers={"User-Agent": "Barracuda Link Scanner"})
    plain.get(trap, headers={"User-Agent": "Mozilla/5.0 (Windows NT 10.0) Chrome/126.0 Safari/537.36"})
    plain.get(page, headers=BROWSER)
    for _ in range(2):
        plain.post(page)
    found = told(tenant, database)
    assert [each["eventType"] for each in found] == ["SENT", "OPEN", "CLICK", "UNSUBSCRIBE"]
    interaction = tenant.json("GET", f"{MAIL}/{number}/profile/emailAddress=ann@example.com/interaction").json()
    profile = tenant.json("GET", "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com").json()
    sent, _, clicked, _ = found
    assert sent == {
        "eventType": "SENT",
        "campaign.id": number,
        "campaign.name": "SpringOffer",
        "interactionId": interaction["interactions"][0]["interactionId"],
        "tableId": sent["tableId"],
        "profileId": profile["profileId"],
        "emailAddress": "ann@example.com",
        "moment": interaction["interactions"][0]["sentAt"],
        "_links": {"campaign": {"href": f"/email-campaigns/v4/entity/hotels/mail/{number}"}},
        "subject": str(number),
    }
    assert (clicked["url"], clicked["actor"]) == ("https://www.example.com/spring?a=1&b=2", "human")


def test_all_campaigns_of_an_entity_can_be_listened_to_also_those_to_come(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    assert subscribe(tenant, "SENT", "*")["onElementId"] == "*"
    for name in ("First", "Second"):
        launched(tenant, tenant.campaign(name))
    assert [each["campaign.name"] for each in told(tenant, database)] == ["First", "Second"]
    subscribed = tenant.json("GET", HOOKS).json()["webhookSubscriptions"][0]
    assert tenant.json("PUT", f"{HOOKS}/{subscribed['id']}", {"eventType": "CLICK"}).status_code == 200
    launched(tenant, tenant.campaign("Third"))
    assert len(told(tenant, database)) == 2


def test_mails_that_a_relay_refuses_are_told_of_as_bounces(
    tenant: Tenant, sink: Sink, database: psycopg.Connection[Any]
) -> None:
    sink.refuse = {"ann@example.com": "550 5.1.1 no such user"}
    subscribe(tenant, "HARD_BOUNCE", "*")
    subscribe(tenant, "SENT", "*")
    launched(tenant, tenant.campaign())
    (bounce,) = told(tenant, database)
    assert (bounce["eventType"], bounce["emailAddress"]) == ("HARD_BOUNCE", "ann@example.com")
    assert "5.1.1" in bounce["detail"]


def test_what_cannot_be_listened_to_is_refused(tenant: Tenant) -> None:
    body = {"on": "EMAIL_CAMPAIGN", "onElementId": "Nothing", "eventType": "SENT", "targetUrl": "https://8.8.8.8/hook"}
    refused = tenant.json("POST", HOOKS, body)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "campaign.unknown")
    refused = tenant.json("POST", HOOKS, body | {"onElementId": "*", "eventType": "CREATE"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "eventType")


def test_events_are_judged_again_by_what_is_known_now(
    tenant: Tenant, database: psycopg.Connection[Any], tenants: Any
) -> None:
    from tabellion.features.tracking import admin

    number = tenant.campaign()
    launched(tenant, number)
    ((_, mail),) = outbox(tenant, database)
    click, _, _, picture = (local(tenant, address) for address in hrefs(mail))
    robot = {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
    for address, agent in ((picture, BROWSER), (click, BROWSER), (click, robot)):
        plain.get(address, headers=agent)

    def counted() -> tuple[int, int]:
        report = tenant.json("GET", f"{MAIL}/{number}/report").json()
        return report["opens"], report["clicks"]

    assert counted() == (1, 1)
    licence = database.execute("SELECT id FROM tabellion.licence WHERE name = %s", (tenant.licence,)).fetchone()
    assert licence is not None
    # As if the list had not known the robot.
    database.execute(f"UPDATE l{licence[0]}.mail_event SET actor = 'human'")
    assert counted() == (1, 2)
    assert tenants.run(lambda db: admin.judge_again(db, tenant.licence, number)) == (1, 1)
    assert counted() == (1, 1)


def test_a_mail_that_was_used_has_arrived(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    guests(tenant, 6)
    report = "/v5/entities/hotels/mails/SpringOffer/report"
    number = tenant.campaign()
    leads = ("https://a.example/", "{{ unsubscribeUrl }}", "{{ preferencesUrl }}", "{{ onlineUrl }}")
    html = "".join(f'<a href="{each}">x</a>' for each in leads)
    put = tenant.call("PUT", f"{MAIL}/{number}/content/body", content=html, headers={"Content-Type": "text/html"})
    assert put.status_code == 200, put.text
    launched(tenant, number)
    subscribe(tenant, "SENT", "*")
    # As if the relay's last answers had been lost.
    schema = schema_of(tenant, database)
    database.execute(f"UPDATE {schema}.recipient SET state = 'UNCERTAIN', reason = 'uncertain'")
    assert tenant.json("GET", report).json()["uncertain"] == 7
    mails = dict(outbox(tenant, database))
    picture = local(tenant, hrefs(mails["ann@example.com"])[-1])
    for _ in range(2):
        plain.get(picture, headers=BROWSER)
    plain.get(local(tenant, hrefs(mails["g0@example.com"])[0]), headers={"User-Agent": "Barracuda Link Scanner"})
    plain.post(local(tenant, hrefs(mails["g1@example.com"])[1]))
    # Nobody is taken out of anything by looking at a page, but only the mail has its address.
    for guest, link in (("g2", 1), ("g3", 2), ("g4", 3)):
        assert plain.get(local(tenant, hrefs(mails[f"{guest}@example.com"])[link])).status_code == 200
    found = tenant.json("GET", report).json()
    assert (found["targeted"], found["totals"]["sent"], found["totals"]["delivered"], found["uncertain"]) == (7, 6, 6, 1)
    assert (found["totals"]["uniqueOpens"], found["totals"]["unsubscribes"]) == (1, 1)
    heard = [each["emailAddress"] for each in told(tenant, database)]
    assert heard == ["ann@example.com", *(f"g{each}@example.com" for each in range(5))]
