"""A server made from a backup: in an empty place, whole or not at all.

While an embedded database is being made, a file in the data directory says so (`unfinished`); while a database is filled,
the schema `tabellion_restoring` is in it, which goes in the transaction that holds the server. With either of them no
server and no verb works. Whatever ends a restore before that, an error as well, leaves a place that only another restore
uses, which empties it first: a `tabellion serve` that follows would else begin an empty server.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import psycopg

from tabellion.kit.newfile import is_full
from tabellion.platform import jobs
from tabellion.platform.database import migrate, schema
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.secrets.ring import Source
from tabellion.server import database, unfinished
from tabellion.server.backup import cleaning, placing, waking
from tabellion.server.backup.archive import Reader, open_backup
from tabellion.server.backup.errors import BackupError
from tabellion.server.backup.loading import load
from tabellion.server.backup.manifest import KEY, Manifest
from tabellion.server.claim import AlreadyServed, claimed, refuse_second
from tabellion.server.postgres.clients import find_client
from tabellion.server.postgres.place import make_data_dir
from tabellion.settings import Settings

Clock = Callable[[], datetime]
_KNOWN_HERE = frozenset({
    "spool", KEY, "postgres", "postgres.new", "postgres.start", "postgres.users", "engine", "serve.lock", "spool.lock",
    "backup.lock", unfinished.FILE, "lost+found",
})  # fmt: skip


class Restored(NamedTuple):
    """What was made. `key`: what became of the key of secrets, in words; `held` campaigns wait for somebody."""

    manifest: Manifest
    applied: list[str]
    files: int
    key: str
    woken: waking.Woken


def read(path: Path) -> Manifest:
    """Read a backup whole, and compare its sums. Raises `BackupError`."""
    with open_backup(path) as file:
        reader = Reader(file, str(path))
        reader.check()
        return reader.manifest


def require_restorable(manifest: Manifest) -> None:
    """That this program knows the schema of the backup. Raises `BackupError`."""
    try:
        schema.refuse_foreign(schema.compare(manifest.migrations))
    except schema.SchemaMismatch as error:
        raise BackupError(
            f"the backup was made by Tabellion {manifest.version} with the schema {manifest.schema}, which this program "
            f"does not know ({error}); nothing was changed"
        ) from error


def restore(settings: Settings, path: Path, clock: Clock, *, resume_sendings: bool) -> Restored:
    """Make the database `settings.database_url`, or an embedded one, and the data directory from a backup.

    Raises `BackupError` (before anything is changed, for what is wrong with the backup or the place; nothing but the mark is
    left of what fails later), `AlreadyServed`, `EmbeddedPostgresError`, `MigrationError`, `OSError`.
    """
    with open_backup(path) as file, ExitStack() as stack:
        reader = Reader(file, str(path))
        reader.check()
        require_restorable(reader.manifest)
        embedded = not settings.database_url
        _check_data_dir(settings, reader, embedded=embedded)
        if embedded:
            _refuse_served(settings.data_dir)
        make_data_dir(settings.data_dir)
        if embedded:
            stack.enter_context(claimed(settings.data_dir, "tabellion restore"))
            unfinished.mark(settings.data_dir)
        settings, _ = database.open_database(settings, stack, beginning=True, restoring=True)
        url = settings.database_url
        with psycopg.connect(url) as db:
            major = db.info.server_version // 10_000
        if major < reader.manifest.postgresql_major:
            raise BackupError(
                f"the backup is of PostgreSQL {reader.manifest.postgresql}, and this server is {major}: restore into "
                f"PostgreSQL {reader.manifest.postgresql_major} or later"
            )
        dumped_by = int(reader.manifest.pg_dump.split(".")[0])
        client = find_client("pg_restore", max(major, dumped_by))
        with _alone(url), _begun(settings, reader, embedded=embedded):
            load(client, url, reader)
            count = placing.place_files(reader, settings.data_dir)
            applied = [step.label for step in migrate.migrate(url, restoring=True)] + jobs.install(url)
            woken = asyncio.run(waking.settle(url, reader.manifest, clock(), resume_sendings=resume_sendings))
        return Restored(reader.manifest, applied, count, _key_now(settings, reader.manifest), woken)


def _refuse_served(data_dir: Path) -> None:
    """That no server runs there. Raises `BackupError`: stopping it, as others advise, would not make the place empty."""
    try:
        refuse_second(data_dir)
    except AlreadyServed as error:
        raise BackupError(
            f"a server runs on the data directory {data_dir.absolute()}, or another restore is at work there, and a restore "
            "makes a new server: name an empty folder, or none, with --data-dir"
        ) from error


def _check_data_dir(settings: Settings, reader: Reader, *, embedded: bool) -> None:
    """That nothing is there which would be mixed with the backup. Raises `BackupError`."""
    folder = settings.data_dir.absolute()
    if not folder.exists():
        return
    if not folder.is_dir():
        raise BackupError(f"{folder} is no folder: name the data directory to be made with --data-dir")
    strangers = sorted(path.name for path in folder.iterdir() if path.name not in _KNOWN_HERE)
    if embedded and strangers:
        raise BackupError(
            f"{folder} is not empty ({strangers[0]}): name a folder that is, or does not exist, with --data-dir"
        )
    placing.check_key(reader, settings.data_dir)


@contextmanager
def _alone(url: str) -> Generator[None]:
    """No other restore into the database."""
    with psycopg.connect(url, autocommit=True, application_name="tabellion restore: waits") as db:
        row = db.execute("SELECT pg_try_advisory_lock(%s)", (AdvisoryLock.RESTORE,)).fetchone()
        if row is None or not row[0]:
            raise BackupError("another restore into this database is under way: wait for it, or end it")
        yield


@contextmanager
def _begun(settings: Settings, reader: Reader, *, embedded: bool) -> Generator[None]:
    """From an empty place with the mark of a restore, to one that is whole; after an error it has the mark, and no more."""
    url = settings.database_url
    try:
        left = cleaning.require_empty(url)
    except BackupError:
        if embedded:
            unfinished.take_away(settings.data_dir)  # somebody has put a server's database there since
        raise
    if left:
        cleaning.clear(url)
        placing.remove_files(settings.data_dir)
    elif placing.has_files(settings.data_dir):
        raise BackupError(
            f"there are files in {settings.data_dir.absolute() / 'spool'}: they belong to another server. Name another "
            "data directory with --data-dir, or move them away"
        )
    cleaning.mark(url)
    if embedded:
        unfinished.take_away(settings.data_dir)
    own_key = (settings.data_dir / KEY).exists()
    try:
        yield
    except BaseException as error:
        with suppress(psycopg.Error):  # the next restore cleans up then
            cleaning.clear(url)
        placing.remove_files(settings.data_dir)
        if not own_key:
            (settings.data_dir / KEY).unlink(missing_ok=True)
        if isinstance(error, OSError) and is_full(error):
            where = settings.data_dir.absolute()
            raise BackupError(f"the disk of {where} is full, and what was made was removed: make room") from error
        raise


def _key_now(settings: Settings, manifest: Manifest) -> str:
    """What the operator has to know of the key of secrets."""
    source = Source(settings.secret_key, settings.data_dir, settings.former_secret_keys)
    now = [key.fingerprint for key in source.ring().opening] if source.exists else []
    if manifest.key_fingerprint is None:
        return "there was none yet"
    if manifest.key_fingerprint in now[:1]:
        return "in place"
    if manifest.key_fingerprint in now:
        return "in place as a former one, which opens everything: tabellion key rotate seals it with the present one"
    place = f"secret.key in {settings.data_dir.absolute()}, or TABELLION_SECRET_KEY"
    state = "is missing" if not now else "is another one than the backup's"
    return (
        f"{state}. Before the server is started, put the one of the server that the backup was made of back ({place}): "
        "without it passwords of relays and file servers, DKIM keys, and secrets and headers of webhooks have to be set "
        "anew, and links in mails lead nowhere"
    )
