"""Kill -9 of the database in the middle of an erasure, and of the worker that does the rest: it is done once, and whole."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tabellion.server.embedded import EmbeddedPostgres
from tests.support import plain
from tests.support.serving import Serving
from tests.support.tenant import TABLE, Tenant
from tests.support.waiting import until

pytestmark = pytest.mark.system
_LONG_S = 90
PROFILES, ERASURES = "/v5/entities/hotels/profile-tables/Guests/profiles", "/v5/erasures"
_WAITS = "SELECT FROM pg_locks WHERE relation = %s::regclass AND NOT granted"


def kill(server: Serving, verb: str) -> None:
    """All processes of it at once: a session of the database that lives on for a moment would commit what it is allowed to."""
    for pid in server.children(verb):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_an_erasure_is_done_once_and_whole_whatever_dies(tmp_path: Path) -> None:
    with Serving(tmp_path) as server, plain.Client(base_url=server.url, timeout=60) as client:
        server.verb("licence", "create", "harbour", "--limits", "unlimited")
        server.verb("entity", "create", "harbour", "hotels")
        made = server.verb("user", "create", "harbour", "shop")
        with EmbeddedPostgres(server.data_dir) as postgres:
            credentials = {name: made.get(name, "") for name in ("login", "password", "apiKey")} | {"licence": "harbour"}
            _erase_under_fire(server, Tenant(client, postgres.url, credentials), postgres.url)


def _erase_under_fire(server: Serving, tenant: Tenant, url: str) -> None:
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables", TABLE).status_code == 201
    for name in ("ann", "bob"):
        profile = {"key": {"emailAddress": f"{name}@kanari.example"}, "attributes": {"lastName": f"{name}-kanari"}}
        assert tenant.json("PUT", PROFILES, profile).status_code == 201
    number = tenant.campaign()
    assert tenant.json("POST", f"/v4/entity/hotels/mail/{number}/launch").status_code == 200
    with psycopg.connect(url, autocommit=True) as db:
        until(lambda: db.execute("SELECT FROM tabellion.sending WHERE state = 'ENDED'").fetchall(), _LONG_S)
        (schema,) = db.execute("SELECT 'l' || id FROM tabellion.licence").fetchone() or ("",)
        _the_database_dies_within_the_call(server, tenant, db, url)
    with psycopg.connect(url, autocommit=True) as db:
        assert _traces(db, schema, "ann") == set()
        assert db.execute("SELECT count(*) FROM tabellion.erasure").fetchone() == (1,)
        _the_worker_dies_within_the_rest(server, tenant, db, url, schema)
        assert _traces(db, schema, "bob") == set()
        assert db.execute("SELECT count(*) FROM tabellion.erasure WHERE ended_at IS NOT NULL").fetchone() == (2,)
        rows = db.execute(f"SELECT address, state FROM {schema}.recipient ORDER BY id".encode()).fetchall()
        assert rows == [("@kanari.example", "ACCEPTED")] * 2


def _the_database_dies_within_the_call(server: Serving, tenant: Tenant, db: psycopg.Connection[Any], url: str) -> None:
    """All but the record of the erasure is done, and nothing of it is committed."""
    answers: list[httpx.Response] = []

    def insist() -> None:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            try:
                answer = tenant.json("POST", ERASURES, {"address": "ann@kanari.example"}, Idempotency_Key='"ann"')
            except httpx.TransportError:
                continue
            if answer.status_code < 500 and answer.status_code != 409:
                answers.append(answer)
                return

    asking = threading.Thread(target=insist)
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE tabellion.erasure IN SHARE MODE")
        asking.start()
        until(lambda: db.execute(_WAITS, ("tabellion.erasure",)).fetchall(), _LONG_S)
        kill(server, "postgres")
        holder.close()
    asking.join()
    with pytest.raises(psycopg.OperationalError):
        db.execute("SELECT 1")
    (answer,) = answers
    assert answer.status_code == 200, answer.text
    done = answer.json()
    assert (done["erased"]["profiles"], done["erased"]["mails"], done["erased"]["outboxMails"]) == (1, 1, 1)
    until(lambda: tenant.json("GET", f"{ERASURES}/{done['id']}").json()["endedAt"], _LONG_S)


def _the_worker_dies_within_the_rest(
    server: Serving, tenant: Tenant, db: psycopg.Connection[Any], url: str, schema: str
) -> None:
    """A mail was on its way; now that it has arrived, the worker takes from it what is personal."""
    on_its_way = f"UPDATE {schema}.recipient SET state = %s WHERE address = 'bob@kanari.example'".encode()
    db.execute(on_its_way, ("SENDING",))
    done = tenant.json("POST", ERASURES, {"address": "bob@kanari.example"}).json()
    assert (done["erased"]["profiles"], done["erased"]["mails"]) == (1, 0)
    waiting = "SELECT FROM jobs.procrastinate_jobs WHERE task_name = 'erasure.finish' AND status = 'todo' AND attempts > 0"
    until(lambda: db.execute(waiting).fetchall(), _LONG_S)
    with psycopg.connect(url) as holder:
        holder.execute(f"LOCK TABLE {schema}.outbox_mail IN EXCLUSIVE MODE".encode())
        db.execute(on_its_way, ("ACCEPTED",))
        db.execute("UPDATE jobs.procrastinate_jobs SET scheduled_at = now() WHERE task_name = 'erasure.finish'")
        until(lambda: db.execute(_WAITS, (f"{schema}.outbox_mail",)).fetchall(), _LONG_S)
        kill(server, "tabellion worker")
        assert tenant.json("GET", f"{ERASURES}/{done['id']}").json()["endedAt"] is None
        assert f"{schema}.recipient" in _traces(db, schema, "bob", but={f"{schema}.outbox_mail"})
    until(lambda: tenant.json("GET", f"{ERASURES}/{done['id']}").json()["endedAt"], _LONG_S)
    ended = tenant.json("GET", f"{ERASURES}/{done['id']}").json()
    assert (ended["erased"]["mails"], ended["erased"]["outboxMails"]) == (1, 1)


def _traces(db: psycopg.Connection[Any], schema: str, name: str, but: Collection[str] = ()) -> set[str]:
    """The tables in which somebody still is."""
    found: set[str] = set()
    tables = db.execute(
        "SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname = ANY (%s)", ([schema, "tabellion", "jobs"],)
    ).fetchall()
    for (table,) in tables:
        if table in but:
            continue
        with db.cursor().copy(f"COPY {table} TO STDOUT".encode()) as copy:
            content = b"".join(bytes(line) for line in copy).lower()
        if any(word in content for word in (f"{name}@kanari".encode(), f"{name}-kanari".encode())):
            found.add(table)
    return found
