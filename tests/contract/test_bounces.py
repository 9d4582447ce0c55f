"""Bounces and complaints, from the SMTP conversation to the report and to what follows."""

import smtplib
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabellion.features.bounces import Rules, intake
from tabellion.features.tables import render_moment
from tests.contract.test_mail_news import subscribe, told
from tests.contract.test_sending import MAIL, PROFILES, state
from tests.support.bounce_corpus import BODY, ORIGINAL, Head, _plain, complaint, exim, gmail, postfix
from tests.support.bounce_replies import Said
from tests.support.database_proxy import proxied
from tests.support.mailing import Sink, taking_bounces
from tests.support.tenant import Tenant, schema_of
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

HARD = Said("postfix", "HARD", "5.1.1", "550 5.1.1 <{to}>: Recipient address rejected: User unknown")
FULL = Said("gmail", "SOFT", "5.2.2", "552 5.2.2 The recipient's inbox is out of storage space. Mailbox full")
SPAM = Said("gmail", "BLOCK", "5.7.1", "550 5.7.1 This message is likely unsolicited mail and has been blocked")
RULES = Rules(soft_bounces=2, within=timedelta(days=10))


@pytest.fixture(scope="module")
def door(worker_database_url: str) -> Iterator[int]:
    """The port that bounces come in by."""
    with taking_bounces(worker_database_url, rules=RULES) as port:
        yield port


@contextmanager
def talking(port: int) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", port, timeout=30) as smtp:
        smtp.ehlo("mx.example.net")
        yield smtp


def hand_in(port: int, to: str, raw: bytes) -> tuple[int, bytes]:
    """Hand a bounce in, as a mail server does; what is answered."""
    with talking(port) as smtp:
        smtp.mail("")
        code, text = smtp.rcpt(to)
        return (code, text) if code != 250 else smtp.data(raw)


@pytest.fixture
def backs(tenant: Tenant, database: psycopg.Connection[Any], sink: Sink) -> dict[str, str]:
    """A campaign that went to six guests for a subscription: where the mail of each comes back to."""
    database.execute(
        "INSERT INTO tabellion.sender (entity_id, name, address, bounce_domain) SELECT e.id, 'H', 'news@example.com', "
        "'bounces.example.com' FROM tabellion.entity e JOIN tabellion.licence l ON l.id = e.licence_id WHERE l.name = %s",
        (tenant.licence,),
    )
    for i in range(6):
        body = {
            "key": {"emailAddress": f"G{i}@example.com"}, "attributes": {"lastName": "G"}, "subscriptions": {"Newsletter": True}
        }  # fmt: skip
        assert tenant.json("PUT", PROFILES, body).status_code == 201
    return send(tenant, sink, "SpringOffer")


def send(tenant: Tenant, sink: Sink, name: str) -> dict[str, str]:
    number = tenant.campaign(name)
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {"subscription": "Newsletter"}).status_code == 200
    sink.mails.clear()
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: state(tenant, number) == "FINISHED")
    return {mail.rcpt_tos[0].lower(): mail.mail_from for mail in sink.mails}


def counts(tenant: Tenant, name: str = "SpringOffer") -> tuple[int, ...]:
    report = tenant.json("GET", f"{MAIL}/{name}/report").json()
    assert report["targeted"] == sum(report["excluded"].values()) + report["sent"] + report["uncertain"]
    return tuple(report[each] for each in ("sent", "delivered", "softBounces", "hardBounces", "complaints"))


def suppressed(tenant: Tenant, database: psycopg.Connection[Any]) -> dict[str, str]:
    schema = schema_of(tenant, database)
    return dict(database.execute(f"SELECT address, reason FROM {schema}.suppression").fetchall())


