"""Schema migrations: plain SQL files `migrations/NNNN_name.sql`, applied in order, each in one transaction.

A file may begin with comments that set time-outs of its own, with the reason beside them:
`-- statement_timeout: 10min` or `-- lock_timeout: 10s`.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.schema import (
    Applied,
    Connection,
    Migration,
    MigrationError,
    compare,
    connect,
    ledger,
    load_migrations,
    refuse_foreign,
    refuse_unfinished,
)

LOCK_TIMEOUT = "4s"
STATEMENT_TIMEOUT = "60s"
# How long one migration run waits for another one, on another machine, to end.
_WAIT_FOR_OTHERS = "10min"
_HEADER = re.compile(r"--\s*(statement_timeout|lock_timeout):\s*(\d+\s*(?:ms|s|min|h))\b")


class LockWaited(MigrationError):
    """Somebody held a table for longer than a migration waits for it."""


def migrate(
    url: str,
    *,
    migrations: Sequence[Migration] | None = None,
    restoring: bool = False,
    step_minutes: int | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> list[Applied]:
    """Bring the schema up to date and return what was applied now, in order; safe to run on many machines at once.

    `tell` hears the label of each file before it is applied, where there was a schema before. Each file is one transaction
    under an advisory lock, so an interrupted run leaves whole files behind and can simply be repeated.
    `step_minutes`: how long a statement may take, in the place of what its file says and of the usual time. Where a backup
    is being restored, nobody is served whom it could keep waiting: it may take any time.
    Raises `ServerTooOld`, `NotUnicode`, `SchemaMismatch` (newer or altered schema; nothing is changed then) and
    `MigrationError`, which names the file that failed; `RestoreUnfinished` for everybody but who is `restoring`.
    """
    known = load_migrations() if migrations is None else tuple(migrations)
    done: list[Applied] = []
    within = "0" if restoring else None if step_minutes is None else f"{step_minutes:d}min"
    with connect(url) as db:
        if not restoring:
            refuse_unfinished(db)
        try:
            while (applied := _apply_next(db, known, tell, within, own=len(done))) is not None:
                done.append(applied)
        except LockWaited as error:
            raise LockWaited(f"{error}{_holders(db)}") from error
    return done


def _apply_next(
    db: Connection, known: Sequence[Migration], tell: Callable[[str], object], within: str | None, *, own: int
) -> Applied | None:
    """`within`: the time-out of statements, if not that of the file.

    `own`: how many this run has applied; where there are no others, the database is new and there is nothing to tell.
    """
    with db.transaction():
        # A lock of the transaction, not of the session, so that it also holds behind a connection pooler.
        _set_local(db, "statement_timeout", _WAIT_FOR_OTHERS)
        _set_local(db, "lock_timeout", "0")
        db.execute("SELECT pg_advisory_xact_lock(%s)", (AdvisoryLock.MIGRATION,))
        # The state is read under the lock: another run may have applied the file while we waited.
        found = compare(ledger(db), known)
        refuse_foreign(found)
        if not found.pending:
            return None
        migration = found.pending[0]
        if len(found.applied) > own:
            tell(migration.label)
        if not found.applied:
            _create_ledger(db)
        return _apply(db, migration, within)


def _apply(db: Connection, migration: Migration, within: str | None) -> Applied:
    applied = Applied(migration.version, migration.name, migration.checksum, datetime.now(UTC))
    timeouts = {"statement_timeout": STATEMENT_TIMEOUT, "lock_timeout": LOCK_TIMEOUT} | _header(migration.text)
    if within is not None:
        timeouts["statement_timeout"] = within
    try:
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
    except psycopg.errors.QueryCanceled as error:
        raise MigrationError(
            f"migration {migration.label} was stopped and rolled back ({error}); a statement of it may take "
            f"{timeouts['statement_timeout']}. Where tables are large: tabellion migrate --minutes-per-step 60"
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
