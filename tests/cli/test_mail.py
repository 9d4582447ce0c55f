"""`relay`, `sender` and `suppression`."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result

from tests.support.mailing import smtp_sink

Told = Callable[..., Any]
Refused = Callable[..., str]


@pytest.fixture
def harbour(told: Told) -> str:
    told("licence", "create", "harbour")
    told("entity", "create", "harbour", "hotels")
    return "harbour"


def test_relays_are_added_changed_and_removed(told: Told, refused: Refused, harbour: str) -> None:
    made = told("relay", "add", harbour, "SMTP.example.com", "--login", "harbour")
    assert made == {
        "done": "added", "id": made["id"], "host": "smtp.example.com", "port": 587, "security": "STARTTLS", "login": "harbour", "weight": 1,
        "connections": 10,
    }  # fmt: skip
    changed = told("relay", "add", harbour, "smtp.example.com", "--weight", "3", "--security", "tls")
    assert changed == made | {"done": "changed", "weight": 3, "security": "TLS"}
    assert "security" in refused("relay", "add", harbour, "smtp.example.com", "--security", "SSL")
    assert "port" in refused("relay", "add", harbour, "smtp.example.com", "--port", "70000")
    assert "TLS" in refused("relay", "add", harbour, "smtp.example.com", "--security", "none", "--login", "harbour")
    assert "no relay 99; tabellion relay list shows them" in refused("relay", "remove", harbour, "99")
    assert "no relay other.example.com; " in refused("relay", "remove", harbour, "other.example.com")
    again = told("relay", "add", harbour, "smtp.example.com", "--port", "465")["id"]
    assert f"by its id, {made['id']} or {again}" in refused("relay", "remove", harbour, "smtp.example.com")
    told("relay", "remove", harbour, str(again))
    assert told("relay", "remove", harbour, "SMTP.example.com") == {"removed": made["id"], "mails": "WAIT"}
    assert told("relay", "list", harbour)["relays"] == []


def test_what_is_not_named_of_a_relay_stays(
    told: Told, refused: Refused, verb: Callable[..., Result], harbour: str, database_url: str
) -> None:
    def password() -> str:
        with psycopg.connect(database_url) as db:
            return db.execute("SELECT password FROM tabellion.relay WHERE port = 465").fetchall()[0][0]

    with smtp_sink() as sink:
        first = json.loads(
            verb(
                "relay", "add", harbour, "smtp.example.com", "--port", "465", "--security", "TLS", "--login", "me",
                "--password-stdin", "--weight", "7", "--json", stdin="secret\n",
            ).stdout
        )  # fmt: skip
        sealed = password()
        assert sealed
        # The host has one relay, so that its port need not be named again.
        faster = told("relay", "add", harbour, "smtp.example.com", "--connections", "32")
        assert faster == first | {"done": "changed", "connections": 32}
        assert password() == sealed
        assert told("relay", "add", harbour, "smtp.example.com", "--port", "587")["done"] == "added"
        assert "--port 465 or 587" in refused("relay", "add", harbour, "smtp.example.com", "--weight", "2")
        assert "TLS" in refused("relay", "add", harbour, "smtp.example.com", "--port", "465", "--security", "NONE")
        assert "--login" in refused("relay", "add", harbour, "127.0.0.1", "--password-stdin", stdin="secret\n")
        # What should have told the password, such as a vault, has failed.
        for nothing in ("", "\n"):
            again = ("relay", "add", harbour, "smtp.example.com", "--port", "465", "--password-stdin")
            assert "no password" in refused(*again, stdin=nothing)
        assert password() == sealed
        nobody = told("relay", "add", harbour, "smtp.example.com", "--port", "465", "--login", "")
        assert (nobody, password()) == (faster | {"login": ""}, "")
        assert len(told("relay", "list", harbour)["relays"]) == 2
        assert sink.mails == []


def test_what_is_no_host_is_no_relay(refused: Refused, told: Told, harbour: str) -> None:
    for host, why in (
        ("http://x", "of the web"), ("smtp.example.com:25", "--port 25"), ("me@example.com", "mailbox"), ("a b", "no name"),
        ("x-.example", "no name"), ("300.1.1.1", "no name"), ("", "no name"), (".", "no name"), ("a" * 64, "no name"),
        (".".join(["a" * 60] * 5), "no name"), ("smtp/example", "no name"), ("a\nb", "no name"),
    ):  # fmt: skip
        assert why in refused("relay", "add", harbour, host)
    assert told("relay", "list", harbour) == {"mails": "OUTBOX", "relays": []}


def test_hosts_are_names_and_addresses(told: Told, harbour: str) -> None:
    hosts = ["192.0.2.25", "2001:DB8::25", "[2001:db8::25]", "localhost", "mail_relay", "Smtp.Exämple.com"]
    assert [told("relay", "add", harbour, host)["host"] for host in hosts] == [
        "192.0.2.25", "2001:db8::25", "2001:db8::25", "localhost", "mail_relay", "smtp.xn--exmple-cua.com",
    ]  # fmt: skip


def test_without_a_relay_mails_wait_unless_somebody_says_otherwise(
    told: Told, refused: Refused, verb: Callable[..., Result], harbour: str
) -> None:
    def doctor() -> list[dict[str, str]]:
        return [one for one in json.loads(verb("doctor", "--json").stdout) if one["check"] == "relay"]

    assert told("relay", "list", harbour)["mails"] == "OUTBOX"
    with smtp_sink() as sink:
        number = told("relay", "add", harbour, "127.0.0.1", "--port", str(sink.port), "--security", "NONE")["id"]
        assert told("relay", "list", harbour)["mails"] == "LEAVE"
        assert "relay remove" in refused("relay", "outbox", harbour)
    assert told("relay", "remove", harbour, str(number)) == {"removed": number, "mails": "WAIT"}
    assert told("relay", "list", harbour) == {"mails": "WAIT", "relays": []}
    assert "relay outbox" in verb("relay", "list", harbour).stdout
    (found,) = doctor()
    assert (found["state"], found["found"]) == ("warning", "no relay any more: harbour")
    assert "relay add" in found["advice"]
    for _ in range(2):
        assert told("relay", "outbox", harbour) == {"mails": "OUTBOX"}
    assert (told("relay", "list", harbour)["mails"], doctor()) == ("OUTBOX", [])


def test_the_doctor_tries_the_relays(told: Told, verb: Callable[..., Result], harbour: str) -> None:
    def found() -> list[dict[str, str]]:
        listed = json.loads(verb("doctor", "--json").stdout)
        return [one for one in listed if one["check"] in {"relay", "relays"}]

    assert found() == []
    with smtp_sink() as sink, socket.create_server(("127.0.0.1", 0)) as gone:
        closed = gone.getsockname()[1]
        gone.close()
        told("licence", "create", "inn")
        for licence in ("harbour", "inn"):
            told("relay", "add", licence, "127.0.0.1", "--port", str(sink.port), "--security", "NONE")
        assert [(one["state"], one["found"]) for one in found()] == [("ok", "1 of 1 can be reached")]
        for licence in ("harbour", "inn"):
            told("relay", "add", licence, "127.0.0.1", "--port", str(closed), "--security", "NONE")
        wrong, in_all = found()
    assert wrong["state"] == in_all["state"] == "warning"
    assert wrong["found"].startswith(f"no connection to 127.0.0.1:{closed}: ")
    assert wrong["advice"] == "mails of harbour, inn wait, or go by other relays"
    assert in_all["found"] == "1 of 2 can be reached"


def test_the_doctor_names_campaigns_that_a_relay_refuses(
    told: Told, verb: Callable[..., Result], harbour: str, database_url: str
) -> None:
    number = told("relay", "add", harbour, "127.0.0.1", "--port", "9", "--security", "NONE")["id"]
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute(
            """
