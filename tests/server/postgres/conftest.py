"""Embedded servers in directories of their own, and processes that use them."""

import fcntl
import multiprocessing
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

import psycopg
import pytest

from tabellion.server.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tabellion.server.postgres.owner import Owner
from tabellion.server.postgres.programs import client_programs
from tests.support.postgres import VERSION

SMALL = {"shared_buffers": "16MB", "max_connections": "20"}


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


_USE = textwrap.dedent(
    """
    import os, pathlib, sys, psycopg
    from tabellion.server.embedded import EmbeddedPostgres
    embedded = EmbeddedPostgres(pathlib.Path(sys.argv[1]), settings={"shared_buffers": "16MB"})
    url = embedded.start()
    with psycopg.connect(url, autocommit=True) as db:
        print(db.execute("SELECT 'user ' || current_user").fetchone()[0], url, flush=True)
    sys.stdin.readline()
    embedded.stop()
    """
)


class User:
    """Another process that uses the same data directory."""

    def __init__(self, data_dir: Path, *prefix: str) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", _USE, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )

    def url(self) -> str:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        assert line.startswith("user tabellion "), self.process.stderr.read()
        return line.split()[2]

    def leave(self) -> None:
        _, errors = self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0, errors

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


class ForkedUser:
    """A fork of this process that has become another user: the interpreter may lie where that user cannot start it.

    `outcome` is the URL after a successful start, or the message of the error. Skips the test where the user cannot
    read PostgreSQL's programs, as in a clone below /root.
    """

    def __init__(self, entry: pwd.struct_passwd, data_dir: Path) -> None:
        self._entry = entry
        self._ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("fork").Process(target=self._use, args=(entry, data_dir, theirs))

    def __enter__(self) -> Self:
        program = client_programs("postgres")[0]
        if not Owner(self._entry.pw_uid, self._entry.pw_gid, switch=False).can_search(program.parent):
            pytest.skip(f"user {self._entry.pw_name} cannot reach {program}")
        self._process.start()
        self.outcome = self._ours.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.send("leave")
        self._process.join(60)
        assert self._process.exitcode == 0

    @staticmethod
    def _use(entry: pwd.struct_passwd, data_dir: Path, connection: Connection) -> None:
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        embedded = embedded_in(data_dir)
        try:
            url = embedded.start()
            execute(url, "SELECT 1")
            connection.send(url)
        except EmbeddedPostgresError as error:
            connection.send(str(error))
            connection.recv()
        else:
            connection.recv()
            embedded.stop()


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that is not below pytest's, which is closed to other users."""
    path = Path(tempfile.mkdtemp(prefix="tabellion-embedded-"))
    if os.geteuid() == 0:
        path.chmod(0o711)
    yield path
    for users in path.rglob("postgres.users"):
        EmbeddedPostgres(users.parent).stop()
    shutil.rmtree(path)


@pytest.fixture
def data_dir(directory: Path) -> Path:
    return directory / "data"


@pytest.fixture
def warm(directory: Path) -> None:
    """Have imported all that a start imports: afterwards, as another user, files may be out of reach."""
    with embedded_in(directory / "warm"):
        pass


def embedded_in(data_dir: Path, version: int = VERSION) -> EmbeddedPostgres:
    return EmbeddedPostgres(data_dir, version=version, settings=SMALL)


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as db:
        cursor = db.execute(statement.encode())
        return cursor.fetchall() if cursor.description is not None else []


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of a file."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