def test_bounces_and_complaints_are_noted_once_and_have_their_consequences(
    tenant: Tenant, database: psycopg.Connection[Any], sink: Sink, door: int, backs: dict[str, str]
) -> None:
    assert counts(tenant) == (6, 6, 0, 0, 0)
    said = {"g0": postfix(HARD), "g1": gmail(FULL), "g2": exim(SPAM), "g3": complaint()}
    for _ in range(2):  # Whoever was not answered in time sends it again.
        for who, raw in said.items():
            assert hand_in(door, backs[f"{who}@example.com"].upper(), raw)[0] == 250
    # An absence, and a warning that it takes longer, say nothing about the address.
    away = _plain(Head("G <g4@example.com>", "Automatische Antwort: Urlaub"), "Ich bin nicht im Büro.")
    assert hand_in(door, backs["g4@example.com"], away)[0] == 250
    assert counts(tenant) == (6, 3, 2, 1, 1)
    assert suppressed(tenant, database) == {"g0@example.com": "HARD_BOUNCE", "g3@example.com": "COMPLAINT"}
    outcomes, events = {}, {}
    for i in range(6):
        path = f"/v4/entity/hotels/table/Guests/profile/emailAddress=g{i}@example.com"
        (interaction,) = tenant.json("GET", f"{path}/interaction").json()["interactions"]
        outcomes[i], events[i] = interaction["outcome"], [event["type"] for event in interaction.get("events", [])]
    assert outcomes == {0: "HARD_BOUNCE", 1: "SOFT_BOUNCE", 2: "SOFT_BOUNCE", 3: "DELIVERED", 4: "DELIVERED", 5: "DELIVERED"}
    assert events == {0: ["HARD_BOUNCE"], 1: ["SOFT_BOUNCE"], 2: ["SOFT_BOUNCE"], 3: ["COMPLAINT"], 4: [], 5: []}
    # Who called it spam has left the subscription, too; the others have not.
    held = [
        tenant.json("GET", f"{PROFILES}/emailAddress=g{i}@example.com").json()["subscriptions"]["Newsletter"]
        for i in range(6)
    ]
    assert held == [True, True, True, False, True, True]
    details = database.execute(
        f"SELECT e.type, split_part(e.detail, ':', 1) FROM {schema_of(tenant, database)}.mail_event e ORDER BY e.recipient_id".encode()
    ).fetchall()
    assert details == [
        ("HARD_BOUNCE", "5.1.1"),
        ("SOFT_BOUNCE", "5.2.2"),
        ("SOFT_BOUNCE", "BLOCK 5.7.1"),
        ("COMPLAINT", "abuse, told by Yahoo!-Mail-Feedback/2.0"),
    ]
    # Who comes back after that is not made to leave by the same complaint.
    g3 = f"{PROFILES}/emailAddress=g3@example.com"
    assert tenant.json("PATCH", g3, {"subscriptions": {"Newsletter": True}}).status_code == 200
    assert hand_in(door, backs["g3@example.com"], said["g3"])[0] == 250
    assert tenant.json("GET", g3).json()["subscriptions"]["Newsletter"] is True

    again = send(tenant, sink, "Second")
    assert set(again) == {f"g{i}@example.com" for i in (1, 2, 4, 5)}
    # A second soft bounce is one too many here; that the receiver blocks us is not the address's fault.
    assert hand_in(door, again["g1@example.com"], postfix(FULL))[0] == 250
    assert hand_in(door, again["g2@example.com"], exim(SPAM))[0] == 250
    assert counts(tenant, "Second") == (4, 2, 2, 0, 0)
    assert suppressed(tenant, database)["g1@example.com"] == "SOFT_BOUNCE"
    assert "g2@example.com" not in suppressed(tenant, database)
    assert set(send(tenant, sink, "Third")) == {f"g{i}@example.com" for i in (2, 4, 5)}


def test_a_hard_bounce_takes_the_place_of_a_soft_one_and_not_the_reverse(
    tenant: Tenant, door: int, backs: dict[str, str]
) -> None:
    for raw, expected in ((postfix(FULL), (1, 0)), (postfix(HARD), (0, 1)), (postfix(FULL), (0, 1))):
        assert hand_in(door, backs["g5@example.com"], raw)[0] == 250
        assert counts(tenant)[2:4] == expected


