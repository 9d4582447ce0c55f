"""What a backup says of itself: `manifest.json`, the last but one entry of the file."""

from datetime import datetime

import msgspec

from tabellion.platform.database.schema import Applied

FORMAT = 1
# The parts. The database is in pieces, as its length is not known before it is written.
DATABASE, KEY, SPOOL = "database", "secret.key", "spool"


class Part(msgspec.Struct, frozen=True):
    """A file of the server, or the database's dump; `pieces`: entries of the archive that it is spread over."""

    name: str
    bytes: int
    sha256: str
    pieces: int = 1


class Manifest(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """All that a restore has to know before it changes anything.

    `made_at`: the moment that the backup shows. `secret_key`: `included`, `left out`, `setting` (TABELLION_SECRET_KEY) or
    `none`; its fingerprint tells whether another server's key is the same. `missing_files`: bulk calls whose files were
    not to be found, because the backup was made where the server's spool is not.
    """

    format: int
    version: str
    made_at: datetime
    postgresql: str
    postgresql_number: int
    pg_dump: str
    database_bytes: int
    licences: int
    migrations: tuple[Applied, ...]
    secret_key: str
    key_fingerprint: str | None
    missing_files: int
    parts: tuple[Part, ...]

    @property
    def schema(self) -> str:
        """The newest migration."""
        return self.migrations[-1].label if self.migrations else "none"

    @property
    def postgresql_major(self) -> int:
        """The major version of the server that the backup was made of."""
        return self.postgresql_number // 10_000
