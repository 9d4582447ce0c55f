"""`tabellion doctor`: looks at what a server needs, and says what to do where something is missing."""

import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import typer

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, clear_errors, run_on, settings_of, show
from tabellion.cli.machine import RIGHTS, Finding, key, machine
from tabellion.cli.unreadable import ADVICE, looked_through
from tabellion.features import delivery, erasure
from tabellion.features.bulk import waiting
from tabellion.kit.counted import counted
from tabellion.kit.enumerated import first_few
from tabellion.platform import jobs, mail, secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.database.schema import MAKE_UNICODE, MIN_SERVER_VERSION, NO_POOLER, MigrationError, NotUnicode, state
from tabellion.server import connections, unfinished
from tabellion.server.database import STARTING, is_starting
from tabellion.server.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tabellion.server.hold import hold_of, key_missing
from tabellion.settings import Settings, SettingsError, unknown_variables

_CLOCK_DRIFT_S = 2.0
_NAMED_LICENCES = 3
_OLD_BACKUP = timedelta(days=8)
_ERASED_WITHIN, _ERASED_SOON = timedelta(days=30), timedelta(days=1)
_NO_ROOM = "all its connections are taken: raise max_connections, or lower TABELLION_CONNECTIONS"
_STRANGER = "see that it has not run out, and that 'sslrootcert' in the URL names the file of the authority that signed it"
# What connections fail of, by words of its message.
_UNREACHABLE = {
    "startup parameter": NO_POOLER,
    "connection slots are reserved": _NO_ROOM,
    "too many": _NO_ROOM,
    "certificate verify failed": f"{_STRANGER} ('system': one of the machine's)",
    "does not match host name": "the URL names another host than the certificate: use that name, or have one made for this",
    "permission denied": "have the URL name the user who owns the tables, the one that ran tabellion migrate",
    "could not load private key": "name a key without a passphrase, or the passphrase as 'sslpassword' in the URL",
}
_UNKNOWN = "check the URL, that the server runs, and that it lets this machine and user in"
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_QUESTIONS = """
SELECT clock_timestamp(), has_database_privilege(current_database(), 'CREATE'),
       current_setting('server_version_num')::int, current_setting('server_version'),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       current_setting('server_encoding'),
       current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')
"""


