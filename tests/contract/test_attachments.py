"""Transactional mails with files: what arrives, what is refused, and that nothing stays behind."""

import email
import json
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from typing import Any

import httpx
import psycopg
import pytest

from tabellion.features.campaigns.endpoints.attachments import MAX_BYTES, media_type_of, name_of
from tabellion.platform.mail import Attachment, Mail, compose
from tests.contract.test_sending import outbox
from tests.support.mailing import Sink, smtp_sink
from tests.support.tenant import Tenant, schema_of
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

MAIL = "/v4/entity/hotels/mail"
BOB = {"attributes": [{"name": "emailAddress", "value": "bob@example.com"}, {"name": "lastName", "value": "Bos"}]}
BOB_XML = (
    "<contact><profile><attributes><attribute><name>emailAddress</name><value>bob@example.com</value></attribute>"
    "<attribute><name>lastName</name><value>Bos</value></attribute></attributes></profile></contact>"
)
PDF = b"%PDF-1.7\r\n\x00\xff\r\n.\r\n..\r\n"


@pytest.fixture
def active(tenant: Tenant) -> int:
    """A transactional campaign that waits for triggers."""
    number = tenant.campaign("Invoice", "TRANSACTIONAL")
    assert tenant.json("POST", f"{MAIL}/{number}/launch").json()["state"] == "ACTIVE"
    return number