def test_only_what_is_for_this_server_is_taken(
    tenant: Tenant, door: int, backs: dict[str, str], database: psycopg.Connection[Any]
) -> None:
    before = tenant.state()
    good = backs["g0@example.com"]
    forged = [
        "ann@example.com",
        "postmaster@bounces.example.com",
        "b-@bounces.example.com",
        good[:10] + "a" * 39 + good[49:],
    ]
    forged += [good[:i] + ("a" if good[i] != "a" else "b") + good[i + 1 :] for i in range(2, 48)]
    with talking(door) as smtp:
        smtp.mail("")
        assert {smtp.rcpt(address)[0] for address in forged} == {550}
        assert smtp.docmd("DATA")[0] == 503
    assert hand_in(door, "abuse@bounces.example.com", b"Subject: hello\r\n\r\nAre you there?\r\n")[0] == 550
    # A complaint that names nobody's mail, or several people's, is taken note of, and nothing else.
    assert hand_in(door, "fbl@bounces.example.com", complaint())[0] == 250
    two = ORIGINAL + f"X-Also: <{good}>\r\nX-And: <{backs['g1@example.com']}>\r\n\r\n"
    assert hand_in(door, "fbl@bounces.example.com", complaint(original=two))[0] == 250
    assert tenant.state() == before


def test_complaints_to_the_common_address_are_told_by_the_seals_of_the_mail(
    tenant: Tenant, database: psycopg.Connection[Any], sink: Sink, door: int, backs: dict[str, str]
) -> None:
    mails = {mail.rcpt_tos[0].lower(): mail.content for mail in sink.mails}
    inner = mails["g2@example.com"].decode().replace("G2@example.com", "redacted")
    assert hand_in(door, "FBL@bounces.example.com", complaint(original=inner))[0] == 250
    assert suppressed(tenant, database) == {"g2@example.com": "COMPLAINT"}
    head = f"Return-Path: <{backs['g4@example.com']}>\r\n{ORIGINAL.split(chr(10), 1)[1]}\r\n{BODY}"
    # Complaints to another domain may be passed on to the door.
    assert hand_in(door, "abuse@hotels.example", complaint("fraud", original=head))[0] == 250
    assert set(suppressed(tenant, database)) == {"g2@example.com", "g4@example.com"}
    assert counts(tenant) == (6, 6, 0, 0, 2)


def test_a_campaign_that_too_many_call_spam_is_held_once(
    tenant: Tenant, database: psycopg.Connection[Any], sink: Sink, door: int, backs: dict[str, str]
) -> None:
    sink.refuse = {"ann@example.com": "451 4.3.0 later"}  # so that it goes on
    number = tenant.campaign("Angry")
    sink.mails.clear()
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: len(sink.mails) == 6)
    until(lambda: counts_pending(tenant, number) == 1)
    angry = [mail.mail_from for mail in sink.mails]
    for address in angry[:4]:
        assert hand_in(door, address, complaint())[0] == 250
    assert state(tenant, number) == "IN_PROGRESS"
    assert hand_in(door, angry[4], complaint())[0] == 250
    assert state(tenant, number) == "PAUSED"
    assert tenant.json("GET", f"{MAIL}/{number}").json()["pausedBecause"].startswith("too many complaints: ")
    assert tenant.json("POST", f"{MAIL}/{number}/resume").status_code == 200
    assert hand_in(door, angry[5], complaint())[0] == 250
    assert state(tenant, number) == "IN_PROGRESS"
    (row,) = database.execute(
        "SELECT actor, route FROM tabellion.audit WHERE object = %s AND actor = 'server'", (f"campaign/{number}",)
    )
    assert row == ("server", "campaign pause: complaints")


def counts_pending(tenant: Tenant, number: int) -> int:
    report = tenant.json("GET", f"{MAIL}/{number}/report").json()
    return report["pending"] if report["sent"] == 6 else -1


def test_a_mail_that_nobody_knew_about_has_left_when_it_comes_back(
    tenant: Tenant, database: psycopg.Connection[Any], door: int, backs: dict[str, str]
) -> None:
    schema = schema_of(tenant, database)
    subscribe(tenant, "SENT", "*")
    subscribe(tenant, "HARD_BOUNCE", "*")
    database.execute(f"UPDATE {schema}.recipient SET state = 'UNCERTAIN' WHERE lower(address) = 'g0@example.com'")
    assert counts(tenant) == (5, 5, 0, 0, 0)
    for guest in (0, 0, 1):
        assert hand_in(door, backs[f"g{guest}@example.com"], postfix(HARD))[0] == 250
    assert counts(tenant) == (6, 4, 0, 2, 0)
    # That the other one had left was known, and nobody listened then.
    heard = [(each["eventType"], each["emailAddress"].lower()) for each in told(tenant, database)]
    assert heard == [("SENT", "g0@example.com"), ("HARD_BOUNCE", "g0@example.com"), ("HARD_BOUNCE", "g1@example.com")]


