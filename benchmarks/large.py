"""`make bench-large`: what a large import costs beside time: the worker's memory, its neighbours' calls, its growth.

Usage: python benchmarks/large.py [--rows N]   (N rows of 20 columns; the small file has a tenth)
"""

import argparse
import asyncio
import http.client
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import prepare
import psycopg
from calls import say

from tabellion.features.bulk.imports import Order, jobs_store, new_folder, spool_files
from tabellion.features.bulk.imports.opening import INPUT
from tabellion.features.bulk.imports.service import TASK
from tabellion.features.tables import tables_of_licence
from tabellion.kit.clock import utc_now
from tabellion.platform import jobs
from tabellion.platform.database.migrate import migrate
from tabellion.platform.files import spool, use_spool
from tabellion.server.embedded import EmbeddedPostgres

_NAMES = ("Vos", "Peeters", "Maes", "Dubois")
_CLIENTS, _ALONE_S = 4, 8.0
_ATTRIBUTES: list[dict[str, Any]] = [
    {"type": "EMAIL_ADDRESS", "name": "emailAddress"},
    *({"name": f"text{n}", "valueType": "STRING"} for n in range(8)),
    *({"name": f"count{n}", "valueType": "INTEGER"} for n in range(5)),
    *({"name": f"day{n}", "valueType": "DATE"} for n in range(3)),
    *({"name": f"flag{n}", "valueType": "BOOLEAN"} for n in range(2)),
    {"name": "price", "valueType": "NUMBER"},
]
_SUBSCRIPTION = "Newsletter"


def generate(path: Path, rows: int) -> None:
    """A zip with a file of so many rows; values repeat, so that five million fit into 100 MB."""
    dice = random.Random(3)
    tails = [
        ",".join(
            [
                *(dice.choice(_NAMES) for _ in range(8)),
                *(str(dice.randrange(100)) for _ in range(5)),
                *(f"19{dice.randrange(40, 99)}-0{dice.randrange(1, 9)}-1{dice.randrange(9)}" for _ in range(3)),
                *(dice.choice(("true", "false")) for _ in range(2)),
                str(dice.randrange(1, 1000)),
                dice.choice(("true", "false")),
            ]
        )
        for _ in range(500)
    ]
    header = ",".join([a["name"] for a in _ATTRIBUTES] + [f"subscriptions#{_SUBSCRIPTION}"])
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive, archive.open("rows.csv", "w") as file:
        file.write(header.encode() + b"\n")
        for first in range(0, rows, 10_000):
            count = min(10_000, rows - first)
            file.write("".join(f"p{first + i}@x.be,{tails[i % 500]}\n" for i in range(count)).encode())
    say(f"{rows:,} rows of {len(_ATTRIBUTES) + 1} columns, {path.stat().st_size / 2**20:.0f} MB zipped")


