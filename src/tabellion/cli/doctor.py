"""`tabellion doctor`: looks at what a server needs, and says what to do where something is missing."""

import asyncio
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import typer

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, clear_errors, settings_of, show
from tabellion.features.bulk import waiting
from tabellion.features.delivery import Reached, licences_that_wait, reach_relays, unreadable_secrets
from tabellion.features.transfers import unreadable_servers
from tabellion.platform import jobs, secrets
from tabellion.platform.database.migrate import MAKE_UNICODE, MIN_SERVER_VERSION, MigrationError, NotUnicode, state
from tabellion.server import connections, unfinished
from tabellion.server.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tabellion.server.hold import hold_of, key_missing
from tabellion.server.port import CannotListen, check_port
from tabellion.server.supervisor import address
from tabellion.settings import Settings, SettingsError, unknown_variables

_GIGABYTE = 1024**3
# The database's log of changes grows by pieces of 16 MB, and checkpoints keep some.
_NO_DISK_BYTES = 256 * 1024**2
_LITTLE_DISK_BYTES = 2 * _GIGABYTE
_CLOCK_DRIFT_S = 2.0
# The first releases with the fixes for ZIP64 confusion and for e-mail headers.
_PATCHED = {(3, 11): 15, (3, 12): 13, (3, 13): 12, (3, 14): 3}
_NAMED_LICENCES = 3
_SHORT_KEY = 16
_OLD_BACKUP = timedelta(days=8)
_RIGHTS = (
    "run it as the user whom the server runs as (sudo -u tabellion ...); or give this user the right to write there, or "
    "choose another folder with --data-dir"
)
_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")
_QUESTIONS = """
SELECT clock_timestamp(), has_database_privilege(current_database(), 'CREATE'),
       current_setting('server_version_num')::int, current_setting('server_version'),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int,
       current_setting('server_encoding'),
       current_setting('fsync'), current_setting('full_page_writes'), current_setting('synchronous_commit')
"""


class Finding(msgspec.Struct):
    """One thing looked at. `state`: ok, warning or problem; `advice` says what to do."""

    check: str
    state: str
    found: str
    advice: str = ""