def doctor(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Check database, versions, permissions, disk, clock, port and relays; exit status 1 when something is wrong."""
    with clear_errors():
        settings = settings_of(data_dir, database_url)
        findings = list(_look(settings))
        show(findings, as_json=as_json, title="doctor")
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)


def _look(settings: Settings) -> Iterator[Finding]:
    for name in unknown_variables():
        yield Finding("environment", "warning", name, "no setting has this name; tabellion settings lists them")
    yield from machine(settings)
    try:
        settings.check_folders()
    except SettingsError as error:
        yield Finding("folders", "problem", str(error))
    yield from _database(settings)


def _database(settings: Settings) -> Iterator[Finding]:
    with ExitStack() as stack:
        try:
            url = settings.database_url
            if not url:
                unfinished.refuse(settings.data_dir)
                if not (settings.data_dir / "postgres").exists():
                    advice = "the first start of the server makes it; if there is a server, name its folder (--data-dir)"
                    yield Finding("database", "warning", f"there is none in {settings.data_dir.absolute()}", advice)
                    return
                url = stack.enter_context(EmbeddedPostgres(settings.data_dir)).url
            yield from _server(url, settings)
            schema = _schema(url, settings)
            yield schema
            if schema.state == "ok":
                yield from _backup(url, settings)
                yield from _jobs(url)
            if schema.state == "ok" and key(settings).state != "problem":
                yield from _relays(url, settings)
                yield from _secrets(url)
            if schema.state == "ok":
                yield from _erasures(url)
        except EmbeddedPostgresError as error:
            no_right = isinstance(error.__cause__, PermissionError)
            advice = RIGHTS if no_right else "see the log in the data directory's postgres/log"
            yield Finding("database", "problem", str(error), advice)
        except PermissionError as error:
            yield Finding("database", "problem", f"{error.filename}: {error.strerror}", RIGHTS)
        except psycopg.Error as error:
            yield Finding("database", "problem", str(error).strip(), _advice(str(error)))
        except NotUnicode:
            return  # said above
        except MigrationError as error:
            yield Finding("schema", "problem", str(error))


def _advice(said: str) -> str:
    """What to do where no connection to the database comes about."""
    return next((advice for part, advice in _UNREACHABLE.items() if part in said), _UNKNOWN)


def _backup(url: str, settings: Settings) -> Iterator[Finding]:
    """How old the last backup is, and whether the server was made of one and waits."""
    if (held := hold_of(url)) is not None:
        told = held.told(settings.data_dir, own_database=bool(settings.database_url))
        yield Finding("restored", "warning", f"held since {held.restored_at:%Y-%m-%d %H:%M} UTC", told)
        if key(settings).state != "problem" and (missing := key_missing(settings)) is not None:
            yield Finding("restored key", "warning", "there is none", missing)
    with psycopg.connect(url, autocommit=True) as db:
        row = db.execute("SELECT backup_at FROM tabellion.server_backup").fetchone()
    if row is None:
        # Whoever has an own PostgreSQL may have its dumps; of the embedded one, nothing else makes any.
        state = "ok" if settings.database_url else "warning"
        advice = "have one made every night: tabellion backup; or back up database, key of secrets and spool in your own way"
        yield Finding("backup", state, "none was made by tabellion backup", advice)
        return
    age = datetime.now(UTC) - row[0]
    old = age > _OLD_BACKUP
    found = f"{counted(age.days, 'day') if age.days else counted(age.seconds // 3600, 'hour')} old"
    yield Finding("backup", "warning" if old else "ok", found, "make one: tabellion backup" if old else "")


def _jobs(url: str) -> Iterator[Finding]:
    if count := run_on(url, waiting.count):
        advice = "make room on the disks of the data directory and of the database; they go on by themselves"
        yield Finding("jobs", "warning", f"{count} wait for room on a disk", advice)


def _relays(url: str, settings: Settings) -> Iterator[Finding]:
    """Those that cannot be reached from this machine: a licence's affair, so that it is no more than a warning."""

    async def reached(db: Database) -> tuple[list[delivery.Reached], list[str], list[delivery.Refused]]:
        refused = await delivery.refused(db)
        return await delivery.reach_relays(db), await delivery.licences_that_wait(db), refused

    secrets.use_key(settings.secret_key, settings.data_dir, settings.former_secret_keys, at_once=False)
    mail.use_name(settings.mail_name)
    found, without, refused = run_on(url, reached)
    if without:
        advice = "their mails wait: tabellion relay add, or tabellion relay outbox to have them kept"
        yield Finding("relay", "warning", f"no relay any more: {first_few(without, _NAMED_LICENCES)}", advice)
    for relay in found:
        if relay.wrong:
            mails = f"mails of {first_few(relay.licences, _NAMED_LICENCES)}"
            yield Finding("relay", "warning", relay.wrong, f"{mails} wait, or go by other relays")
    for each in refused:
        advice = "set relay, login and sender so that it takes the mails; they wait, or go by other relays"
        yield Finding("campaign", "warning", f"'{each.campaign}' of {each.licence}: {each.wrong}", advice)
    if found:
        good = sum(not relay.wrong for relay in found)
        yield Finding("relays", "ok" if good == len(found) else "warning", f"{good} of {len(found)} can be reached")


def _secrets(url: str) -> Iterator[Finding]:
    """Those that another key has sealed, as after a restore without it, or a rotation that was killed."""
    wrong, former = run_on(url, looked_through)
    if wrong:
        yield Finding("secrets", "problem", f"unreadable: {', '.join(wrong)}", ADVICE)
    if former:
        advice = "run tabellion key rotate, which brings the exchange of the key to its end"
        yield Finding("former key", "warning", f"it has sealed {', '.join(former)}", advice)


def _erasures(url: str) -> Iterator[Finding]:
    """Those that did not search everything, for a month: so long the law lets whoever asked wait. And those that wait."""

    async def told(db: Database) -> tuple[list[tuple[int, str, str]], list[tuple[int, str]]]:
        now = datetime.now(UTC)
        return await erasure.admin.failed(db, now - _ERASED_WITHIN), await erasure.admin.waiting(db, now - _ERASED_SOON)

    failed, late = run_on(url, told)
    for number, licence in late:
        advice = f"it waits for a worker, or for what one works on: tabellion jobs list --licence {shlex.quote(licence)}"
        yield Finding("erasure", "warning", f"{number} of {licence} has not ended in a day", advice)
    for number, licence, why in failed:
        yield Finding("erasure", "problem", f"{number} of {licence} has failed", f"{why}: tabellion erase {licence} ADDRESS")


def _server(url: str, settings: Settings) -> Iterator[Finding]:
    before = datetime.now(UTC)
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as db:
        row: Any = db.execute(_QUESTIONS).fetchone()
    after = datetime.now(UTC)
    clock, may_create, version, shown, places, *values = row
    if version < MIN_SERVER_VERSION:
        yield Finding("database", "problem", f"PostgreSQL {shown}", "PostgreSQL 16 or later is needed")
        return
    yield Finding("database", "ok", f"PostgreSQL {shown}")
    encoding, *durable = values
    if encoding != "UTF8":
        yield Finding("encoding", "problem", encoding, MAKE_UNICODE)
        return
    for name, value in zip(_DURABLE, durable, strict=True):
        if value == "off":
            yield Finding(name, "problem", "off", f"a power cut would lose data: set {name} = on")
    if not may_create:
        advice = "GRANT CREATE ON DATABASE ... TO this user: each licence has a schema of its own"
        yield Finding("permissions", "problem", "this user may not create schemas", advice)
    opened = connections.wanted(settings)
    if opened > places:
        advice = "raise max_connections, or lower TABELLION_WORKERS or TABELLION_CONNECTIONS"
        yield Finding("connections", "warning", f"{opened} wanted, the database has {places}", advice)
    else:
        yield Finding("connections", "ok", f"{opened} of {places}")
    drift_s = max((before - clock).total_seconds(), (clock - after).total_seconds(), 0.0)
    state_ = "ok" if drift_s < _CLOCK_DRIFT_S else "warning"
    advice = "" if drift_s < _CLOCK_DRIFT_S else "set both clocks by NTP"
    yield Finding("clock", state_, f"{drift_s:.1f} s apart from the database's", advice)


def _schema(url: str, settings: Settings) -> Finding:
    found = state(url)
    embedded = not settings.database_url
    advice = "start the server anew with this version, which brings it up to date" if embedded else "run: tabellion migrate"
    if found.unknown or found.changed:
        return Finding("schema", "problem", "made by another version", "install the version that made it")
    if found.pending:
        if embedded and is_starting(url, settings.data_dir):
            advice = STARTING
        return Finding("schema", "problem", f"{counted(len(found.pending), 'migration')} behind", advice)
    try:
        jobs.require_installed(url)
    except jobs.JobsMissing as error:
        return Finding("schema", "problem", str(error), advice)
    return Finding("schema", "ok", f"current ({counted(len(found.applied), 'migration')})")
