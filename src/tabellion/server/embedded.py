"""The embedded PostgreSQL: a cluster in the data directory, shared by all processes that use this directory.

Every process that uses it holds a shared lock on `postgres.users`; whoever leaves last stops the server. A process that
is killed leaves the server running, and the next start adopts it. Starting and stopping are serialised by the lock
`postgres.start`. The kernel drops the locks of a dead process, so nothing has to be cleaned up.
"""

import fcntl
import logging
import math
import os
import shutil
import subprocess
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql

from tabellion.kit.disk import sync_folder
from tabellion.kit.patience import Patience
from tabellion.server.death import die_with_parent
from tabellion.server.postgres import place, postmaster, programs, sizing
from tabellion.server.postgres.errors import EmbeddedPostgresError, StillStarting
from tabellion.server.postgres.locks import open_lock

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]

_log = logging.getLogger(__name__)

# The application's role owns its database and is no superuser: a hole in a statement is no hole in the machine.
_NAME = "tabellion"
_SUPERUSER = "postgres"
_SETTINGS_FILE = "tabellion.conf"
_START, _USERS = "postgres.start", "postgres.users"
_KEPT_LOGS = 5
_POLL_S = 0.01
# Whoever leaves waits so long for one that starts or stops the server.
LEAVE_WITHIN_S = 5.0


class EmbeddedPostgres:
    """PostgreSQL from the installed programs, in `data_dir`/postgres.

    `version` counts for a new cluster only; an existing one keeps its own. `settings` override those that are sized to
    the machine, at the start of the server (not when a running one is adopted). `existing`: no new cluster is made.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        version: int = 18,
        settings: Mapping[str, str] | None = None,
        existing: bool = False,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._existing = existing
        self._version = version
        self._settings = dict(settings or {})
        self._users: list[int] = []
        self._cluster: Path | None = None

    def start(self) -> str:
        """Start or adopt the server and return its URL; may be called again after the server died.

        Takes about a second the first time. Raises `EmbeddedPostgresError`.
        """
        # Whoever is making it holds the start lock by now: then it is waited for.
        if self._existing and not place.is_made(self._data_dir) and not (self._data_dir / _START).exists():
            raise _missing(self._data_dir)
        place.make_data_dir(self._data_dir)
        with self._start_lock():
            if self._existing and not place.is_made(self._data_dir):
                raise _missing(self._data_dir)
            # A place that is refused may be another's, whose server is not to be stopped.
            where = place.find_place(self._data_dir)
            try:
                self._run(where)
            except StillStarting:
                # Stopped now, it would begin its recovery anew at each start, and might never come to the end of it.
                self._leave()
                raise
            except BaseException as error:
                # Ctrl-C while it was starting must not leave a server behind that nobody uses.
                self._leave()
                self._stop_unless_used()
                if isinstance(error, OSError):
                    named = f" ({error.filename})" if error.filename else ""
                    raise EmbeddedPostgresError(
                        f"the embedded PostgreSQL cannot be started: {error.strerror or error}{named}"
                    ) from error
                raise
        return self.url

    def stop(self) -> None:
        """Leave the server; the last user stops it. Does nothing when there is none."""
        if not self._data_dir.exists():
            self._leave()
            return
        with self._start_lock(within_s=LEAVE_WITHIN_S) as ours:
            self._leave()
            if ours:
                self._stop_unless_used()
            else:
                # It is a user, or becomes one, for while we were one nobody had begun to stop the server.
                _log.warning("the embedded database is left to another process, which starts it, or waits for it to answer")

    @property
    def is_used(self) -> bool:
        """Whether this process is one of its users; it is none any more after a start that failed."""
        return bool(self._users)

    def is_running(self) -> bool:
        """Whether the server lives and accepts connections."""
        return postmaster.is_ready((self._data_dir / "postgres").resolve())

    def prune_logs(self) -> None:
        """Delete all but the newest log files (each at most 10 MB); done at each start, call it now and then."""
        logs = sorted((self._data_dir / "postgres" / "log").glob("postgresql-*.log"), key=lambda path: path.name)
        for old in logs[:-_KEPT_LOGS]:
            with suppress(OSError):
                old.unlink()

    @property
    def url(self) -> str:
        """The application's URL; the server must have been started."""
        return self.url_of(_NAME, user=_NAME)

    def url_of(self, database: str, *, user: str = _SUPERUSER) -> str:
        """A URL of any database; the superuser is for backups and tests. The server must have been started."""
        if self._cluster is None:
            raise EmbeddedPostgresError("the embedded PostgreSQL has not been started")
        host = urlencode({"host": str(place.socket_directory(self._cluster))}, quote_via=quote)
        return f"postgresql://{quote(user)}@/{quote(database)}?{host}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _stop_unless_used(self) -> None:
        with self._unless_used() as unused:
            if unused:
                cluster = (self._data_dir / "postgres").resolve()
                postmaster.stop(cluster)
                place.remove_socket_link(cluster)

    @contextmanager
    def _unless_used(self) -> Generator[bool]:
        """Whether the server has no user, and gets none within the block."""
        users = [open_lock(path) for path in self._users_files()]
        try:
            yield all(_is_locked_now(lock) for lock in users)
        finally:
            for lock in users:
                os.close(lock)

    def _run(self, where: place.Place) -> None:
        # Later on its death is known to whoever starts it again.
        first, self._cluster = self._cluster is None, where.cluster
        if postmaster.is_ready(where.cluster):
            if first:
                self._tell_of_lost_users()
            self._join()
        else:
            made_with = place.version_of(where.cluster)
            tools = programs.locate(made_with or self._version, where.owner, where.home)
            if made_with is None:
                _create_cluster(tools.initdb, where)
            # One that is starting was told of by whoever began that, and perhaps gave up waiting for it.
            if first and postmaster.running(where.cluster) is None and not postmaster.ended_in_order(where.cluster):
                _log.warning("the embedded database was killed, or its machine; it recovers what was committed")
            self._join()
            self._configure(where)
            postmaster.start(tools.postgres, where.cluster, where.owner)
            # Not before: each try has a log of its own, and many of them would drive out the one that tells what happened.
            self.prune_logs()
        try:
            _create_database(self.url_of("postgres"))
        except psycopg.Error as error:
            raise EmbeddedPostgresError(f"the embedded PostgreSQL runs but cannot be used: {error}") from error

    def _tell_of_lost_users(self) -> None:
        """Say it when a server that runs has no user: who leaves in order stops it, unless it is still starting."""
        with self._unless_used() as unused:
            if unused:
                _log.warning(
                    "the embedded database ran on without anybody: who used it last was killed, or had given up waiting for "
                    "its start; nothing is lost"
                )

    def _join(self) -> None:
        """Be a user of the server, unless it is one already."""
        if self._users:
            return
        for path in self._users_files():
            self._users.append(open_lock(path))
            fcntl.flock(self._users[-1], fcntl.LOCK_SH)

    def _users_files(self) -> list[Path]:
        """Beside the database as well, where another data directory may have a link to it."""
        linked = place.linked_cluster(self._data_dir)
        return [self._data_dir / _USERS, *([linked / _USERS] if linked else [])]

    def _configure(self, where: place.Place) -> None:
        free_disk = shutil.disk_usage(where.home).free
        values = sizing.settings(sizing.memory_bytes(), sizing.cores(), free_disk)
        values |= {"cluster_name": postmaster.cluster_name(where.cluster)} | self._settings
        path = where.cluster / _SETTINGS_FILE
        partial = path.with_suffix(".partial")
        partial.write_text(sizing.configuration(values))
        partial.chmod(0o600)
        where.owner.give(partial)
        partial.replace(path)

    @contextmanager
    def _start_lock(self, *, within_s: float = math.inf) -> Generator[bool]:
        """Whether the lock is ours; False: it was not within that time."""
        lock, patience, until_s = open_lock(self._data_dir / _START), Patience(_log), time.monotonic() + within_s
        try:
            while not (ours := _is_locked_now(lock)) and time.monotonic() < until_s:
                patience.lasts(f"another process starts or stops the embedded database in {self._data_dir}")
                time.sleep(_POLL_S)
            yield ours
        finally:
            os.close(lock)

    def _leave(self) -> None:
        while self._users:
            os.close(self._users.pop())


