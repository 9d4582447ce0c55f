"""Schema migrations: plain SQL files `migrations/NNNN_name.sql`, applied in order, each in one transaction.

A file may begin with comments that set time-outs of its own, with the reason beside them:
`-- statement_timeout: 10min` or `-- lock_timeout: 10s`.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from tabellion import __version__
from tabellion.platform.database.advisory import AdvisoryLock

LOCK_TIMEOUT = "4s"
STATEMENT_TIMEOUT = "60s"
# How long one migration run waits for another one, on another machine, to end.
_WAIT_FOR_OTHERS = "10min"
# What API processes have called their connections from the first release on.
_SERVING = ("tabellion api", "tabellion gate")
MIN_SERVER_VERSION = 160000
# A schema that is there while a database is made from a backup: until it goes, nobody works with what there is of it.
RESTORING = "tabellion_restoring"
MAKE_UNICODE = "make the database anew with ENCODING 'UTF8'"

_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_HEADER = re.compile(r"--\s*(statement_timeout|lock_timeout):\s*(\d+\s*(?:ms|s|min|h))\b")

Connection = psycopg.Connection[tuple[Any, ...]]


class MigrationError(Exception):
    """The schema cannot be brought up to date, or cannot be used; the message says what to do."""


class SchemaMismatch(MigrationError):
    """The database's schema is not the one this program works with."""


class RestoreUnfinished(MigrationError):
    """The database is being made from a backup, or that was interrupted."""


class LockWaited(MigrationError):
    """Somebody held a table for longer than a migration waits for it."""


class ServerTooOld(MigrationError):
    """The database server is older than PostgreSQL 16."""


class NotUnicode(MigrationError):
    """The database's encoding is another than UTF8."""


class Migration(msgspec.Struct, frozen=True):
    """One file. `checksum` is the SHA-256 of its text in hex."""

    version: int
    name: str
    text: str
    checksum: str

    @property
    def label(self) -> str:
        """Number and name, as in the file's name."""
        return f"{self.version:04d}_{self.name}"


class Applied(msgspec.Struct, frozen=True):
    """A row of `tabellion.schema_migration`."""

    version: int
    name: str
    checksum: str
    applied_at: datetime

    @property
    def label(self) -> str:
        """Number and name, as in the file's name."""
        return f"{self.version:04d}_{self.name}"


class SchemaState(msgspec.Struct, frozen=True):
    """How the database stands to the files.

    `pending` have not been applied; `unknown` were applied by a newer program; `changed` differ from what was applied.
    """

    applied: tuple[Applied, ...]
    pending: tuple[Migration, ...]
    unknown: tuple[Applied, ...]
    changed: tuple[Applied, ...]

    @property
    def is_current(self) -> bool:
        """Whether this program may work with the database."""
        return not (self.pending or self.unknown or self.changed)


def migrate(
    url: str,
    *,
    migrations: Sequence[Migration] | None = None,
    restoring: bool = False,
    tell: Callable[[str], object] = lambda _: None,
) -> list[Applied]:
    """Bring the schema up to date and return what was applied now, in order; safe to run on many machines at once.

    `tell` hears the label of each file before it is applied, where there was a schema before. Each file is one transaction
    under an advisory lock, so an interrupted run leaves whole files behind and can simply be repeated.
    Raises `ServerTooOld`, `NotUnicode`, `SchemaMismatch` (newer or altered schema; nothing is changed then) and
    `MigrationError`, which names the file that failed; `RestoreUnfinished` for everybody but who is `restoring`.
    """
    known = load_migrations() if migrations is None else tuple(migrations)
    done: list[Applied] = []
    with _connect(url) as db:
        if not restoring:
            _refuse_unfinished(db)
        try:
            while (applied := _apply_next(db, known, tell, own=len(done))) is not None:
                done.append(applied)
        except LockWaited as error:
            raise LockWaited(f"{error}{_holders(db)}") from error
    return done


