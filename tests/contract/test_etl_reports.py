"""Mails that tell how an execution of an ETL ended: who gets one, what it says, what happens when no relay takes it."""

import asyncio
import email
from concurrent.futures import ThreadPoolExecutor
from email import policy
from email.message import EmailMessage
from typing import Any

import psycopg
import pytest

from tabellion.features.bulk.etls.reporting import REPORT, NotTaken, send_report
from tabellion.kit.clock import utc_now
from tests.support.etls import ETLS, EXECUTIONS, Etls, one_file
from tests.support.mailing import Sink
from tests.support.tenant import Tenant, schema_of

GOOD = "emailAddress,lastName\nbob@example.com,Bob\n"
BAD = GOOD + "no address,Eve\n"


def reported(*recipients: str, when: str = "ON_ERROR") -> dict[str, Any]:
    return one_file() | {"report": {"recipients": list(recipients), "when": when}}


def ordered(database: psycopg.Connection[Any], number: str) -> list[str]:
    """The recipients of the jobs that wait for an execution."""
    rows = database.execute(
        "SELECT args->>'recipient' FROM jobs.procrastinate_jobs WHERE task_name = %s AND args->>'execution_id' = %s ORDER BY id",
        (REPORT, number),
    )
    return [row[0] for row in rows]


def work(etls: Etls, number: str, recipient: str) -> None:
    """What the job does."""

    async def send() -> None:
        async with await psycopg.AsyncConnection.connect(etls.url, autocommit=True) as db:
            await send_report(db, int(number), recipient, "https://data.example.com", utc_now())

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, send()).result()


def read(raw: bytes) -> EmailMessage:
    return email.message_from_bytes(raw, policy=policy.default)


def test_everybody_gets_a_mail_when_rows_are_in_error(etls: Etls, sink: Sink, database: psycopg.Connection[Any]) -> None:
    done = etls.do({"guests.csv": BAD}, reported("ops@example.com", "crm@example.com", "ops@example.com"))
    assert done["status"] == "DONE_WITH_ERRORS"
    assert ordered(database, done["id"]) == ["ops@example.com", "crm@example.com"]

    work(etls, done["id"], "ops@example.com")
    work(etls, done["id"], "crm@example.com")

    assert sink.recipients() == {"ops@example.com": 1, "crm@example.com": 1}
    mail = read(bytes(sink.mails[0].content or b""))
    assert mail["subject"] == "a one-shot ETL: done, with rows in error (1 of 2 rows)"
    assert mail["from"] == "no-reply@data.example.com"
    assert mail["auto-submitted"] == "auto-generated"
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "Rows: 2 read, 1 created, 0 updated, 0 unchanged, 1 in error" in text
    assert f"https://data.example.com/mass-imports{EXECUTIONS}/{done['id']}/errors" in text


def test_nobody_is_told_that_all_is_well_unless_they_want_to_know(etls: Etls, database: psycopg.Connection[Any]) -> None:
    assert ordered(database, etls.do({"guests.csv": GOOD}, reported("ops@example.com"))["id"]) == []
    assert ordered(database, etls.do({"guests.csv": GOOD}, one_file())["id"]) == []
    always = etls.do({"guests.csv": GOOD}, reported("ops@example.com", when="ALWAYS"))
    assert ordered(database, always["id"]) == ["ops@example.com"]


def test_a_failed_execution_of_a_kept_etl_says_why_and_is_kept_in_the_outbox_where_there_is_no_relay(
    etls: Etls, tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    name = "nightly <guests>"
    kept = tenant.json("POST", ETLS, {"name": name, **reported("ops@example.com")})
    failed = etls.do({"guests.csv": "emailAddress,emailAddress\n"}, path=f"{ETLS}/{kept.json()['id']}/trigger-execution")
    assert failed["status"] == "FAILED"
    assert ordered(database, failed["id"]) == ["ops@example.com"]

    work(etls, failed["id"], "ops@example.com")

    schema = schema_of(tenant, database)
    ((recipient, raw),) = database.execute(f"SELECT recipient, content FROM {schema}.outbox_mail").fetchall()
    assert recipient == "ops@example.com"
    mail = read(bytes(raw))
    assert mail["subject"] == f"ETL '{name}': FAILED (0 rows)"
    assert (
        "import.header: the column 'emailAddress' stands in the first line twice" in mail.get_body(("plain",)).get_content()
    )  # type: ignore[union-attr]
    assert "nightly &lt;guests&gt;" in mail.get_body(("html",)).get_content()  # type: ignore[union-attr]


def test_what_no_relay_takes_is_tried_again_and_what_it_refuses_is_not(etls: Etls, sink: Sink) -> None:
    sink.refuse = {"full@example.com": "452 4.2.2 mailbox full", "gone@example.com": "550 5.1.1 nobody here"}
    done = etls.do({"guests.csv": BAD}, reported("full@example.com", "gone@example.com"))
    with pytest.raises(NotTaken, match="mailbox full"):
        work(etls, done["id"], "full@example.com")
    work(etls, done["id"], "gone@example.com")
    assert sink.mails == []


def test_an_address_that_no_mail_server_takes_harms_nobody(etls: Etls, sink: Sink) -> None:
    done = etls.do({"guests.csv": BAD}, reported("not@an@address"))
    work(etls, done["id"], "not@an@address")
    assert sink.mails == []
