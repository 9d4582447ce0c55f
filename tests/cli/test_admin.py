"""`licence`, `entity`, `user` and `table`: what they do, print and refuse."""

import hashlib
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from click.testing import Result

Told = Callable[..., Any]
Verb = Callable[..., Result]
Refused = Callable[..., str]


@pytest.fixture
def harbour(told: Told) -> str:
    """A licence with two entities."""
    told("licence", "create", "harbour")
    told("entity", "create", "harbour", "hotels", "--comment", "by the sea")
    told("entity", "create", "harbour", "spas")
    return "harbour"


def test_a_licence_has_the_classic_limits_unless_told_otherwise(told: Told) -> None:
    made = told("licence", "create", "harbour", "--time-zone", "Europe/Brussels")
    assert made == {
        "id": 1,
        "name": "harbour",
        "timeZone": "Europe/Brussels",
        "preset": "classic",
        "users": 5,
        "callsPerMinute": 60,
        "windowSeconds": 60,
        "onExcess": "slow-down",
        "maxWaitSeconds": 25,
        "concurrent": 5,
        "bulkPerDay": 12,
        "bulkScope": "licence",
        "maxBulkFileBytes": 104_857_600,
    }
    assert told("licence", "show", "harbour") == made
    assert told("licence", "list") == [{"id": 1, "name": "harbour", "preset": "classic", "timeZone": "Europe/Brussels"}]


def test_presets(told: Told) -> None:
    current = told("licence", "create", "one", "--preset", "current")
    assert (current["callsPerMinute"], current["bulkPerDay"], current["bulkScope"]) == (100, 24, "table")
    unlimited = told("licence", "create", "two", "--limits", "unlimited")
    assert (unlimited["users"], unlimited["callsPerMinute"], unlimited["concurrent"]) == (None, None, None)


def test_changing_a_limit_leaves_the_others(told: Told, harbour: str) -> None:
    before = told("licence", "show", harbour)
    changed = told("licence", "limits", harbour, "--calls-per-minute", "90", "--on-excess", "reject")
    assert changed == before | {"callsPerMinute": 90, "onExcess": "reject", "preset": "custom"}
    assert told("licence", "show", harbour) == changed
    assert told("licence", "limits", harbour, "--limits", "classic") == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["licence", "show", "nobody"], "there is no licence 'nobody'; tabellion licence list shows them"),
        (["licence", "create", "a/b"], "the name of a licence has 1 to 100 printable characters"),
        (
            ["licence", "create", "new", "--limits", "huge"],
            "there is no preset 'huge'; presets: classic, current, unlimited",
        ),
        (["licence", "create", "new", "--time-zone", "Mars/Base"], "there is no time zone 'Mars/Base'"),
        (["licence", "create", "new", "--time-zone", "localtime"], "the database knows no time zone 'localtime'"),
        (["licence", "create", "harbour"], "there is a licence 'harbour' already"),
        (["licence", "limits", "harbour", "--on-excess", "explode"], "--on-excess is slow-down or reject, not 'explode'"),
        (["licence", "delete", "nobody"], "there is no licence 'nobody'"),
        (["entity", "create", "harbour", "hotels"], "the licence has an entity 'hotels' already"),
        (["entity", "list", "nobody"], "there is no licence 'nobody'"),
        (["user", "create", "harbour", "w", "--entity", "bars"], "the licence 'harbour' has no entity 'bars'"),
        (["user", "create", "harbour", "w", "--rights", "profiles"], "--rights expects MODULE=r or MODULE=rw"),
        (["user", "create", "harbour", "w", "--rights", "moon=rw"], "there is no module 'moon'; modules: "),
        (["user", "create", "harbour", "w", "--rights", "profiles=x"], "the right of 'profiles' is r or rw, not 'x'"),
        (["user", "rotate", "harbour", "nobody"], "the licence 'harbour' has no API user 'nobody'"),
        (["user", "revoke", "harbour", "nobody"], "the licence 'harbour' has no API user 'nobody'"),
        (["table", "show", "harbour", "Guests"], "the licence 'harbour' has no profile table 'Guests'"),
    ],
)
def test_what_is_refused_is_told_in_one_line(refused: Refused, harbour: str, arguments: list[str], message: str) -> None:
    assert refused(*arguments).startswith(message)


