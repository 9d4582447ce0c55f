"""`make bench-send`: a campaign to Postfix's smtp-sink, against a bare asyncio loop that hands over the same ready-made bytes.

Usage: python benchmarks/send.py mails|audience|memory|trigger [--mails N] [--rounds N] [--write docs/benchmarks.md]

What is measured is the product as it runs: `tabellion worker` processes, from the frozen audience to the last outcome that is
written down. Everything shares the machine: database, workers, their cages, the sink.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cpu
import newsletter
import page
import prepare
import psycopg
import smtp
from calls import say

from tabellion.features import campaigns, delivery
from tabellion.kit.clock import utc_now
from tabellion.platform import jobs
from tabellion.platform.database.migrate import migrate
from tabellion.server.embedded import EmbeddedPostgres

_KEY = {"TABELLION_SECRET_KEY": "of the benchmark"}
_CONNECTIONS = 64
_SAMPLES = 500
_SETTLED_WITHIN_S = 600


class Row(NamedTuple):
    """One line of the table of figures."""

    title: str
    rate: str
    base_rate: str
    ratio: str
    spread: str
    wanted: str


class Bench:
    """A licence with a table, campaigns, and workers that send them."""

    def __init__(self, folder: Path, stack: ExitStack, profiles: int) -> None:
        self.folder = folder
        self._server = stack.enter_context(EmbeddedPostgres(folder))
        self.url = self._server.url
        migrate(self.url)
        jobs.install(self.url)
        settings = {**os.environ, **_KEY, "TABELLION_DATABASE_URL": self.url, "TABELLION_DATA_DIR": str(folder)}
        self._environment = settings
        os.environ.update(_KEY)
        self._api = stack.enter_context(prepare.tabellion(self.url, folder, 1)).url
        self._key = prepare.licence(self.url, "send")
        self.relation = prepare.table(self.url, self._api, "send", self._key, profiles).relation
        self.schema = self.relation.partition(".")[0]
        self.db: psycopg.Connection[Any] = stack.enter_context(psycopg.connect(self.url, autocommit=True))
        self._campaigns = 0
        self.sign("rsa")

    def sign(self, kind: str) -> None:
        """Have mails signed with a new key: rsa or ed25519."""
        sender = ("sender", "set", "send", "shop", "news@shop.example", "--name", "The Shop")
        self._tabellion(*sender, "--dkim-selector", f"s-{kind}", "--dkim-key", kind)

    def relay(self, port: int, connections: int) -> None:
        """The licence's relay; 0: none, so that mails stay in the outbox."""
        self.db.execute("DELETE FROM tabellion.relay")
        if port:
            self.db.execute(
                "INSERT INTO tabellion.relay (licence_id, host, port, security, connections) "
                "VALUES (%s, '127.0.0.1', %s, 'NONE', %s)",
                (int(self.schema[1:]), port, connections),
            )

    def campaign(self, html: str, mails: int | None, mode: str = "MASS") -> int:
        """A campaign to this many profiles, ready to be launched; None: to those in Belgium."""
        self._campaigns += 1
        target: dict[str, Any] = {"filter": 'addressCountry = "BE"'} if mails is None else {"maxProfiles": mails}
        base = f"{self._api}/v4/entity/shop/mail"
        body = {
            "name": f"Spring {self._campaigns}",
            "targetTable": "Contacts",
            "supportedLanguages": ["EN"],
            "sendingMode": mode,
        }
        number: int = prepare.call(base, self._key, body)["campaignId"]
        for part, content, kind in (
            ("content/subject", newsletter.SUBJECT.encode(), "text/plain"),
            ("content/body", html.encode(), "text/html"),
            ("target", json.dumps(target).encode(), "application/json"),
        ):
            prepare.put(f"{base}/{number}/{part}", self._key, content, kind)
        return number

    def launch(self, number: int) -> None:
        """Have it sent."""
        prepare.call(f"{self._api}/v4/entity/shop/mail/{number}/launch", self._key, {"overrideSenderCheck": "measured"})

    def trigger(self, number: int, contact: dict[str, Any]) -> None:
        """Have one transactional mail sent."""
        prepare.call(f"{self._api}/v4/entity/shop/transactionalmail/{number}/contact", self._key, contact)

    def share_addresses(self) -> None:
        """Have one profile in ten of the audience share the address of another one."""
        change = {"operation": "updateAttribute", "name": "emailAddress", "changes": {"unique": False}}
        path = f"{self._api}/v5/entities/shop/profile-tables/Contacts/change-requests"
        prepare.call(path, self._key, {"operations": [change]})
        other = f"{self.relation} o WHERE o.id = t.id - 2 AND t.id % 20 = 0"
        self.db.execute(f"UPDATE {self.relation} t SET a1 = o.a1 FROM {other}")
        self.db.execute(f"VACUUM FULL {self.relation}")
        self.db.execute(f"ANALYZE {self.relation}")

    @contextmanager
    def workers(self, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
        """Processes as an operator runs them, up and waiting."""
        command = [sys.executable, "-m", "tabellion", "worker"]
        with (self.folder / "workers.log").open("ab") as log:
            running = [subprocess.Popen(command, env=self._environment, stdout=log, stderr=log) for _ in range(count)]
        try:
            self.wait(lambda: self.one("SELECT count(*) FROM tabellion.mail_worker") == count)
            yield running
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()

    def sent(self, html: str, mails: int) -> float:
        """Seconds from the frozen audience to the last outcome, with the workers that run."""
        number = self.campaign(html, mails)
        self.checkpoint()
        before = cpu.used(self.folder)
        self.launch(number)
        ended = f"SELECT state = 'ENDED' FROM tabellion.sending WHERE campaign_id = {number:d}"
        self.wait(lambda: self.one(ended))
        states, seconds = self.db.execute(
            f"SELECT array_agg(DISTINCT state), extract(epoch FROM max(ended_at) - min(planned_at))::float "
            f"FROM {self.schema}.recipient WHERE campaign_id = {number:d}"
        ).fetchone() or ([], 0.0)
        if (
            states != ["ACCEPTED"]
            or self.one(f"SELECT count(*) FROM {self.schema}.recipient WHERE campaign_id = {number:d}") != mails
        ):
            sys.exit(f"the campaign did something else: {states}")
        spent = cpu.used(self.folder) - before
        say("  CPU ms a mail: " + ", ".join(f"{kind} {seconds * 1000 / mails:.2f}" for kind, seconds in spent.most_common()))
        self.db.execute(f"TRUNCATE {self.schema}.recipient")
        return seconds

    def samples(self, load: "Load") -> Path:
        """Ready-made mails, as the outbox keeps them; what the bare loop hands over."""
        self.relay(0, 0)
        folder = self.folder / f"mails-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        with self.workers(1):
            self.sent(load.html, _SAMPLES)
        for number, content in self.db.execute(f"SELECT id, content FROM {self.schema}.outbox_mail"):
            (folder / f"{number}.eml").write_bytes(content)
        self.db.execute(f"TRUNCATE {self.schema}.outbox_mail")
        sizes = [path.stat().st_size for path in folder.iterdir()]
        say(f"{load.title}: {statistics.median(sizes) / 1000:.1f} kB a mail")
        return folder

    def checkpoint(self) -> None:
        """So that nobody pays for what an earlier measurement has left to be written."""
        with psycopg.connect(self._server.url_of("postgres"), autocommit=True) as db:
            db.execute("CHECKPOINT")

    def one(self, query: str) -> Any:
        """The value of a query."""
        row = self.db.execute(query).fetchone()
        return None if row is None else row[0]

    def wait(self, condition: Callable[[], Any]) -> None:
        """Until something is so."""
        deadline = time.monotonic() + _SETTLED_WITHIN_S
        while not condition():
            if time.monotonic() > deadline:
                sys.exit(f"it did not happen; see the end of the log:\n{(self.folder / 'workers.log').read_text()[-3000:]}")
            time.sleep(0.1)

    def _tabellion(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tabellion", *arguments]
        subprocess.run(command, env=self._environment, check=True, stdout=subprocess.DEVNULL)


def bare(how: str, port: int, folder: Path, load: "Load") -> float:
    """Mails a second of a bare loop (see `smtp.main`), in a process of its own."""
    command = [sys.executable, smtp.__file__, str(port), str(folder), str(load.mails), str(load.connections), how]
    # asyncio asks for 256 kB for each answer of the sink. Above the threshold each of these is mapped and given back: half the
    # rate is lost, unless something larger was freed before, which is a matter of luck.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(1 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 24)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(run.stdout)


class Load(NamedTuple):
    """What is sent: how many mails, by how many workers, over how many connections in all, signed with which kind of key."""

    title: str
    html: str
    mails: int
    workers: int
    connections: int
    signature: str = "rsa"
    wanted: str = "for the record"


def against_bare(bench: Bench, load: Load, rounds: int) -> list[Row]:
    """Our rate beside the bare loop's, in turns."""
    bench.sign(load.signature)
    folder = bench.samples(load)
    with smtp.sink() as port:
        bench.relay(port, load.connections // load.workers)
        rates: dict[str, list[float]] = {"ours": [], "plain": [], "pipelined": [], "library": []}
        with bench.workers(load.workers):
            bench.sent(load.html, load.mails // 10)
            for _ in range(rounds):
                rates["plain"].append(bare("plain", port, folder, load))
                rates["ours"].append(load.mails / bench.sent(load.html, load.mails))
                rates["pipelined"].append(bare("pipelined", port, folder, load))
                rates["library"].append(bare("library", port, folder, load))
                say(", ".join(f"{name} {found[-1]:,.0f}" for name, found in rates.items()))
    names = {
        "plain": ("the bare loop, one command at a time", load.wanted),
        "pipelined": ("the bare loop, MAIL, RCPT and DATA in one piece", "for the record"),
        "library": ("a loop of aiosmtplib", "for the record"),
    }
    rows: list[Row] = []
    for name, (how, bar) in names.items():
        ratios = [ours / base for ours, base in zip(rates["ours"], rates[name], strict=True)]
        rows.append(
            Row(
                f"{load.title}, {load.workers} worker{'s' * (load.workers > 1)}, against {how}",
                f"{statistics.median(rates['ours']):,.0f}",
                f"{statistics.median(rates[name]):,.0f}",
                f"**{statistics.median(ratios):.2f}**",
                f"{min(ratios):.2f}, {max(ratios):.2f}",
                bar,
            )
        )
    return rows


def memory(bench: Bench, mails: int) -> Row:
    """The greatest memory of a worker and its cages after a fifth of the mails, and after all of them."""
    with smtp.sink() as port:
        bench.relay(port, _CONNECTIONS)
        with bench.workers(1) as (worker,):
            bench.sent(newsletter.newsletter(), mails // 5)
            before = cpu.peak_mb(worker.pid)
            bench.sent(newsletter.newsletter(), mails)
            after = cpu.peak_mb(worker.pid)
    title = f"peak memory (MB) of a worker with its cages: after {mails:,} mails more, against after {mails // 5:,}"
    return Row(title, f"{after:,.0f}", f"{before:,.0f}", f"**{after / before:.2f}**", "", "constant")


def triggered(bench: Bench, calls: int) -> list[Row]:
    """How long a transactional mail takes from the answer to its trigger until a relay has taken it, one after the other."""
    with smtp.journal() as (port, taken):
        bench.relay(port, 8)
        number = bench.campaign(newsletter.SMALL, 1, "TRANSACTIONAL")
        bench.launch(number)
        waits: list[float] = []
        with bench.workers(1):
            for count in range(calls):
                address = f"trigger{count}@example.com"
                attributes = [{"name": "emailAddress", "value": address}, {"name": "lastName", "value": "Vos"}]
                bench.trigger(number, {"profile": {"attributes": attributes}})
                answered = time.perf_counter()
                while address not in taken:
                    time.sleep(0.001)
                waits.append(max(taken[address] - answered, 0.0) * 1000)
    title = "from the answer to a trigger until the relay has taken its mail (ms), one after the other"
    spots = {"half of them within": 0.5, "95 in 100 within": 0.95, "all within": 1.0}
    ranked = sorted(waits[calls // 10 :])
    return [
        Row(f"{title}: {name}", f"{ranked[min(int(len(ranked) * spot), len(ranked) - 1)]:,.0f}", "", "", "", "small")
        for name, spot in spots.items()
    ]


_BY_HAND = """
INSERT INTO {plain} (sending_id, campaign_id, test, table_id, profile_id, address, language, state, due_at, planned_at, once)
SELECT 1, 1, false, 1, t.id, t.a1, 'en', 'PLANNED', %(now)s, %(now)s, true FROM {relation} t WHERE t.a5 = 'BE'
"""


def frozen(bench: Bench, rounds: int, note: str = "") -> Row:
    """An audience of half the table frozen, against the same rows inserted by hand into a table of the same make."""
    seconds: dict[str, list[float]] = {"ours": [], "hand": []}
    size = bench.one(f"SELECT count(*) FROM {bench.relation} WHERE a5 = 'BE'")
    plain = f"{bench.schema}.by_hand"
    bench.db.execute(f"CREATE TABLE IF NOT EXISTS {plain} (LIKE {bench.schema}.recipient INCLUDING ALL)")

    async def gather(number: int) -> float:
        async with await psycopg.AsyncConnection.connect(bench.url) as db:
            sending = await delivery.sending_of(db, number)
            assert sending is not None
            began = time.perf_counter()
            await campaigns.gather(db, sending, utc_now())
            await db.commit()
            return time.perf_counter() - began

    for turn in range(rounds + 1):
        bench.checkpoint()
        began = time.perf_counter()
        bench.db.execute(_BY_HAND.format(plain=plain, relation=bench.relation), {"now": utc_now()})
        hand = time.perf_counter() - began
        number = bench.campaign(newsletter.SMALL, None)
        bench.launch(number)
        bench.checkpoint()
        ours = asyncio.run(gather(number))
        if bench.one(f"SELECT count(*) FROM {bench.schema}.recipient") != size:
            sys.exit("another audience was frozen")
        bench.db.execute(f"TRUNCATE {plain}, {bench.schema}.recipient")
        say(f"  frozen in {ours:.1f} s, by hand in {hand:.1f} s")
        if turn:
            seconds["ours"].append(ours)
            seconds["hand"].append(hand)
    ratios = [ours / hand for ours, hand in zip(seconds["ours"], seconds["hand"], strict=True)]
    return Row(
        f"an audience of {size:,} frozen from {2 * size:,} profiles{note} (rows/s), against INSERT ... SELECT: times as long",
        f"{size / statistics.median(seconds['ours']):,.0f}",
        f"{size / statistics.median(seconds['hand']):,.0f}",
        f"**{statistics.median(ratios):.2f}**",
        f"{min(ratios):.2f}, {max(ratios):.2f}",
        "at most 1.5",
    )


def mails_rows(bench: Bench, options: Any) -> list[Row]:
    """Mails a second, large and small."""
    large, mails, connections = newsletter.newsletter(), options.mails, options.connections
    loads = [Load("mails of 35 kB", large, mails, workers, connections, wanted="0.50") for workers in options.workers]
    # What there is to be had when the signature costs next to nothing.
    loads.append(Load("mails of 35 kB, signed with Ed25519", large, mails, 2, connections, signature="ed25519"))
    loads.append(Load("small mails", newsletter.SMALL, mails, 2, connections))
    return [row for load in loads for row in against_bare(bench, load, options.rounds)]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("mails", "audience", "memory", "trigger"))
    parser.add_argument("--mails", type=int, default=10_000)
    parser.add_argument("--profiles", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=_CONNECTIONS)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--write", type=Path)
    options: Any = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tabellion-bench-", dir=os.environ.get("TMPDIR")) as folder,
        ExitStack() as stack,
    ):
        profiles = options.profiles if options.part == "audience" else 100_000 if options.part == "memory" else options.mails
        bench = Bench(Path(folder), stack, profiles)
        if options.part == "mails":
            rows = mails_rows(bench, options)
        elif options.part == "trigger":
            rows = triggered(bench, 200)
        elif options.part == "audience":
            rows = [frozen(bench, options.rounds)]
            bench.share_addresses()
            rows.append(frozen(bench, options.rounds, ", one in ten with the address of another one"))
        else:
            rows = [memory(bench, profiles)]
    lines = ["| measured | ours | baseline | ratio | least, greatest | wanted |", "|---|---|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    text = "\n".join(lines)
    print(text)
    if options.write:
        page.write(options.write, f"send {options.part}", text)


if __name__ == "__main__":
    main()
