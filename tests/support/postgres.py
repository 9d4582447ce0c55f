"""One PostgreSQL for the whole test run, and cheap databases on it.

The run's first process makes a directory, in memory where there is enough of it, and hands it to the xdist workers through the
environment; each process that needs a database starts or adopts the same server, as several processes of one installation do.

TABELLION_TEST_POSTGRES=16|18 chooses the version (18); TABELLION_TEST_DATABASE_URL an outside server instead, by a URL
of a role that may create databases.
"""

import fcntl
import os
import re
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tabellion.server.embedded import EmbeddedPostgres

VERSION = int(os.environ.get("TABELLION_TEST_POSTGRES", "18"))
OUTSIDE_URL = os.environ.get("TABELLION_TEST_DATABASE_URL", "")
_DIRECTORY = "TABELLION_TEST_DIRECTORY"
_PREFIX = "tabellion-test-"
# The suite's data may be lost with the machine; tests of durability start servers of their own.
SETTINGS = {
    "fsync": "off",
    "shared_buffers": "128MB",
    "max_wal_size": "1GB",
    "autovacuum_naptime": "5min",
    "max_connections": "400",
}


# Databases are made and dropped by the thousand, and their files are most of what that costs. A run leaves up to 5 GB.
_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 8 * 2**30
# Between making its directory and locking it a run looks as if it were dead.
_SURELY_LOCKED_AFTER_S = 30


class RunDirectory:
    """The directory of one test run, made by its first process and removed by it, also when that was killed."""

    def __init__(self) -> None:
        self._lock: int | None = None

    def make(self) -> None:
        if _DIRECTORY in os.environ:
            return
        for folder in (_MEMORY, Path(tempfile.gettempdir())):
            for stale in folder.glob(f"{_PREFIX}*"):
                _remove_if_stale(stale)
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_MEMORY if _is_roomy(_MEMORY) else None))
        self._lock = os.open(directory / "run.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        os.environ[_DIRECTORY] = str(directory)
        if sys.dont_write_bytecode:
            _keep_bytecode(directory)

    def remove(self) -> None:
        if self._lock is None:
            return
        directory = Path(os.environ.pop(_DIRECTORY))
        _remove(directory)
        os.close(self._lock)
        self._lock = None


class Cluster:
    """A server on which databases can be made; `superuser` and `application` give a database's URL for these roles."""

    def __init__(self, embedded: EmbeddedPostgres | None) -> None:
        self._embedded = embedded

    def superuser(self, database: str) -> str:
        if self._embedded is None:
            return make_conninfo(OUTSIDE_URL, dbname=database)
        return self._embedded.url_of(database)

    def application(self, database: str) -> str:
        if self._embedded is None:
            return make_conninfo(OUTSIDE_URL, dbname=database)
        return self._embedded.url_of(database, user="tabellion")

    def create(self, database: str, *, template: str | None = None) -> str:
        """Make a database owned by the application's role; returns the application's URL of it."""
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database))
        if template is not None:
            # Copied as files: with fsync off quicker than through the WAL.
            statement += sql.SQL(" TEMPLATE {} STRATEGY file_copy").format(sql.Identifier(template))
        if self._embedded is not None:
            statement += sql.SQL(" OWNER tabellion")
        self._run(statement)
        return self.application(database)

    def drop(self, database: str) -> None:
        self._run(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))

    def _run(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.superuser("postgres"), autocommit=True) as db:
            db.execute(statement)


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    if OUTSIDE_URL:
        yield Cluster(None)
        return
    with EmbeddedPostgres(Path(os.environ[_DIRECTORY]), version=VERSION, settings=SETTINGS) as embedded:
        yield Cluster(embedded)


def database_name(purpose: str) -> str:
    return f"t_{purpose}_{uuid.uuid4().hex[:12]}"


def _keep_bytecode(directory: Path) -> None:
    """Keep what is compiled, where Python is told to write nothing beside its sources.

    A run starts hundreds of processes, and each would compile all that it imports: half of what a start takes. The next run
    finds it in the virtual environment, and collects its tests in a third of the time.
    """
    lasting = sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK)
    sys.pycache_prefix = str((Path(sys.prefix) if lasting else directory) / "bytecode")
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


def _is_roomy(memory: Path) -> bool:
    """Whether a file system in memory has room for a run's databases, and the machine for it."""
    try:
        free = shutil.disk_usage(memory).free
        available = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return False
    writable = os.access(memory, os.W_OK | os.X_OK)
    return writable and available is not None and min(free, int(available[1]) * 1024 * 2 // 3) > _ROOM_BYTES


def _remove_if_stale(directory: Path) -> None:
    with suppress(OSError):
        if time.time() - directory.stat().st_mtime < _SURELY_LOCKED_AFTER_S:
            return
        lock = os.open(directory / "run.lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(directory)
        finally:
            os.close(lock)


def _remove(directory: Path) -> None:
    EmbeddedPostgres(directory).stop()
    shutil.rmtree(directory, ignore_errors=True)