def state(url: str, *, migrations: Sequence[Migration] | None = None) -> SchemaState:
    """Compare the database with the files; changes nothing. Raises `ServerTooOld`, `NotUnicode`, `RestoreUnfinished`."""
    known = load_migrations() if migrations is None else tuple(migrations)
    with _connect(url) as db:
        _refuse_unfinished(db)
        return _compare(_applied(db), known)


def is_served(url: str) -> bool:
    """Whether API processes, of any version, are connected to the database."""
    with _connect(url) as db:
        found = db.execute(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = ANY(%s))",
            (list(_SERVING),),
        ).fetchone()
    return bool(found and found[0])


def require_current(url: str) -> None:
    """Raise `SchemaMismatch`, saying how to mend it, unless the schema is exactly the one this program knows."""
    refuse_foreign(found := state(url))
    if found.pending:
        labels = ", ".join(migration.label for migration in found.pending)
        raise SchemaMismatch(f"the database's schema is behind this program (missing: {labels}); run: tabellion migrate")


def load_migrations(folder: Traversable | None = None) -> tuple[Migration, ...]:
    """The migrations that ship with this program, by version. Raises `MigrationError` when two share a number."""
    folder = folder or resources.files("tabellion.platform.database").joinpath("migrations")
    found: dict[int, Migration] = {}
    for file in folder.iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is None:
            continue
        text = file.read_text(encoding="utf-8")
        checksum = hashlib.sha256(text.encode()).hexdigest()
        migration = Migration(int(match[1]), match[2], text, checksum)
        if migration.version in found:
            raise MigrationError(f"{migration.label} and {found[migration.version].label} have the same number")
        found[migration.version] = migration
    return tuple(found[version] for version in sorted(found))


def _connect(url: str) -> Connection:
    db = psycopg.connect(url, autocommit=True, application_name="tabellion migrate", connect_timeout=10)
    if db.info.server_version < MIN_SERVER_VERSION:
        version = db.info.parameter_status("server_version")
        db.close()
        raise ServerTooOld(f"this is PostgreSQL {version}; Tabellion needs 16 or later: upgrade the database server")
    encoding = db.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        db.close()
        raise NotUnicode(f"the encoding of the database is {encoding}, and not all names fit: {MAKE_UNICODE}")
    return db


def _apply_next(db: Connection, known: Sequence[Migration], tell: Callable[[str], object], *, own: int) -> Applied | None:
    """`own`: how many this run has applied; where there are no others, the database is new and there is nothing to tell."""
    with db.transaction():
        # A lock of the transaction, not of the session, so that it also holds behind a connection pooler.
        _set_local(db, "statement_timeout", _WAIT_FOR_OTHERS)
        _set_local(db, "lock_timeout", "0")
        db.execute("SELECT pg_advisory_xact_lock(%s)", (AdvisoryLock.MIGRATION,))
        # The state is read under the lock: another run may have applied the file while we waited.
        found = _compare(_applied(db), known)
        refuse_foreign(found)
        if not found.pending:
            return None
        migration = found.pending[0]
        if len(found.applied) > own:
            tell(migration.label)
        if not found.applied:
            _create_ledger(db)
        return _apply(db, migration)


def _apply(db: Connection, migration: Migration) -> Applied:
    applied = Applied(migration.version, migration.name, migration.checksum, datetime.now(UTC))
    try:
        timeouts = {"statement_timeout": STATEMENT_TIMEOUT, "lock_timeout": LOCK_TIMEOUT} | _header(migration.text)
        for name, value in timeouts.items():
            _set_local(db, name, value)
        # Without parameters a whole file goes in one message; the bytes are our own file, nothing is put into it.
        db.execute(migration.text.encode())
        db.execute(
            "INSERT INTO tabellion.schema_migration (version, name, checksum, applied_at) VALUES (%s, %s, %s, %s)",
            (applied.version, applied.name, applied.checksum, applied.applied_at),
        )
    except psycopg.errors.LockNotAvailable as error:
        raise LockWaited(
            f"migration {migration.label} could not get a lock in time and was rolled back; run tabellion migrate (or start "
            "the server) again when others have ended their transactions"
        ) from error
    except psycopg.Error as error:
        raise MigrationError(f"migration {migration.label} failed and was rolled back: {error}") from error
    return applied


