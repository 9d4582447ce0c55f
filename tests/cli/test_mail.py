"""`relay`, `sender` and `suppression`."""

from collections.abc import Callable
from typing import Any

import pytest

Told = Callable[..., Any]
Refused = Callable[..., str]


@pytest.fixture
def harbour(told: Told) -> str:
    told("licence", "create", "harbour")
    told("entity", "create", "harbour", "hotels")
    return "harbour"


def test_relays_are_added_changed_and_removed(told: Told, refused: Refused, harbour: str) -> None:
    (made,) = told("relay", "add", harbour, "smtp.example.com", "--login", "harbour")
    assert made == {
        "id": made["id"], "host": "smtp.example.com", "port": 587, "security": "STARTTLS", "login": "harbour", "weight": 1,
        "connections": 10,
    }  # fmt: skip
    (changed,) = told("relay", "add", harbour, "smtp.example.com", "--weight", "3", "--security", "tls")
    assert (changed["id"], changed["weight"], changed["security"]) == (made["id"], 3, "TLS")
    assert "security" in refused("relay", "add", harbour, "smtp.example.com", "--security", "SSL")
    assert "port" in refused("relay", "add", harbour, "smtp.example.com", "--port", "70000")
    assert "no relay 99" in refused("relay", "remove", harbour, "99")
    told("relay", "remove", harbour, str(made["id"]))
    assert told("relay", "list", harbour) == []


def test_a_sender_has_a_key_that_stays(told: Told, refused: Refused, harbour: str) -> None:
    assert "sender set" in refused("sender", "show", harbour, "hotels")
    plain = told("sender", "set", harbour, "hotels", "news@example.com", "--name", "Harbour Hotels")
    assert plain["dnsTxt"] == ""
    signed = told("sender", "set", harbour, "hotels", "news@example.com", "--dkim-selector", "s1")
    assert signed["dnsName"] == "s1._domainkey.example.com"
    assert signed["dnsTxt"].startswith("v=DKIM1; k=rsa; p=")
    again = told("sender", "set", harbour, "hotels", "news@example.com", "--name", "H", "--dkim-selector", "s1")
    assert again["dnsTxt"] == signed["dnsTxt"]
    other = told("sender", "set", harbour, "hotels", "x@example.com", "--dkim-selector", "s2", "--dkim-key", "ed25519")
    assert "k=ed25519" in other["dnsTxt"]
    assert "no entity" in refused("sender", "set", harbour, "spas", "news@example.com")
    assert "no address" in refused("sender", "set", harbour, "hotels", "a\nb@example.com")
    assert other["bounceDomain"] == ""
    back = told("sender", "set", harbour, "hotels", "news@example.com", "--bounce-domain", "Bounces.example.com")
    assert back["bounceDomain"] == "bounces.example.com"
    assert "come back" in refused("sender", "set", harbour, "hotels", "news@example.com", "--bounce-domain", "-.com")


def test_suppressed_addresses(told: Told, refused: Refused, harbour: str) -> None:
    assert told("suppression", "add", harbour, "Ann@Example.com", "bob@example.com") == {"suppressed": 2}
    listed = told("suppression", "list", harbour)
    assert [(each["address"], each["reason"]) for each in listed] == [
        ("ann@example.com", "MANUAL"),
        ("bob@example.com", "MANUAL"),
    ]
    told("suppression", "remove", harbour, "ANN@example.com")
    assert len(told("suppression", "list", harbour)) == 1
    assert "nothing keeps" in refused("suppression", "remove", harbour, "ann@example.com")
    assert "no e-mail address" in refused("suppression", "add", harbour, "nobody")


def test_events_are_judged_again(told: Told, refused: Refused, harbour: str) -> None:
    assert told("tracking", "judge", harbour, "--campaign", "1") == {"mails": 0, "changed": 0}
    assert "no licence" in refused("tracking", "judge", "nobody")
