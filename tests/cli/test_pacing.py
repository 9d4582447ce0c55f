"""`pacing`."""

from collections.abc import Callable
from typing import Any

Told = Callable[..., Any]
Refused = Callable[..., str]
Verb = Callable[..., Any]


def test_limits_are_set_shown_and_taken_away(told: Told, refused: Refused, verb: Verb) -> None:
    told("licence", "create", "harbour")
    told("entity", "create", "harbour", "hotels")
    assert told("pacing", "show", "harbour") == {"contactPressure": None, "domains": [], "senders": [], "heldDomains": []}
    told("pacing", "contact", "harbour", "--mails", "3", "--days", "7")
    told("pacing", "domain", "harbour", "*", "--per-minute", "600")
    told("pacing", "domain", "harbour", "Example.com", "--per-minute", "60", "--connections", "2")
    shown = told("pacing", "sender", "harbour", "Hotels", "--per-hour", "5000")
    assert shown == {
        "contactPressure": {"mails": 3, "days": 7},
        "domains": [
            {"domain": "*", "mailsPerMinute": 600, "connections": None},
            {"domain": "example.com", "mailsPerMinute": 60, "connections": 2},
        ],
        "senders": [{"entity": "hotels", "mailsPerHour": 5000}],
        "heldDomains": [],
    }
    assert "3 mails in 7 days" in verb("pacing", "show", "harbour").stdout
    told("pacing", "domain", "harbour", "example.com", "--off")
    told("pacing", "sender", "harbour", "hotels")
    left = told("pacing", "contact", "harbour", "--off")
    assert (left["contactPressure"], left["senders"], len(left["domains"])) == (None, [], 1)
    assert "no limit" in refused("pacing", "domain", "harbour", "example.com", "--off")
    assert "--off" in refused("pacing", "contact", "harbour", "--mails", "3")
    for limit in ("--per-minute", "--connections"):
        assert "or --off" in refused("pacing", "domain", "harbour", "*", "--off", limit, "3")
    assert "days 1 to 366" in refused("pacing", "contact", "harbour", "--mails", "0", "--days", "7")
    assert "1 to 1,000,000,000" in refused("pacing", "domain", "harbour", "*", "--per-minute", "0")
    # What callers may not say, operators may not either: nothing can be calculated with it.
    for option in (["domain", "harbour", "*", "--per-minute"], ["domain", "harbour", "*", "--connections"],
                   ["sender", "harbour", "hotels", "--per-hour"], ["contact", "harbour", "--days", "7", "--mails"]):  # fmt: skip
        assert " are 1 to 1,000" in refused("pacing", *option, "9" * 400)
    assert "no domain" in refused("pacing", "domain", "harbour", "ann@example.com", "--per-minute", "1")
    told("pacing", "domain", "harbour", "Exämple.com", "--per-minute", "5")
    changed = told("pacing", "domain", "harbour", "xn--exmple-cua.com", "--per-minute", "6")
    assert [each["domain"] for each in changed["domains"]] == ["*", "xn--exmple-cua.com"]
    assert len(told("pacing", "domain", "harbour", "EXÄMPLE.COM", "--off")["domains"]) == 1
    for wrong in ("ann@exämple.com", "ä" * 60 + ".com", "ä..com"):
        assert "no domain" in refused("pacing", "domain", "harbour", wrong, "--per-minute", "1")
    assert "no entity" in refused("pacing", "sender", "harbour", "spas", "--per-hour", "1")
