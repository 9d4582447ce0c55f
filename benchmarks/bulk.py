"""`make bench-bulk`: imports as ratios against what PostgreSQL does with the same rows and nothing around it, in one run.

Usage: python benchmarks/bulk.py [--rows N] [--rounds N] [--write docs/benchmarks.md]
"""

import argparse
import asyncio
import csv
import datetime as dt
import os
import random
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import page
import prepare
import psycopg
from calls import say
from pocketbase import PROGRAM, PocketBase

from tabellion.features.bulk.exports import store as exports_store
from tabellion.features.bulk.exports.running import Exporter
from tabellion.features.bulk.imports import opening, service, store
from tabellion.features.bulk.imports.model import Mode, Order
from tabellion.features.bulk.imports.running import Run
from tabellion.features.tables import tables_of_licence
from tabellion.kit.clock import utc_now
from tabellion.platform import jobs
from tabellion.platform.database.migrate import migrate
from tabellion.platform.files import spool, use_spool
from tabellion.server.embedded import EmbeddedPostgres

_ATTRIBUTES: list[dict[str, Any]] = [
    {"type": "EMAIL_ADDRESS", "name": "emailAddress"},
    {"type": "CUSTOM", "name": "number", "valueType": "STRING", "unique": True},
    {"type": "FIRSTNAME", "name": "firstName"},
    {"type": "LASTNAME", "name": "lastName"},
    {"type": "BIRTHDATE", "name": "birthDate"},
    {"type": "ADDRESS_COUNTRY", "name": "addressCountry"},
    {"type": "CUSTOM", "name": "city", "valueType": "STRING"},
    {"type": "CUSTOM", "name": "points", "valueType": "INTEGER"},
    {"type": "CUSTOM", "name": "spent", "valueType": "NUMBER"},
    {"type": "CUSTOM", "name": "member", "valueType": "BOOLEAN"},
    {"type": "CUSTOM", "name": "lastOrder", "valueType": "TIMESTAMP"},
    {"type": "CUSTOM", "name": "note", "valueType": "TEXT"},
]
_SUBSCRIPTIONS = ("Newsletter", "Offers")
_CITIES = ("Gent", "Liège", "Namur", "Brugge", "Aalst", "Mons")


class Row(NamedTuple):
    """One line of the table of figures."""

    title: str
    rate: float
    base_rate: float
    ratio: float
    spread: tuple[float, float]
    wanted: str


def generate(path: Path, rows: int, *, changed: bool = False, dirty: float = 0.0) -> None:
    """A file; `changed` gives every row other values, `dirty` is the share of rows with a mistake."""
    dice = random.Random(7 + changed)
    first = dt.date(1940, 1, 1)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([a["name"] for a in _ATTRIBUTES] + [f"subscriptions#{name}" for name in _SUBSCRIPTIONS])
        for i in range(rows):
            city = dice.choice(_CITIES)
            day = first + dt.timedelta(days=dice.randrange(25000))
            wrong = dice.random() < dirty
            writer.writerow(
                [
                    f"p{i * 7919 % rows}.{i}@mail{i % 50}.example.com",
                    f"C{i:08d}",
                    dice.choice(("Ann", "Bert", "Chloé", "Dirk")),
                    dice.choice(("Vos", "Peeters", "Maes", "Dubois")) + ("-new" if changed else ""),
                    "2023-02-29" if wrong else day.isoformat(),
                    dice.choice(("BE", "FR", "NL", "DE")),
                    city,
                    dice.randrange(10000),
                    f"{dice.randrange(1, 100000) / 100:.2f}".rstrip("0").rstrip("."),
                    dice.choice(("true", "false")),
                    f"2026-{dice.randrange(1, 12):02d}-{dice.randrange(1, 28):02d}T{dice.randrange(24):02d}:15:00Z",
                    f'likes {city}, says "hi"',
                    "true" if changed else dice.choice(("true", "false")),
                    dice.choice(("true", "false")),
                ]
            )