def test_what_is_no_text_is_told_in_one_line(refused: Refused, harbour: str) -> None:
    # What Python makes of an octet that is not UTF-8.
    for arguments in (["entity", "list", "h\udce4fen"], ["suppression", "remove", harbour, "ann\udce4@example.com"]):
        assert refused(*arguments).startswith("what was given is not in UTF-8")
    new = ["relay", "add", harbour, "smtp.example.com", "--login", "me"]
    told = refused(*new, "--password-stdin", stdin=b"secr\xe4t\n")
    assert told.startswith("what was given is not in UTF-8")
    assert "secr" not in told
    assert refused("suppression", "add", harbour, "-", stdin=b"\xe4").startswith("what was given is not in UTF-8")


def test_no_password_is_not_any_password(refused: Refused, harbour: str) -> None:
    for verb in (("user", "create", harbour, "website"), ("licence", "analyst", harbour)):
        assert "no password" in refused(*verb, "--password-stdin", stdin="")


def test_who_makes_an_api_user_again_is_told_how_to_get_a_new_key(
    refused: Refused, verb: Callable[..., Result], harbour: str
) -> None:
    verb("user", "create", harbour, "web site")

    assert refused("user", "create", harbour, "web site").strip().endswith("tabellion user rotate harbour 'web site'")


@pytest.mark.parametrize(
    "option", ["--calls-per-minute=-1", "--concurrent=0", "--users=99999999999", "--max-wait-seconds=61"]
)
def test_a_limit_out_of_its_range_is_told_with_the_range(option: str, verb: Callable[..., Result], harbour: str) -> None:
    before = verb("licence", "show", harbour, "--json").stdout
    refused = verb("licence", "limits", harbour, option)
    name = option.partition("=")[0]
    assert refused.exit_code == 2
    words = " ".join(refused.stderr.replace("│", " ").split())
    assert f"Invalid value for '{name}'" in words
    assert "Input should be" in words
    assert "than or equal to" in words
    assert verb("licence", "show", harbour, "--json").stdout == before


def test_an_api_user_is_made_with_all_rights_and_the_first_entity(told: Told, harbour: str) -> None:
    made = told("user", "create", harbour, "website")
    assert list(made) == ["licence", "login", "password", "apiKey"]
    (listed,) = told("user", "list", harbour)
    assert set(listed["rights"].values()) == {"rw"}
    assert (listed["entities"], listed["defaultEntity"]) == (None, "hotels")


def test_rights_and_entities_of_an_api_user(told: Told, harbour: str) -> None:
    told("user", "create", harbour, "till", "--rights", "profiles=rw", "--rights", "structure=r", "--entity", "spas")
    (listed,) = told("user", "list", harbour)
    assert listed["rights"] == {"profiles": "rw", "structure": "r"}
    assert (listed["entities"], listed["defaultEntity"]) == (["spas"], "spas")


def test_a_password_may_be_given_and_no_secret_is_stored(told: Told, harbour: str, database_url: str) -> None:
    made = told("user", "create", harbour, "website", "--password-stdin", stdin="correct horse\n")
    assert made["password"] == "correct horse"
    with psycopg.connect(database_url) as db:
        (row,) = db.execute("SELECT u::text FROM tabellion.api_user u").fetchall()
    assert made["password"] not in row[0]
    assert made["apiKey"] not in row[0]
    assert hashlib.sha256(made["apiKey"].encode()).hexdigest() in row[0]


