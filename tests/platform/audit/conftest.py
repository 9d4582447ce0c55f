"""A trail that a test writes itself, sealed with a secret of its own."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from tabellion.platform import secrets
from tabellion.platform.audit import Entry, Wanted, read

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)
Database = psycopg.AsyncConnection[Any]
_INSERT = "COPY tabellion.audit (at, licence_id, user_id, actor, route, object, request_id, note, credential) FROM STDIN"


class Trail(NamedTuple):
    """The database, and what was written: (licence, entry)."""

    db: Database
    written: list[tuple[int, Entry]]

    async def write(self, licence_id: int, *entries: Entry) -> None:
        """Add rows in this order."""
        async with self.db.cursor() as cursor, cursor.copy(_INSERT) as copy:
            for each in entries:
                row = (each.user_id, each.actor, each.route, each.object, each.request_id, each.note, each.credential)
                await copy.write_row((each.at, licence_id, *row))
        self.written.extend((licence_id, entry) for entry in entries)

    async def read(self, wanted: Wanted, limit: int = 1_000_000) -> list[Entry]:
        """All blocks together."""
        return [entry async for block in read(self.db, wanted, limit, NOW) for entry in block]

    def expected(self, licence_id: int) -> list[Entry]:
        """A licence's entries, newest first, later written ones first where the moment is the same."""
        own = [entry for licence, entry in reversed(self.written) if licence == licence_id]
        own.sort(key=lambda entry: entry.at, reverse=True)
        return own


@pytest.fixture
async def trail(database_url: str, tmp_path: Path) -> AsyncIterator[Trail]:
    secrets.use_key("of the tests", tmp_path)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db:
        await db.execute("SET timezone = 'UTC'")
        yield Trail(db, [])


def entry(at: datetime, **members: Any) -> Entry:
    """A change of a profile by an API user, but for `members`."""
    told = {"actor": "website", "user_id": 5, "credential": "key", "route": "profiles.v5.put", "object": "profile/1"}
    return Entry(**{"at": at, "request_id": "R1", "note": None} | told | members)
