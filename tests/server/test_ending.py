"""A job worker that is told to end while its database hangs."""

import json
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.database_proxy import proxied
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
