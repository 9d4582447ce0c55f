"""Domains beyond ASCII over the wire: limits, holds, reports, senders and readers know one form of them."""

from email.utils import parseaddr
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from tests.contract.test_sending import MAIL, PROFILES, hrefs, local, outbox, state
from tests.support import plain
from tests.support.mailing import Sink
from tests.support.tenant import Tenant
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

LIMITS = "/v5/delivery-limits"
SMALL, CAPITALS, NAME = "exämple.com", "EXÄMPLE.COM", "xn--exmple-cua.com"


def guests(tenant: Tenant, *addresses: str) -> None:
    for address in addresses:
        body = {"key": {"emailAddress": address}, "attributes": {"lastName": "G"}}
        assert tenant.json("PUT", PROFILES, body).status_code == 201


def launched(tenant: Tenant, **settings: Any) -> int:
    number = tenant.campaign(**settings)
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    return number


@pytest.mark.parametrize("written", [SMALL, CAPITALS, NAME, NAME.upper(), " exa\u0308mple.com "])
def test_a_limit_is_of_one_domain_however_it_is_written(tenant: Tenant, written: str) -> None:
    answer = tenant.json("PUT", LIMITS, {"domains": [{"domain": written, "mailsPerMinute": 60, "connections": 2}]})
    assert answer.json()["domains"] == [{"domain": NAME, "mailsPerMinute": 60, "connections": 2}]
    read = tenant.json("GET", LIMITS).json()
    assert tenant.json("PUT", LIMITS, read).json() == read
    twice = tenant.json("PUT", LIMITS, {"domains": [{"domain": NAME}, {"domain": "*"}, {"domain": written}]})
    (error,) = twice.json()["errors"]
    assert (twice.status_code, error["field"], NAME in error["message"]) == (400, "domains[2].domain", True)


@pytest.mark.parametrize(
    "written",
    [
        "ä" * 60 + ".com",
        ".".join(["ä" * 20] * 12),
        "ä..com",
        "ä" * 200_000,
        "exä mple.com",
        "a@exämple.com",
        "ä\u200e.com",
        "",
    ],
)
def test_a_limit_of_what_is_no_domain_is_refused(tenant: Tenant, written: str) -> None:
    before = tenant.state()
    answer = tenant.json("PUT", LIMITS, {"domains": [{"domain": written, "mailsPerMinute": 60}]})
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == ["domains[0].domain"]
    assert len(answer.content) < 1000
    assert tenant.state() == before


def test_malformed_punycode_is_a_domain_like_another(tenant: Tenant) -> None:
    domains = [{"domain": name, "mailsPerMinute": 1, "connections": None} for name in ("xn--a.com", "xn--99999999999.com")]
    assert tenant.json("PUT", LIMITS, {"domains": domains}).json()["domains"] == domains


def test_a_limit_binds_mails_to_all_spellings_and_the_report_has_one_line(tenant: Tenant, sink: Sink) -> None:
    guests(tenant, *(f"g{i}@{(SMALL, CAPITALS, NAME, NAME.upper())[i % 4]}" for i in range(12)))
    assert tenant.json("PUT", LIMITS, {"domains": [{"domain": SMALL, "mailsPerMinute": 1}]}).status_code == 200
    number = launched(tenant)
    report = f"/v5/entities/hotels/mails/{number}/report"
    until(lambda: tenant.json("GET", report).json()["totals"]["sent"] == 2)
    assert {address.rpartition("@")[2] for address in sink.recipients()} == {NAME, "example.com"}
    assert tenant.json("PUT", LIMITS, {}).status_code == 200
    until(lambda: state(tenant, number) == "FINISHED")
    found = tenant.json("GET", report).json()
    assert {each["domain"]: each["sent"] for each in found["domains"]} == {NAME: 12, "example.com": 1}
    assert {address.rpartition("@")[2].lower() for address in sink.recipients()} == {NAME, "example.com"}