class Bench:
    """One licence with a table, and plain tables with the same columns, constraints and indexes beside it."""

    def __init__(self, folder: Path, stack: ExitStack, rows: int) -> None:
        self.folder = folder
        self.rows = rows
        self._server = stack.enter_context(EmbeddedPostgres(folder))
        self.url = self._server.url
        migrate(self.url)
        jobs.install(self.url)
        use_spool(folder / "spool")
        with prepare.tabellion(self.url, folder, 1) as served:
            self.key = prepare.licence(self.url, "bulk")
            body = {"name": "People", "attributes": _ATTRIBUTES, "subscriptions": [{"name": n} for n in _SUBSCRIPTIONS]}
            prepare.call(f"{served.url}/v5/entities/shop/profile-tables", self.key, body)
        self.table = asyncio.run(self._table())
        self.relation = f"l{self.table.licence_id}.p{self.table.id}"
        definition = self.table.definition
        self.columns = [a.column for a in definition.attributes] + [s.column for s in definition.subscriptions]

    async def _table(self) -> Any:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as db:
            cursor = await db.execute("SELECT id FROM tabellion.licence WHERE name = 'bulk'")
            row: Any = await cursor.fetchone()
            return (await tables_of_licence(db, row[0], -1, fresh=True))[0]

    def file(self, name: str, **how: Any) -> Path:
        """A file of rows, zipped; the rows stand beside it."""
        plain = self.folder / f"{name}.csv"
        generate(plain, self.rows, **how)
        packed = plain.with_suffix(".zip")
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.write(plain, "rows.csv")
        say(f"{name}: {self.rows:,} rows, {packed.stat().st_size / 2**20:.0f} MB zipped")
        return packed

    def empty(self) -> None:
        """As before the first import."""
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute(f"TRUNCATE {self.relation}, l{self.table.licence_id}.consent")

    def imported(self, packed: Path, mode: Mode = Mode.CREATE_UPDATE, *, errors: int = 0) -> float:
        """Seconds that an import takes, from the file on the disk to the end of the job."""
        folder = service.new_folder()
        copy = spool() / "copy"
        copy.write_bytes(packed.read_bytes())
        service.spool_files({opening.INPUT: copy}, folder)

        async def enter() -> int:
            async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as db:
                return await store.insert(db, self.table, Order(mode=mode), folder, utc_now())

        job_id = asyncio.run(enter())
        began = time.perf_counter()
        asyncio.run(Run(self.url, spool(), utc_now)(job_id))
        seconds = time.perf_counter() - began

        async def look() -> Any:
            async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as db:
                return await store.find(db, job_id)

        job = asyncio.run(look())
        if job.counters.read != self.rows or (job.counters.in_error > 0) != bool(errors):
            sys.exit(f"the import did something else: {job}")
        return seconds

    def plain(self, name: str, *, bare: bool = False) -> None:
        """A plain table with the columns, and, unless bare, with the constraints and indexes."""
        like = "" if bare else "INCLUDING ALL"
        with psycopg.connect(self.url, autocommit=True) as db:
            db.execute(f"DROP TABLE IF EXISTS {name}")
            db.execute(f"CREATE TABLE {name} (LIKE {self.relation} {like})")
            for column in ("created_at", "updated_at"):
                db.execute(f"ALTER TABLE {name} ALTER {column} SET DEFAULT now(), ALTER {column} DROP NOT NULL")
            if bare:
                db.execute(f"ALTER TABLE {name} ALTER id DROP NOT NULL")

    def checkpoint(self) -> None:
        """So that nobody pays for what an earlier measurement has left to be written."""
        with psycopg.connect(self._server.url_of("postgres"), autocommit=True) as db:
            db.execute("CHECKPOINT")

    def copied(self, plain: Path, name: str) -> float:
        """Seconds that COPY takes."""
        with psycopg.connect(self.url, autocommit=True) as db, plain.open("rb") as file:
            began = time.perf_counter()
            with (
                db.cursor() as cursor,
                cursor.copy(f"COPY {name} ({', '.join(self.columns)}) FROM STDIN (FORMAT csv, HEADER)") as copy,
            ):
                while piece := file.read(1 << 20):
                    copy.write(piece)
            return time.perf_counter() - began

    def exported(self) -> float:
        """Seconds that an export of all columns takes, from the order to the file on the disk."""

        async def enter() -> int:
            document = {"tableId": self.table.public_id, "tableType": "PROFILE_TABLE", "format": {}, "compression": "NONE"}
            owner = exports_store.Owner(self.table.licence_id, self.table.entity_id)
            async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as db:
                new = exports_store.NewExecution(owner, None, document, None, service.new_folder("export"))
                return await exports_store.enter(db, new, utc_now())

        number = asyncio.run(enter())
        began = time.perf_counter()
        asyncio.run(Exporter(self.url, spool(), utc_now)(number))
        seconds = time.perf_counter() - began

        async def look() -> Any:
            async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as db:
                return await exports_store.execution(db, number)

        done = asyncio.run(look())
        if done.rows_exported != self.rows:
            sys.exit(f"the export did something else: {done}")
        return seconds

    def copied_out(self) -> float:
        """Seconds that COPY TO takes for the same columns, into a file, with the driver's own reading."""
        columns = ["id", *self.columns, "created_at", "updated_at"]
        path = self.folder / "out.csv"
        with psycopg.connect(self.url, autocommit=True) as db, path.open("wb") as file:
            began = time.perf_counter()
            with (
                db.cursor() as cursor,
                cursor.copy(f"COPY {self.relation} ({', '.join(columns)}) TO STDOUT (FORMAT csv)") as copy,
            ):
                for piece in copy:
                    file.write(piece)
            os.fsync(file.fileno())
            return time.perf_counter() - began

    def upserted(self, staged: str, name: str) -> float:
        """Seconds that one hand-written statement takes."""
        listed = ", ".join(self.columns)
        sets = ", ".join(f"{column} = EXCLUDED.{column}" for column in self.columns)
        key = self.columns[1]
        with psycopg.connect(self.url, autocommit=True) as db:
            began = time.perf_counter()
            db.execute(
                f"INSERT INTO {name} ({listed}, updated_at) SELECT {listed}, now() FROM {staged} "
                f"ON CONFLICT ({key}) DO UPDATE SET {sets}, updated_at = EXCLUDED.updated_at"
            )
            return time.perf_counter() - began