def test_tests_bounce_into_no_report(
    tenant: Tenant, database: psycopg.Connection[Any], sink: Sink, door: int, backs: dict[str, str]
) -> None:
    sink.mails.clear()
    assert tenant.json("POST", f"{MAIL}/SpringOffer/test", {"recipients": ["me@example.com"]}).status_code == 200
    until(lambda: sink.mails)
    assert hand_in(door, sink.mails[0].mail_from, postfix(HARD))[0] == 250
    assert counts(tenant) == (6, 6, 0, 0, 0)
    assert suppressed(tenant, database) == {"me@example.com": "HARD_BOUNCE"}
    assert database.execute(f"SELECT FROM {schema_of(tenant, database)}.mail_event".encode()).fetchall() == []


def test_a_bounce_that_holds_a_large_mail_is_read_from_its_beginning(
    tenant: Tenant, database: psycopg.Connection[Any], door: int, backs: dict[str, str]
) -> None:
    before, end, boundary = postfix(HARD).rpartition(b"\r\n--")
    whole = before + (b"\r\n" + b"x" * 70_000 + b"\r\n." + b"y" * 997) * 100 + end + boundary
    assert len(whole) > 7_000_000
    with talking(door) as smtp:
        smtp.mail("")
        assert smtp.rcpt(backs["g0@example.com"])[0] == 250
        assert smtp.data(whole)[0] == 250
        # The end was found where it is.
        smtp.mail("")
        smtp.rcpt(backs["g1@example.com"])
        assert smtp.docmd("DATA")[0] == 354
        smtp.send("..one line\r\n.\r\n")
        assert smtp.getreply()[0] == 250
        smtp.mail("")
        smtp.rcpt(backs["g1@example.com"])
        assert smtp.docmd("DATA")[0] == 354
        assert smtp.docmd(".")[0] == 250
        assert smtp.docmd("DATA")[0] == 503
    assert suppressed(tenant, database) == {"g0@example.com": "HARD_BOUNCE"}
    # What comes back without words is a soft one.
    assert counts(tenant)[2:4] == (1, 1)


