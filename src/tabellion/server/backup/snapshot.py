"""One moment of a server: a snapshot of its database, and the files that the snapshot's rows name.

Files are there before their rows, and deleted after them. So the names of the files are taken, as links to the same bytes,
together with the snapshot, while nobody may delete; what happens to the files afterwards is no matter.
"""

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from tabellion.platform import files
from tabellion.platform.database.schema import Applied, Connection, ledger
from tabellion.server.backup.errors import BackupError
from tabellion.server.backup.folders import make_folder
from tabellion.server.backup.manifest import SPOOL
from tabellion.server.postgres.locks import open_lock

_LOCK = "backup.lock"
_STAGING = "backup-"
# Made anew from what was uploaded; files that are being written.
_REMADE, _UNFINISHED = "rows.csv", ".part"
_FACTS = """
SELECT pg_export_snapshot(), clock_timestamp(), current_setting('server_version'),
       current_setting('server_version_num')::int, pg_database_size(current_database()),
       (SELECT count(*) FROM tabellion.licence)
"""
_FOLDERS = """
SELECT folder FROM tabellion.import_job WHERE execution_id IS NULL
UNION SELECT folder FROM tabellion.etl_execution UNION SELECT folder FROM tabellion.export_execution
"""


class Snapshot(NamedTuple):
    """`id` is what pg_dump takes; `files` are names in the archive and where the bytes are for now.

    `let_go`: pg_dump has taken the snapshot, and keeps it as long as it needs it. While anybody does, what is deleted stays
    in its tables, and whoever looks for mails to be sent reads past it; so it is not kept for the files.
    """

    id: str
    made_at: datetime
    postgresql: str
    postgresql_number: int
    database_bytes: int
    licences: int
    migrations: tuple[Applied, ...]
    files: tuple[tuple[str, Path], ...]
    missing: int
    let_go: Callable[[], None]


@contextmanager
def only_backup(data_dir: Path) -> Generator[None]:
    """Be the only backup of a data directory; what one that was killed has left is removed. Raises `BackupError`."""
    if not data_dir.is_dir():
        yield
        return
    lock = open_lock(data_dir / _LOCK)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(f"another backup of {data_dir} is being made: wait for it, or end it") from None
        for left in (data_dir / SPOOL).glob(f"{_STAGING}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(lock)


@contextmanager
def taken(url: str, spool: Path) -> Generator[Snapshot]:
    """Take a snapshot, and keep its files until the block ends."""
    with ExitStack() as stack:
        db = stack.enter_context(psycopg.connect(url, autocommit=True, application_name="tabellion backup"))
        db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # These are no questions: the snapshot is taken with the first of those.
        db.execute("SET LOCAL statement_timeout = 0")
        db.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        if not spool.is_dir():
            facts, missing = _facts(db), len(_folders(db))
            yield Snapshot._make((*facts, ledger(db), (), missing, db.close))
            return
        staging = spool / f"{_STAGING}{secrets.token_hex(8)}"
        stack.callback(shutil.rmtree, staging, ignore_errors=True)
        with files.keeping(spool):
            facts = _facts(db)
            found = tuple(_linked(spool, staging, _folders(db)))
        yield Snapshot._make((*facts, ledger(db), found, 0, db.close))


def _facts(db: Connection) -> tuple[Any, ...]:
    row = db.execute(_FACTS).fetchone()
    assert row is not None  # noqa: S101 - a question without FROM has one answer
    return row


def _folders(db: Connection) -> list[str]:
    return [folder for (folder,) in db.execute(_FOLDERS)]


def _linked(spool: Path, staging: Path, folders: list[str]) -> Iterator[tuple[str, Path]]:
    make_folder(staging, spool)
    for folder in folders:
        place = spool / folder
        for path in sorted(place.rglob("*")) if place.is_dir() else ():
            if path.is_symlink() or not path.is_file() or path.name == _REMADE or path.suffix == _UNFINISHED:
                continue
            name = path.relative_to(spool)
            kept = staging / name
            for parent in reversed(kept.relative_to(staging).parents[:-1]):
                make_folder(staging / parent, spool)
            try:
                kept.hardlink_to(path)
            except FileNotFoundError:
                continue
            except OSError:  # a file system without links
                shutil.copyfile(path, kept)
            yield f"{SPOOL}/{name.as_posix()}", kept
