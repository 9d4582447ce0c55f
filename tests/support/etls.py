"""ETLs as an integrator runs them, and the worker's part of them, run here and now."""

import asyncio
import csv
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tabellion.features.bulk.etls.running import Executor
from tabellion.kit.clock import utc_now
from tabellion.platform.files import use_spool
from tabellion.platform.jobs.turns import Turn
from tests.support import zips
from tests.support.tenant import Tenant

BASE = "/v5/entities/hotels"
EXECUTIONS, ETLS = f"{BASE}/etl-executions", f"{BASE}/etls"


def packed(**contents: str | bytes) -> bytes:
    """A zip of CSV files; `guests` is the entry `guests.csv`."""
    return zips.packed({f"{name}.csv": content for name, content in contents.items()})


def one_file(**members: Any) -> dict[str, Any]:
    """A definition of one file into `Guests`; `load` and other members replace the usual ones."""
    load = {"tableType": "PROFILE_TABLE", "tableId": "Guests"} | members.pop("load", {})
    return {"files": [{"load": load} | members]}


class Etls:
    """ETLs of one tenant."""

    def __init__(self, tenant: Tenant, database_url: str, spool: Path) -> None:
        self.tenant = tenant
        self.url = database_url
        self.spool = spool

    def send(self, path: str, files: dict[str, str | bytes], definition: Any = None) -> httpx.Response:
        """A call with files by their names, and a definition if there is one."""
        parts: list[Any] = [("file", (name, content, "text/csv")) for name, content in files.items()]
        if definition is not None:
            parts.append(("definition", ("definition.json", json.dumps(definition), "application/json")))
        headers = {"Authorization": f"Bearer {self.tenant.api_key}"}
        return self.tenant.client.post(path, files=parts, headers=headers)

    def run(self, number: str, turn: Turn | None = None) -> None:
        """What a worker does."""

        async def work() -> None:
            use_spool(self.spool)
            await Executor(self.url, self.spool, utc_now, turn)(int(number))

        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, work()).result()

    def do(self, files: dict[str, str | bytes], definition: Any = None, path: str = EXECUTIONS) -> dict[str, Any]:
        """An execution to its end."""
        answer = self.send(path, files, definition)
        assert answer.status_code == 201, answer.text
        self.run(answer.json()["id"])
        return self.read(answer.json()["id"])

    def read(self, number: str) -> dict[str, Any]:
        """An execution as it is answered."""
        answer = self.tenant.json("GET", f"{EXECUTIONS}/{number}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rows(self, number: str, kind: str = "errors") -> dict[str, list[dict[str, str]]]:
        """The rows of each file of a zip."""
        answer = self.tenant.json("GET", f"{EXECUTIONS}/{number}/{kind}")
        assert answer.status_code == 200, answer.text
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            return {n: list(csv.DictReader(io.StringIO(archive.read(n).decode()))) for n in archive.namelist()}