def test_rotating_changes_key_and_password(told: Told, harbour: str) -> None:
    made = told("user", "create", harbour, "website")
    rotated = told("user", "rotate", harbour, "website")
    assert (rotated["licence"], rotated["login"]) == (made["licence"], made["login"])
    assert rotated["apiKey"] != made["apiKey"]
    assert rotated["password"] != made["password"]


def test_the_sixth_api_user_is_refused(verb: Verb, told: Told, refused: Refused, harbour: str) -> None:
    for number in range(5):
        told("user", "create", harbour, f"website{number}")
    assert "has its 5 API users already" in refused("user", "create", harbour, "website5")
    assert verb("user", "revoke", harbour, "website0", stdin="n\n").exit_code == 1
    assert "has its 5 API users already" in refused("user", "create", harbour, "website5")
    assert verb("user", "revoke", harbour, "website0", stdin="y\n").exit_code == 0
    told("user", "create", harbour, "website5")


def test_rights_and_entities_of_a_user_are_changed(told: Told, refused: Refused, harbour: str) -> None:
    told("entity", "create", harbour, "boats")
    told("user", "create", harbour, "website")
    changed = told("user", "rights", harbour, "Website", "--rights", "profiles=r", "--rights", "bulk=rw")
    assert (changed["rights"], changed["entities"], changed["defaultEntity"]) == (
        {"profiles": "r", "bulk": "rw"},
        None,
        "hotels",
    )
    narrowed = told("user", "rights", harbour, "website", "--entity", "boats")
    assert (narrowed["rights"], narrowed["entities"], narrowed["defaultEntity"]) == (changed["rights"], ["boats"], "boats")
    wide = told("user", "rights", harbour, "website", "--every-entity")
    assert (wide["entities"], wide["defaultEntity"]) == (None, "boats")
    assert told("user", "list", harbour) == [wide]
    assert "there is no module 'moon'; modules: structure, " in refused(
        "user", "rights", harbour, "website", "--rights", "moon=r"
    )
    assert "no API user 'nobody'" in refused("user", "rights", harbour, "nobody", "--rights", "bulk=r")
    assert "no entity 'moon'" in refused("user", "rights", harbour, "website", "--entity", "moon")
    assert "nothing is to be changed" in refused("user", "rights", harbour, "website")
    assert told("user", "list", harbour) == [wide]


def test_deleting_a_licence_asks_first(told: Told, verb: Callable[..., Result], harbour: str) -> None:
    for answer, said in (
        ("n\n", "Aborted"),
        ("", "tabellion: nothing was changed, for nobody has answered: scripts say --yes"),
    ):
        kept = verb("licence", "delete", harbour, stdin=answer)
        assert (kept.exit_code, said in kept.stderr) == (1, True)
    assert [one["name"] for one in told("licence", "list")] == [harbour]
    assert told("licence", "delete", harbour, "--yes") == {"deleted": harbour, "id": 1}
    assert told("licence", "list") == []


def test_the_question_does_not_disturb_the_json(verb: Callable[..., Result], harbour: str) -> None:
    erased = verb("licence", "delete", harbour, "--json", stdin="y\n")
    assert "Erase the licence 'harbour' with all its profiles?" in erased.stderr
    assert "Erase" not in erased.stdout
    assert erased.stdout.splitlines()[-1] == '{"deleted": "harbour", "id": 1}'


def test_lists_are_readable_without_json(verb: Callable[..., Result], harbour: str) -> None:
    shown = verb("entity", "list", harbour)
    assert shown.exit_code == 0
    assert "hotels" in shown.stdout
    assert "by the sea" in shown.stdout
    assert "no API users" in verb("user", "list", harbour).stdout


def test_names_are_shown_as_they_are(verb: Verb, told: Told) -> None:
    told("licence", "create", "harbour")
    made = told("entity", "create", "harbour", "Inn [red] by the sea")

    listed = verb("entity", "list", "harbour")

    assert (listed.exit_code, made["name"]) == (0, "Inn [red] by the sea")
    assert "Inn [red] by the sea" in listed.stdout
