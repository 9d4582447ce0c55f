"""How the schema of a database stands to the migrations that ship with this program: `migrations/NNNN_name.sql`."""

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabellion import __version__

# What API processes have called their connections from the first release on.
_SERVING = ("tabellion api", "tabellion gate")
MIN_SERVER_VERSION = 160000
# A schema that is there while a database is made from a backup: until it goes, nobody works with what there is of it.
RESTORING = "tabellion_restoring"
# A setting by which can be seen whether settings of the session arrive.
_MARK = "tabellion.options"
NO_POOLER = (
    "a pooler of connections, such as PgBouncer, stands before the database and does not pass the settings of sessions on: "
    "have the URL name PostgreSQL itself; the server keeps few connections by itself (TABELLION_CONNECTIONS)"
)
MAKE_UNICODE = "make the database anew with ENCODING 'UTF8'"
_FILE_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")

Connection = psycopg.Connection[tuple[Any, ...]]


class MigrationError(Exception):
    """The schema cannot be brought up to date, or cannot be used; the message says what to do."""


class SchemaMismatch(MigrationError):
    """The database's schema is not the one this program works with."""


class RestoreUnfinished(MigrationError):
    """The database is being made from a backup, or that was interrupted."""


class ServerTooOld(MigrationError):
    """The database server is older than PostgreSQL 16."""


class NotUnicode(MigrationError):
    """The database's encoding is another than UTF8."""


class NotTheServer(MigrationError):
    """What answers cannot be worked with: a standby, which takes no changes, or a pooler of connections."""


class _Named(msgspec.Struct, frozen=True):
    version: int
    name: str

    @property
    def label(self) -> str:
        """Number and name, as in the file's name."""
        return f"{self.version:04d}_{self.name}"


class Migration(_Named, frozen=True):
    """One file. `checksum` is the SHA-256 of its text in hex."""

    text: str
    checksum: str


class Applied(_Named, frozen=True):
    """A row of `tabellion.schema_migration`."""

    checksum: str
    applied_at: datetime


class SchemaState(msgspec.Struct, frozen=True):
    """How the database stands to the files.

    `pending` have not been applied; `unknown` were applied by a newer program; `changed` differ from what was applied.
    """

    applied: tuple[Applied, ...]
    pending: tuple[Migration, ...]
    unknown: tuple[Applied, ...]
    changed: tuple[Applied, ...]


def state(url: str, *, migrations: Sequence[Migration] | None = None) -> SchemaState:
    """Compare the database with the files; changes nothing. Raises what `connect` does, and `RestoreUnfinished`."""
    with connect(url) as db:
        refuse_unfinished(db)
        return compare(ledger(db), migrations)


def is_served(url: str) -> bool:
    """Whether API processes, of any version, are connected to the database."""
    with connect(url) as db:
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


def compare(applied: tuple[Applied, ...], known: Sequence[Migration] | None = None) -> SchemaState:
    """How what was applied stands to the files, or to `known`."""
    known = load_migrations() if known is None else known
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


def connect(url: str) -> Connection:
    """A connection in autocommit mode. Raises `ServerTooOld`, `NotUnicode`, `NotTheServer`."""
    try:
        db = psycopg.connect(
            with_setting(url, _MARK, "here"), autocommit=True, application_name="tabellion migrate", connect_timeout=10
        )
    except psycopg.OperationalError as error:
        if "startup parameter" in str(error):
            raise NotTheServer(NO_POOLER) from error
        raise
    try:
        _refuse_unfit(db)
    except BaseException:
        db.close()
        raise
    return db


def with_setting(url: str, name: str, value: str) -> str:
    """The connection string with one more setting of the session among its `options`."""
    given = str(conninfo_to_dict(url).get("options") or "")
    return make_conninfo(url, options=f"{given} -c {name}={value}".strip())


def _refuse_unfit(db: Connection) -> None:
    if db.info.server_version < MIN_SERVER_VERSION:
        version = db.info.parameter_status("server_version")
        raise ServerTooOld(f"this is PostgreSQL {version}; Tabellion needs 16 or later: upgrade the database server")
    encoding = db.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise NotUnicode(f"the encoding of the database is {encoding}, and not all names fit: {MAKE_UNICODE}")
    if db.info.parameter_status("in_hot_standby") == "on":
        raise NotTheServer(
            "this database server is a standby, which takes no changes: have the URL name the primary, or all of them with "
            "target_session_attrs=read-write (postgresql://user@one,two/database?target_session_attrs=read-write)"
        )
    mark = db.execute("SELECT current_setting(%s, true)", (_MARK,)).fetchone()
    if mark is None or mark[0] != "here":
        raise NotTheServer(NO_POOLER)


def refuse_unfinished(db: Connection) -> None:
    """Raise `RestoreUnfinished` while a restore is at work on the database, or has left it."""
    found = db.execute("SELECT to_regnamespace(%s) IS NOT NULL", (RESTORING,)).fetchone()
    if found is not None and found[0]:
        raise RestoreUnfinished(
            "the database is being restored from a backup, or was and did not come to the end: when no restore is under way "
            "any more, run tabellion restore again, which begins anew. To begin an empty server instead, take another data "
            "directory or database"
        )


def ledger(db: Connection) -> tuple[Applied, ...]:
    """What was applied to the database, in order."""
    found = db.execute("SELECT to_regclass('tabellion.schema_migration')::text").fetchone()
    if found is None or found[0] is None:
        return ()
    rows = db.execute("SELECT version, name, checksum, applied_at FROM tabellion.schema_migration ORDER BY version")
    return tuple(Applied(*row) for row in rows)
