"""`tabellion serve`: the embedded database, the API and the job worker under one roof; what dies is started again."""

import http.client
import logging
import os
import time
from collections.abc import Callable
from contextlib import ExitStack

import psycopg

from tabellion.server.child import KILL_AFTER_S, Say, bury_orphans, stop_all, verb
from tabellion.server.claim import claimed, refuse_second
from tabellion.server.connections import fit, places_of
from tabellion.server.database import prepare_database
from tabellion.server.death import interruptible, stop_on_hangup, stop_signals
from tabellion.server.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tabellion.server.hold import hold_of, key_missing
from tabellion.server.port import check_intake_port, check_port
from tabellion.server.postgres.place import linked_cluster, make_data_dir
from tabellion.settings import Settings

_CHECK_EVERY_S = 0.1
_ANSWER_WITHIN_S = 2.0
# More than it says; others may say anything.
_HEALTH_BYTES = 200
_TRY_DATABASE_AFTER_S, _TRY_DATABASE_WITHIN_S = 2.0, 10.0
_PRUNE_LOGS_EVERY_S = 3600.0


def serve(settings: Settings, say: Say, *, migrating: bool = False, until: Callable[[], bool] | None = None) -> None:
    """Run everything until SIGTERM, SIGINT or SIGHUP, or until `until` is true.

    Raises `AlreadyServed` and `CannotListen` before anything is started, `EmbeddedPostgresError`, `MigrationError`,
    `JobsMissing`, `TooFewConnections`.
    """
    if not settings.database_url:
        refuse_second(settings.data_dir)
    check_port(settings)
    check_intake_port(settings)
    stop_on_hangup()
    with stop_signals() as stopping, ExitStack() as stack:
        try:
            with interruptible():
                settings, embedded = _prepare(settings, stack, say, migrating=migrating)
        except KeyboardInterrupt:
            say("stopped before it served")
            return
        database = None if embedded is None else _Database(embedded, say)
        verbs = ["api", *["worker"] * settings.job_workers, *(["intake"] if settings.intake_port else [])]
        children = [verb(name, settings) for name in verbs]
        stack.callback(stop_all, children, KILL_AFTER_S)
        announced = False
        while not stopping() and not (until is not None and until()):
            try:
                with interruptible():
                    if database is not None:
                        database.tend()
            except KeyboardInterrupt:
                break
            for child in children:
                child.tend(say)
            if os.getpid() == 1:
                bury_orphans(children)
            if not announced and answers(settings):
                say(f"Tabellion serves at {settings.own_address}, documentation at {settings.own_address}/docs")
                announced = True
            time.sleep(_CHECK_EVERY_S)
        say("stopping: calls in flight are finished")


def _prepare(settings: Settings, stack: ExitStack, say: Say, *, migrating: bool) -> tuple[Settings, EmbeddedPostgres | None]:
    """What has to be there before anything is served; it may take long, as a database that recovers does."""
    if not settings.database_url:
        make_data_dir(settings.data_dir)
        stack.enter_context(claimed(settings.data_dir, settings.own_address))
    settings, embedded = prepare_database(settings, stack, migrating=migrating, beginning=True, tell=say)
    if embedded is not None and (linked := linked_cluster(settings.data_dir)) is not None:
        stack.enter_context(claimed(linked, settings.own_address))
    settings, told = fit(settings, places_of(settings.database_url))
    if told:
        say(told, logging.WARNING)
    if (held := hold_of(settings.database_url)) is not None:
        say(held.told(settings.data_dir, own_database=embedded is None), logging.WARNING)
        if (missing := key_missing(settings)) is not None:
            say(f"there is no key of secrets: {missing}", logging.WARNING)
    return settings, embedded


def answers(settings: Settings) -> bool:
    """Whether a Tabellion answers calls. Its socket listens before that: who connects while it starts has to wait."""
    connection = http.client.HTTPConnection(settings.host, settings.port, timeout=_ANSWER_WITHIN_S)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status == http.client.OK and b'"up"' in answer.read(_HEALTH_BYTES)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


class _Database:
    """The embedded database, started again when its server was killed."""

    def __init__(self, embedded: EmbeddedPostgres, say: Say) -> None:
        self._embedded = embedded
        self._say = say
        self._try_at_s = 0.0
        self._pause_s = _TRY_DATABASE_AFTER_S
        self._prune_at_s = time.monotonic() + _PRUNE_LOGS_EVERY_S

    def tend(self) -> None:
        """Look whether it lives; delete old log files now and then, while it does."""
        now_s = time.monotonic()
        if now_s < self._try_at_s:
            return
        if self._embedded.is_used and self._embedded.is_running():
            if now_s >= self._prune_at_s:
                self._embedded.prune_logs()
                self._prune_at_s = now_s + _PRUNE_LOGS_EVERY_S
            return
        self._try_at_s = now_s + _TRY_DATABASE_AFTER_S
        if not (self._embedded.is_used and self._answers()):
            self._start()

    def _answers(self) -> bool:
        try:
            psycopg.connect(self._embedded.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _start(self) -> None:
        self._say("the database server has died; it is started again", logging.WARNING)
        try:
            self._embedded.start()
        except EmbeddedPostgresError as error:
            # Each try writes a log file, so that they come less often after a while.
            self._try_at_s = time.monotonic() + self._pause_s
            message = f"the database server could not be started, and is tried again in {self._pause_s:g} s: {error}"
            self._say(message, logging.ERROR)
            self._pause_s = min(self._pause_s * 2, _TRY_DATABASE_WITHIN_S)
        else:
            self._pause_s = _TRY_DATABASE_AFTER_S
