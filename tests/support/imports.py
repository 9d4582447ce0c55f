"""Imports as an integrator makes them, and the worker's part of them, run here and now."""

import asyncio
import csv
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tabellion.features.bulk.imports.running import Run
from tabellion.kit.clock import utc_now
from tabellion.platform.files import use_spool
from tabellion.platform.jobs.turns import Turn
from tests.support.tenant import Tenant
from tests.support.zips import packed

TABLE = "/v4/entity/hotels/table/Guests"
STAYS = "/v4/entity/hotels/customTable/Stays"
GOOD = "emailAddress,lastName,birthDate,points\nbob@example.com,Bob,1990-01-02,7\ncat@example.com,Cat,,\n"


def zipped(content: str | bytes, name: str = "guests.csv") -> bytes:
    """A zip with one file."""
    return packed({name: content})


def unzipped(content: bytes, encoding: str = "utf-8", delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of the one CSV file in a zip."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        (name,) = archive.namelist()
        assert "/" not in name
        text = archive.read(name).decode(encoding)
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


class Imports:
    """Imports of one tenant."""

    def __init__(self, tenant: Tenant, database_url: str, spool: Path) -> None:
        self.tenant = tenant
        self.url = database_url
        self.spool = spool

    def send(
        self, file: bytes, parameters: Any = None, *, method: str = "POST", path: str = TABLE, **fields: str
    ) -> httpx.Response:
        """The call alone; `parameters` makes it the variant of two files."""
        files: dict[str, Any] = {"inputFile": ("guests.zip", file, "application/zip")}
        if parameters is not None:
            files["parameters"] = ("parameters.json", json.dumps(parameters), "application/json")
        url = f"{path}/import"
        headers = {"Authorization": f"Bearer {self.tenant.api_key}"}
        return self.tenant.client.request(method, url, files=files, data=fields, headers=headers)

    def run(self, job_id: int, turn: Turn | None = None) -> None:
        """What a worker does."""

        async def work() -> None:
            use_spool(self.spool)
            await Run(self.url, self.spool, utc_now, turn)(job_id)

        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, work()).result()

    def do(self, file: bytes | str, parameters: Any = None, *, path: str = TABLE, **fields: str) -> dict[str, Any]:
        """An import to its end; its result."""
        content = file.encode() if isinstance(file, str) else file
        answer = self.send(content, parameters, path=path, **fields)
        assert answer.status_code == 201, answer.text
        job_id = answer.json()["id"]
        self.run(job_id)
        return self.result(job_id)

    def result(self, job_id: int) -> dict[str, Any]:
        """What the result call answers."""
        return self.tenant.json("GET", f"/v4/entity/hotels/import/{job_id}/result").json()

    def errors(self, job_id: int, **how: str) -> list[dict[str, str]]:
        """The rows of the error file."""
        answer = self.tenant.json("GET", f"/v4/entity/hotels/import/{job_id}/errors")
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/zip"
        return unzipped(answer.content, **how)

    def result_rows(self, job_id: int) -> list[dict[str, str]]:
        """The rows of the result file."""
        return unzipped(self.tenant.json("GET", f"/v4/entity/hotels/import/{job_id}/result-file").content)


def profile(tenant: Tenant, reference: str) -> dict[str, Any]:
    """A profile of Guests by a v5 reference."""
    answer = tenant.json("GET", f"/v5/entities/hotels/profile-tables/Guests/profiles/{reference}")
    assert answer.status_code == 200, answer.text
    return answer.json()
