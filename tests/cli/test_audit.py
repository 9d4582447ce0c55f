"""`audit`: who changed what, for operators."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result

from tabellion.kit.clock import utc_now
from tabellion.platform import secrets
from tabellion.platform.audit import seal

Told = Callable[..., Any]
Refused = Callable[..., str]
Verb = Callable[..., Result]


@pytest.fixture
def harbour(told: Told) -> str:
    """A licence with a past of three changes."""
    told("licence", "create", "harbour", "--time-zone", "Asia/Tokyo")
    told("entity", "create", "harbour", "hotels")
    told("user", "create", "harbour", "website")
    return "harbour"


def write(url: str, *rows: tuple[datetime, str, str, str | None]) -> None:
    """Changes by API calls: moment, actor, object, note."""
    with psycopg.connect(url, autocommit=True) as db:
        db.cursor().executemany(
            "INSERT INTO tabellion.audit (at, licence_id, user_id, actor, route, object, request_id, credential, note) "
            "VALUES (%s, 1, 1, %s, 'profiles.v5.put', %s, 'R1', 'token', %s)",
            rows,
        )


def routes(entries: list[dict[str, Any]]) -> list[str]:
    return [each["route"] for each in entries]


def test_what_operators_did_is_told_newest_first(told: Told, harbour: str) -> None:
    found = told("audit", harbour)
    assert routes(found) == ["user create", "entity create", "licence create"]
    assert found[1] | {"at": None} == {
        "at": None, "actor": "cli", "userId": None, "credential": None, "route": "entity create", "object": "entity/1",
        "requestId": "", "note": None,
    }  # fmt: skip
    moment = datetime.fromisoformat(found[0]["at"])
    assert moment.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=5)
    assert told("audit", harbour, "--limit", "1") == found[:1]
    assert told("audit", "licence/1") == found


def test_what_is_asked_for(told: Told, harbour: str, database_url: str) -> None:
    told("licence", "create", "hills")
    night = datetime(2026, 3, 1, 16, tzinfo=UTC)  # 01:00 of the next day in Tokyo
    write(database_url, (night, "website", "profile/31", None), (night - timedelta(hours=2), "Shop", "profile/7", None))
    assert [each["object"] for each in told("audit", harbour, "--actor", "shop")] == ["profile/7"]
    assert [each["object"] for each in told("audit", harbour, "--object", "profile/")] == ["profile/31", "profile/7"]
    assert [each["actor"] for each in told("audit", harbour, "--object", "profile/31")] == ["website"]
    assert routes(told("audit", harbour, "--route", "entity create")) == ["entity create"]
    assert len(told("audit", harbour, "--request", "R1")) == 2
    assert [each["object"] for each in told("audit", harbour, "--until", "2026-03-02")] == ["profile/7"]
    since = told("audit", harbour, "--since", "2026-03-02", "--until", "2026-03-02T01:00:01")
    assert [each["object"] for each in since] == ["profile/31"]
    assert told("audit", harbour, "--since", "2026-03-01T16:00:01Z", "--until", "1h") == []
    assert len(told("audit", harbour, "--since", "15m")) == 3
    assert routes(told("audit", "hills")) == ["licence create"]


def test_lists_of_addresses_that_get_nothing_are_changed_with_an_entry(told: Told, refused: Refused, harbour: str) -> None:
    told("suppression", "add", harbour, "a@example.com", "b@example.com")
    told("suppression", "remove", harbour, "a@example.com")
    assert "nothing keeps" in refused("suppression", "remove", harbour, "a@example.com")
    found = told("audit", harbour, "--route", "suppression add") + told("audit", harbour, "--object", "suppression")
    assert sorted(routes(found)) == ["suppression add", "suppression add", "suppression remove"]
    assert {each["note"] for each in found} == {"1 address", "2 addresses"}
    assert "example.com" not in json.dumps(found)


def test_the_trail_of_an_erased_licence_stays(told: Told, refused: Refused, harbour: str) -> None:
    number = told("licence", "delete", harbour, "--yes")["id"]
    assert refused("audit", harbour) == "there is no licence 'harbour'; tabellion licence list shows them"
    found = told("audit", f"licence/{number}")
    assert routes(found) == ["licence delete", "user revoke", "user create", "entity create", "licence create"]


def test_people_see_the_zone_and_a_table(verb: Verb, harbour: str, database_url: str) -> None:
    moment = datetime(2026, 3, 1, 16, tzinfo=UTC)
    assert "note" not in verb("audit", harbour).stdout
    write(database_url, (moment, "website", "campaign/7", "[red]we sign\x1b[2J ourselves[/blue]"))
    shown = verb("audit", harbour, "--object", "campaign/7")
    assert shown.exit_code == 0
    flat = "".join(shown.stdout.split())
    for text in ("2026-03-02T01:00:00+09:00", "website", "token", "profiles.v5.put", "campaign/7", "R1"):
        assert text in shown.stdout
    # What people wrote is shown as they wrote it, and does nothing to the terminal.
    assert "[red]" in flat
    assert "\\x1b[2J" in flat
    assert "\x1b" not in shown.stdout
    assert "no entries" in verb("audit", harbour, "--object", "campaign/8").stdout


def test_a_long_trail_is_one_document_with_an_entry_a_line(verb: Verb, harbour: str, database_url: str) -> None:
    now = datetime.now(UTC)
    write(database_url, *((now - timedelta(minutes=n), "website", f"profile/{n}", None) for n in range(2500)))
    result = verb("audit", harbour, "--object", "profile/", "--limit", "2400", "--json")
    assert [each["object"] for each in json.loads(result.stdout)] == [f"profile/{n}" for n in range(2400)]
    assert len(result.stdout.splitlines()) == 2400
    assert verb("audit", harbour, "--object", "profile/").stdout.count("profile/") == 50


def test_who_reads_on_no_longer_ends_it_without_a_word(harbour: str, database_url: str) -> None:
    now = datetime.now(UTC)
    write(database_url, *((now - timedelta(minutes=n), "website", f"profile/{n}", None) for n in range(2500)))
    command = ["audit", harbour, "--limit", "9999", "--json", "--database-url", database_url]
    program = "from tabellion.cli import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", program, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline().startswith("[{")
        run.stdout.close()
        assert run.stderr.read() == ""
        assert run.wait() == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody"], "there is no licence 'nobody'; tabellion licence list shows them"),
        (["licence/x"], "the id of a licence is a number, as in licence/7, not 'x'"),
        (
            ["harbour", "--since", "yesterday"],
            "--since is a date, a moment (2027-03-01T08:15), or so long ago: 30m, 12h, 7d",
        ),
        (["harbour", "--until", "2027-02-30"], "--until is a date"),
        (["harbour", "--since", "999999d"], "--since is a date"),
        (["harbour", "--since", ""], "--since is a date"),
        (["harbour", "--since", "2027-03-01", "--until", "2027-03-01"], "--since is not before --until"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(refused: Refused, harbour: str, arguments: list[str], message: str) -> None:
    assert refused("audit", *arguments).startswith(message)


async def _seal(url: str, data_dir: Path) -> None:
    """As the worker does it."""
    secrets.use_key("", data_dir)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
        await seal(db, utc_now())


def test_whether_the_trail_is_what_it_was(
    told: Told, refused: Refused, verb: Verb, harbour: str, database_url: str, tmp_path: Path
) -> None:
    folder = ("--data-dir", str(tmp_path))
    assert told("audit", "verify", *folder) | {"openSince": None} == {
        "fits": True, "seals": 0, "entries": 0, "entriesGone": 0, "entriesOpen": 3, "openSince": None, "sealedAt": None,
        "head": None, "misfits": [],
    }  # fmt: skip
    asyncio.run(_seal(database_url, tmp_path))
    # What is erased leaves its trail.
    told("licence", "delete", harbour, "--yes")
    asyncio.run(_seal(database_url, tmp_path))
    found = told("audit", "verify", *folder)
    assert (found["fits"], found["seals"], found["entries"], found["entriesOpen"]) == (True, 2, 5, 0)
    shown = verb("audit", "verify", *folder, "--head", found["head"])
    assert shown.exit_code == 0
    assert f"head   {found['head']}\n" in shown.stdout
    assert "The trail is what it was: 5 entries, 2 seals." in shown.stdout
    with psycopg.connect(database_url, autocommit=True) as db:
        db.execute("UPDATE tabellion.audit SET actor = 'nobody' WHERE id = 2")
    shown = verb("audit", "verify", *folder)
    assert shown.exit_code == 1
    assert "seal 1: the entries are not those that were sealed (ids up to 3, sealed 20" in " ".join(shown.stdout.split())
    assert "The trail does not fit" in shown.stdout
    found = verb("audit", "verify", *folder, "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)["misfits"][0]["lastId"] == 3
    said = refused("audit", "verify", *folder, "--accept-key", "abc")
    assert said.startswith("no seal was made with a secret of the fingerprint 'abc' (they are of: ")
    assert "--head is what audit verify has printed" in refused("audit", "verify", *folder, "--head", "57")


def test_licences_are_found_whatever_their_name(told: Told) -> None:
    number = told("licence", "create", "verify")["id"]
    assert told("audit", "trail", "verify") == told("audit", f"licence/{number}") != []
