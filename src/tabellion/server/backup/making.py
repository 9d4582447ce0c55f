"""Making a backup, whether the server runs or not."""

import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import BinaryIO

import psycopg

from tabellion import __version__
from tabellion.platform import secrets
from tabellion.platform.database import schema
from tabellion.server.backup import snapshot
from tabellion.server.backup.archive import PIECE, Writer
from tabellion.server.backup.errors import BackupError
from tabellion.server.backup.manifest import DATABASE, FORMAT, KEY, Manifest
from tabellion.server.postgres.clients import Client, environment, find_client
from tabellion.settings import Settings

# The server's schemas: of the catalogue, of the jobs, of licences, and those that analysts read.
_SCHEMAS = ("tabellion", "jobs", "l[0-9]+", "*/*")
# A table that is dropped before pg_dump has its lock makes it give up, before it has written anything.
_TRIES = 3
_NOTE = """
INSERT INTO tabellion.server_backup (backup_at, bytes) VALUES (%s, %s)
ON CONFLICT (only_row) DO UPDATE SET backup_at = excluded.backup_at, bytes = excluded.bytes
"""


def make(settings: Settings, out: BinaryIO, *, with_key: bool) -> tuple[Manifest, int]:
    """Write a backup of the database `settings.database_url` and of the data directory; its manifest and its bytes.

    Raises `BackupError`, `MigrationError`, `EmbeddedPostgresError`, `KeyUnusable`, `OSError`.
    """
    url = settings.database_url
    found = schema.state(url)
    if not found.applied:
        raise BackupError("there is nothing to back up: the database has no tables of Tabellion")
    if found.unknown or found.changed:
        schema.require_current(url)
    with psycopg.connect(url) as db:
        client = find_client("pg_dump", db.info.server_version // 10_000)
    with snapshot.only_backup(settings.data_dir):
        for left in reversed(range(_TRIES)):
            with ExitStack() as stack:
                moment = stack.enter_context(snapshot.taken(url, settings.spool_dir))
                dump = stack.enter_context(_dumping(client, url, moment.id))
                try:
                    first = next(dump)
                except BackupError:
                    if left:
                        continue
                    raise
                moment.let_go()
                return _written(settings, out, client, moment, _all(first, dump), with_key=with_key)
    raise AssertionError


def note(url: str, manifest: Manifest, size: int) -> None:
    """Remember that there is this backup, for `tabellion doctor`."""
    try:
        with psycopg.connect(url, autocommit=True, application_name="tabellion backup") as db:
            db.execute(_NOTE, (manifest.made_at, size))
    except psycopg.errors.UndefinedTable:
        return  # of an older release, which is about to be upgraded


def _written(
    settings: Settings, out: BinaryIO, client: Client, moment: snapshot.Snapshot, dump: Iterator[bytes], *, with_key: bool
) -> tuple[Manifest, int]:
    writer = Writer(out, moment.made_at)
    writer.stream(DATABASE, dump)
    for name, path in moment.files:
        writer.file(name, path)
    key = settings.data_dir / KEY
    fingerprint = secrets.fingerprint(settings.secret_key, settings.data_dir)
    state = "setting" if settings.secret_key else "none"
    if not settings.secret_key and key.exists():
        state = "included" if with_key else "left out"
        if with_key:
            writer.file(KEY, key)
    manifest = Manifest(
        format=FORMAT,
        version=__version__,
        made_at=moment.made_at,
        postgresql=moment.postgresql,
        postgresql_number=moment.postgresql_number,
        pg_dump=client.version,
        database_bytes=moment.database_bytes,
        licences=moment.licences,
        migrations=moment.migrations,
        secret_key=state,
        key_fingerprint=fingerprint,
        missing_files=moment.missing,
        parts=tuple(writer.parts),
    )
    writer.close(manifest)
    out.flush()
    return manifest, writer.bytes


def _all(first: bytes, others: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from others


@contextmanager
def _dumping(client: Client, url: str, snapshot_id: str) -> Generator[Iterator[bytes]]:
    """The dump in pieces; the last one comes after pg_dump has ended well. Raises `BackupError`."""
    conninfo, variables = environment(client, url, "tabellion backup")
    command = [str(client.path), "--format=custom", "--compress=3", "--no-owner", "--no-privileges", "--no-password"]
    command += [f"--snapshot={snapshot_id}", *(f"--schema={name}" for name in _SCHEMAS), f"--dbname={conninfo}"]
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(  # noqa: S603 - our own program and arguments
            command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages
        )

        def pieces() -> Iterator[bytes]:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            while len(piece := process.stdout.read(PIECE)) == PIECE:
                yield piece
            if process.wait() != 0:
                messages.seek(0)
                told = messages.read().decode(errors="replace").strip()[-1000:]
                raise BackupError(f"pg_dump {client.version} failed: {told}")
            yield piece

        try:
            yield pieces()
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
