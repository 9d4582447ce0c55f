"""Files of exports in which the person may be, and their address is not looked for, or came later."""

import asyncio
from datetime import datetime
from pathlib import Path

from tabellion.features.bulk import searching
from tabellion.features.erasure import store
from tabellion.features.erasure.errors import NotYet
from tabellion.features.erasure.model import Erasure
from tabellion.features.tables import email_of, profile_tables
from tabellion.kit.clock import utc_now
from tabellion.kit.traces import Traces
from tabellion.platform.database.connection import Database


async def forget_without_address(
    db: Database, spool: Path, erasure: Erasure, since: datetime | None, accepted: searching.Accepted
) -> int:
    """Delete the files of exports of the tables in which the person was, where they do not show addresses; how many.

    Nobody can tell whom they show. Accepted after a moment (None: at any time). Raises `OSError`.
    """
    known = await profile_tables.load(db, erasure.licence_id)
    emails = {table.public_id: email.name for table in known if (email := email_of(table.attributes)) is not None}
    tables = {table: emails.get(table) for table in await store.tables_of(db, erasure.id)}
    folders = await searching.exports_without_address(db, erasure.licence_id, tables, since, accepted)
    return await asyncio.to_thread(searching.forget_all_files, spool, folders)


async def forget_of_returned(db: Database, spool: Path, erasure: Erasure, traces: Traces) -> int:
    """Delete the files of exports that may show whom an import had brought back; how many. Raises `NotYet`, `OSError`."""
    until = await store.shown_until(db, erasure.id, utc_now())
    if until is None:
        return 0
    folders = await searching.exports_between(db, erasure.licence_id, erasure.asked_at, until)
    if folders.others:
        raise NotYet(f"{len(folders.others)} exports are at work that may show whom an import brought back")
    files = await asyncio.to_thread(searching.forget_files, spool, folders.ended, traces)
    return files + await forget_without_address(db, spool, erasure, erasure.asked_at, searching.Accepted(until))
