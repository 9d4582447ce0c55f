"""A running Tabellion: real processes, real HTTP, on a database of the test run."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx

from tests.support import plain

READY_WITHIN_S = 60


# Below those that the system gives to whoever asks for any: a test that tries a port before anybody listens there would reach
# the server of another one. Each process of a run has its own.
_PORTS_OF_ONE = 4000
_first_port = 20_000 + _PORTS_OF_ONE * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 3)
_ports = cycle(random.sample(range(_first_port, _first_port + _PORTS_OF_ONE), _PORTS_OF_ONE))


def free_port() -> int:
    """A port that nobody listens on, and that no other test is given for a long time."""
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


class Api:
    """API processes behind one port. `log` is their output, read by tests that look for secrets."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log
        self.url = f"http://127.0.0.1:{port}"

    @property
    def folder(self) -> Path:
        """Where its data are, and what else tests lay there."""
        return self.log.parent

    @property
    def spool(self) -> Path:
        """Where files of bulk calls are."""
        return self.folder / "data" / "spool"

    def client(self, **options: Any) -> httpx.Client:
        """A client with kept-alive connections."""
        return plain.Client(base_url=self.url, timeout=60, **options)

    def children(self) -> list[int]:
        """The ids of the processes that serve."""
        return descendants(self.process.pid)

    def stop(self) -> None:
        """Ask the server to end, and wait for it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)


def descendants(pid: int) -> list[int]:
    """All the processes below one, deepest last."""
    found: list[int] = []
    # A process or thread that ends meanwhile is missing, or, between two looks at it, there and nothing any more.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for children in Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                for child in children.read_text().split():
                    found += [int(child), *descendants(int(child))]
    return found


def wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Poll `/ready`; fails with the server's output when it ends first or takes too long."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with status {process.returncode}:\n{log.read_text()[-4000:]}")
        try:
            if plain.get(f"{url}/ready", timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"the server was not ready within {READY_WITHIN_S} s:\n{log.read_text()[-4000:]}")


@contextmanager
def starting_api(
    database_url: str, folder: Path, *, verb: str = "api", workers: int = 1, settings: Mapping[str, str] | None = None
) -> Iterator[Api]:
    """Start API processes on a database (`serve`: with supervisor and worker), and stop them at the end."""
    port = free_port()
    log = folder / f"api-{port}.log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TABELLION_")},
        "TABELLION_DATABASE_URL": database_url,
        "TABELLION_DATA_DIR": str(folder / "data"),
        **(settings or {}),
    }
    command = [sys.executable, "-m", "tabellion", verb, "--port", str(port), "--workers", str(workers)]
    if verb == "serve":
        command.append("--migrate")
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    api = Api(process, port, log)
    try:
        yield api
    finally:
        api.stop()


@contextmanager
def running_api(
    database_url: str, folder: Path, *, verb: str = "api", workers: int = 1, settings: Mapping[str, str] | None = None
) -> Iterator[Api]:
    """The same, once they serve."""
    with starting_api(database_url, folder, verb=verb, workers=workers, settings=settings) as api:
        wait_until_ready(api.url, api.process, api.log)
        yield api