def doctor(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Check database, versions, permissions, disk, clock, port and relays; exit status 1 when something is wrong."""
    with clear_errors():
        settings = settings_of(data_dir, database_url)
        findings = list(_look(settings))
        show(findings, as_json=as_json, title="doctor")
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)


def _look(settings: Settings) -> Iterator[Finding]:
    yield _python()
    for name in unknown_variables():
        yield Finding("environment", "warning", name, "no setting has this name; tabellion settings lists them")
    yield from _data_dir(settings)
    yield _port(settings)
    yield _key(settings)
    try:
        settings.check_folders()
    except SettingsError as error:
        yield Finding("folders", "problem", str(error))
    yield from _database(settings)


def _python() -> Finding:
    version = sys.version_info
    found = f"Python {version.major}.{version.minor}.{version.micro}"
    patched = _PATCHED.get((version.major, version.minor), 0)
    if version.micro < patched:
        advice = f"lacks security fixes; install {version.major}.{version.minor}.{patched} or later"
        return Finding("interpreter", "warning", found, advice)
    return Finding("interpreter", "ok", found)


def _data_dir(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir.absolute()
    existing = folder
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        probe = existing / ".tabellion-doctor"
        probe.touch()
        probe.unlink()
        yield Finding("data directory", "ok", str(folder))
    except OSError as error:
        yield Finding("data directory", "problem", f"{existing}: {error.strerror}", _RIGHTS)
    try:
        yield _disk(existing)
    except OSError:
        return  # said above


def _disk(existing: Path) -> Finding:
    free = shutil.disk_usage(existing).free
    found = f"{free / _GIGABYTE:.1f} GB free"
    if free < _NO_DISK_BYTES:
        advice = "make room: calls that write are answered with 503 on a full disk, and the database may not start"
        return Finding("disk", "problem", found, advice)
    if free < _LITTLE_DISK_BYTES:
        return Finding("disk", "warning", found, "less than 2 GB: make room before the database stops")
    return Finding("disk", "ok", found)


def _key(settings: Settings) -> Finding:
    if settings.secret_key:
        length = len(settings.secret_key)
        if length < _SHORT_KEY:
            advice = (
                "who has the database could guess it: set 32 random characters or more before anything is sealed with it"
            )
            return Finding("key of secrets", "warning", f"TABELLION_SECRET_KEY has {length} characters", advice)
        return Finding("key of secrets", "ok", "TABELLION_SECRET_KEY")
    try:
        secrets.check_key("", settings.data_dir)
    except secrets.KeyUnusable as error:
        return Finding("key of secrets", "problem", str(error))
    except OSError as error:
        return Finding("key of secrets", "problem", f"{error.filename}: {error.strerror}", _RIGHTS)
    file = settings.data_dir / "secret.key"
    return Finding("key of secrets", "ok", "secret.key in the data directory" if file.exists() else "not made yet")


def _port(settings: Settings) -> Finding:
    where = f"{settings.host}:{settings.port}"
    try:
        check_port(settings)
    except CannotListen as error:
        if not error.in_use:
            return Finding("port", "problem", f"{where}: {error.reason}", error.advice)
        try:
            with urllib.request.urlopen(f"{address(settings)}/health", timeout=2) as answer:  # noqa: S310 - ours, http://
                ours = answer.status == 200 and b'"up"' in answer.read(200)  # noqa: PLR2004 - the status of success
        except (urllib.error.URLError, OSError, ValueError):
            ours = False
        if ours:
            return Finding("port", "ok", f"{where}: a Tabellion serves here")
        return Finding("port", "problem", f"{where}: in use by another program", error.advice)
    return Finding("port", "ok", f"{where} is free")


def _database(settings: Settings) -> Iterator[Finding]:
    with ExitStack() as stack:
        try:
            url = settings.database_url
            if not url:
                unfinished.refuse(settings.data_dir)
                if not (settings.data_dir / "postgres").exists():
                    yield Finding("database", "ok", "not made yet; the first start of the server makes it")
                    return
                url = stack.enter_context(EmbeddedPostgres(settings.data_dir)).url
            yield from _server(url, settings)
            schema = _schema(url)
            yield schema
            if schema.state == "ok":
                yield from _backup(url, settings)
                yield from _jobs(url)
            if schema.state == "ok" and _key(settings).state != "problem":
                yield from _relays(url, settings)
                yield from _secrets(url)
        except EmbeddedPostgresError as error:
            no_right = isinstance(error.__cause__, PermissionError)
            advice = _RIGHTS if no_right else "see the log in the data directory's postgres/log"
            yield Finding("database", "problem", str(error), advice)
        except PermissionError as error:
            yield Finding("database", "problem", f"{error.filename}: {error.strerror}", _RIGHTS)
        except psycopg.OperationalError as error:
            advice = "check the URL, that the server runs, and that it lets this machine and user in"
            if "connection slots are reserved" in str(error) or "too many" in str(error):
                advice = "all its connections are taken: raise max_connections, or lower TABELLION_CONNECTIONS"
            yield Finding("database", "problem", str(error).strip(), advice)
        except NotUnicode:
            return  # said above
        except MigrationError as error:
            yield Finding("schema", "problem", str(error))


def _backup(url: str, settings: Settings) -> Iterator[Finding]:
    """How old the last backup is, and whether the server was made of one and waits."""
    if (held := hold_of(url)) is not None:
        yield Finding("restored", "warning", f"held since {held.restored_at:%Y-%m-%d %H:%M} UTC", str(held))
        if _key(settings).state != "problem" and (missing := key_missing(settings)) is not None:
            yield Finding("restored key", "warning", "there is none", missing)
    with psycopg.connect(url, autocommit=True) as db:
        row = db.execute("SELECT backup_at FROM tabellion.server_backup").fetchone()
    if row is None:
        yield Finding("backup", "ok", "none was made by tabellion backup")
        return
    age = datetime.now(UTC) - row[0]
    old = age > _OLD_BACKUP
    found = f"{age.days} days old" if age.days else f"{age.seconds // 3600} hours old"
    yield Finding("backup", "warning" if old else "ok", found, "make one: tabellion backup" if old else "")


def _jobs(url: str) -> Iterator[Finding]:
    async def counted() -> int:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
            return await waiting.count(db)

    if count := asyncio.run(counted()):
        advice = "make room on the disks of the data directory and of the database; they go on by themselves"
        yield Finding("jobs", "warning", f"{count} wait for room on a disk", advice)


def _relays(url: str, settings: Settings) -> Iterator[Finding]:
    """Those that cannot be reached from this machine: a licence's affair, so that it is no more than a warning."""

    async def reached() -> tuple[list[Reached], list[str]]:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
            return await reach_relays(db), await licences_that_wait(db)

    secrets.use_key(settings.secret_key, settings.data_dir, at_once=False)
    found, waiting = asyncio.run(reached())
    if waiting:
        advice = "their mails wait: tabellion relay add, or tabellion relay outbox to have them kept"
        yield Finding("relay", "warning", f"no relay any more: {_some(waiting)}", advice)
    for relay in found:
        if relay.wrong:
            yield Finding("relay", "warning", relay.wrong, f"mails of {_some(relay.licences)} wait, or go by other relays")
    if found:
        good = sum(not relay.wrong for relay in found)
        yield Finding("relays", "ok" if good == len(found) else "warning", f"{good} of {len(found)} can be reached")


def _some(licences: Sequence[str]) -> str:
    others = len(licences) - _NAMED_LICENCES
    return ", ".join(licences[:_NAMED_LICENCES]) + (f" and {others} more" if others > 0 else "")


def _secrets(url: str) -> Iterator[Finding]:
    """Those that another key has sealed, as after a restore without it."""

    async def counted() -> tuple[int, int, int]:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
            return await unreadable_servers(db), *await unreadable_secrets(db)

    counts = zip(("of file servers", "of relays", "DKIM keys"), asyncio.run(counted()), strict=True)
    if wrong := [f"{count} {what}" for what, count in counts if count]:
        advice = "restore the key that sealed them (TABELLION_SECRET_KEY, or the file secret.key), or set them anew"
        yield Finding("secrets", "problem", f"unreadable: {', '.join(wrong)}", advice)


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


def _schema(url: str) -> Finding:
    found = state(url)
    if found.unknown or found.changed:
        return Finding("schema", "problem", "made by another version", "install the version that made it")
    if found.pending:
        return Finding("schema", "problem", f"{len(found.pending)} migrations behind", "run: tabellion migrate")
    try:
        jobs.require_installed(url)
    except jobs.JobsMissing as error:
        return Finding("schema", "problem", str(error), "run: tabellion migrate")
    return Finding("schema", "ok", f"current ({len(found.applied)} migrations)")
