"""E-mail campaigns from the launch on: tests, triggers, control, reports."""

import email
import html
import re
from email import policy
from email.message import EmailMessage
from typing import Any

import psycopg
import pytest

from tabellion.features.delivery.tokens import read_return_path
from tests.support import plain
from tests.support.mailing import Sink, begin_now
from tests.support.tenant import Tenant, schema_of
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

MAIL = "/v4/entity/hotels/mail"
PROFILES = "/v5/entities/hotels/profile-tables/Guests/profiles"


def state(tenant: Tenant, number: int) -> str:
    return tenant.json("GET", f"{MAIL}/{number}").json()["state"]


def outbox(tenant: Tenant, database: psycopg.Connection[Any]) -> list[tuple[str, EmailMessage]]:
    """Recipient and mail of all that is in the licence's outbox."""
    schema = schema_of(tenant, database)
    rows = database.execute(f"SELECT recipient, content FROM {schema}.outbox_mail ORDER BY id")
    return [(row[0], email.message_from_bytes(row[1], policy=policy.default)) for row in rows]


def guests(tenant: Tenant, count: int, **attributes: Any) -> None:
    for i in range(count):
        body = {"key": {"emailAddress": f"g{i}@example.com"}, "attributes": {"lastName": f"Guest {i}", **attributes}}
        assert tenant.json("PUT", PROFILES, body).status_code == 201


def hrefs(mail: EmailMessage) -> list[str]:
    """The addresses in the HTML of a mail, its pictures' at the end."""
    content = mail.get_body(("html",)).get_content()
    return [html.unescape(found) for found in re.findall(r'(?:href|src)="([^"]*)"', content)]


def local(tenant: Tenant, address: str) -> str:
    """An address of the server's own, at the port where it listens."""
    return str(tenant.client.base_url).rstrip("/") + "/t/" + address.split("/t/", 1)[1]


