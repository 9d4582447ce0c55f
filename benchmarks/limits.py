"""`make limits`: the licence's limits over real HTTP, on a server of two API processes.

Reject mode: 50 clients for three minutes; the database's log of admitted calls is scanned for a window with too many, and
refusals for false ones. Slow-down mode: five connections at twice the rate; nothing may be refused and the rate must settle
at the limit. Then the sixth call at the same time, and the slots of a killed process.

Usage: python benchmarks/limits.py [--seconds 180]
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import prepare
import psycopg

from tabellion.features import licences as use
from tabellion.kit.clock import utc_now
from tabellion.platform import jobs
from tabellion.platform.database.migrate import migrate
from tabellion.server.embedded import EmbeddedPostgres

_LIMIT = 60
_WINDOW_S = 60.0


async def _set(url: str, **limits: Any) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
        await use.change_limits(db, "limits", limits, utc_now())
        await db.execute("DELETE FROM tabellion.usage_call")
        await db.execute("DELETE FROM tabellion.usage_state")


async def reject(api: str, url: str, key: str, seconds: float) -> bool:
    """50 clients; exact in every window, no false refusal."""
    await _set(url, calls_per_minute=_LIMIT, on_excess="REJECT", max_concurrent=1000)
    statuses: Counter[int] = Counter()
    admitted: list[float] = []
    false_refusals = 0
    until = time.monotonic() + seconds

    async def client(http: httpx.AsyncClient) -> None:
        nonlocal false_refusals
        while time.monotonic() < until:
            asked = time.time()
            answer = await http.get("/v4/entity")
            statuses[answer.status_code] += 1
            if answer.status_code == httpx.codes.OK:
                admitted.append(asked)
            else:
                # Half the limit at most was let in within the window before the question: then this refusal is false.
                recent = sum(1 for moment in admitted if moment > asked - _WINDOW_S - 0.5)
                false_refusals += bool(admitted) and recent < _LIMIT // 2
            await asyncio.sleep(0.05)

    limits = httpx.Limits(max_connections=60)
    async with httpx.AsyncClient(
        base_url=api, headers={"Authorization": f"Bearer {key}"}, limits=limits, timeout=30
    ) as http:
        await asyncio.gather(*(client(http) for _ in range(50)))
    # The log keeps a window only; the answers' own moments cover the whole run.
    moments = sorted(admitted)
    widest = max((sum(1 for m in moments if start <= m < start + _WINDOW_S - 0.5) for start in moments), default=0)
    print(f"reject: {statuses[200]} let in, {statuses[429]} refused in {seconds:.0f} s; at most {widest} in any 59.5 s; "
          f"{false_refusals} false refusals")  # fmt: skip
    return widest <= _LIMIT and false_refusals == 0 and set(statuses) <= {200, 429}


async def slow_down(api: str, url: str, key: str, seconds: float) -> bool:
    """Five connections that never pause: more than twice the rate."""
    await _set(url, calls_per_minute=_LIMIT, on_excess="SLOW_DOWN", max_concurrent=5)
    statuses: Counter[int] = Counter()
    moments: list[float] = []
    until = time.monotonic() + seconds

    async def client(http: httpx.AsyncClient) -> None:
        while time.monotonic() < until:
            answer = await http.get("/v4/entity")
            statuses[answer.status_code] += 1
            moments.append(time.monotonic())

    async with httpx.AsyncClient(base_url=api, headers={"Authorization": f"Bearer {key}"}, timeout=60) as http:
        await asyncio.gather(*(client(http) for _ in range(5)))
    settled = [moment for moment in moments if moment > moments[0] + 5]
    rate = (len(settled) - 1) / (settled[-1] - settled[0]) * 60
    print(f"slow-down: {dict(statuses)} in {seconds:.0f} s; settled at {rate:.1f} calls a minute (limit {_LIMIT})")
    return set(statuses) == {200} and abs(rate - _LIMIT) <= 0.05 * _LIMIT


async def concurrent(api: str, url: str, key: str, pids: list[int]) -> bool:
    """Five calls wait for their turn; the sixth is refused at once; a killed process' slots are free again."""
    await _set(url, calls_per_minute=1, window_seconds=5, on_excess="SLOW_DOWN", max_concurrent=5, max_wait_seconds=60)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=api, headers=headers, timeout=90, limits=httpx.Limits(max_connections=20)) as http:
        await http.get("/v4/entity")
        sleeping = [asyncio.create_task(http.get("/v4/entity")) for _ in range(5)]
        await asyncio.sleep(1)
        started = time.monotonic()
        sixth = await http.get("/v4/entity")
        took = (time.monotonic() - started) * 1000
        refused = sixth.status_code == httpx.codes.TOO_MANY_REQUESTS
        print(f"concurrent: with 5 calls asleep, the sixth got {sixth.status_code} after {took:.0f} ms")
        await _limit_rate(url)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        started = time.monotonic()
        while time.monotonic() - started < 15:
            try:
                answers = await asyncio.gather(*(http.get("/v4/entity") for _ in range(5)))
                if all(answer.status_code == httpx.codes.OK for answer in answers):
                    break
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.2)
        freed = time.monotonic() - started
        for task in sleeping:
            task.cancel()
        await asyncio.gather(*sleeping, return_exceptions=True)
        print(f"killed: all five slots free {freed:.1f} s after kill -9 of {len(pids)} processes")
    return refused and took < 100 and freed < 10


async def _limit_rate(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
        await use.change_limits(db, "limits", {"calls_per_minute": 1_000_000, "window_seconds": 60}, utc_now())
        await db.execute("UPDATE tabellion.usage_state SET arrival = 0")


def main() -> None:
    """Run all; exit status 1 when a promise was broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=180)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="tabellion-limits-") as folder, EmbeddedPostgres(Path(folder)) as database:
        url = database.url
        migrate(url)
        jobs.install(url)
        key = prepare.licence(url, "limits")
        with prepare.tabellion(url, Path(folder), 2) as served:
            children = Path(f"/proc/{served.process.pid}/task").glob("*/children")
            pids = [int(pid) for path in children for pid in path.read_text().split()]
            kept = asyncio.run(reject(served.url, url, key, seconds))
            kept &= asyncio.run(slow_down(served.url, url, key, min(seconds, 60)))
            kept &= asyncio.run(concurrent(served.url, url, key, pids[:1]))
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
