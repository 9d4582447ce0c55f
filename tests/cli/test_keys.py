"""`key`: every kind of sealed thing across a rotation, which may be killed, begun twice, and meet what nobody can read."""

import base64
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import Result

from tabellion.features.delivery import Use, read_token, tokens
from tabellion.features.delivery.hashed import hash_of
from tabellion.platform import secrets
from tabellion.server import keys
from tabellion.server.backup.snapshot import only_backup

Told = Callable[..., Any]
Verb = Callable[..., Result]
Refused = Callable[..., str]
KINDS = ("of file servers", "of relays", "DKIM keys", "former DKIM keys", "of webhooks", "of erasures", "kept answers")
SEED = int(os.environ.get("TABELLION_SEED", "20261127"))


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "data"
    monkeypatch.setenv("TABELLION_DATA_DIR", str(folder))
    # Nothing else works on these data.
    monkeypatch.setattr(keys, "_ALL_HAVE_LOOKED_S", 0.0)
    yield folder
    secrets.use_key("of the tests", tmp_path)


@pytest.fixture
def database(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database_url, autocommit=True) as db:
        yield db


@pytest.fixture
def sealed(told: Told, database: psycopg.Connection[Any], data_dir: Path) -> psycopg.Connection[Any]:
    """One of each kind, by the verbs where there are any."""
    told("licence", "create", "harbour")
    told("entity", "create", "harbour", "hotels")
    told("relay", "add", "harbour", "smtp.example.com", "--login", "harbour", "--password-stdin", stdin="secret\n")
    for selector in ("s1", "s2"):
        told("sender", "set", "harbour", "hotels", "news@example.com", "--dkim-selector", selector)
    told("erase", "harbour", "ann@example.com", "--suppress", "--yes")
    secrets.use_key("", data_dir)
    ids = "SELECT licence_id, id FROM tabellion.entity"
    database.execute(
        f"INSERT INTO tabellion.transfer_server (licence_id, entity_id, name, definition, secrets, created_at) "
        f"""SELECT licence_id, id, 'files', '{{"protocol": "SFTP"}}', %s, now() FROM ({ids}) e""",
        (secrets.seal('{"password": "secret"}', "transfer-server/1"),),
    )
    webhook(database, 1)
    answer = b"\0" + secrets.seal_raw("secret", "idempotency 1\n1\nPOST /hooks\nkey")
    database.execute(
        "INSERT INTO tabellion.idempotency (licence_id, user_id, route, key, fingerprint, status, headers, body, created_at) "
        "VALUES (1, 1, 'POST /hooks', 'key', '', 201, '{}', %s, now())",
        (answer,),
    )
    return database


def webhook(database: psycopg.Connection[Any], number: int) -> None:
    raw = secrets.seal_raw(json.dumps({"headers": {}, "secret": "AAAA", "previous_secret": None}), f"webhook {number}")
    database.execute(
        "INSERT INTO tabellion.webhook_subscription (id, licence_id, entity_id, subject_kind, subject_id, event_type, "
        "target_url, push_type, max_block_size, is_active, sealed, created_at) OVERRIDING SYSTEM VALUE "
        "SELECT %s, licence_id, id, 'ETL', '1', 'STARTED', '', 'BULK', 1, true, %s, now() FROM tabellion.entity",
        (number, raw),
    )


def found(verb: Verb, *checks: str) -> list[tuple[str, str]]:
    listed = json.loads(verb("doctor", "--json").stdout)
    return [(one["state"], one["found"]) for one in listed if one["check"] in checks]


def test_every_kind_of_secret_is_sealed_anew(
    told: Told, verb: Verb, refused: Refused, sealed: psycopg.Connection[Any], data_dir: Path
) -> None:
    (before,) = told("key", "list")
    assert (before["use"], before["sealed"]) == ("seals", len(KINDS))
    token, address = tokens.write(tokens.Token(Use.CLICK, 1, 7)), tokens.seal_address(1, 7, "https://example.com/")
    back = tokens.return_path(1, 7, "example.com")
    shown = told("sender", "show", "harbour", "hotels")

    done = told("key", "rotate")
    assert done["sealedAnew"] == dict.fromkeys(KINDS, 1)
    assert (done["made"], done["unreadable"], done["former"]) == (True, {}, [before["key"]])
    assert [(one["use"], one["sealed"]) for one in told("key", "list")] == [("seals", len(KINDS)), ("opens", 0)]
    assert found(verb, "secrets", "former key") == []
    assert told("sender", "show", "harbour", "hotels") == shown
    # What mails have carried away leads where it did, and what they carry from now on is of the new key.
    secrets.use_key("", data_dir)
    assert read_token(token) == tokens.Token(Use.CLICK, 1, 7)
    assert tokens.read_return_path(back) == tokens.Token(Use.BOUNCE, 1, 7)
    assert tokens.unseal_address(1, 7, address) == "https://example.com/"
    assert tokens.write(tokens.Token(Use.CLICK, 1, 7)) != token
    assert sealed.execute("SELECT hash FROM l1.suppression_hash").fetchall() == [(hash_of(1, "Ann@example.com"),)]

    assert "is no former key" in refused("key", "drop", done["key"], "--yes")
    for asked in ("--yes",), ():
        assert refused("key", "drop", "0", *asked).startswith(f"'0' is no former key (they are: {before['key']})")
    assert "Take the key" in verb("key", "drop", before["key"], stdin="n\n").stderr
    with only_backup(data_dir):
        assert "another backup" in refused("key", "drop", before["key"], "--yes")
    left = told("key", "drop", before["key"], "--yes")
    assert [(one["key"], one["use"]) for one in left] == [(done["key"], "seals"), (before["key"], "hashes")]
    trail = sealed.execute("SELECT actor, route, object, note FROM tabellion.audit WHERE object LIKE 'key/%' ORDER BY id")
    assert trail.fetchall() == [
        ("cli", "key rotate", f"key/{done['key']}", f"{len(KINDS)} secrets of the server were sealed anew"),
        ("cli", "key drop", f"key/{before['key']}", None),
    ]
    secrets.use_key("", data_dir)
    assert (read_token(token), tokens.unseal_address(1, 7, address)) == (None, None)
    assert sealed.execute("SELECT hash FROM l1.suppression_hash").fetchall() == [(hash_of(1, "Ann@example.com"),)]
    assert found(verb, "secrets", "former key") == []