WITH c AS (INSERT INTO tabellion.campaign (licence_id, entity_id, table_id, name, kind, settings, created_at, updated_at)
    SELECT l.id, e.id, NULL, 'Spring', 'MASS', '{}', now(), now() FROM tabellion.licence l
    JOIN tabellion.entity e ON e.licence_id = l.id WHERE l.name = %s LIMIT 1 RETURNING id, licence_id
), s AS (INSERT INTO tabellion.sending (licence_id, campaign_id, test, state, document, created_at)
    SELECT licence_id, id, false, 'RUNNING', '{}', now() FROM c RETURNING id
), w AS (INSERT INTO tabellion.mail_worker (seen_at) VALUES (now()) RETURNING id)
INSERT INTO tabellion.mail_trouble SELECT w.id, %s, s.id, 'smtp says: 554 relay access denied' FROM s, w
""",
            (harbour, number),
        )
    (found,) = [one for one in json.loads(verb("doctor", "--json").stdout) if one["check"] == "campaign"]
    assert (found["state"], found["found"]) == ("warning", "'Spring' of harbour: smtp says: 554 relay access denied")


def test_the_doctor_makes_no_key_where_it_looks(
    told: Told,
    verb: Callable[..., Result],
    harbour: str,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A password that another machine has sealed can be opened by that one's key only."""
    monkeypatch.setenv("TABELLION_DATA_DIR", str(tmp_path / "one"))
    verb("relay", "add", harbour, "127.0.0.1", "--login", "harbour", "--password-stdin", stdin="secret\n")
    verb("sender", "set", harbour, "hotels", "news@example.com", "--dkim-selector", "s1")
    assert "secrets" not in {one["check"] for one in json.loads(verb("doctor", "--json").stdout)}
    monkeypatch.setenv("TABELLION_DATA_DIR", str(tmp_path / "other"))
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute(
            "INSERT INTO tabellion.webhook_subscription (licence_id, entity_id, subject_kind, subject_id, event_type, target_url, "
            "push_type, max_block_size, is_active, sealed, created_at) SELECT licence_id, id, 'ETL', '1', 'STARTED', '', 'BULK', "
            "1, true, decode(repeat('00', 40), 'hex'), now() FROM tabellion.entity LIMIT 1"
        )
    listed = {one["check"]: one for one in json.loads(verb("doctor", "--json").stdout)}
    unreadable = "unreadable: 1 of relays, 1 DKIM keys, 1 of webhooks"
    assert (listed["secrets"]["state"], listed["secrets"]["found"]) == ("problem", unreadable)
    for options, expected in (
        (("--json",), '"unreadable": ["1 of relays", "1 DKIM keys", "1 of webhooks"]'),
        ((), unreadable[12:]),
    ):
        with psycopg.connect(database_url, autocommit=True) as db:
            db.execute("INSERT INTO tabellion.server_hold (backup_at, restored_at) VALUES (now(), now())")
        assert expected in " ".join(verb("resume", *options).output.split())
    assert listed["relay"]["found"].startswith("127.0.0.1:587: a stored secret was sealed with another key")
    assert not (tmp_path / "other").exists()


