"""Rounds of load: two servers take turns in one run, so that a noisy machine is noisy for both."""

import os
import re
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_LUA = Path(__file__).with_name("load.lua")
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_TRANSACTIONS = re.compile(r"tps = ([\d.]+)")
_WRONG = re.compile(r"^status (\d+)$", re.MULTILINE)


class Target(NamedTuple):
    """What is loaded: an address and the environment of `load.lua`, or pgbench with its arguments."""

    name: str
    url: str
    settings: Mapping[str, str]
    pgbench: Sequence[str] = ()


class Result(NamedTuple):
    """Medians over the rounds. `ratio` is the median of each round's own ratio, `spread` its least and greatest."""

    name: str
    rate: float
    base_rate: float
    ratio: float
    spread: tuple[float, float]


def load(target: Target, *, seconds: int, connections: int) -> float:
    """Requests per second that one target served; fails when an answer was not 200 or 201."""
    if target.pgbench:
        return _pgbench(target, seconds, connections)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_LUA), target.url]
    environment = {**os.environ, **target.settings}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    wrong = _WRONG.findall(run.stdout)
    if wrong:
        raise RuntimeError(f"{target.name}: {len(wrong)} wrong answers, the first {wrong[0]}")
    found = _RATE.search(run.stdout)
    if found is None:
        raise RuntimeError(f"{target.name}: no rate in the output of wrk:\n{run.stdout}{run.stderr}")
    return float(found[1])


def _pgbench(target: Target, seconds: int, connections: int) -> float:
    """Transactions per second; pgbench fails on the first error of the database."""
    command = [*target.pgbench, "-n", "-M", "prepared", "-j1", f"-c{connections}", f"-T{seconds}", target.url]
    run = subprocess.run(command, env={**os.environ, **target.settings}, capture_output=True, text=True, check=True)
    found = _TRANSACTIONS.search(run.stdout)
    if found is None:
        raise RuntimeError(f"{target.name}: no rate in the output of pgbench:\n{run.stdout}{run.stderr}")
    return float(found[1])


def compare(ours: Target, base: Target, *, rounds: int, seconds: int, warm_up: int = 2, connections: int = 16) -> Result:
    """Load both in turns, after a warm-up of each; the order alternates. `warm_up` seconds are for ours."""
    load(base, seconds=2, connections=connections)
    load(ours, seconds=warm_up, connections=connections)
    rates: list[tuple[float, float]] = []
    for number in range(rounds):
        pair = (ours, base) if number % 2 == 0 else (base, ours)
        measured = {target.name: load(target, seconds=seconds, connections=connections) for target in pair}
        rates.append((measured[ours.name], measured[base.name]))
    ratios = [mine / theirs for mine, theirs in rates]
    return Result(
        f"{ours.name} / {base.name}",
        statistics.median(mine for mine, _ in rates),
        statistics.median(theirs for _, theirs in rates),
        statistics.median(ratios),
        (min(ratios), max(ratios)),
    )


def table(results: Sequence[tuple[str, Result, str]]) -> str:
    """A Markdown table: what was measured, the rates, the ratio, the bar."""
    lines = [
        "| measured | requests/s | baseline requests/s | ratio | least, greatest | wanted |",
        "|---|---|---|---|---|---|",
    ]
    for title, result, wanted in results:
        low, high = result.spread
        lines.append(
            f"| {title} | {result.rate:,.0f} | {result.base_rate:,.0f} | **{result.ratio:.2f}** "
            f"| {low:.2f}, {high:.2f} | {wanted} |"
        )
    return "\n".join(lines)
