"""`tabellion serve` as an operator runs it: a process of its own, with its data directory."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import httpx
from typer.testing import CliRunner

from tabellion.cli.root import app
from tests.support import plain
from tests.support.api import descendants, free_port, wait_until_ready

TABELLION = [sys.executable, "-m", "tabellion"]


def clean_environment(**settings: str) -> dict[str, str]:
    """The environment of an operator who has set nothing but `settings`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TABELLION_")} | settings


def run(*arguments: str, cwd: Path, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """One verb, to its end."""
    return subprocess.run(
        [*TABELLION, *arguments],
        cwd=cwd,
        env=clean_environment(**settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def run_here(*arguments: str, cwd: Path | None = None, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """One verb to its end in this process, which takes a tenth of the time of a program that has to start."""
    names = [name for name in os.environ if name.startswith("TABELLION_")]
    cleared: dict[str, str | None] = dict.fromkeys(names)
    with contextlib.chdir(cwd or Path.cwd()):
        done = CliRunner().invoke(app(arguments[:1]), list(arguments), input=stdin, env=cleared | settings)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def json_here(*arguments: str, cwd: Path | None = None, stdin: str = "", **settings: str) -> Any:
    """What a verb prints with `--json`."""
    done = run_here(*arguments, "--json", cwd=cwd, stdin=stdin, **settings)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class Serving:
    """A running server in `folder`/data."""

    def __init__(self, folder: Path, *options: str, port: int | None = None, **settings: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"serve-{self.port}-{len(list(folder.glob('serve-*.log')))}.log"
        command = [*TABELLION, "serve", "--port", str(self.port), "--data-dir", str(self.data_dir), *options]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, env=clean_environment(**settings), stdout=output, stderr=subprocess.STDOUT
            )
        try:
            wait_until_ready(self.url, self.process, self.log)
        except BaseException:
            self.stop()
            raise

    def children(self, verb: str) -> list[int]:
        """Processes of a verb below the supervisor; `postgres` is the database's."""
        return [pid for pid in descendants(self.process.pid) if verb in _command(pid)]

    def is_ready(self) -> bool:
        """Whether calls can be served."""
        try:
            return plain.get(f"{self.url}/ready", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def verb(self, *arguments: str) -> Any:
        """A verb on the same data directory, with `--json`."""
        return json_here(*arguments, TABELLION_DATA_DIR=str(self.data_dir))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """End it in order; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
