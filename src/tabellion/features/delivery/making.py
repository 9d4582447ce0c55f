"""The mails of a sending, made as they are wanted: recipients are claimed, and rendered in portions."""

import asyncio
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING

from tabellion.features.customdata import custom_tables
from tabellion.features.delivery import attachment_store, claiming, recipient_store, store
from tabellion.features.delivery.composing import Hopeless, Ready
from tabellion.features.delivery.contexts import Crowded, contexts_of
from tabellion.features.delivery.current import Current
from tabellion.features.delivery.handing import TOO_MANY
from tabellion.features.delivery.mark import Mark
from tabellion.features.delivery.model import Claimed, own_failure, unwritable
from tabellion.features.delivery.setbacks import passes
from tabellion.platform.database.connection import Database

if TYPE_CHECKING:  # as in `current`
    from tabellion.features.delivery.sender import Sender

# Of the attachments of mails that are made together: one mail has up to 10 MB of them.
_MOST_ATTACHED_BYTES = 16 * 1024 * 1024


class Making:
    """Of one batch."""

    def __init__(self, sender: "Sender", current: Current, worker: int) -> None:
        self._sender, self._current, self._worker = sender, current, worker
        self._held: list[list[Claimed]] = []
        self._wait_s = 0.0
        self._favour = sender.favours.of(current.sending)
        self._stumbles = 0
        self._took = False
        self._mark = Mark()

    @property
    def gives_way(self) -> bool:
        """Whether others that wait come first now."""
        # Not before something was done, however long it took to begin.
        return self._took and not self._held and self._sender.turns.gives_way(self._current.sending.id)

    async def next(self) -> list[Ready] | None:
        """The mails of the next recipients that may leave, as soon as there are some; None: there are no more."""
        mails = await self._made()
        if self._wait_s:
            with self._sender.aside(self._current.sending.id):
                await asyncio.sleep(self._wait_s)
            self._wait_s = 0.0
        return mails

    async def _made(self) -> list[Ready] | None:
        """The mails of the next recipients that may leave now. Those without hope are written down."""
        sender, current = self._sender, self._current
        sending = current.sending
        claimed = await self._claimed()
        if not claimed:
            return None if claimed is None else []
        try:
            async with sender.rendering(sending):
                async with sender.database() as db:
                    fresh = await current.find_table(db) or current.table
                    linked = await custom_tables.load(db, sending.licence_id) if sending.document.uses else ()
                    contexts = await contexts_of(db, sending.document, fresh, linked, claimed)
                    files = {}
                    if sending.document.transactional:
                        files = await attachment_store.attachments(db, sending.licence_id, [each.id for each in claimed])
                # Without a connection: others need them while these are made.
                mails = await current.composer.mails(claimed, contexts, sender.clock(), files)
        except Crowded:
            half = len(claimed) // 2
            self._held = [claimed[:half], claimed[half:], *self._held]
            return []
        except BaseException as error:
            async with sender.database() as db:
                if not isinstance(error, Exception) or passes(error):
                    await self._give_back(db, claimed)
                    raise
                if len(claimed) > 1:
                    # Of one of them, perhaps: each for itself.
                    self._held = [*([each] for each in claimed), *self._held]
                else:
                    await self.stumble(db, claimed[0], error)
            return []
        self._stumbles = 0
        hopeless = [unwritable(mail.claimed, mail.reason) for mail in mails if isinstance(mail, Hopeless)]
        if hopeless:
            async with sender.database() as db:
                await recipient_store.end(db, sending, self._worker, hopeless, sender.clock())
        return [mail for mail in mails if isinstance(mail, Ready)]

    async def _claimed(self) -> list[Claimed] | None:
        """The next recipients that may leave now; none, perhaps later; None: there are no more."""
        sender, current, favour = self._sender, self._current, self._favour
        sending, way = current.sending, current.way
        if sender.stopping or way.is_blocked or way.rests_s(favour) or self._worker != sender.worker:
            return None
        # Where relays are only tried, one mail is enough.
        most = 1 if way.posts and all(map(favour.is_lost, way.exits)) else sender.pace.batch
        async with sender.database() as db:
            if not await current.follow(db):
                return None
            now = sender.clock()
            if not self._held:
                rules = await sender.pacing.of(db, sending, current.table, now)
                taken = await claiming.take(db, sending, current.table, self._worker, most, now, rules, self._mark)
                if taken.stale:
                    sender.pacing.forget(sending.id)
                    return []
                if not taken.claimed:
                    self._wait_s = taken.wait_s
                    sender.rest(sending.id, taken.rest_s)
                    return [] if taken.some or taken.wait_s else None
                self._took = True
                self._held = await self._portions(db, taken.claimed)
        return self._held.pop(0)

    async def _give_back(self, db: Database, claimed: Sequence[Claimed] = ()) -> None:
        """Have all that is claimed and not yet made looked at afresh."""
        left, self._held = [*claimed, *chain.from_iterable(self._held)], []
        await recipient_store.release(db, self._current.sending.licence_id, self._worker, left, self._sender.clock())

    async def stumble(self, db: Database, claimed: Claimed, error: Exception) -> None:
        """Write down an error of our own at one mail. Raises it when so many have one that it is not the mails'."""
        sender, sending = self._sender, self._current.sending
        sender.stumbles.happened(error)
        ending = own_failure(claimed, error, sender.clock())
        await recipient_store.end(db, sending, self._worker, [ending], sender.clock())
        if ending.due_at is not None:
            await store.look_for_a_while(db, sending.id, ending.due_at)
        self._stumbles += 1
        if self._stumbles >= TOO_MANY:
            await self._give_back(db)
            raise error

    async def _portions(self, db: Database, claimed: list[Claimed]) -> list[list[Claimed]]:
        """The claimed in portions whose files fit into memory together."""
        if not self._current.sending.document.transactional:
            return [claimed]
        sizes = await attachment_store.attached_bytes(db, self._current.sending.licence_id, [each.id for each in claimed])
        portions: list[list[Claimed]] = [[]]
        total = 0
        for each in claimed:
            total += sizes.get(each.id, 0)
            if portions[-1] and total > _MOST_ATTACHED_BYTES:
                portions.append([])
                total = sizes.get(each.id, 0)
            portions[-1].append(each)
        return portions