def test_what_is_not_named_of_a_sender_stays(told: Told, refused: Refused, harbour: str) -> None:
    """The published record of a key fits as long as nobody says that mails are not to be signed."""

    def say(*options: str) -> dict[str, Any]:
        return told("sender", "set", harbour, "hotels", "news@example.com", *options)

    assert "sender set" in refused("sender", "show", harbour, "hotels")
    plain = say("--name", "Harbour Hotels")
    assert (plain["dnsTxt"], plain["newKey"], plain["bounceDomain"]) == ("", False, "")
    signed = say("--dkim-selector", "s1")
    assert (signed["name"], signed["dnsName"], signed["newKey"]) == ("Harbour Hotels", "s1._domainkey.example.com", True)
    assert signed["dnsTxt"].startswith("v=DKIM1; k=rsa; p=")
    back = say("--name", "H", "--bounce-domain", "Bounces.example.com", "--reply-to", "desk@example.com")
    assert back == signed | {
        "name": "H", "bounceDomain": "bounces.example.com", "replyTo": "desk@example.com", "newKey": False,
    }  # fmt: skip
    assert say() == back
    assert told("sender", "show", harbour, "hotels") | {"newKey": False} == back
    assert say("--dkim-key", "rsa") == back
    assert say("--name", "", "--no-bounce-domain", "--no-reply-to") == back | {"name": "", "bounceDomain": "", "replyTo": ""}


