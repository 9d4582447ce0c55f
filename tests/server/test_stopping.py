"""A server that is told to stop while it starts."""

import signal
import time
from pathlib import Path

import pytest

from tests.support.api import Api, starting_api


def wait_for_children(api: Api, count: int) -> None:
    """Until so many processes serve, or are about to."""
    deadline = time.monotonic() + 60
    while len(api.children()) < count:
        assert api.process.poll() is None, api.log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_processes_that_do_not_serve_yet_end_at_once(
    worker_database_url: str, tmp_path: Path, asked: signal.Signals
) -> None:
    with starting_api(worker_database_url, tmp_path, workers=2) as api:
        wait_for_children(api, 2)
        api.process.send_signal(asked)
        # Processes that overlook it are waited for without end: calls in flight may take however long they take.
        assert api.process.wait(15) == 0, api.log.read_text()
