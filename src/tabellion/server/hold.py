"""A server that was made from a backup begins nothing until its operator says so.

What was under way at the moment of the backup may have come to its end since, where nobody here has seen it: mails would
leave twice. While the hold is there, job workers wait; calls and pages work.
"""

import asyncio
import logging
import os
import shlex
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg.rows import class_row

from tabellion.kit.outage import Outage
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.settings import Settings

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 2.0
_HOLD = "SELECT backup_at, restored_at FROM tabellion.server_hold"


class Hold(NamedTuple):
    """Which moment the server was set back to, and when that was done."""

    backup_at: datetime
    restored_at: datetime

    def told(self, data_dir: Path, *, own_database: bool) -> str:
        """What it means, and by which verb it ends for this server."""
        resume = _resume_verb(data_dir, own_database=own_database)
        return (
            f"this server was restored from a backup of {self.backup_at:%Y-%m-%d %H:%M:%S} UTC: no mail, webhook or file "
            f"leaves it, and no job runs, until you run: {resume}"
        )


def _resume_verb(data_dir: Path, *, own_database: bool) -> str:
    """`tabellion resume` for this server, whatever the environment of who types it names."""
    named = own_database and not os.environ.get("TABELLION_DATABASE_URL")
    return f"tabellion resume --data-dir {shlex.quote(str(data_dir.absolute()))}" + (" --database-url URL" if named else "")


def key_missing(settings: Settings) -> str | None:
    """What to do when a server that is held has no key of secrets yet; it would make another one than the backup's."""
    if secrets.fingerprint(settings.secret_key, settings.data_dir) is not None:
        return None
    return (
        f"put the secret.key of the server of the backup into {settings.data_dir.absolute()}, or set TABELLION_SECRET_KEY, "
        "before the server starts: it makes another key else, passwords, DKIM keys and webhooks' secrets have to be set "
        "anew, and links in mails that have left lead nowhere"
    )


def hold_of(url: str) -> Hold | None:
    """The hold of a server whose schema is current, if there is one."""
    with psycopg.connect(url, autocommit=True) as db, db.cursor(row_factory=class_row(Hold)) as cursor:
        return cursor.execute(_HOLD).fetchone()


async def find_hold(db: Database) -> Hold | None:
    """The same, by a connection that is there."""
    row = await (await db.execute(_HOLD)).fetchone()
    return None if row is None else Hold(*row)


async def hold(db: Database, backup_at: datetime, restored_at: datetime) -> None:
    """Hold the server."""
    await db.execute("INSERT INTO tabellion.server_hold (backup_at, restored_at) VALUES (%s, %s)", (backup_at, restored_at))


async def release(db: Database) -> Hold | None:
    """Take the hold away; what it was, None: there was none. In the caller's transaction."""
    cursor = await db.execute("DELETE FROM tabellion.server_hold RETURNING backup_at, restored_at")
    row = await cursor.fetchone()
    return None if row is None else Hold(*row)


async def wait_until_released(url: str, data_dir: Path) -> None:
    """Come back once the server is not held, at once if it is not; a database that is away is waited for."""
    held, blind = Outage(_log), Outage(_log)
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(
                url, autocommit=True, application_name="tabellion worker"
            ) as db:
                while row := await (await db.execute(_HOLD)).fetchone():
                    blind.over("it is looked again whether the server is held")
                    held.found(Hold(*row).told(data_dir, own_database=True))
                    await asyncio.sleep(_LOOK_EVERY_S)
                blind.over("it is looked again whether the server is held")
                held.over("the server is held no more: mails, webhooks and files leave it, and jobs run")
                return
        except psycopg.OperationalError as error:
            blind.found(f"it cannot be looked whether the server is held: {type(error).__name__}")
            await asyncio.sleep(_LOOK_EVERY_S)