def test_a_campaign_goes_to_its_audience_and_its_report_adds_up(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    guests(tenant, 5)
    schema = schema_of(tenant, database)
    database.execute(f"INSERT INTO {schema}.suppression VALUES ('g4@example.com', 'COMPLAINT', now())")
    number = tenant.campaign()
    launched = tenant.json("POST", f"{MAIL}/{number}/launch")
    assert launched.status_code == 200, launched.text
    assert launched.json() == {"campaignId": number, "state": "IN_PROGRESS"}
    until(lambda: state(tenant, number) == "FINISHED")

    report = tenant.json("GET", f"{MAIL}/{number}/report").json()
    assert report["targeted"] == sum(report["excluded"].values()) + report["sent"] + report["uncertain"] == 6
    assert (report["sent"], report["delivered"], report["excluded"]["suppressed"], report["pending"]) == (5, 5, 1, 0)
    mails = outbox(tenant, database)
    assert {address for address, _ in mails} == {"ann@example.com", *(f"g{i}@example.com" for i in range(4))}
    mail = dict(mails)["ann@example.com"]
    assert mail["Subject"] == "Spring is here, Vos"
    assert "Dear Vos," in mail.get_body(("html",)).get_content()
    assert "Dear Vos," in mail.get_body(("plain",)).get_content()
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert "https://www.example.com/spring" not in mail.get_body(("html",)).get_content()
    profile = tenant.json("GET", "/v4/entity/hotels/table/Guests/profile/emailAddress=ann@example.com/interaction").json()
    (interaction,) = profile["interactions"]
    assert (interaction["campaignId"], interaction["campaignName"], interaction["outcome"]) == (
        number,
        "SpringOffer",
        "DELIVERED",
    )


def test_a_relay_gets_each_mail_once_and_what_it_says_is_kept(tenant: Tenant, sink: Sink) -> None:
    guests(tenant, 60)
    sink.refuse = {
        "g1@example.com": "550 5.1.1 no such user",
        "g2@example.com": "451 4.7.1 later",
        "g4@example.com": "552 5.2.2 full",
    }
    sink.refuse_data = {"g3@example.com": "554 5.7.1 spam"}
    number = tenant.campaign()
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200

    def report() -> Any:
        return tenant.json("GET", f"{MAIL}/{number}/report").json()

    until(lambda: report()["sent"] == 60)
    got = report()
    # Nobody lives at one; the others are left out of nothing: the mail was not wanted, or the mailbox full.
    assert (got["pending"], got["hardBounces"], got["softBounces"], got["delivered"]) == (1, 1, 2, 57)
    assert got["state"] == "IN_PROGRESS"
    left = {f"g{i}@example.com": 1 for i in range(60) if i not in {1, 2, 3, 4}}
    assert sink.recipients() == {"ann@example.com": 1, **left}
    # Nobody lives there: the next campaign leaves the address out.
    again = tenant.campaign("Second")
    assert tenant.json("POST", f"{MAIL}/{again}/launch").status_code == 200
    until(lambda: tenant.json("GET", f"{MAIL}/{again}/report").json()["excluded"]["suppressed"] == 1)


def test_mails_come_back_to_an_address_of_their_own(tenant: Tenant, sink: Sink, database: psycopg.Connection[Any]) -> None:
    guests(tenant, 3)
    number = tenant.campaign()
    body = {"recipients": ["me@example.com"]}
    assert tenant.json("POST", f"{MAIL}/{number}/test", body).status_code == 200
    until(lambda: sink.mails)
    # The entity's sender has no domain for that yet.
    assert {mail.mail_from for mail in sink.mails} == {"no-reply@127.0.0.1"}
    database.execute(
        "INSERT INTO tabellion.sender (entity_id, name, address, bounce_domain) SELECT e.id, 'H', 'news@example.com', "
        "'bounces.example.com' FROM tabellion.entity e JOIN tabellion.licence l ON l.id = e.licence_id "
        "WHERE l.name = %s AND e.name = 'hotels'",
        (tenant.licence,),
    )
    sink.mails.clear()
    for action in ("test", "launch"):
        assert tenant.json("POST", f"{MAIL}/{number}/{action}", body if action == "test" else None).status_code == 200
    until(lambda: len(sink.mails) == 5)
    backs = {mail.mail_from: read_return_path(mail.mail_from) for mail in sink.mails}
    assert len(backs) == 5
    licence = database.execute("SELECT id FROM tabellion.licence WHERE name = %s", (tenant.licence,)).fetchone()
    assert licence is not None
    addresses = dict(database.execute(f"SELECT id, address FROM l{licence[0]}.recipient").fetchall())
    for mail in sink.mails:
        token = backs[mail.mail_from]
        assert token is not None
        assert (token.licence_id, [addresses[token.recipient_id]]) == (licence[0], mail.rcpt_tos)
        assert mail.mail_from.endswith("@bounces.example.com")
        author = email.message_from_bytes(mail.content, policy=policy.SMTP)["From"].addresses
        assert [(each.display_name, each.addr_spec) for each in author] == [("H", "news@example.com")]


def test_a_trigger_sends_one_mail_with_its_parameters(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign("Booked", "TRANSACTIONAL")
    one = f"{MAIL}/{number}"
    keys = {"personalisations": [{"key": "stayRef", "mandatory": True}, {"key": "tone", "defaultValue": "Dear"}]}
    assert tenant.json("PUT", f"{one}/content/personalisation", keys).status_code == 200
    subject = {"subject": "{{ tone }} {{ profile.lastName }}: {{ stayRef }}"}
    assert tenant.json("PUT", f"{one}/content/subject", subject).status_code == 200
    refused = tenant.json("POST", f"{one}/profile/emailAddress=ann@example.com", [{"key": "stayRef", "values": ["x"]}])
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.state")
    assert refused.json()["message"].endswith("is IN_DEFINITION and cannot be triggered: launch it first")
    assert tenant.json("POST", f"{one}/launch").json()["state"] == "ACTIVE"
    # Each is wanted: one of which nobody knows whether it has left is sent again.
    said = database.execute("SELECT document ->> 'policy' FROM tabellion.sending WHERE campaign_id = %s", (number,))
    assert said.fetchall() == [("RESEND",)]
    missing = tenant.json("POST", f"{one}/profile/emailAddress=ann@example.com", [])
    assert (missing.status_code, missing.json()["code"]) == (400, "member.mandatory")
    bodies: list[Any] = [
        [{"key": "stayRef", "values": ["ST-1"]}, {"key": "StayRef", "values": "y"}],
        [{"key": "stayRef", "values": 17}],
    ]
    numbers = []
    for body in bodies:
        answer = tenant.json("POST", f"{one}/profile/emailAddress=ann@example.com", body)
        assert answer.status_code == 200, answer.text
        numbers.append(answer.json()["interactionId"])
    saved = tenant.json(
        "POST",
        f"/v4/entity/hotels/transactionalmail/{number}/contact",
        {
            "profile": {
                "attributes": [{"name": "emailAddress", "value": "new@example.com"}, {"name": "lastName", "value": "New"}]
            },
            "parameters": [{"key": "stayRef", "values": ["ST-3"]}],
        },
    )
    assert saved.status_code == 200, saved.text
    assert saved.json()["profileId"] == tenant.json("GET", f"{PROFILES}/emailAddress=new@example.com").json()["profileId"]
    mails = until(lambda: len(found := outbox(tenant, database)) == 3 and found)
    assert sorted(mail["Subject"] for _, mail in mails) == ["Dear New: ST-3", "Dear Vos: 17", "Dear Vos: ST-1"]
    assert all("List-Unsubscribe" not in mail for _, mail in mails)
    assert len(set(numbers)) == 2
    assert state(tenant, number) == "ACTIVE"
    for control, advice in (("pause", "after 'resume'"), ("cancel", "it was cancelled")):
        assert tenant.json("POST", f"{one}/{control}").status_code == 200
        assert advice in tenant.json("POST", f"{one}/profile/emailAddress=ann@example.com", bodies[0]).json()["message"]


def test_who_misspells_a_trigger_hears_what_was_not_understood(tenant: Tenant) -> None:
    number = tenant.campaign("Booked", "TRANSACTIONAL")
    one = f"{MAIL}/{number}"
    keys = {"personalisations": [{"key": "stayRef", "mandatory": True}]}
    assert tenant.json("PUT", f"{one}/content/personalisation", keys).status_code == 200
    assert tenant.json("POST", f"{one}/launch").status_code == 200
    trigger = f"{one}/profile/emailAddress=ann@example.com"
    spelt = tenant.json("POST", trigger, [{"key": "stayRef", "value": "ST-1"}])
    assert (spelt.status_code, spelt.headers.get("X-Ignored-Members")) == (400, "parameters[0].value")
    assert "parameters[0].value" in spelt.json()["message"]
    other = tenant.json("POST", trigger, [{"key": "STAYREF", "values": "ST-1"}]).json()
    assert (other["code"], "'STAYREF'" in other["message"]) == ("member.mandatory", True)
    for nothing in ("null", '""', "\ufeff"):
        assert tenant.call("POST", trigger, content=nothing).json()["code"] == "member.mandatory"
    key = [{"key": "stayRef", "values": ["ST-1"]}]
    told = tenant.json("POST", trigger, {"parameters": key, "language": "NL"}, Idempotency_Key="k1")
    assert (told.status_code, told.headers.get("X-Ignored-Members")) == (200, "language")
    unknown = tenant.json("POST", trigger, [*key, {"key": "tonne", "values": ["Dear"]}])
    assert (unknown.status_code, unknown.headers.get("X-Ignored-Members")) == (200, "parameters.tonne")
    strict = {"Prefer": "handling=strict"}
    for body, member in (
        ({"parameters": key, "language": "NL"}, "language"),
        ([*key, {"key": "stayRev", "values": ["ST-2"]}], "parameters.stayRev"),
    ):
        refused = tenant.json("POST", trigger, body, **strict)
        assert [(each["field"], each["code"]) for each in refused.json()["errors"]] == [(member, "member.unknown")]
        assert "X-Ignored-Members" not in refused.headers
    assert refused.json()["message"] == "the campaign has no parameter 'stayRev'; did you mean 'stayRef'?"
    shown = tenant.json(
        "POST", f"/email-campaigns/v5/entities/hotels/mails/{number}/preview", {"parameters": [{"key": "tonne"}]}
    )
    assert (shown.status_code, shown.headers.get("X-Ignored-Members")) == (200, "parameters.tonne")

    contact = f"/v4/entity/hotels/transactionalmail/{number}/contact"
    wrong = {"profile": {"attributes": [{"name": "emailAddress", "value": "nobody"}, {"name": "ghost", "value": 1}]}}
    wrong["profile"]["attributes"].append({"name": "lastName", "value": "B"})
    refused = tenant.json("POST", contact, wrong | {"parameters": key}).json()
    assert [each["field"] for each in refused["errors"]] == ["profile.attributes[0].value", "profile.attributes[1].name"]
    bob = {"attributes": [{"name": "emailAddress", "value": "bob@example.com"}, {"name": "lastName", "value": "B"}], "id": 7}
    contacts = [{"profile": bob, "parameters": [*key, {"key": "x"}]}, {"profile": None, "parameters": key}]
    many = tenant.json("POST", f"{one}/contact", {"contacts": contacts})
    assert many.headers.get("X-Ignored-Members") == "contacts[0].parameters.x, contacts[0].profile.id"
    assert "expects an id, attribute=value, or an object" in many.json()["contacts"][1]["message"]
    contacts = [{"profile": bob, "parameters": key}, {"profile": bob | {"id": None}, "parameters": [*key, {"key": "x"}]}]
    many = tenant.json("POST", f"{one}/contact", {"contacts": contacts}, **strict).json()
    assert (many["accepted"], [each["code"] for each in many["contacts"]]) == (0, ["member.unknown"] * 2)
    alone = tenant.json("POST", f"{one}/contact", contacts).json()
    assert 'the document expects an object such as {"contacts": [...]}' in alone["message"]


def test_many_triggers_in_one_call_are_accepted_one_by_one(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign("Booked", "CONTINUOUS")
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {"filter": "lastName = 'Vos'"}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").json()["state"] == "ACTIVE"
    body = {
        "contacts": [
            {"profile": "emailAddress=ann@example.com"},
            {"profile": "emailAddress=nobody@example.com"},
            {
                "profile": {
                    "attributes": [{"name": "emailAddress", "value": "bob@example.com"}, {"name": "lastName", "value": "B"}]
                }
            },
            {"profile": {"attributes": [{"name": "emailAddress", "value": "no address"}]}},
            {"profile": None},
        ]
    }
    answer = tenant.json("POST", f"{MAIL}/{number}/contact", body).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 3)
    assert [each.get("code") for each in answer["contacts"]][1] == "profile.unknown"
    # Whom the target does not mean gets nothing, and is told of.
    until(lambda: len(outbox(tenant, database)) == 1)
    report = tenant.json("GET", f"{MAIL}/{number}/report").json()
    assert (report["targeted"], report["sent"], report["excluded"]["unsubscribed"]) == (2, 1, 1)
    mass = tenant.json("POST", f"{MAIL}/{tenant.campaign('Mass')}/contact", body)
    assert (mass.status_code, mass.json()["code"]) == (409, "campaign.kind")
    for nobody in ({"contacts": []}, []):
        assert tenant.json("POST", f"{MAIL}/{number}/contact", nobody).json() == {
            "accepted": 0,
            "rejected": 0,
            "contacts": [],
        }
    assert tenant.json("POST", f"{MAIL}/{number}/contact", {"contact": []}).json()["code"] == "member.mandatory"


def test_a_test_goes_to_the_addresses_that_were_named_and_into_no_report(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    number = tenant.campaign()
    body = {"recipients": ["me@example.com", "you@example.com"], "profile": "emailAddress=ann@example.com"}
    answer = tenant.json("POST", f"{MAIL}/{number}/test", body)
    assert answer.json() == {"campaignId": number, "sent": 2}
    mails = until(lambda: len(found := outbox(tenant, database)) == 2 and found)
    assert [(address, mail["Subject"]) for address, mail in mails] == [
        ("me@example.com", "[TEST] Spring is here, Vos"),
        ("you@example.com", "[TEST] Spring is here, Vos"),
    ]
    # Nor is it noted what somebody does with it.
    click, _, trap, picture = hrefs(mails[0][1])
    for address in (click, trap, picture):
        assert plain.get(local(tenant, address), headers={"User-Agent": "Firefox/131.0"}).status_code in {200, 302}
    assert database.execute(f"SELECT * FROM {schema_of(tenant, database)}.mail_event").fetchall() == []
    assert state(tenant, number) == "IN_DEFINITION"
    assert tenant.json("GET", f"{MAIL}/{number}/report").json()["targeted"] == 0
    assert tenant.json("POST", f"{MAIL}/{number}/test", {"recipients": ["nobody"]}).status_code == 400
    assert tenant.json("DELETE", f"{MAIL}/{number}").status_code == 204


def test_a_test_goes_to_profiles_with_their_own_data(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign()
    guests(tenant, 2)
    where = f"{MAIL}/{number}/test"
    body = {"recipients": ["me@example.com"], "profiles": ["emailAddress=ann@example.com", "emailAddress=g1@example.com"]}
    assert tenant.json("POST", where, body).json() == {"campaignId": number, "sent": 3}
    mails = until(lambda: len(found := outbox(tenant, database)) == 3 and found)
    assert {address: mail["Subject"] for address, mail in mails}["ann@example.com"] == "[TEST] Spring is here, Vos"
    assert sorted(address for address, _ in mails) == ["ann@example.com", "g1@example.com", "me@example.com"]
    assert tenant.json("GET", f"{MAIL}/{number}/report").json()["targeted"] == 0

    assert tenant.json("POST", where, {"profiles": ["emailAddress=ghost@example.com"]}).json()["code"] == "profile.unknown"
    assert tenant.json("POST", where, {}).json()["errors"][0]["field"] == "recipients"
    assert tenant.json("POST", where, {"profiles": ["1"] * 11}).json()["errors"][0]["field"] == "recipients"
    schema = schema_of(tenant, database)
    database.execute(f"INSERT INTO {schema}.suppression VALUES ('g1@example.com', 'MANUAL', now())")
    refused = tenant.json("POST", where, {"profiles": ["emailAddress=g1@example.com"]}).json()
    assert [(error["field"], "suppressed" in error["message"]) for error in refused["errors"]] == [("profiles[0]", True)]


def test_what_is_missing_for_a_launch_is_told_at_once(tenant: Tenant) -> None:
    body = {"name": "Empty", "targetTable": "Guests", "supportedLanguages": ["NL", "FR"]}
    number = tenant.json("POST", MAIL, body).json()["campaignId"]
    put = tenant.call("PUT", f"{MAIL}/{number}/content/subject?language=FR", content="Bonjour")
    assert put.status_code == 200
    refused = tenant.json("POST", f"{MAIL}/{number}/launch")
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.incomplete")
    assert refused.json()["message"] == "; ".join(error["message"] for error in refused.json()["errors"])
    assert [error["field"] for error in refused.json()["errors"]] == [
        "content.subject",
        "content.body",
        "content.body",
        "target",
    ]


def test_a_scheduled_campaign_waits_and_may_be_cancelled(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign()
    for moment in ("2090-03-05T07:00:00Z", "2091-03-05T07:00:00Z"):
        answer = tenant.json("POST", f"{MAIL}/{number}/launch", {"scheduledAt": moment})
        told = moment.replace("00Z", "00.000Z")
        assert answer.json() == {"campaignId": number, "state": "SCHEDULED", "scheduledAt": told}
    # Without a moment it would begin now.
    for body in (None, {}, {"scheduledAt": None}):
        refused = tenant.json("POST", f"{MAIL}/{number}/launch", body)
        assert (refused.status_code, refused.json()["code"]) == (409, "campaign.state")
        assert "2091-03-05T07:00:00.000Z" in refused.json()["message"]
    assert tenant.json("GET", f"{MAIL}/{number}").json()["scheduledAt"] == "2091-03-05T07:00:00.000Z"
    assert outbox(tenant, database) == []
    for action, status in (("pause", 409), ("resume", 409), ("cancel", 200), ("cancel", 409), ("launch", 409)):
        answer = tenant.json("POST", f"{MAIL}/{number}/{action}")
        assert answer.status_code == status, answer.text
    read = tenant.json("GET", f"{MAIL}/{number}").json()
    assert (read["state"], read["startedAt"], read["endedAt"] is not None) == ("CANCELLED", None, True)
    assert tenant.json("DELETE", f"{MAIL}/{number}").json()["code"] == "campaign.state"
    assert outbox(tenant, database) == []


def test_a_scheduled_campaign_begins_when_its_moment_comes(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign()
    tenant.json("POST", f"{MAIL}/{number}/launch", {"scheduledAt": "2090-03-05T07:00:00Z"})
    begin_now(database, number)
    until(lambda: state(tenant, number) == "FINISHED")
    assert tenant.json("GET", f"{MAIL}/{number}").json()["startedAt"] is not None
    assert [address for address, _ in outbox(tenant, database)] == ["ann@example.com"]


def test_a_scheduled_campaign_given_a_moment_that_has_passed_begins(tenant: Tenant) -> None:
    number = tenant.campaign()
    for moment in ("2090-03-05T07:00:00Z", "2020-03-05T07:00:00Z"):
        assert tenant.json("POST", f"{MAIL}/{number}/launch", {"scheduledAt": moment}).status_code == 200
    until(lambda: state(tenant, number) == "FINISHED")


@pytest.mark.parametrize(
    ("body", "advice"),
    [
        ({"sheduledAt": "2090-03-05T07:00:00Z"}, "did you mean 'scheduledAt'?"),
        ({"scheduledAt": None, "scheduled": "2090-03-05"}, "begins at once"),
    ],
)
def test_a_misspelt_moment_does_not_launch_at_once(tenant: Tenant, body: dict[str, Any], advice: str) -> None:
    number = tenant.campaign()
    before = tenant.state()
    refused = tenant.json("POST", f"{MAIL}/{number}/launch", body)
    assert (refused.status_code, refused.json()["code"]) == (400, "member.unknown")
    assert refused.json()["errors"][0]["field"] in {"sheduledAt", "scheduled"}
    assert advice in refused.json()["message"]
    xml = "<mailLaunch><sheduledAt>2090-03-05T07:00:00Z</sheduledAt></mailLaunch>"
    sent = {"Content-Type": "application/xml"}
    assert tenant.call("POST", f"{MAIL}/{number}/launch", content=xml, headers=sent).status_code == 400
    empty = tenant.json("POST", f"{MAIL}/{number}/launch", {"scheduledAt": " "})
    assert (empty.status_code, empty.json()["errors"][0]["field"]) == (400, "scheduledAt")
    assert tenant.state() == before
    # What the campaign answers may be written back, and what stands beside a moment is ignored.
    beside = {"scheduledAt": "2090-03-05T07:00:00Z", "comment": "in spring"}
    assert tenant.json("POST", f"{MAIL}/{number}/launch", beside).json()["state"] == "SCHEDULED"
    assert tenant.json("POST", f"{MAIL}/{number}/cancel").status_code == 200
    other = tenant.campaign("Other")
    answered = {"campaignId": other, "state": "IN_DEFINITION"}
    assert tenant.json("POST", f"{MAIL}/{other}/launch", answered).json()["state"] == "IN_PROGRESS"


def test_languages_choose_content_and_leave_others_out(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    change = {
        "operations": [{"operation": "addAttribute", "attribute": {"type": "MOTHER_LANGUAGE", "name": "motherLanguage"}}]
    }
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables/Guests/change-requests", change).status_code == 200
    for name, language in (("nl", "NL"), ("fr", "FR"), ("de", "DE")):
        body = {"key": {"emailAddress": f"{name}@example.com"}, "attributes": {"lastName": name, "motherLanguage": language}}
        assert tenant.json("PUT", PROFILES, body).status_code == 201
    number = tenant.campaign(supportedLanguages=["nl", "FR"])
    for query, text in (("nl", "Dag"), ("fr", "Salut")):
        tenant.call("PUT", f"{MAIL}/{number}/content/subject?language={query}", content=text)
    french = {"profile": "emailAddress=fr@example.com"}
    shown = tenant.json("POST", f"/v5/entities/hotels/mails/{number}/preview", french).json()
    assert (shown["language"], shown["subject"]) == ("FR", "Salut")
    tested = tenant.json("POST", f"{MAIL}/{number}/test", {"recipients": ["me@example.com"], **french})
    assert tested.json()["sent"] == 1, tested.text
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: state(tenant, number) == "FINISHED" and len(outbox(tenant, database)) == 4)
    assert {address: mail["Subject"] for address, mail in outbox(tenant, database)} == {
        "me@example.com": "[TEST] Salut",
        "ann@example.com": "Dag",
        "nl@example.com": "Dag",
        "fr@example.com": "Salut",
    }
    assert tenant.json("GET", f"{MAIL}/{number}/report").json()["excluded"]["language"] == 1


def test_a_table_of_ended_campaigns_can_be_deleted_and_their_reports_stay(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    table = "/v5/entities/hotels/profile-tables/Guests"
    number, waiting, audience = tenant.campaign(), tenant.campaign("Waiting"), {"name": "Gold", "targetTable": "Guests"}
    link = '<a href="https://a.example/">A</a> <a href="{{ unsubscribeUrl }}">x</a> <a href="{{ onlineUrl }}">o</a>'
    link += ' <a href="{{ preferencesUrl }}">p</a>'
    put = tenant.call("PUT", f"{MAIL}/{number}/content/body", content=link, headers={"Content-Type": "text/html"})
    assert put.status_code == 200, put.text
    saved = tenant.json("POST", "/v5/entities/hotels/audiences", {**audience, "filter": "points > 3"})
    assert saved.status_code == 201, saved.text
    for each, body in ((number, None), (waiting, {"scheduledAt": "2090-01-01"})):
        assert tenant.json("POST", f"{MAIL}/{each}/launch", body).status_code == 200
    until(lambda: state(tenant, number) == "FINISHED")
    before = tenant.state()
    refused = tenant.json("DELETE", table)
    assert (refused.status_code, refused.json()["code"]) == (409, "table.inUse")
    message = refused.json()["message"]
    way = "take it back into definition (unschedule), cancel it, or wait until it has ended"
    assert f"the campaign 'Waiting' is SCHEDULED; {way}" in message
    assert "the audience 'Gold' chooses from it; delete it" in message
    assert "SpringOffer" not in message
    assert tenant.state() == before
    assert tenant.json("POST", f"{MAIL}/{waiting}/cancel").status_code == 200
    assert tenant.json("DELETE", f"/v5/entities/hotels/audiences/{saved.json()['id']}").status_code == 204
    until(lambda: tenant.json("DELETE", table).status_code == 204)

    assert tenant.json("GET", f"{MAIL}/{number}").json()["targetTable"] == "Guests"
    assert tenant.json("GET", f"{MAIL}/{number}/target").json()["estimatedCount"] is None
    assert tenant.json("GET", f"{MAIL}/{number}/report").json()["delivered"] == 1
    for end in ("", "/csv", "/page", "/chart"):
        assert tenant.call("GET", f"/v5/entities/hotels/mails/{number}/report{end}").status_code == 200
    ((_, mail),) = outbox(tenant, database)
    click, *pages, _, picture = (local(tenant, href) for href in hrefs(mail))
    assert plain.get(click).headers["location"] == "https://a.example/"
    assert plain.get(picture).status_code == 200
    for page in pages:
        assert plain.get(page).status_code < 500
    assert plain.post(pages[0]).status_code < 500
    again = tenant.json("POST", f"{MAIL}/{number}/test", {"recipients": ["me@example.com"]})
    assert (again.status_code, again.json()["errors"][0]["code"]) == (400, "table.unknown")
    assert tenant.json("POST", f"{MAIL}/{waiting}/launch", {"scheduledAt": "2090-01-01"}).json()["code"] == "campaign.state"
    # What the address asked for while its profile is gone still counts.
    assert tenant.json("GET", "/v5/suppressions/ann@example.com").json()["reason"] == "UNSUBSCRIBE"