def compare(title: str, rows: int, ours: list[float], base: list[float], wanted: str) -> Row:
    """A row of figures from seconds that belong together."""
    ratios = [b / o for o, b in zip(ours, base, strict=True)]
    row = Row(
        title,
        rows / statistics.median(ours),
        rows / statistics.median(base),
        statistics.median(ratios),
        (min(ratios), max(ratios)),
        wanted,
    )
    say(f"{title}: {row.rate:,.0f} rows/s against {row.base_rate:,.0f}: {row.ratio:.2f}")
    return row


def measure(bench: Bench, rounds: int) -> list[Row]:
    """All the figures."""
    clean, changed, dirty = bench.file("clean"), bench.file("changed", changed=True), bench.file("dirty", dirty=0.1)
    rows = bench.rows
    seconds: dict[str, list[float]] = {
        name: [] for name in ("create", "copy", "dirty", "update", "upsert", "export", "copyOut")
    }

    def timed(name: str, work: Callable[[], float]) -> None:
        bench.checkpoint()
        seconds[name].append(work())
        say(f"  {name}: {seconds[name][-1]:.1f} s")

    bench.plain("staged", bare=True)
    bench.copied(changed.with_suffix(".csv"), "staged")
    for _ in range(rounds):
        bench.plain("raw")
        timed("copy", lambda: bench.copied(clean.with_suffix(".csv"), "raw"))
        timed("upsert", lambda: bench.upserted("staged", "raw"))
        bench.empty()
        timed("dirty", lambda: bench.imported(dirty, errors=1))
        bench.empty()
        timed("create", lambda: bench.imported(clean))
        timed("update", lambda: bench.imported(changed))
        timed("copyOut", bench.copied_out)
        timed("export", bench.exported)
    return [
        compare(f"import of {rows:,} new profiles, against COPY", rows, seconds["create"], seconds["copy"], "0.50"),
        compare(
            f"import that changes {rows:,} profiles, against INSERT ... ON CONFLICT",
            rows,
            seconds["update"],
            seconds["upsert"],
            "0.50",
        ),
        compare(f"export of {rows:,} profiles, against COPY TO", rows, seconds["export"], seconds["copyOut"], "0.70"),
        compare("import with 10 % wrong rows, against the clean one", rows, seconds["dirty"], seconds["create"], "0.87"),
    ]


