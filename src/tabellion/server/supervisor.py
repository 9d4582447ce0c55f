"""`tabellion serve`: the embedded database, the API and the job worker under one roof; what dies is started again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

import msgspec
import psycopg

from tabellion.platform import jobs
from tabellion.platform.database.migrate import migrate, require_current
from tabellion.server.api import check_port, die_with_parent
from tabellion.server.embedded import EmbeddedPostgres
from tabellion.settings import Settings

_CHECK_EVERY_S = 0.5
_STOP_WITHIN_S = 35
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0


class Child:
    """A process that is kept running."""

    def __init__(self, verb: str, settings: Settings) -> None:
        self.verb = verb
        self._environment = {**os.environ, **settings.environment()}
        self._process: subprocess.Popen[bytes] | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._started = 0.0

    def start(self) -> None:
        """Start it; it dies with this process, however this one ends."""
        parent = os.getpid()
        command = [sys.executable, "-m", "tabellion", self.verb]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            env=self._environment,
            preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509 - before any thread
        )
        self._started = time.monotonic()

    def tend(self, say: Callable[[str], None]) -> None:
        """Start it again when it has died, after a pause that grows while it dies young."""
        if self._process is None or self._process.poll() is None:
            return
        if time.monotonic() - self._started > _LONGEST_PAUSE_S:
            self._pause_s = _FIRST_PAUSE_S
        say(f"the {self.verb} process ended with status {self._process.returncode}; it is started again")
        time.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 2, _LONGEST_PAUSE_S)
        self.start()

    def stop(self) -> None:
        """Ask it to end; calls in flight are finished."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def prepare_database(
    settings: Settings, stack: ExitStack, *, migrating: bool = True
) -> tuple[Settings, EmbeddedPostgres | None]:
    """Start the embedded database unless an own one is set, bring its schema up to date; settings with the URL.

    An own database is only looked at unless `migrating`. Raises `EmbeddedPostgresError`, `MigrationError`.
    """
    embedded: EmbeddedPostgres | None = None
    if not settings.database_url:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        embedded = stack.enter_context(EmbeddedPostgres(settings.data_dir))
        settings = msgspec.structs.replace(settings, database_url=embedded.url)
    if migrating or embedded is not None:
        migrate(settings.database_url)
        jobs.install(settings.database_url)
    else:
        require_current(settings.database_url)
    return settings, embedded


def serve(
    settings: Settings, say: Callable[[str], None], *, migrating: bool = False, until: Callable[[], bool] | None = None
) -> None:
    """Run everything until SIGTERM or SIGINT, or until `until` is true. Raises `PortInUse`, `MigrationError`."""
    check_port(settings)
    stopping = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with ExitStack() as stack:
        settings, database = prepare_database(settings, stack, migrating=migrating)
        children = [Child("api", settings), Child("worker", settings)]
        for child in children:
            child.start()
            stack.callback(child.stop)
        say(f"Tabellion serves at http://{settings.host}:{settings.port}")
        while not stopping and not (until is not None and until()):
            time.sleep(_CHECK_EVERY_S)
            if database is not None:
                _tend_database(database, say)
            for child in children:
                child.tend(say)
        say("stopping")


def _tend_database(database: EmbeddedPostgres, say: Callable[[str], None]) -> None:
    """Start the embedded database again when its server was killed."""
    if database.is_running():
        return
    try:
        psycopg.connect(database.url, connect_timeout=2).close()
    except psycopg.OperationalError:
        say("the database server has died; it is started again")
        database.start()