class Large:
    """A server with a worker, a licence that imports, and a neighbour that calls."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        server = stack.enter_context(EmbeddedPostgres(folder))
        self.url = server.url
        migrate(self.url)
        jobs.install(self.url)
        use_spool(folder / "spool")
        self.api = stack.enter_context(prepare.tabellion(self.url, folder, 1))
        self.key = prepare.licence(self.url, "bulk")
        body = {"name": "People", "attributes": _ATTRIBUTES, "subscriptions": [{"name": _SUBSCRIPTION}]}
        prepare.call(f"{self.api.url}/v5/entities/shop/profile-tables", self.key, body)
        self.neighbour = prepare.table(self.url, self.api.url, "neighbour", prepare.licence(self.url, "neighbour"), 100_000)

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """A worker of its own."""
        where = {"TABELLION_DATABASE_URL": self.url, "TABELLION_DATA_DIR": str(self.folder), "TABELLION_LOG_LEVEL": "error"}
        process = subprocess.Popen([sys.executable, "-m", "tabellion", "worker"], env=os.environ | where)
        try:
            yield process
        finally:
            process.terminate()
            process.wait()

    def order(self, packed: Path) -> int:
        """Queue an import."""
        folder, copy = new_folder(), spool() / "copy"
        copy.write_bytes(packed.read_bytes())
        spool_files({INPUT: copy}, folder)

        async def work() -> int:
            async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as db:
                cursor = await db.execute("SELECT id FROM tabellion.licence WHERE name = 'bulk'")
                row: Any = await cursor.fetchone()
                (table,) = await tables_of_licence(db, row[0], -1, fresh=True)
                await db.execute(f"TRUNCATE l{table.licence_id}.p{table.id}".encode())
                async with db.transaction():
                    number = await jobs_store.insert(db, table, Order(), folder, utc_now())
                    await jobs.defer(db, TASK, job_id=number)
                return number

        return asyncio.run(work())

    def wait(self, number: int, rows: int) -> float:
        """Seconds that the import took."""
        with psycopg.connect(self.url, autocommit=True) as db:
            while True:
                row: Any = db.execute(
                    "SELECT status, ended_at - started_at, rows_created FROM tabellion.import_job WHERE id = %s", (number,)
                ).fetchone()
                if row[1] is not None:
                    if row[0] != "DONE" or row[2] != rows:
                        sys.exit(f"the import did something else: {row}")
                    return row[1].total_seconds()
                time.sleep(0.2)


class Calls:
    """Clients that read profiles one by one, each over a connection of its own."""

    def __init__(self, large: Large) -> None:
        self._where = urlsplit(large.api.url)
        self._headers = {"Authorization": f"Bearer {large.neighbour.key}"}
        self._stop = threading.Event()
        self.done = 0
        self.failed = 0
        self._threads = [threading.Thread(target=self._work, args=(n,)) for n in range(_CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, seed: int) -> None:
        dice = random.Random(seed)
        connection = http.client.HTTPConnection(self._where.hostname or "", self._where.port, timeout=30)
        while not self._stop.is_set():
            email = f"user{dice.randrange(1, 100_000)}@example.com"
            path = f"/v5/entities/shop/profile-tables/Contacts/profiles/emailAddress={email}"
            connection.request("GET", path, headers=self._headers)
            answer = connection.getresponse()
            answer.read()
            self.done += 1
            self.failed += answer.status != http.client.OK


def peak_mb(pid: int) -> float:
    """The most memory that a process has had, in MB (VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=5_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="tabellion-bench-") as folder, ExitStack() as stack:
        large = Large(Path(folder), stack)
        small_file, large_file, middle_file = (Path(folder) / f"{name}.zip" for name in ("small", "large", "middle"))
        generate(small_file, rows // 10)
        generate(large_file, rows)
        generate(middle_file, min(rows, 1_000_000))
        with large.worker() as worker:
            small = large.wait(large.order(small_file), rows // 10)
            before = peak_mb(worker.pid)
            took = large.wait(large.order(large_file), rows)
            peak = peak_mb(worker.pid)
            with Calls(large) as alone:
                time.sleep(_ALONE_S)
            number = large.order(middle_file)
            began = time.monotonic()
            with Calls(large) as beside:
                middle = large.wait(number, min(rows, 1_000_000))
                seconds = time.monotonic() - began
        print(
            f"{rows // 10:,} rows in {small:.1f} s, {rows:,} in {took:.1f} s: {took / small:.1f} times the time (wanted: 11)"
        )
        print(f"worker: at most {before:.0f} MB, then {peak:.0f} MB (wanted: 256)")
        rate, rate_beside = alone.done / _ALONE_S, beside.done / seconds
        print(
            f"another licence: {rate:,.0f} calls/s alone, {rate_beside:,.0f} during an import ({middle:.0f} s): "
            f"{rate_beside / rate:.2f} (wanted: 0.50), {alone.failed + beside.failed} failed"
        )


if __name__ == "__main__":
    main()