def test_a_selector_has_one_key_for_ever(told: Told, refused: Refused, harbour: str) -> None:
    def say(*options: str, address: str = "news@example.com") -> dict[str, Any]:
        return told("sender", "set", harbour, "hotels", address, *options)

    first = say("--dkim-selector", "s1")
    assert say("--no-dkim")["dnsTxt"] == ""
    assert "selector" in refused("sender", "set", harbour, "hotels", "news@example.com", "--dkim-key", "rsa")
    assert say("--dkim-selector", "s1") == first | {"newKey": False}
    other = say("--dkim-selector", "s2", "--dkim-key", "ed25519")
    assert ("k=ed25519" in other["dnsTxt"], other["newKey"]) == (True, True)
    wrong = refused("sender", "set", harbour, "hotels", "news@example.com", "--dkim-selector", "s1", "--dkim-key", "ed25519")
    assert wrong == "the key of s1 is rsa, and stays; name another selector for one that is ed25519"
    assert say("--dkim-selector", "s1")["dnsTxt"] == first["dnsTxt"]
    # Below the domain of the key it signs as it is; elsewhere the selector needs a key of that domain.
    assert say(address="news@mail.example.com")["dnsName"] == "s1._domainkey.example.com"
    moved = say(address="news@Exämple.org")
    assert (moved["dnsName"], moved["newKey"]) == ("s1._domainkey.xn--exmple-cua.org", True)
    assert say("--dkim-selector", "s1", address="news@xn--exmple-cua.org")["dnsTxt"] == moved["dnsTxt"]
    assert say()["dnsTxt"] == first["dnsTxt"]


def test_what_cannot_be_a_sender_is_refused(told: Told, refused: Refused, harbour: str) -> None:
    before = told("sender", "set", harbour, "hotels", "news@example.com", "--dkim-selector", "s1")
    assert "no entity" in refused("sender", "set", harbour, "spas", "news@example.com")
    for options, why in (
        (("a\nb@example.com",), "no address"),
        (("news@example.com", "--bounce-domain", "-.com"), "come back"),
        (("news@example.com", "--bounce-domain", ""), "--no-bounce-domain"),
        (("news@example.com", "--reply-to", "nobody"), "answers can go to"),
        (("news@example.com", "--reply-to", "d@example.com", "--no-reply-to"), "do not go together"),
        (("news@example.com", "--dkim-selector", ""), "--no-dkim"),
        (("news@example.com", "--dkim-selector", "s.1"), "hyphens"),
        (("news@example.com", "--dkim-selector", "s2", "--no-dkim"), "do not go together"),
        (("news@example.com", "--dkim-selector", "s2", "--dkim-key", "dsa"), "rsa or ed25519"),
        (("news@example.com", "--name", "a\nb"), "one line"),
    ):
        assert why in refused("sender", "set", harbour, "hotels", *options)
    assert told("sender", "show", harbour, "hotels") | {"newKey": True} == before
    abroad = told("sender", "set", harbour, "hotels", "news@Exämple.com", "--bounce-domain", "back.exämple.com")
    assert (abroad["address"], abroad["bounceDomain"]) == ("news@xn--exmple-cua.com", "back.xn--exmple-cua.com")


