"""What receivers go by, in mails that were really handed over."""

import email
from email import policy
from email.message import EmailMessage
from typing import Any

import psycopg
import pytest
from aiosmtpd.smtp import Envelope
from typer.testing import CliRunner

from tabellion.cli.root import app
from tests.contract.test_sending import MAIL
from tests.support.mailing import Sink
from tests.support.tenant import Tenant, schema_of
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")


def read(envelope: Envelope) -> EmailMessage:
    assert isinstance(envelope.content, bytes)
    return email.message_from_bytes(envelope.content, policy=policy.default)


def test_a_mail_that_is_tried_again_is_the_same_mail(tenant: Tenant, sink: Sink, database: psycopg.Connection[Any]) -> None:
    sink.refuse_data = {"ann@example.com": "451 4.3.0 later"}
    number = tenant.campaign()
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    schema = schema_of(tenant, database)
    until(lambda: database.execute(f"SELECT 1 FROM {schema}.recipient WHERE state = 'DEFERRED'").fetchone())
    sink.refuse_data.clear()
    database.execute(f"UPDATE {schema}.recipient SET due_at = now() WHERE state = 'DEFERRED'")
    until(lambda: sink.mails)
    refused, taken = (read(each) for each in sink.offered)
    licence = schema.removeprefix("l")
    domain = taken["From"].addresses[0].domain
    assert refused["Message-ID"] == taken["Message-ID"]
    assert taken["Message-ID"].endswith(f"@{domain}>")
    for mail in (refused, taken):
        assert mail.get_all("Feedback-ID") == [f"{number}:{licence}:tabellion"]
        assert mail.get_all("List-Id") == [f"<{number}.{licence}.{domain}>"]
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_answers_go_where_the_campaign_says_or_else_the_entity(tenant: Tenant, sink: Sink, worker_database_url: str) -> None:
    sender = ("sender", "set", tenant.licence, "hotels", "news@example.com", "--reply-to", "desk@example.com")
    assert CliRunner().invoke(app(), sender, env={"TABELLION_DATABASE_URL": worker_database_url}).exit_code == 0
    for name, settings, expected in (
        ("Open", {}, "desk@example.com"),
        ("Own", {"replyTo": "me@example.com"}, "me@example.com"),
    ):
        number = tenant.campaign(name, **settings)
        preview = tenant.json("POST", f"/v5/entities/hotels/mails/{number}/preview", {})
        assert preview.json()["replyTo"] == expected
        assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
        until(lambda: sink.mails)
        assert read(sink.mails.pop())["Reply-To"] == expected


def test_transactional_mails_are_of_no_list_and_each_has_an_id_of_its_own(tenant: Tenant, sink: Sink) -> None:
    number = tenant.campaign("Booked", "TRANSACTIONAL")
    assert tenant.json("POST", f"{MAIL}/{number}/launch").json()["state"] == "ACTIVE"
    for _ in range(2):
        trigger = tenant.json("POST", f"{MAIL}/{number}/profile/emailAddress=ann@example.com", [])
        assert trigger.status_code == 200, trigger.text
    until(lambda: len(sink.mails) == 2)
    mails = [read(each) for each in sink.mails]
    assert len({mail["Message-ID"] for mail in mails}) == 2
    for mail in mails:
        assert mail["Feedback-ID"].startswith(f"{number}:")
        assert "List-Id" not in mail
        assert "List-Unsubscribe" not in mail
