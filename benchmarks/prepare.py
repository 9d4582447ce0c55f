"""A server with data to be loaded: licences, tables filled by SQL, API and baseline processes."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from tabellion.features import licences as use
from tabellion.kit.clock import utc_now

TABLE = {
    "name": "Contacts",
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress"},
        {"type": "FIRSTNAME", "name": "firstName"},
        {"type": "LASTNAME", "name": "lastName"},
        {"type": "BIRTHDATE", "name": "birthDate"},
        {"type": "ADDRESS_COUNTRY", "name": "addressCountry"},
    ],
}
# The limits do their work, far away.
_LIMITS = {"calls_per_minute": 10_000_000, "max_concurrent": 10_000, "max_users": 5}
_READY_WITHIN_S = 60


class Served(NamedTuple):
    """A process that listens."""

    url: str
    process: subprocess.Popen[bytes]


class Prepared(NamedTuple):
    """A licence with a filled table."""

    key: str
    relation: str


def licence(database_url: str, name: str) -> str:
    """A licence with an entity and an API user; returns the key."""

    async def work() -> str:
        async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db:
            now = utc_now()
            await use.create_licence(db, name, now)
            await use.change_limits(db, name, _LIMITS, now)
            await use.create_entity(db, name, "shop", now)
            return (await use.create_user(db, name, "bench", now)).api_key

    return asyncio.run(work())


def table(database_url: str, api_url: str, name: str, key: str, profiles: int) -> Prepared:
    """The table `Contacts` of a licence, with this many profiles, half of them in Belgium."""
    call(f"{api_url}/v5/entities/shop/profile-tables", key, TABLE)
    with psycopg.connect(database_url, autocommit=True) as db:
        row: Any = db.execute(
            "SELECT l.id, t.id FROM tabellion.licence l JOIN tabellion.profile_table t ON t.licence_id = l.id WHERE l.name = %s",
            (name,),
        ).fetchone()
        relation = f"l{row[0]:d}.p{row[1]:d}"
        db.execute(
            f"INSERT INTO {relation} (created_at, updated_at, a1, a2, a3, a4, a5) "
            "SELECT now(), now(), 'user' || i || '@example.com', 'Ann', 'Vos' || i, '1984-05-12', "
            "CASE WHEN i % 2 = 0 THEN 'BE' ELSE 'FR' END "
            f"FROM generate_series(1, {profiles:d}) i"
        )
        db.execute(f"VACUUM ANALYZE {relation}")
    return Prepared(key, relation)


def call(url: str, key: str, body: Any = None) -> Any:
    """One call with an API key."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=60) as answer:
        return json.load(answer)


def put(url: str, key: str, content: bytes, kind: str) -> None:
    """One PUT with an API key."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, content, headers, method="PUT"), timeout=60):
            pass
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{url}: {error.read().decode()[:1000]}") from None


@contextmanager
def tabellion(database_url: str, folder: Path, workers: int) -> Iterator[Served]:
    """API processes as an operator runs them."""
    port = free_port()
    environment = {**os.environ, "TABELLION_DATABASE_URL": database_url, "TABELLION_DATA_DIR": str(folder)}
    command = [sys.executable, "-m", "tabellion", "api", "--port", str(port), "--workers", str(workers)]
    with _running(command, environment, port, "/ready", folder / f"api-{port}.log") as served:
        yield served


@contextmanager
def baseline(database_url: str, folder: Path, prepared: Prepared, workers: int) -> Iterator[Served]:
    """The bare application of `bare.py`."""
    port = free_port()
    environment = {
        **os.environ,
        "BARE_URL": database_url,
        "BARE_TABLE": prepared.relation,
        "PYTHONPATH": str(Path(__file__).parent),
    }
    command = [
        *(sys.executable, "-m", "uvicorn", "--http", "httptools", "--loop", "uvloop", "--ws", "none", "--no-access-log"),
        *("--log-level", "warning", "--workers", str(workers), "--port", str(port), "bare:app"),
    ]
    with _running(command, environment, port, "/profile/user1@example.com", folder / f"bare-{port}.log") as served:
        yield served


@contextmanager
def _running(command: list[str], environment: dict[str, str], port: int, path: str, log: Path) -> Iterator[Served]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(f"{url}{path}", process, log)
        yield Served(url, process)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"not ready: {url}\n{log.read_text()[-3000:]}")


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
