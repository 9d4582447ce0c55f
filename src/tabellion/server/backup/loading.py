"""The dump of a backup into a database."""

import subprocess
import tempfile
from contextlib import suppress

import psycopg

from tabellion.server.backup.archive import Reader
from tabellion.server.backup.errors import BackupError
from tabellion.server.backup.manifest import DATABASE
from tabellion.server.postgres.clients import Client, environment

APPLICATION = "tabellion restore"
_TOLD = 1500


def load(client: Client, url: str, reader: Reader) -> None:
    """Have pg_restore read the dump. Raises `BackupError`; what is in the database by then stays there."""
    conninfo, variables = environment(client, url, APPLICATION)
    command = [str(client.path), "--exit-on-error", "--no-owner", "--no-privileges", "--no-password", f"--dbname={conninfo}"]
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(  # noqa: S603 - our own program and arguments
            command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=messages
        )
        assert process.stdin is not None  # noqa: S101 - it is a pipe
        try:
            with suppress(BrokenPipeError):  # it has given up, and says why
                for piece in reader.read(DATABASE):
                    process.stdin.write(piece)
            with suppress(BrokenPipeError):
                process.stdin.close()
            status = process.wait()
        except BaseException:
            process.kill()
            process.wait()
            raise
        if status != 0:
            messages.seek(0)
            told = messages.read().decode(errors="replace").strip()[:_TOLD]
            raise BackupError(f"pg_restore {client.version} failed, and what it had made was removed: {told}")
    with psycopg.connect(url, autocommit=True, application_name=APPLICATION) as db:
        # The planner knows nothing of tables that were just filled.
        db.execute("SET client_min_messages = error")
        db.execute("ANALYZE")
