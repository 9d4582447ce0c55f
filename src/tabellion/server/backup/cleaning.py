"""The mark of a restore, and the end of what a restore has left."""

import psycopg
from psycopg import sql

from tabellion.platform.database.schema import RESTORING
from tabellion.server.backup.errors import BackupError
from tabellion.server.backup.loading import APPLICATION

_OURS = """
SELECT nspname FROM pg_namespace
WHERE nspname IN ('tabellion', 'jobs') OR nspname ~ '^l[0-9]+$' OR (nspname LIKE '%%/%%' AND pg_has_role(nspowner, 'USAGE'))
ORDER BY 1
"""
_OTHERS_AT_WORK = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE application_name = %s AND datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()
"""
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = %s"
# Each drop locks what it drops, and a server has room for so many locks.
_AT_ONCE = 50


def require_empty(url: str) -> bool:
    """Whether an interrupted restore has left something; raises `BackupError` when there is anything else of Tabellion's."""
    with psycopg.connect(url, autocommit=True) as db:
        row = db.execute("SELECT to_regnamespace(%s) IS NOT NULL", (RESTORING,)).fetchone()
        if row is not None and row[0]:
            return True
        if found := db.execute(_OURS, ()).fetchone():
            raise BackupError(
                f"the database is not empty (there is the schema {found[0]}), and a restore does not touch what is there: "
                "restore into another data directory (--data-dir) or database (--database-url), or remove this one yourself "
                "first"
            )
    return False


def mark(url: str) -> None:
    """From now on nobody but a restore works with the database."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(RESTORING)))


def clear(url: str) -> None:
    """Empty a database but for the mark, with which no server begins in it as if it were a new one."""
    mark(url)
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(_OTHERS_AT_WORK, (APPLICATION,))
        for (schema,) in db.execute(_OURS, ()).fetchall():
            tables = [name for (name,) in db.execute(_TABLES, (schema,))]
            for i in range(0, len(tables), _AT_ONCE):
                names = sql.SQL(", ").join(sql.Identifier(schema, name) for name in tables[i : i + _AT_ONCE])
                db.execute(sql.SQL("DROP TABLE {} CASCADE").format(names))
            db.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