def _is_locked_now(lock: int) -> bool:
    """Whether the lock was free, and is ours."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _missing(data_dir: Path) -> EmbeddedPostgresError:
    return EmbeddedPostgresError(
        f"there is no installation in {data_dir}: name its folder with --data-dir (TABELLION_DATA_DIR), or its own "
        f"PostgreSQL with TABELLION_DATABASE_URL; a new one is begun by: tabellion serve --data-dir {data_dir}"
    )


def _create_cluster(initdb: Path, where: place.Place) -> None:
    """Make the cluster beside its place and rename it into it, whole and synced, or not at all."""
    partial = where.home / "postgres.new"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(mode=0o700)
        where.owner.give(partial)
    except OSError as error:
        raise EmbeddedPostgresError(f"{partial} cannot be made: {error.strerror}") from error
    command = [
        initdb,
        "--pgdata", partial,
        "--username", _SUPERUSER,
        # Byte order: the same on every machine and after every upgrade of the C library, so indexes never go stale.
        "--locale=C",
        "--encoding=UTF8",
        "--data-checksums",
        # Whoever can reach the socket (mode 0700, in a directory of mode 0700) owns the files already, or is root:
        # a password would add nothing. Peer authentication fails in containers, where users have no names.
        "--auth-local=trust",
        "--auth-host=reject",
        "--no-instructions",
    ]  # fmt: skip
    parent = os.getpid()
    outcome = subprocess.run(  # noqa: S603 - our own program and arguments
        command,
        cwd=where.home,
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        umask=0o077,
        # A program that was killed must not go on through this one, into the folder that the next start makes anew.
        preexec_fn=lambda: die_with_parent(parent),
        **where.owner.process_options,
    )
    if outcome.returncode != 0:
        raise EmbeddedPostgresError(
            f"no database could be made in {where.home}:\n{outcome.stderr.strip()}\n"
            "Mend this, or set TABELLION_DATABASE_URL to use another PostgreSQL. "
            "(A user without a name needs a line in /etc/passwd.)"
        )
    with (partial / "postgresql.conf").open("a") as conf:
        conf.write(f"\ninclude_if_exists = '{_SETTINGS_FILE}'\n")
        conf.flush()
        os.fsync(conf.fileno())
    partial.rename(where.cluster)
    sync_folder(where.home)
    if where.link.resolve() != where.cluster:
        place.mark_belonging(where.link, where.cluster, where.owner)
        where.link.symlink_to(where.cluster)
        sync_folder(where.link.parent)


def _create_database(superuser_url: str) -> None:
    """Make role and database unless they exist; cut short anywhere, the next start goes on."""
    name = sql.Identifier(_NAME)
    with psycopg.connect(superuser_url, autocommit=True) as db:
        if db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (_NAME,)).fetchone() is None:
            with db.transaction():
                db.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
                # Errors of statements go to the caller, who logs them without the values that PostgreSQL would quote.
                db.execute(sql.SQL("ALTER ROLE {} SET log_min_messages = 'log'").format(name))
        if db.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_NAME,)).fetchone() is None:
            db.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))