def test_a_domain_that_says_later_holds_all_its_spellings(tenant: Tenant, sink: Sink) -> None:
    guests(tenant, *(f"g{i}@{(SMALL, CAPITALS, NAME)[i % 3]}" for i in range(60)))
    sink.refuse = {f"g{i}@{NAME}": "421 4.7.0 too many mails from you" for i in range(60)}
    number = launched(tenant)
    (held,) = until(lambda: tenant.json("GET", LIMITS).json()["heldDomains"])
    assert (held["domain"], held["reply"]) == (NAME, "421 4.7.0 too many mails from you")
    until(lambda: tenant.json("GET", f"{MAIL}/{number}/report").json()["pending"] == 60)
    # Only those that were on a connection when the first was refused have been tried.
    assert sink.refused[NAME] <= 25


def test_a_sender_may_have_such_a_domain(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = launched(tenant, **{"from": f"Bär <news@{SMALL}>", "replyTo": f"answers@{CAPITALS}"})
    until(lambda: state(tenant, number) == "FINISHED")
    assert tenant.json("GET", f"{MAIL}/{number}/report").json()["sent"] == 1
    ((_, mail),) = outbox(tenant, database)
    assert parseaddr(str(mail["From"])) == ("Bär", f"news@{NAME}")
    assert parseaddr(str(mail["Reply-To"]))[1] == f"answers@{NAME}"
    assert mail["Message-ID"].endswith(f"@{NAME}>")


def test_who_cannot_be_answered_keeps_a_campaign_from_being_launched(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    """Earlier versions took such an address, and then no mail could be made."""
    number = tenant.campaign()
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {}).status_code == 200
    query = "UPDATE tabellion.campaign SET settings = jsonb_set(settings, '{replyTo}', to_jsonb(%s::text)) WHERE id = %s"
    database.execute(query, (f"jürgen@{SMALL}", number))
    refused = tenant.json("POST", f"{MAIL}/{number}/launch")
    assert (refused.status_code, [each["field"] for each in refused.json()["errors"]]) == (409, ["replyTo"])
    assert tenant.json("PUT", f"{MAIL}/{number}", {"replyTo": f"answers@{SMALL}"}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200


def test_readers_see_their_address_as_they_know_it(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    assert tenant.json("DELETE", f"{PROFILES}/emailAddress=ann@example.com").status_code == 204
    guests(tenant, f"bea@{CAPITALS}")
    number = launched(tenant)
    until(lambda: state(tenant, number) == "FINISHED")
    ((address, mail),) = outbox(tenant, database)
    assert address == f"bea@{NAME}"
    page = next(local(tenant, href) for href in hrefs(mail) if "/t/u/" in href)
    assert f"bea@{SMALL}" in plain.get(page).text


def test_letters_before_the_at_are_told_of_and_those_behind_it_arrive(tenant: Tenant, sink: Sink) -> None:
    guests(tenant, f"bea@{SMALL}", f"müller@{SMALL}", f"gone@{SMALL}")
    sink.refuse = {f"gone@{NAME}": "550 5.1.1 no such user"}
    number = launched(tenant)
    until(lambda: state(tenant, number) == "FINISHED")
    found = tenant.json("GET", f"{MAIL}/{number}/report").json()
    assert (found["delivered"], found["hardBounces"], found["excluded"]["failed"]) == (2, 1, 1)
    ((reason, count),) = [(each["reason"], each["count"]) for each in found["failures"]]
    assert (count, "before its @" in reason) == (1, True)
    assert sink.recipients() == {"ann@example.com": 1, f"bea@{NAME}": 1}
    for mail in sink.mails:
        assert f"To: {mail.rcpt_tos[0]}\r\n".encode() in (mail.original_content or b"")
    assert tenant.json("GET", f"/v5/suppressions/{quote(f'gone@{SMALL}')}").json()["reason"] == "HARD_BOUNCE"
