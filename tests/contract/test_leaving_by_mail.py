"""Who writes to the address of `List-Unsubscribe` has unsubscribed: from the header of a mail to what follows, over SMTP."""

import email
import json
import smtplib
from collections.abc import Iterator
from email import policy
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import dkim
import psycopg
import pytest
from typer.testing import CliRunner

from tabellion.cli.root import app
from tests.contract.test_sending import MAIL, PROFILES, state
from tests.support.mailing import Sink, taking_bounces
from tests.support.tenant import Tenant, schema_of
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")
ANN = f"{PROFILES}/emailAddress=ann@example.com"


@pytest.fixture(scope="module")
def door(worker_database_url: str) -> Iterator[int]:
    """The port that such mails come in by."""
    with taking_bounces(worker_database_url) as port:
        yield port


@pytest.fixture
def bounce_domain(tenant: Tenant, worker_database_url: str) -> None:
    """Mails come back, and are signed."""
    command = (
        "sender", "set", tenant.licence, "hotels", "news@example.com", "--bounce-domain", "bounces.example.com",
        "--dkim-selector", "s1",
    )  # fmt: skip
    assert CliRunner().invoke(app(), command, env={"TABELLION_DATABASE_URL": worker_database_url}).exit_code == 0


def send(tenant: Tenant, sink: Sink, name: str = "SpringOffer", **target: Any) -> EmailMessage:
    """The mail that Ann got."""
    number = tenant.campaign(name)
    if target:
        assert tenant.json("PUT", f"{MAIL}/{number}/target", target).status_code == 200
    sink.mails.clear()
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: state(tenant, number) == "FINISHED")
    (mail,) = sink.mails
    return email.message_from_bytes(mail.content, policy=policy.default)


def address_in(mail: EmailMessage) -> str:
    page, _, written = mail["List-Unsubscribe"].partition(", ")
    assert page.startswith("<http")
    place = urlsplit(written.strip("<>"))
    assert (place.scheme, place.query) == ("mailto", "subject=unsubscribe")
    return place.path


def write(door: int, to: str, sender: str = "ann@example.com") -> int:
    """What is answered to a mail as mail programs send it."""
    with smtplib.SMTP("127.0.0.1", door, timeout=30) as smtp:
        smtp.ehlo("mx.example.net")
        smtp.mail(sender)
        code, _ = smtp.rcpt(to)
        return code if code != 250 else smtp.data(f"From: {sender}\r\nTo: {to}\r\nSubject: unsubscribe\r\n\r\n")[0]


def noted(tenant: Tenant, database: psycopg.Connection[Any]) -> list[str]:
    """What readers of the licence's mails did, and why addresses get nothing more."""
    schema = schema_of(tenant, database)
    query = f"SELECT type FROM {schema}.mail_event UNION ALL SELECT reason FROM {schema}.suppression"
    return [row[0] for row in database.execute(query.encode())]


@pytest.mark.usefixtures("bounce_domain")
def test_the_subscription_ends_once_and_its_history_says_how(tenant: Tenant, sink: Sink, door: int) -> None:
    assert tenant.json("PATCH", ANN, {"subscriptions": {"Newsletter": True}}).status_code == 200
    address = address_in(send(tenant, sink, subscription="Newsletter"))
    # Servers change the case of addresses; programs send again what they heard no answer to.
    for written in (address, address.upper()):
        assert write(door, written) == 250
    assert tenant.json("GET", ANN).json()["subscriptions"]["Newsletter"] is False
    report = tenant.json("GET", f"{MAIL}/SpringOffer/report").json()
    assert (report["delivered"], report["unsubscribes"], report["softBounces"]) == (1, 1, 0)
    consents = tenant.json("GET", f"{ANN}/consents").json()["consents"]
    assert [(c["subscribe"], c["source"], c["way"]) for c in consents][:1] == [(False, "mail", "unsubscribe mail")]


@pytest.mark.usefixtures("bounce_domain")
def test_without_a_subscription_the_address_gets_nothing_more(tenant: Tenant, sink: Sink, door: int) -> None:
    assert write(door, address_in(send(tenant, sink)), "someone.else@example.net") == 250
    again = tenant.campaign("Second")
    assert tenant.json("POST", f"{MAIL}/{again}/launch").status_code == 200
    until(lambda: state(tenant, again) == "FINISHED")
    report = tenant.json("GET", f"{MAIL}/{again}/report").json()
    assert (report["sent"], report["excluded"]["suppressed"]) == (0, 1)


@pytest.mark.usefixtures("bounce_domain")
def test_to_ask_whether_the_address_is_there_changes_nothing_and_nobody_makes_one_up(
    tenant: Tenant, sink: Sink, door: int, database: psycopg.Connection[Any]
) -> None:
    address = address_in(send(tenant, sink))
    back = sink.mails[0].mail_from
    with smtplib.SMTP("127.0.0.1", door, timeout=30) as smtp:
        smtp.ehlo("mx.example.net")
        smtp.mail("")
        assert smtp.rcpt(address)[0] == 250
        forged = [address[:i] + ("a" if address[i] != "a" else "b") + address[i + 1 :] for i in range(2, 48)]
        # The seal of a return path is none of this; a mail server that sees one unsubscribes nobody.
        forged += [f"u-{back.removeprefix('b-')}", f"b-{address.removeprefix('u-')}", "u-@bounces.example.com"]
        assert {smtp.rcpt(each)[0] for each in forged} == {550}
    assert noted(tenant, database) == []
    assert write(door, address) == 250
    assert noted(tenant, database) == ["UNSUBSCRIBE", "UNSUBSCRIBE"]


@pytest.mark.usefixtures("bounce_domain")
def test_tests_and_mails_of_the_erased_change_nothing(
    tenant: Tenant, sink: Sink, door: int, database: psycopg.Connection[Any]
) -> None:
    address = address_in(send(tenant, sink))
    sink.mails.clear()
    assert tenant.json("POST", f"{MAIL}/SpringOffer/test", {"recipients": ["ann@example.com"]}).status_code == 200
    until(lambda: sink.mails)
    tried = email.message_from_bytes(sink.mails[0].content, policy=policy.default)
    assert write(door, address_in(tried)) == 250
    assert noted(tenant, database) == []
    assert tenant.json("DELETE", ANN).status_code == 204
    schema = schema_of(tenant, database)
    database.execute(f"UPDATE {schema}.recipient SET address = '', profile_id = NULL")
    assert write(door, address) == 250
    assert noted(tenant, database) == []


@pytest.mark.usefixtures("bounce_domain")
def test_both_addresses_are_signed_in_one_header(tenant: Tenant, sink: Sink, worker_database_url: str) -> None:
    mail = send(tenant, sink)
    assert len(mail.get_all("List-Unsubscribe")) == 1
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    signed = "".join(mail["DKIM-Signature"].split()).partition(";h=")[2].partition(";")[0].split(":")
    assert {"list-unsubscribe", "list-unsubscribe-post"} <= set(signed)
    command = ("sender", "show", tenant.licence, "hotels", "--json")
    shown = CliRunner().invoke(app(), command, env={"TABELLION_DATABASE_URL": worker_database_url}).output
    record = json.loads(shown)["dnsTxt"]
    assert dkim.verify(sink.mails[0].original_content, dnsfunc=lambda name, timeout=5: record.encode())


def test_without_a_bounce_domain_there_is_no_such_address(tenant: Tenant, sink: Sink) -> None:
    mail = send(tenant, sink)
    assert mail["List-Unsubscribe"].startswith("<http")
    assert "mailto" not in mail["List-Unsubscribe"]
