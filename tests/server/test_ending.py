"""What is told to end while its database hangs: a job worker, and a whole server."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tabellion.server import child, embedded
from tabellion.server.postgres import postmaster
from tests.support.api import descendants, free_port, wait_until_ready
from tests.support.database_proxy import proxied
from tests.support.processes import is_alive
from tests.support.serving import clean_environment
from tests.support.waiting import until

_WORKER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from tabellion.server import ending, worker
    from tabellion.settings import Settings
    ending._SAY_AFTER_S, ending._WITHIN_S = 1.0, float(sys.argv[3])
    worker.run_worker(Settings(database_url=sys.argv[1], data_dir=Path(sys.argv[2])))
    """
)
_SERVE = textwrap.dedent(
    """
    import signal, sys
    from pathlib import Path
    from tabellion.server import supervisor
    from tabellion.server.postgres import postmaster
    from tabellion.settings import Settings
    supervisor.KILL_AFTER_S = 1.0
    postmaster.STOP_WITHIN_S = {signal.SIGINT: 1.0, signal.SIGQUIT: 1.0}
    supervisor.serve(Settings(data_dir=Path(sys.argv[1]), port=int(sys.argv[2]), workers=1), lambda *_: None)
    """
)
_MANUAL = Path(__file__).parents[2] / "docs/operations/running.md"


@contextmanager
def _worker(url: str, database_url: str, folder: Path, *, within_s: float = 30) -> Iterator["subprocess.Popen[str]"]:
    """A worker that has begun, on `url`, which is a way to `database_url`."""
    command = [sys.executable, "-c", _WORKER, url, str(folder), str(within_s)]
    with subprocess.Popen(command, env=clean_environment(), stderr=subprocess.PIPE, text=True) as worker:
        try:
            with psycopg.connect(database_url, autocommit=True) as db:
                until(lambda: db.execute("SELECT 1 FROM jobs.procrastinate_workers").fetchone(), 60)
            yield worker
        finally:
            worker.kill()


def _told(log: str) -> list[tuple[str, str]]:
    lines = [json.loads(line) for line in log.splitlines() if '"tabellion.server.ending"' in line]
    return [(line["level"], line["event"]) for line in lines]


def test_it_says_what_it_waits_for_and_ends(database_url: str, tmp_path: Path) -> None:
    with (
        proxied(database_url, tmp_path) as proxy,
        _worker(proxy.url, database_url, tmp_path, within_s=3) as worker,
        proxy.frozen(),
    ):
        worker.send_signal(signal.SIGTERM)
        # Left alone, it would wait for as long as the database hangs.
        _, log = worker.communicate(timeout=60)
    assert worker.returncode == 1
    (warning, waited), (error, ended) = _told(log)
    assert (warning, error) == ("warning", "error")
    assert waited.startswith("told to end, it waits for: jobs, webhooks, mails")
    assert ended.startswith("it ends, and has waited 3 s for: jobs")


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_in_order_while_the_database_answers(database_url: str, tmp_path: Path, asked: signal.Signals) -> None:
    with _worker(database_url, database_url, tmp_path) as worker:
        worker.send_signal(asked)
        _, log = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert "error" not in dict(_told(log))


@pytest.mark.system
def test_a_server_whose_database_is_frozen_ends(tmp_path: Path) -> None:
    port, data_dir, log = free_port(), tmp_path / "data", tmp_path / "log"
    command = [sys.executable, "-c", _SERVE, str(data_dir), str(port)]
    with log.open("wb") as output:
        serving = subprocess.Popen(command, env=clean_environment(), stdout=output, stderr=output)
    wait_until_ready(f"http://127.0.0.1:{port}", serving, log)
    found = postmaster.running((data_dir / "postgres").resolve())
    assert found is not None
    frozen = [found.pid, *descendants(found.pid)]
    try:
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        serving.send_signal(signal.SIGTERM)
        # 3 s of limits, each of which it reaches.
        assert serving.wait(15) == 1
    finally:
        serving.kill()
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert f"the embedded PostgreSQL (process {found.pid}) does not stop" in log.read_text()
    until(lambda: not is_alive(found.pid))


def test_operators_allow_more_time_for_the_end_than_all_of_it_may_take() -> None:
    told = re.findall(r"TimeoutStopSec=(\d+)|--stop-timeout (\d+)", _MANUAL.read_text())
    allowed = {float(systemd or container) for systemd, container in told}
    assert len(told) == 2
    assert child.KILL_AFTER_S + embedded.LEAVE_WITHIN_S + sum(postmaster.STOP_WITHIN_S.values()) < min(allowed)