def test_what_nobody_can_read_stays_and_is_told(told: Told, verb: Verb, sealed: psycopg.Connection[Any]) -> None:
    lost = base64.b64encode(b"of another key".ljust(60)).decode()
    sealed.execute("UPDATE tabellion.relay SET password = %s", (lost,))
    done = told("key", "rotate")
    assert done["unreadable"] == {"of relays": 1}
    assert sealed.execute("SELECT password FROM tabellion.relay").fetchall() == [(lost,)]
    assert found(verb, "secrets") == [("problem", "unreadable: 1 of relays")]


def test_keys_of_the_settings_are_exchanged_by_the_operator(
    told: Told,
    refused: Refused,
    verb: Verb,
    sealed: psycopg.Connection[Any],
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # They were sealed with the file's key: a setting is another one.
    monkeypatch.setenv("TABELLION_SECRET_KEY", "k" * 32)
    told("relay", "add", "harbour", "smtp.example.com", "--password-stdin", stdin="secret\n")
    assert "put the present one into TABELLION_FORMER_SECRET_KEYS" in refused("key", "rotate")
    monkeypatch.setenv("TABELLION_SECRET_KEY", "n" * 32)
    monkeypatch.setenv("TABELLION_FORMER_SECRET_KEYS", "k" * 32)
    ((state, what),) = found(verb, "former key")
    assert (state, what) == ("warning", "it has sealed 1 of relays")
    done = told("key", "rotate")
    assert (done["made"], done["sealedAnew"], len(done["former"])) == (False, {"of relays": 1}, 1)
    assert "take it out of TABELLION_FORMER_SECRET_KEYS" in refused("key", "drop", done["former"][0], "--yes")
    assert "k" * 32 not in verb("settings", "--json").stdout
    monkeypatch.delenv("TABELLION_SECRET_KEY")
    assert "TABELLION_SECRET_KEY, which is not set" in refused("key", "rotate")


def test_without_a_key_or_with_a_damaged_one_nothing_is_exchanged(told: Told, refused: Refused, data_dir: Path) -> None:
    assert told("key", "list") == []
    assert refused("key", "rotate").startswith("there is no key yet")
    assert not data_dir.exists()
    data_dir.mkdir()
    (data_dir / "secret.key").write_bytes(b"damaged")
    assert "is damaged" in refused("key", "rotate")
    assert (data_dir / "secret.key").read_bytes() == b"damaged"


def test_a_rotation_that_is_killed_is_brought_to_its_end(
    told: Told, verb: Verb, refused: Refused, sealed: psycopg.Connection[Any], database_url: str, data_dir: Path
) -> None:
    """At a secret that another session holds, which is one of them all by chance; meanwhile no other rotation begins."""
    for number in range(2, 12):
        webhook(sealed, number)
    (before,) = told("key", "list")
    at = random.Random(SEED).randrange(1, 12)
    with psycopg.connect(database_url) as holder:
        holder.execute("SELECT FROM tabellion.webhook_subscription WHERE id = %s FOR UPDATE", (at,))
        process = subprocess.Popen([sys.executable, "-m", "tabellion", "key", "rotate"], stdout=subprocess.DEVNULL)
        # In this database: tests that run beside this one have others of the same server.
        waiting = "FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        waits = f"SELECT {waiting} AND query LIKE 'UPDATE tabellion.webhook_sub%'"
        deadline = time.monotonic() + 60
        while not sealed.execute(waits).fetchall():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert "is being exchanged already" in refused("key", "rotate")
        process.send_signal(signal.SIGKILL)
        process.wait()
        sealed.execute(f"SELECT pg_terminate_backend(pid) {waiting}")
    new, old = told("key", "list")
    assert (old["key"], old["sealed"] + new["sealed"]) == (before["key"], len(KINDS) + 10)
    assert old["sealed"] == 12 - at + 2
    assert f"{old['sealed']} secrets are still sealed with it" in refused("key", "drop", old["key"], "--yes")
    ((state, what),) = found(verb, "secrets", "former key")
    assert (state, what) == ("warning", f"it has sealed {12 - at} of webhooks, 1 of erasures, 1 kept answers")
    done = told("key", "rotate")
    assert (done["made"], done["key"], done["former"]) == (False, new["key"], [old["key"]])
    assert done["sealedAnew"] == {"of webhooks": 12 - at, "of erasures": 1, "kept answers": 1}