def test_suppressed_addresses(told: Told, refused: Refused, harbour: str) -> None:
    assert told("suppression", "add", harbour, "Ann@Example.com", "bob@example.com") == {"suppressed": 2}
    listed = told("suppression", "list", harbour)
    assert [(each["address"], each["reason"]) for each in listed] == [
        ("ann@example.com", "MANUAL"),
        ("bob@example.com", "MANUAL"),
    ]
    assert told("suppression", "remove", harbour, "ANN@example.com") == {"removed": "ANN@example.com", "unsubscribed": False}
    assert len(told("suppression", "list", harbour)) == 1
    assert "nothing keeps" in refused("suppression", "remove", harbour, "ann@example.com")
    assert "no e-mail address" in refused("suppression", "add", harbour, "nobody")
    both = (
        '[{"address": "ZOE@Exämple.com", "reason": "UNSUBSCRIBE"}, {"address": "zoe@exämple.com", "reason": "HARD_BOUNCE"}]'
    )
    assert told("suppression", "import", harbour, "-", stdin=both) == {"added": 1, "known": 0}
    assert told("suppression", "remove", harbour, "zoe@exämple.com")["unsubscribed"] is True
    latest = told("suppression", "list", harbour)[0]
    assert (latest["address"], latest["reason"], latest["unsubscribed"]) == ("zoe@xn--exmple-cua.com", "UNSUBSCRIBE", "")


def test_events_are_judged_again(told: Told, refused: Refused, harbour: str) -> None:
    assert told("tracking", "judge", harbour, "--campaign", "1") == {"mails": 0, "changed": 0}
    assert "no licence" in refused("tracking", "judge", "nobody")
    assert told("tracking", "recount", harbour) == {"campaigns": 0}
    assert "no licence" in refused("tracking", "recount", "nobody")


def test_suppression_lists_go_in_and_out_as_files(
    told: Told, refused: Refused, verb: Callable[..., Any], harbour: str, tmp_path: Path
) -> None:
    given = '\ufeffE-Mail;Reason;Since;Detail\r\nAnn@Example.com;complaint;2027-03-01T09:00:00Z;"=1+1; Zoë"\r\nbob@example.com;;;\r\n'
    file = tmp_path / "list.csv"
    file.write_bytes(given.replace("2027", "2026").encode())
    assert told("suppression", "import", harbour, str(file)) == {"added": 2, "known": 0}
    assert told("suppression", "import", harbour, "-", stdin='["carl@example.com", {"address": "ann@example.com"}]') == {
        "added": 1,
        "known": 1,
    }
    out = tmp_path / "out.csv"
    assert verb("suppression", "export", harbour, str(out)).exit_code == 0
    header, ann, *others = out.read_text().splitlines()
    assert header == "address,reason,since,detail,unsubscribed"
    assert ann == "ann@example.com,MANUAL,2026-03-01T09:00:00.000Z,'=1+1; Zoë,"
    assert [line.split(",")[:2] for line in others] == [["bob@example.com", "MANUAL"], ["carl@example.com", "MANUAL"]]
    assert "out.csv is there already" in refused("suppression", "export", harbour, str(out))
    assert verb("suppression", "export", harbour, str(out), "--force").exit_code == 0
    # What went out can come in again.
    assert told("suppression", "import", harbour, str(out)) == {"added": 0, "known": 3}
    for wrong, why in (("address\nnobody\n", "no e-mail address"), ("name\nx\n", "address"), ("[1", "JSON"), ("{}", "list")):
        assert why in refused("suppression", "import", harbour, "-", stdin=wrong)
    assert "nothing.csv" in refused("suppression", "import", harbour, str(tmp_path / "nothing.csv"))
    assert "no licence" in refused("suppression", "export", "nobody", str(tmp_path / "none.csv"))
    assert not (tmp_path / "none.csv").exists()
