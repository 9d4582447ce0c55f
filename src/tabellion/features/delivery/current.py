"""What a sending is made of and where its mails leave, as that stands now: its table, the relays, the sender's key."""

from time import monotonic
from typing import TYPE_CHECKING

from tabellion.features.delivery.composing import Composer
from tabellion.features.delivery.model import Sending
from tabellion.features.delivery.signing import Signing, signing_of
from tabellion.features.delivery.transport import Way
from tabellion.features.tables import ProfileTable, profile_tables
from tabellion.platform.database.connection import Database

# A sender makes batches, and these use what it has: one of the modules has to name the other only.
if TYPE_CHECKING:
    from tabellion.features.delivery.handing import Handing
    from tabellion.features.delivery.sender import Sender

# How often it is looked at whether relays or the sender were changed.
_LOOK_AGAIN_S = 1.0


class Current:
    """`handing`, once there is one, is told of other relays. `table` and `composer` are there when it has been loaded."""

    table: ProfileTable
    composer: Composer

    def __init__(self, sender: "Sender", sending: Sending) -> None:
        self.sending = sending
        self.way = Way(())
        self.handing: Handing | None = None
        self._sender = sender
        self._origin: tuple[Signing | None, str] = (None, "")
        self._followed_at = 0.0

    async def load(self, db: Database, sending: Sending) -> bool:
        """Take all of it as it is; False: its table is gone."""
        self.sending, sender = sending, self._sender
        table = await self.find_table(db)
        if table is None:
            return False
        self.table = table
        self.way = await sender.ways.of(db, sending.licence_id)
        sender.leaves_by(sending.id, self.way)
        self._followed_at = monotonic()
        signing, bounce_domain = self._origin = await self._find_origin(db)
        self.composer = Composer(sending, sender.cages, signing.signer() if signing else None, bounce_domain)
        return True

    async def follow(self, db: Database) -> bool:
        """Go by the relays and the sender's key as they are now, looked at once a second; False: this round cannot."""
        if monotonic() - self._followed_at < _LOOK_AGAIN_S:
            return True
        self._followed_at = monotonic()
        origin = await self._find_origin(db)
        if origin != self._origin:
            signing, bounce_domain = self._origin = origin
            self.composer.come_from(signing.signer() if signing else None, bounce_domain)
        sender, before = self._sender, self.way
        self.way = await sender.ways.of(db, self.sending.licence_id)
        if self.way is not before:
            sender.leaves_by(self.sending.id, self.way)
            if self.handing is not None:
                self.handing.use(self.way)
        if self.handing is not None:
            # Such as a relay had been asked for that is gone.
            await self.handing.give_back()
        return self.way.posts == before.posts and not self.way.waits

    async def opens(self) -> bool:
        """Whether one of the relays can be reached again; others work meanwhile."""
        with self._sender.aside(self.sending.id):
            return await self.way.opens()

    async def find_table(self, db: Database) -> ProfileTable | None:
        """Its table as it is now; None: it is gone."""
        tables = await profile_tables.load(db, self.sending.licence_id)
        return next((table for table in tables if table.id == self.sending.document.table_id), None)

    async def _find_origin(self, db: Database) -> tuple[Signing | None, str]:
        document = self.sending.document
        signing = await signing_of(db, document.entity_id, document.sender_address)
        return signing, await self._sender.ways.bounce_domain_of(db, document.entity_id)