_POCKETBASE_TYPES = {"INTEGER": "number", "NUMBER": "number", "BOOLEAN": "bool", "DATE": "date", "TIMESTAMP": "date"}
_POCKETBASE_ROWS, _POCKETBASE_BATCH, _POCKETBASE_CLIENTS = 20_000, 500, 2


def pocketbase(bench: Bench, plain: Path) -> float:
    """Rows a second of PocketBase's batch API with the first rows of the same file."""
    fields = [{"name": a["name"], "type": _POCKETBASE_TYPES.get(a.get("valueType", ""), "text")} for a in _ATTRIBUTES]
    fields += [{"name": name, "type": "bool"} for name in _SUBSCRIPTIONS]
    with plain.open(encoding="utf-8", newline="") as file:
        records = [
            {name.removeprefix("subscriptions#"): value for name, value in row.items()}
            for row, _ in zip(csv.DictReader(file), range(_POCKETBASE_ROWS), strict=False)
        ]
    for record in records:
        for field in fields:
            if field["type"] == "bool":
                record[field["name"]] = record[field["name"]] == "true"  # type: ignore[assignment]
            elif field["type"] == "number":
                record[field["name"]] = float(record[field["name"]])  # type: ignore[assignment]
    with PocketBase(PROGRAM, bench.folder, fields, ("emailAddress", "number")) as other:
        return len(records) / other.loaded(records, _POCKETBASE_BATCH, _POCKETBASE_CLIENTS)


def against_pocketbase(bench: Bench, rate: float) -> list[Row]:
    """Our import beside PocketBase's batch API, where its wheel is installed."""
    if not PROGRAM.exists():
        say("pocketbase is not installed (make bench-bulk installs it): left out")
        return []
    theirs = pocketbase(bench, bench.folder / "clean.csv")
    title = f"import of {bench.rows:,} new profiles, against PocketBase's batch API"
    row = Row(title, rate, theirs, rate / theirs, (rate / theirs, rate / theirs), "10")
    say(f"{title}: {row.ratio:.1f}")
    return [row]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tabellion-bench-", dir=os.environ.get("TMPDIR")) as folder,
        ExitStack() as stack,
    ):
        bench = Bench(Path(folder), stack, options.rows)
        rows = measure(bench, options.rounds)
        rows += against_pocketbase(bench, rows[0].rate)
    lines = ["| measured | rows/s | baseline rows/s | ratio | least, greatest | wanted |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {r.title} | {r.rate:,.0f} | {r.base_rate:,.0f} | **{r.ratio:.2f}** | {r.spread[0]:.2f}, {r.spread[1]:.2f} | {r.wanted} |"
        for r in rows
    ]
    text = "\n".join(lines)
    print(text)
    if options.write:
        page.write(options.write, "bulk", text)


if __name__ == "__main__":
    main()
