"""Kill -9 of the worker, the API and the database while a file is imported: every row is in once, or in the error file once.

The suite has a small file and few kills; `make chaos-import` (TABELLION_ROWS=1000000, TABELLION_KILLS=200,
TABELLION_DATABASE_KILLS=50) has many.
"""

import contextlib
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tabellion.server.embedded import EmbeddedPostgres
from tests.support import plain
from tests.support.import_checker import compare
from tests.support.import_model import make
from tests.support.imports import unzipped, zipped
from tests.support.serving import Serving
from tests.support.tenant import TABLE

pytestmark = pytest.mark.system
ROWS = int(os.environ.get("TABELLION_ROWS", "60000"))
KILLS = int(os.environ.get("TABELLION_KILLS", "2"))
DATABASE_KILLS = int(os.environ.get("TABELLION_DATABASE_KILLS", "1"))
SEED = int(os.environ.get("TABELLION_SEED", "20261123"))
# `make chaos-import` holds it to 15 s, on a machine that does nothing else.
RESUMED_WITHIN_S = float(os.environ.get("TABELLION_RESUMED_WITHIN_S", "60"))


class Client:
    """Calls of an integrator who repeats what fails."""

    def __init__(self, url: str, key: str) -> None:
        self._client = plain.Client(base_url=url, timeout=120, headers={"Authorization": f"Bearer {key}"})

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        deadline = time.monotonic() + 90
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = self._client.request(method, path, **options)
                if answer.status_code < 500:
                    return answer
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.05)


@pytest.mark.timeout(7200)
def test_every_row_is_in_once_or_in_the_error_file_once(tmp_path: Path) -> None:
    """The file is imported again, each time into another licence, until all the kills are done."""
    chance = random.Random(SEED)
    content, model = make(ROWS, SEED)
    deaths = ["worker"] * KILLS + ["database"] * DATABASE_KILLS + ["api"] * (KILLS // 4)
    chance.shuffle(deaths)
    done, files, slowest = 0, 0, 0.0
    with Serving(tmp_path) as server:
        while done < len(deaths):
            files += 1
            count, slow = _import_under_fire(server, f"harbour{files}", (content, model), deaths[done:], chance)
            done, slowest = done + count, max(slowest, slow)
            print(f"file {files}: {done} kills, at most {slowest:.1f} s", flush=True)
    print(f"{files} files of {ROWS} rows, {done} kills, at most {slowest:.1f} s until rows were read again")


def _import_under_fire(
    server: Serving, licence: str, file: tuple[str, Any], deaths: list[str], chance: random.Random
) -> tuple[int, float]:
    """One import under as many kills as fit into it; how many, and the longest time until it went on."""
    content, model = file
    server.verb("licence", "create", licence, "--limits", "unlimited")
    server.verb("entity", "create", licence, "hotels")
    call = Client(server.url, server.verb("user", "create", licence, "shop")["apiKey"])
    assert call("POST", "/v5/entities/hotels/profile-tables", json=TABLE).status_code == 201
    files = {"inputFile": ("guests.zip", zipped(content), "application/zip")}
    job = call("POST", "/v4/entity/hotels/table/Guests/import", files=files).json()["id"]
    count, read, slowest = 0, 0, 0.0
    for death in deaths:
        # Somewhere in a block that comes after the ones seen so far, or before the first.
        time.sleep(chance.uniform(0.0, 1.0))
        if _status(call, job)["status"] not in {"QUEUED", "VALIDATING", "RUNNING"}:
            break
        _kill(server, death)
        count += 1
        began = time.monotonic()
        read = _progress(call, job, read, began)
        slowest = max(slowest, time.monotonic() - began)
    _wait_for_end(call, job)
    result = call("GET", f"/v4/entity/hotels/import/{job}/result").json()
    errors = unzipped(call("GET", f"/v4/entity/hotels/import/{job}/errors").content)
    with EmbeddedPostgres(server.data_dir) as database:
        compare(database.url, licence, model, result, errors)
    return count, slowest


def _status(call: Client, job: int) -> dict[str, Any]:
    return call("GET", f"/v4/entity/hotels/import/{job}/status").json()


def _kill(server: Serving, what: str) -> None:
    verb = {"worker": "tabellion worker", "api": "tabellion api", "database": "bin/postgres -D"}[what]
    for pid in server.children(verb)[:1]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _progress(call: Client, job: int, read: int, began: float) -> int:
    """Until more rows are read than before, or all are."""
    while True:
        status = _status(call, job)
        if status["rowsRead"] > read or status["status"] not in {"QUEUED", "VALIDATING", "RUNNING"}:
            return status["rowsRead"]
        assert time.monotonic() < began + RESUMED_WITHIN_S, f"nothing goes on: {status}"
        time.sleep(0.05)


def _wait_for_end(call: Client, job: int) -> None:
    deadline = time.monotonic() + 60 + ROWS / 2000
    while _status(call, job)["status"] in {"QUEUED", "VALIDATING", "RUNNING"}:
        assert time.monotonic() < deadline
        time.sleep(0.1)
