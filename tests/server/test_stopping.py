"""The API processes: told to stop while they start and while they serve, killed again and again."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.support import plain
from tests.support.api import Api, running_api, starting_api


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


def test_processes_that_die_again_and_again_are_started_again_and_nobody_is_refused(
    worker_database_url: str, tmp_path: Path
) -> None:
    with running_api(worker_database_url, tmp_path) as api:
        for _ in range(3):
            (serving,) = api.children()
            os.kill(serving, signal.SIGKILL)
            # It waits for the next process to take it.
            assert plain.get(f"{api.url}/health", timeout=20).status_code == 200
        assert api.log.read_text().count("the API process ended with status -9; it is started again") == 3


def test_connections_that_idle_are_closed_and_new_ones_refused_while_a_call_is_finished(
    worker_database_url: str, tmp_path: Path
) -> None:
    with running_api(worker_database_url, tmp_path) as api:
        address = ("127.0.0.1", api.port)
        with socket.create_connection(address, timeout=10) as idle, socket.create_connection(address, timeout=10) as busy:
            idle.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert idle.recv(65536).startswith(b"HTTP/1.1 200")
            head = b"POST /v4/entity/hotels/table/Guests/profile HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"
            busy.sendall(head)
            time.sleep(0.2)
            api.process.send_signal(signal.SIGTERM)
            while idle.recv(65536):
                pass
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address, timeout=10)
            busy.sendall(b"abc")
            answer = b""
            while piece := busy.recv(65536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 401")
        assert b"connection: close" in answer
        assert api.process.wait(10) == 0
