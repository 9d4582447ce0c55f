"""Exports as an integrator orders them, and the worker's part of them, run here and now."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg

from tabellion.features.bulk.exports import service
from tabellion.features.bulk.exports.running import Exporter
from tabellion.kit.clock import utc_now
from tabellion.platform.files import use_spool
from tabellion.platform.jobs.turns import Turn
from tests.support.tenant import Tenant

BASE = "/v5/entities/hotels"
EXECUTIONS, EXPORTS = f"{BASE}/export-executions", f"{BASE}/exports"


class Exports:
    """Exports of one tenant."""

    def __init__(self, tenant: Tenant, database_url: str, spool: Path) -> None:
        self.tenant = tenant
        self.url = database_url
        self.spool = spool

    def run(self, number: str, clock: Callable[[], datetime] = utc_now, turn: Turn | None = None) -> None:
        """What a worker does."""

        async def work() -> None:
            use_spool(self.spool)
            await Exporter(self.url, self.spool, clock, turn)(int(number))

        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, work()).result()

    def start_due(self, now: datetime) -> int:
        """What a worker does every minute."""

        async def work() -> int:
            async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as db:
                return await service.start_due(db, now)

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, work()).result()

    def do(self, **definition: Any) -> tuple[dict[str, Any], bytes]:
        """A one-shot to its end: what it says of itself, and its file."""
        answer = self.tenant.json("POST", EXECUTIONS, {"tableId": "Guests"} | definition)
        assert answer.status_code == 201, answer.text
        self.run(answer.json()["id"])
        return self.read(answer.json()["id"]), self.file(answer.json()["id"])

    def read(self, number: str) -> dict[str, Any]:
        """An execution as it is answered."""
        answer = self.tenant.json("GET", f"{EXECUTIONS}/{number}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def file(self, number: str) -> bytes:
        """The file of an execution."""
        answer = self.tenant.json("GET", f"{EXECUTIONS}/{number}/file")
        assert answer.status_code == 200, answer.text
        return answer.content