def _holders(db: Connection) -> str:
    """Who holds tables at the moment. Statements of others may not be read, their names and programs may."""
    rows = db.execute(
        """
        SELECT DISTINCT a.pid, coalesce(a.usename, ''), coalesce(a.application_name, '')
        FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
        JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.granted
            AND (n.nspname = 'tabellion' OR n.nspname ~ '^l[0-9]+$') AND a.pid <> pg_backend_pid() ORDER BY 1 LIMIT 3
        """
    ).fetchall()
    found = [f"process {pid} of the database user {user}" + (f" ({name})" if name else "") for pid, user, name in rows]
    return f". At the moment tables are held by {', '.join(found)}" if found else ""


def _header(text: str) -> dict[str, str]:
    head: dict[str, str] = {}
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        if (match := _HEADER.match(line)) is not None:
            head[match[1]] = match[2]
    return head


def _set_local(db: Connection, name: str, value: str) -> None:
    db.execute("SELECT set_config(%s, %s, true)", (name, value))


def _create_ledger(db: Connection) -> None:
    db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS tabellion"))
    db.execute(
        """
        CREATE TABLE IF NOT EXISTS tabellion.schema_migration (
            version    integer PRIMARY KEY,
            name       text NOT NULL,
            checksum   text NOT NULL,
            applied_at timestamptz NOT NULL
        )
        """
    )


def _refuse_unfinished(db: Connection) -> None:
    found = db.execute("SELECT to_regnamespace(%s) IS NOT NULL", (RESTORING,)).fetchone()
    if found is not None and found[0]:
        raise RestoreUnfinished(
            "the database is being restored from a backup, or was and did not come to the end: when no restore is under way "
            "any more, run tabellion restore again, which begins anew"
        )


def _applied(db: Connection) -> tuple[Applied, ...]:
    found = db.execute("SELECT to_regclass('tabellion.schema_migration')::text").fetchone()
    if found is None or found[0] is None:
        return ()
    rows = db.execute("SELECT version, name, checksum, applied_at FROM tabellion.schema_migration ORDER BY version")
    return tuple(Applied(*row) for row in rows)


def compare(applied: Sequence[Applied]) -> SchemaState:
    """How migrations that a backup tells of stand to the files."""
    return _compare(tuple(applied), load_migrations())


def _compare(applied: tuple[Applied, ...], known: Sequence[Migration]) -> SchemaState:
    by_version = {migration.version: migration for migration in known}
    versions = {row.version for row in applied}
    return SchemaState(
        applied,
        pending=tuple(migration for migration in known if migration.version not in versions),
        unknown=tuple(row for row in applied if row.version not in by_version),
        changed=tuple(
            row for row in applied if row.version in by_version and by_version[row.version].checksum != row.checksum
        ),
    )


def refuse_foreign(found: SchemaState) -> None:
    """Raise `SchemaMismatch` for what a newer program has made, or other files than these."""
    if found.unknown:
        labels = ", ".join(row.label for row in found.unknown)
        raise SchemaMismatch(
            f"the database was made by a newer Tabellion than this one, which is {__version__} (unknown here: {labels}); "
            "upgrade this program to that version, or restore the backup from before the upgrade"
        )
    if found.changed:
        labels = ", ".join(row.label for row in found.changed)
        raise SchemaMismatch(
            f"migrations differ from those that made this database ({labels}): this is a development version or an "
            "altered installation; install the release that made the database, then run: tabellion migrate"
        )