def test_hostile_peers_get_nothing_and_keep_nobody_out(
    tenant: Tenant, door: int, backs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = backs["g0@example.com"]
    with talking(door) as smtp:
        assert smtp.docmd("MAIL", "FROM:<> SIZE=99999999")[0] == 552
        smtp.mail("")
        assert [smtp.rcpt(good)[0] for _ in range(12)] == [250] * 10 + [452] * 2
        smtp.rset()
        smtp.mail("")
        smtp.rcpt(good)
        with monkeypatch.context() as patch:
            patch.setattr(intake, "_MOST_BYTES", 5_000_000)
            code, _ = smtp.data(b"Subject: x\r\n\r\n" + (b"x" * 1000 + b"\r\n") * 6000)
        assert code == 552
        smtp.mail("")
        smtp.rcpt(good)
        assert smtp.data(postfix(FULL))[0] == 250
    # A line without an end is not kept for ever.
    with socket.create_connection(("127.0.0.1", door), timeout=30) as peer:
        for line in (b"EHLO x\r\n", b"MAIL FROM:<>\r\n", f"RCPT TO:<{good}>\r\n".encode(), b"DATA\r\n"):
            peer.sendall(line)
        # Far more than the kernel keeps on its own account.
        assert not swallows(peer, 200 * 1024 * 1024)
    idle = [socket.create_connection(("127.0.0.1", door), timeout=10) for _ in range(14)]
    try:
        first = [connection.recv(100)[:3] for connection in idle]
        assert first == [b"220"] * 10 + [b"421"] * 4
    finally:
        for connection in idle:
            connection.close()
    until(lambda: hand_in_quietly(door, good) == 250)
    assert counts(tenant)[2:4] == (1, 0)


def swallows(peer: socket.socket, octets: int) -> bool:
    """Whether a peer may send so much."""
    try:
        for _ in range(octets // 65_536):
            peer.sendall(b"x" * 65_536)
    except OSError:
        return False
    return True


def hand_in_quietly(door: int, to: str) -> int:
    try:
        return hand_in(door, to, postfix(FULL))[0]
    except smtplib.SMTPException:
        return 0


def test_a_bounce_is_not_taken_before_it_is_noted(
    tenant: Tenant, worker_database_url: str, database: psycopg.Connection[Any], door: int, backs: dict[str, str]
) -> None:
    schema = schema_of(tenant, database)
    with psycopg.connect(worker_database_url) as blocking:
        blocking.execute(f"LOCK TABLE {schema}.mail_event IN EXCLUSIVE MODE")
        # Until the lock's time is over it cannot be noted; it has to come again.
        assert hand_in(door, backs["g0@example.com"], postfix(HARD))[0] == 451
    assert counts(tenant)[3] == 0
    assert hand_in(door, backs["g0@example.com"], postfix(HARD))[0] == 250
    assert counts(tenant)[3] == 1


def test_while_the_database_is_away_bounces_have_to_come_again(
    tenant: Tenant, worker_database_url: str, backs: dict[str, str]
) -> None:
    with (
        # The path of a socket has room for 100 letters.
        tempfile.TemporaryDirectory() as folder,
        proxied(worker_database_url, Path(folder)) as way,
        taking_bounces(way.url, rules=RULES, wait_s=0.2) as port,
    ):
        assert hand_in(port, backs["g0@example.com"], postfix(HARD))[0] == 250
        way.cut()
        assert hand_in(port, backs["g1@example.com"], postfix(HARD))[0] == 451
        assert counts(tenant)[3] == 1
        way.away = False
        until(lambda: hand_in(port, backs["g1@example.com"], postfix(HARD))[0] == 250)
    assert counts(tenant)[3] == 2


def tell(tenant: Tenant, *bounces: dict[str, Any]) -> list[Any]:
    answer = tenant.json("POST", "/v5/bounces", {"bounces": list(bounces)})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert (found["accepted"], found["rejected"]) == (
        sum("code" not in each for each in found["bounces"]),
        sum("code" in each for each in found["bounces"]),
    )
    return [each.get("code") or each["takenFor"] for each in found["bounces"]]


def test_providers_tell_of_bounces_and_what_they_tell_twice_counts_once(
    tenant: Tenant, database: psycopg.Connection[Any], sink: Sink, backs: dict[str, str], other_tenant: Tenant
) -> None:
    schema = schema_of(tenant, database)
    rows = database.execute(f"SELECT lower(address), id, sending_id FROM {schema}.recipient").fetchall()
    ids = {row[0]: row[1] for row in rows}
    message = {mail.rcpt_tos[0].lower(): message_id(mail.content) for mail in sink.mails}
    for _ in range(2):
        assert tell(
            tenant,
            {"type": "HARD_BOUNCE", "interactionId": ids["g0@example.com"], "address": "G0@example.com", "moment": "2026-11-01T10:00:00Z"},
            {"type": "complaint", "messageId": message["g1@example.com"], "reason": "abuse"},
            {"type": "BOUNCE", "interactionId": str(ids["g2@example.com"]), "status": "5.2.2", "reason": "552 mailbox\r\nfull", "moment": "2099-01-01T10:00:00Z"},
            {"type": "BOUNCE", "interactionId": str(ids["g3@example.com"]), "reason": "550 5.7.1 blocked as spam"},
            {"type": "SOFT_BOUNCE", "interactionId": ids["g4@example.com"], "address": "other@example.com"},
            {"type": "SOFT_BOUNCE", "messageId": message["g4@example.com"].replace("<", "<9")},
            {"type": "SOFT_BOUNCE", "address": "somebody@example.com", "moment": "2026-11-01T10:00:00Z"},
            {"type": "SOFT_BOUNCE"},
            {"type": "SOFT_BOUNCE", "messageId": "<1.2@example.com>"},
            {"type": "SOFT_BOUNCE", "address": "a@example.com", "moment": "yesterday"},
            {"type": "SOFT_BOUNCE", "address": "a@example.com\r\nBcc: x@example.com"},
        ) == [
            "HARD_BOUNCE", "COMPLAINT", "SOFT_BOUNCE", "BLOCK", "attribute.value", "interaction.unknown", "SOFT_BOUNCE", "member.mandatory",
            "interaction.unknown", "attribute.type", "attribute.value",
        ]  # fmt: skip
    assert counts(tenant) == (6, 3, 2, 1, 1)
    assert suppressed(tenant, database) == {"g0@example.com": "HARD_BOUNCE", "g1@example.com": "COMPLAINT"}
    path = "/v4/entity/hotels/table/Guests/profile/emailAddress=g0@example.com/interaction"
    (interaction,) = tenant.json("GET", path).json()["interactions"]
    assert interaction["events"] == [{"type": "HARD_BOUNCE", "moment": "2026-11-01T10:00:00.000Z"}]
    said = database.execute(
        f"SELECT detail, moment <= now() FROM {schema}.mail_event WHERE recipient_id = %s", (ids["g2@example.com"],)
    )
    assert said.fetchall() == [("5.2.2: 552 mailbox full", True)]
    noted = database.execute(
        "SELECT a.note FROM tabellion.audit a JOIN tabellion.licence l ON l.id = a.licence_id "
        "WHERE l.name = %s AND a.object = 'bounces'",
        (tenant.licence,),
    )
    assert noted.fetchall() == [("5 events",)] * 2
    # Another licence names its own mails only.
    assert tell(other_tenant, {"type": "HARD_BOUNCE", "messageId": message["g5@example.com"]}) == ["interaction.unknown"]
    assert counts(tenant) == (6, 3, 2, 1, 1)
    assert tenant.json("POST", "/v5/bounces", {"bounces": [{"type": "x"}] * 1001}).status_code == 400


def test_who_reads_the_log_of_the_relay_settles_what_was_uncertain(
    tenant: Tenant, database: psycopg.Connection[Any], sink: Sink, backs: dict[str, str], other_tenant: Tenant
) -> None:
    message = {mail.rcpt_tos[0].lower(): message_id(mail.content) for mail in sink.mails}
    database.execute(
        f"UPDATE {schema_of(tenant, database)}.recipient SET state = 'UNCERTAIN', reason = 'uncertain' "
        "WHERE lower(address) IN ('g0@example.com', 'g1@example.com')"
    )

    def uncertain() -> int:
        return tenant.json("GET", f"{MAIL}/SpringOffer/report").json()["uncertain"]

    assert (counts(tenant)[0], uncertain()) == (4, 2)
    found = [{"type": "ACCEPTED", "messageId": message[f"g{i}@example.com"]} for i in (0, 2)]
    # Whose log it is, others' mails are not in it; and an address alone says nothing of which mail.
    assert tell(other_tenant, found[0]) == ["interaction.unknown"]
    assert tell(tenant, {"type": "ACCEPTED", "address": "g0@example.com"}) == ["member.mandatory"]
    assert uncertain() == 2
    for _ in range(2):
        assert tell(tenant, *found) == ["ACCEPTED", "ACCEPTED"]
    assert (counts(tenant), uncertain()) == ((5, 5, 0, 0, 0), 1)


def test_a_mail_was_accepted_at_the_moment_that_is_told(
    tenant: Tenant, database: psycopg.Connection[Any], sink: Sink, backs: dict[str, str]
) -> None:
    schema = schema_of(tenant, database)
    planned = datetime(2026, 3, 2, 9, tzinfo=UTC)
    given_up, now = planned + timedelta(hours=1), datetime.now(UTC)
    database.execute(
        f"UPDATE {schema}.recipient SET state = 'UNCERTAIN', reason = 'uncertain', planned_at = %s, ended_at = %s",
        (planned, given_up),
    )
    subscribe(tenant, "SENT", "*")
    subscribe(tenant, "HARD_BOUNCE", "*")
    accepted = {
        "g0@example.com": "2026-03-02T09:00:07Z",
        "g1@example.com": "2026-03-02T08:59:58Z",
        "g2@example.com": f"{now + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
        "g3@example.com": None,
    }
    message = {mail.rcpt_tos[0].lower(): message_id(mail.content) for mail in sink.mails}
    events = [{"type": "ACCEPTED", "messageId": message[to], "moment": moment} for to, moment in accepted.items()]
    # Who sends it back has had it by then.
    events.append({"type": "HARD_BOUNCE", "messageId": message["g4@example.com"], "moment": "2026-03-02T09:20:00Z"})
    for _ in range(2):
        assert tell(tenant, *events) == ["ACCEPTED"] * 4 + ["HARD_BOUNCE"]
    rows = database.execute(f"SELECT lower(address), ended_at FROM {schema}.recipient WHERE state = 'ACCEPTED'").fetchall()
    found = dict(rows)
    # What is to come has not happened yet.
    assert now <= found["g2@example.com"] < now + timedelta(minutes=5)
    assert found == {
        "g0@example.com": planned + timedelta(seconds=7),
        # The clock of the relay is behind.
        "g1@example.com": planned,
        "g2@example.com": found["g2@example.com"],
        "g3@example.com": given_up,
        "g4@example.com": planned + timedelta(minutes=20),
    }
    moments = {address: render_moment(moment) for address, moment in found.items()}
    heard = [(each["eventType"], each["emailAddress"].lower(), each["moment"]) for each in told(tenant, database)]
    assert heard == [
        *(("SENT", address, moments[address]) for address in (*accepted, "g4@example.com")),
        ("HARD_BOUNCE", "g4@example.com", moments["g4@example.com"]),
    ]


def message_id(content: bytes) -> str:
    return next(
        line.split(b": ", 1)[1].decode() for line in content.splitlines() if line.lower().startswith(b"message-id: ")
    )


def test_the_list_is_paged_filtered_and_goes_out_and_in_as_csv(tenant: Tenant) -> None:
    rows = "address,reason,since\n" + "".join(
        f"p{i:03}@{'a' if i % 3 else 'b'}.example,,2026-0{i % 9 + 1}-01\n" for i in range(250)
    )
    added = tenant.call("POST", "/v5/suppressions", content=rows, headers={"Content-Type": "text/csv; charset=utf-8"})
    assert added.json() == {"added": 250, "known": 0}
    assert tenant.json("PUT", "/v5/suppressions/p001@a.example", {"reason": "COMPLAINT", "detail": "=1"}).status_code == 200

    def all_of(query: str) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            answer = tenant.json("GET", f"/v5/suppressions?{query}&cursor={cursor}")
            assert answer.status_code == 200, answer.text
            found += [each["address"] for each in answer.json()["suppressions"]]
            cursor = answer.json()["nextCursor"]
            if cursor is None:
                return found

    everybody = sorted(f"p{i:03}@{'a' if i % 3 else 'b'}.example" for i in range(250))
    assert all_of("limit=37") == everybody
    assert all_of("limit=37&domain=B.example") == [each for each in everybody if each.endswith("@b.example")]
    assert all_of("reason=complaint") == ["p001@a.example"]
    assert len(all_of("from=2026-03-01&to=2026-05-01")) == 56
    cursor = tenant.json("GET", "/v5/suppressions?limit=5").json()["nextCursor"]
    assert tenant.json("GET", f"/v5/suppressions?domain=a.example&cursor={cursor}").json()["code"] == "cursor.invalid"
    for wrong in ("reason=ANGRY", "domain=-"):
        assert tenant.json("GET", f"/v5/suppressions?{wrong}").json()["code"] == "parameter.invalid"
    assert tenant.json("GET", "/v5/suppressions?limit=250").json()["nextCursor"] is None
    exported = tenant.call("GET", "/v5/suppression-export")
    assert exported.headers["content-type"] == "text/csv;charset=UTF-8"
    assert len(exported.text.splitlines()) == 251
    assert exported.text.count(",'=1,") == 1
    assert tenant.call(
        "POST", "/v5/suppressions", content=exported.content, headers={"Content-Type": "text/csv"}
    ).json() == {"added": 0, "known": 250}
    for wrong in ("", "[]", "x"):
        answer = tenant.call("POST", "/v5/suppressions", content=wrong, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text
    assert tenant.call("POST", "/v5/suppressions", content="\xff", headers={"Content-Type": "text/plain"}).status_code == 415
    assert tenant.json("GET", "/v5/suppressions/a%00b").status_code == 404
    assert tenant.json("DELETE", "/v5/suppressions/a%00b").status_code == 404


def test_whoever_is_put_on_the_list_gets_nothing_that_has_not_left(
    tenant: Tenant, sink: Sink, backs: dict[str, str]
) -> None:
    assert tenant.json("PUT", "/v5/suppressions/G3@example.com").status_code == 200
    assert "g3@example.com" not in send(tenant, sink, "Second")
    assert tenant.json("DELETE", "/v5/suppressions/g3@EXAMPLE.com").status_code == 204
    assert "g3@example.com" in send(tenant, sink, "Third")