def post(tenant: Tenant, number: int, files: list[tuple[str, Any]], contact: Any = None, **headers: str) -> httpx.Response:
    """The call; a contact that is no text is written as JSON."""
    said = contact if isinstance(contact, str) else json.dumps(contact or {"profile": BOB})
    parts = [("contact", (None, said)), *files]
    sent = {"Authorization": f"Bearer {tenant.api_key}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    path = f"/v4/entity/hotels/transactionalmail/{number}/contactWithAttachment"
    return tenant.client.post(path, files=parts, headers=sent)


def kept(tenant: Tenant, database: psycopg.Connection[Any]) -> int:
    """How many files wait for their mails."""
    schema = schema_of(tenant, database)
    found = database.execute(f"SELECT count(*) FROM {schema}.mail_attachment").fetchone()
    assert found is not None
    return found[0]


def attached(mail: EmailMessage) -> list[tuple[str | None, str, bytes]]:
    """Name, type and content of the files of a mail."""
    return [
        (part.get_filename(), part.get_content_type(), part.get_payload(decode=True)) for part in mail.iter_attachments()
    ]


def test_files_arrive_as_they_were_and_nothing_of_them_stays(
    tenant: Tenant, active: int, database: psycopg.Connection[Any]
) -> None:
    files = [("attachment", ("invoice.pdf", PDF, "application/pdf")), ("attachment", ("Rück schein.txt", b"", "text/plain"))]
    for contact, accept in (({"profile": BOB}, "application/json"), (BOB_XML, "application/xml")):
        answer = post(tenant, active, files, contact, Accept=accept)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith(accept)
        assert "interactionId" in answer.text
    mails = until(lambda: len(found := outbox(tenant, database)) == 2 and found)
    for address, mail in mails:
        assert (address, mail.get_content_type()) == ("bob@example.com", "multipart/mixed")
        assert attached(mail) == [("invoice.pdf", "application/pdf", PDF), ("Rück schein.txt", "text/plain", b"")]
        assert mail.get_body(("html",)) is not None
    assert kept(tenant, database) == 0


def test_files_are_kept_until_the_relay_has_taken_the_mail(
    tenant: Tenant, active: int, database: psycopg.Connection[Any]
) -> None:
    with smtp_sink() as sink:
        relay(tenant, database, sink)
        sink.refuse["bob@example.com"] = "451 later"
        number = post(tenant, active, [("attachment", ("a.pdf", PDF, "application/pdf"))]).json()["interactionId"]
        where = f"WHERE id = {number}"
        until(lambda: recipient(tenant, database, where)[0] == "DEFERRED")
        assert kept(tenant, database) == 1
        sink.refuse.clear()
        schema = schema_of(tenant, database)
        database.execute(f"UPDATE {schema}.recipient SET due_at = now() {where}")
        database.execute("UPDATE tabellion.mail_due SET from_at = now() WHERE until_at <> 'infinity'")
        until(lambda: recipient(tenant, database, where)[0] == "ACCEPTED")
        (envelope,) = sink.mails
        raw = envelope.original_content or b""
        parsed: Any = email.message_from_bytes(raw, policy=policy.default)
        assert attached(parsed) == [("a.pdf", "application/pdf", PDF)]
    assert kept(tenant, database) == 0


def test_files_of_a_mail_that_nobody_gets_are_deleted(
    tenant: Tenant, active: int, database: psycopg.Connection[Any]
) -> None:
    with smtp_sink() as sink:
        relay(tenant, database, sink)
        sink.refuse["bob@example.com"] = "451 later"
        number = post(tenant, active, [("attachment", ("a.pdf", PDF, "application/pdf"))]).json()["interactionId"]
        until(lambda: recipient(tenant, database, f"WHERE id = {number}")[0] == "DEFERRED")
        assert tenant.json("POST", f"{MAIL}/{active}/cancel").status_code == 200
        until(lambda: recipient(tenant, database, f"WHERE id = {number}") == ("EXCLUDED", "cancelled"))
        until(lambda: kept(tenant, database) == 0)


def relay(tenant: Tenant, database: psycopg.Connection[Any], sink: Sink) -> None:
    database.execute(
        "INSERT INTO tabellion.relay (licence_id, host, port, security) SELECT id, '127.0.0.1', %s, 'NONE' "
        "FROM tabellion.licence WHERE name = %s",
        (sink.port, tenant.licence),
    )


def recipient(tenant: Tenant, database: psycopg.Connection[Any], where: str) -> tuple[str, str | None]:
    """State and reason."""
    schema = schema_of(tenant, database)
    row = database.execute(f"SELECT state, reason FROM {schema}.recipient {where}").fetchone()
    assert row is not None
    return row[0], row[1]


def test_large_files_to_many_go_out_one_after_the_other(
    tenant: Tenant, active: int, database: psycopg.Connection[Any]
) -> None:
    big = bytes(range(256)) * (MAX_BYTES // 256)
    assert tenant.json("POST", f"{MAIL}/{active}/pause").status_code == 200
    assert post(tenant, active, []).json()["code"] == "campaign.state"
    assert tenant.json("POST", f"{MAIL}/{active}/resume").status_code == 200
    for _ in range(3):
        assert post(tenant, active, [("attachment", ("big.bin", big, ""))]).status_code == 200
    mails = until(lambda: len(found := outbox(tenant, database)) == 3 and found, 60)  # 30 MB, on whatever disk
    assert all(attached(mail) == [("big.bin", "application/octet-stream", big)] for _, mail in mails)
    assert kept(tenant, database) == 0


def test_a_file_without_a_name_is_sent_and_a_form_in_which_none_was_chosen_sends_none(
    tenant: Tenant, active: int, database: psycopg.Connection[Any]
) -> None:
    assert post(tenant, active, [("attachment", (None, PDF, "application/pdf"))]).status_code == 200
    mails = until(lambda: len(found := outbox(tenant, database)) == 1 and found)
    assert attached(mails[0][1]) == [("attachment-1", "application/pdf", PDF)]
    nothing = (
        b'--x\r\nContent-Disposition: form-data; name="contact"\r\n\r\n%s\r\n--x\r\n' % json.dumps({"profile": BOB}).encode()
    )
    nothing += b'Content-Disposition: form-data; name="attachment"; filename=""\r\n\r\n\r\n--x--\r\n'
    path = f"/v4/entity/hotels/transactionalmail/{active}/contactWithAttachment"
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    assert tenant.call("POST", path, content=nothing, headers=form).status_code == 200
    mails = until(lambda: len(found := outbox(tenant, database)) == 2 and found)
    assert sorted(len(attached(mail)) for _, mail in mails) == [0, 1]


@pytest.mark.parametrize(
    ("files", "contact", "status", "code"),
    [
        ([("attachment", (f"{i}.txt", b"x", "text/plain")) for i in range(11)], None, 413, "body.tooLarge"),
        ([("attachment", ("a", b"x" * (MAX_BYTES + 1), "text/plain"))], None, 413, "body.tooLarge"),
        ([("attachment", (n, b"x" * (MAX_BYTES // 2 + 1), "text/plain")) for n in "ab"], None, 413, "body.tooLarge"),
        ([("file", ("a", b"x", "text/plain"))], None, 400, "request.malformed"),
        ([], " ", 400, "member.mandatory"),
        ([], "{", 400, "request.malformed"),
        ([], '{"profile": {"attributes": [{"name": "ghost", "value": "x"}]}}', 400, "attribute.mandatory"),
        ([], "<!DOCTYPE x><contact/>", 400, "xml.doctype"),
        ([], "<contakt/>", 400, "request.malformed"),
        ([], '{"profile": {"attributes": []}, "parameters": "x"}', 400, "member.type"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent_is_refused_and_changes_nothing(
    tenant: Tenant, active: int, database: psycopg.Connection[Any], files: Any, contact: Any, status: int, code: str
) -> None:
    before = tenant.state()
    answer = post(tenant, active, files, contact)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert tenant.state() == before


def test_no_form_no_transactional_campaign(tenant: Tenant, active: int) -> None:
    path = f"/v4/entity/hotels/transactionalmail/{active}/contactWithAttachment"
    assert tenant.json("POST", path, {"profile": BOB}).status_code == 415
    continuous = tenant.campaign("Booked", "CONTINUOUS")
    assert post(tenant, continuous, []).json()["code"] == "campaign.kind"


def test_a_repetition_under_one_key_sends_once_and_another_name_is_another_mail(
    tenant: Tenant, active: int, database: psycopg.Connection[Any]
) -> None:
    files = [("attachment", ("a.pdf", PDF, "application/pdf"))]
    first = post(tenant, active, files, Idempotency_Key="k1")
    again = post(tenant, active, files, Idempotency_Key="k1")
    assert (again.json(), again.headers["idempotency-replayed"]) == (first.json(), "true")
    other = post(tenant, active, [("attachment", ("b.pdf", PDF, "application/pdf"))], Idempotency_Key="k1")
    assert other.status_code == 422
    until(lambda: len(outbox(tenant, database)) == 1)


HOSTILE = [
    "../../etc/passwd",
    'C:\\fakepath\\in"voice.pdf',
    "a\r\nBcc: victim@example.com\r\n\r\nbody",
    "a\nContent-Type: text/html",
    "x" * 3000 + ".pdf",
    "=?utf-8?q?=0D=0ABcc:_v=40example.com?=",
    "\u202egpj.exe",
    "名前 🎉.pdf",
    "; filename=other.exe",
    "a\x00b.pdf",
    "...",
    "",
    " ",
    "é" * 400,
]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_hostile_name_stays_a_name(hostile: str) -> None:
    name = name_of(hostile, 3)
    assert 1 <= len(name) <= 120
    mail = Mail(
        sender="a@example.com", recipient="b@example.com", subject="s", text=b"t", html=b"<p>h</p>",
        date=datetime(2027, 3, 1, tzinfo=UTC), message_id="1.2.3@example.com",
        attachments=(Attachment(name, "application/pdf", PDF),),
    )  # fmt: skip
    raw = compose(mail)
    plain: Any = email.message_from_bytes(
        compose(Mail(**{f: getattr(mail, f) for f in mail.__struct_fields__ if f != "attachments"})), policy=policy.default
    )
    parsed: Any = email.message_from_bytes(raw, policy=policy.default)
    assert {key for key in parsed if key != "Content-Type"} == {key for key in plain if key != "Content-Type"}
    ((read, kind, content),) = attached(parsed)
    assert (kind, content) == ("application/pdf", PDF)
    assert read is not None
    assert read.replace("_", "") == name.replace('"', "").replace("=?", "=").replace("_", "")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


@pytest.mark.parametrize(
    ("said", "name", "type_"),
    [
        ("application/pdf", "a", "application/pdf"),
        ("TEXT/Plain; charset=utf-8", "a", "text/plain"),
        ("", "a.pdf", "application/pdf"),
        ("application/octet-stream", "a.png", "image/png"),
        ("text/html\r\nX: y", "a", "application/octet-stream"),
        ("message/rfc822", "a.eml", "application/octet-stream"),
        ("multipart/mixed", "a", "application/octet-stream"),
        ("nonsense", "a.weird", "application/octet-stream"),
    ],
)
def test_types_are_types_or_taken_from_the_name(said: str, name: str, type_: str) -> None:
    assert media_type_of(said, name) == type_
