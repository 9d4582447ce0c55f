"""The work of one process on one sending, from the first claim until nothing is due.

Recipients are claimed, their mails made, handed over or kept, and what came of them is written down.
"""

import asyncio
from collections.abc import Sequence
from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING

from tabellion.features.customdata import custom_tables
from tabellion.features.delivery import attachment_store, claiming, outbox_store, recipient_store, store
from tabellion.features.delivery.composing import Composer, Hopeless, Ready
from tabellion.features.delivery.contexts import contexts_of
from tabellion.features.delivery.handing import TOO_MANY, Handing, Orders
from tabellion.features.delivery.ledger import Ledger
from tabellion.features.delivery.mark import Mark
from tabellion.features.delivery.model import DECLINED, Claimed, Ending, Sending, State, own_failure
from tabellion.features.delivery.setbacks import passes
from tabellion.features.delivery.signing import Signing, signing_of
from tabellion.features.delivery.transport import Way
from tabellion.features.tables import ProfileTable, profile_tables
from tabellion.platform.database.connection import Database

# A sender makes batches, and they use what it has: one of the two modules has to name the other only.
if TYPE_CHECKING:
    from tabellion.features.delivery.sender import Sender

# How long a sending is left alone at most when no relay can be reached.
_LONGEST_REST_S = 5.0
# And when relays are stuck.
_STUCK_REST_S = 1.0
# And when there is no relay any more.
_WAITING_REST_S = 2.0
# How often it is looked at whether relays or the sender were changed; and, while a relay takes its time for what has begun,
# whether there is more to send.
_LOOK_AGAIN_S = 1.0
# Of the attachments of mails that are made together: one mail has up to 10 MB of them.
_MOST_ATTACHED_BYTES = 16 * 1024 * 1024


class Batch:
    """The work of one process on one sending; what it shares with the others is the sender's."""

    def __init__(self, sender: "Sender", sending: Sending, worker: int) -> None:
        self._sender, self._sending, self._worker = sender, sending, worker
        self._held: list[list[Claimed]] = []
        self._wait_s = 0.0
        self._way = Way(())
        self._favour = sender.favours.of(sending)
        self._handing: Handing | None = None
        self._origin: tuple[Signing | None, str] = (None, "")
        self._followed_at = 0.0
        self._stumbles = 0
        self._took = False
        self._mark = Mark()
        pace = sender.pace
        self._ledger = Ledger(
            sender.database, sending, worker, sender.clock, every_s=pace.write_every_s, at=pace.write_at,
            held=lambda: sender.pacing.forget(sending.id),
        )  # fmt: skip

    async def run(self) -> None:
        """Send what is due."""
        sender, sending = self._sender, self._sending
        async with sender.database() as db:
            prepared = await self._prepare(db)
            if prepared is None:
                return
            table, composer = prepared
            await sender.works_for(db, self._worker, sending.licence_id)
            # What an earlier round of this process left when the database went away; none of it is on its way.
            await recipient_store.take_up(db, sending, self._worker, sender.clock())
        way = self._way
        if way.waits:
            # As they are: nothing is claimed, and no attempt counted, for as long as it takes.
            sender.rest(sending.id, _WAITING_REST_S)
            return
        if way.is_stuck:
            sender.rest(sending.id, _STUCK_REST_S)
            return
        if way.is_blocked and not await self._opens():
            sender.rest(sending.id, min(max(way.rest_s, 0.1), _LONGEST_REST_S))
            return
        if rest_s := way.rests_s(self._favour):
            # Mails of another worker may have been the last that were open.
            await self._conclude()
            sender.rest(sending.id, min(rest_s, _LONGEST_REST_S))
            return
        if not way.posts:
            while not self._gives_way() and (mails := await self._next(table, composer)) is not None:
                await self._keep(table, mails)
            return
        writing = asyncio.create_task(self._ledger.run())
        handing = self._handing = Handing(way, self._orders(table))
        try:
            await self._feed(handing, table, composer)
            while not handing.failed and not await self._settled(handing):
                # A relay takes its time for a mail; the others of the sending need not wait for that.
                again = await self._again(handing)
                if again is not None:
                    await self._feed(handing, *again)
        finally:
            # What has begun is waited for, and its outcomes are written down, whatever has happened: the next round takes
            # for granted that nothing of this one is on its way.
            try:
                await handing.end()
            finally:
                self._ledger.close()
                await writing
        await self._conclude()

    async def _conclude(self) -> None:
        """What relays have declined is final where no other mail can show any more that they take others.

        Where all relays have lost favour it is if they have taken others before: nobody is left whom they have not refused.
        """
        sender, sending, favour = self._sender, self._sending, self._favour
        if not favour.kept(lost=True) or sender.stopping:
            return
        async with sender.database() as db:
            if await recipient_store.is_open(db, sending, beside=DECLINED):
                return
            lost = all(map(favour.is_lost, self._way.exits)) and await recipient_store.has_accepted(db, sending)
        if kept := favour.kept(lost=lost):
            await self._ledger.write(kept)
            favour.forget(kept)

    async def _prepare(self, db: Database) -> tuple[ProfileTable, Composer] | None:
        """What the sending is made of and where it leaves, as that stands now; None: its table is gone."""
        sender, sending = self._sender, self._sending
        table = await self._table(db)
        if table is None:
            return None
        self._way = await sender.ways.of(db, sending.licence_id)
        sender.leaves_by(sending.id, self._way)
        self._followed_at = monotonic()
        signing, bounce_domain = self._origin = await self._origin_now(db)
        return table, Composer(sending, sender.cages, signing.signer() if signing else None, bounce_domain)

    async def _origin_now(self, db: Database) -> tuple[Signing | None, str]:
        document = self._sending.document
        signing = await signing_of(db, document.entity_id, document.sender_address)
        return signing, await self._sender.ways.bounce_domain_of(db, document.entity_id)

    async def _follow(self, db: Database, composer: Composer) -> bool:
        """Go by the relays and the sender's key as they are now, looked at once a second; False: this round cannot."""
        if monotonic() - self._followed_at < _LOOK_AGAIN_S:
            return True
        self._followed_at = monotonic()
        origin = await self._origin_now(db)
        if origin != self._origin:
            signing, bounce_domain = self._origin = origin
            composer.come_from(signing.signer() if signing else None, bounce_domain)
        sender, before = self._sender, self._way
        self._way = await sender.ways.of(db, self._sending.licence_id)
        if self._way is not before:
            sender.leaves_by(self._sending.id, self._way)
            if self._handing is not None:
                self._handing.use(self._way)
        if self._handing is not None:
            # Such as a relay had been asked for that is gone.
            await self._handing.give_back()
        return self._way.posts == before.posts and not self._way.waits

    async def _again(self, handing: Handing) -> tuple[ProfileTable, Composer] | None:
        """Go on while mails of this round are on their way; None: not now."""
        sender = self._sender
        await handing.give_back()
        async with sender.database() as db:
            fresh = await store.find(db, self._sending.id)
            if fresh is None or sender.stopping or fresh.state != "RUNNING":
                return None
            self._sending = fresh
            prepared = await self._prepare(db)
        if not self._way.posts:
            handing.use(self._way)
        way = self._way
        if prepared is None or not way.posts or (way.is_blocked and not await self._opens()) or way.rests_s(self._favour):
            return None
        handing.resume(self._way)
        return prepared

    async def _opens(self) -> bool:
        with self._sender.aside(self._sending.id):
            return await self._way.opens()

    async def _feed(self, handing: Handing, table: ProfileTable, composer: Composer) -> None:
        """Have handed over what is due, until there is no more."""
        while not handing.halted and not self._gives_way() and (mails := await self._next(table, composer)) is not None:
            putting = asyncio.create_task(handing.put(mails))
            try:
                while not (await asyncio.wait([putting], timeout=_LOOK_AGAIN_S))[0]:
                    async with self._sender.database() as db:
                        await self._follow(db, composer)
            finally:
                putting.cancel()

    def _gives_way(self) -> bool:
        # Not before something was done, however long it took to begin.
        return self._took and not self._held and self._sender.turns.gives_way(self._sending.id)

    async def _settled(self, handing: Handing) -> bool:
        with self._sender.aside(self._sending.id):
            return await handing.settled(_LOOK_AGAIN_S)

    async def _table(self, db: Database) -> ProfileTable | None:
        tables = await profile_tables.load(db, self._sending.licence_id)
        return next((table for table in tables if table.id == self._sending.document.table_id), None)

    async def _next(self, table: ProfileTable, composer: Composer) -> list[Ready] | None:
        """The mails of the next recipients that may leave, as soon as there are some; None: there are no more."""
        mails = await self._made(table, composer)
        if self._wait_s:
            with self._sender.aside(self._sending.id):
                await asyncio.sleep(self._wait_s)
            self._wait_s = 0.0
        return mails

    async def _made(self, table: ProfileTable, composer: Composer) -> list[Ready] | None:
        """The mails of the next recipients that may leave now. Those without hope are written down."""
        sender, sending = self._sender, self._sending
        claimed = await self._claimed(table, composer)
        if not claimed:
            return None if claimed is None else []
        try:
            async with sender.rendering(sending):
                async with sender.database() as db:
                    fresh = await self._table(db) or table
                    linked = await custom_tables.load(db, sending.licence_id) if sending.document.uses else ()
                    contexts = await contexts_of(db, sending.document, fresh, linked, claimed)
                    files = {}
                    if sending.document.transactional:
                        files = await attachment_store.attachments(db, sending.licence_id, [each.id for each in claimed])
                # Without a connection: others need them while these are made.
                mails = await composer.mails(claimed, contexts, sender.clock(), files)
        except BaseException as error:
            async with sender.database() as db:
                if not isinstance(error, Exception) or passes(error):
                    await self._give_back(db, claimed)
                    raise
                if len(claimed) > 1:
                    # Of one of them, perhaps: each for itself.
                    self._held = [*([each] for each in claimed), *self._held]
                else:
                    await self._stumble(db, claimed[0], error)
            return []
        self._stumbles = 0
        hopeless = [Ending(mail.claimed, State.FAILED, mail.reason) for mail in mails if isinstance(mail, Hopeless)]
        if hopeless:
            async with sender.database() as db:
                await recipient_store.end(db, sending, self._worker, hopeless, sender.clock())
        return [mail for mail in mails if isinstance(mail, Ready)]

    async def _claimed(self, table: ProfileTable, composer: Composer) -> list[Claimed] | None:
        """The next recipients that may leave now; none, perhaps later; None: there are no more."""
        sender, sending = self._sender, self._sending
        way, favour = self._way, self._favour
        if sender.stopping or way.is_blocked or way.rests_s(favour) or self._worker != sender.worker:
            return None
        # Where relays are only tried, one mail is enough.
        most = 1 if way.posts and all(map(favour.is_lost, way.exits)) else sender.pace.batch
        async with sender.database() as db:
            if not await self._follow(db, composer):
                return None
            now = sender.clock()
            if not self._held:
                rules = await sender.pacing.of(db, sending, table, now)
                taken = await claiming.take(db, sending, table, self._worker, most, now, rules, self._mark)
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
        await recipient_store.release(db, self._sending.licence_id, self._worker, left, self._sender.clock())

    async def _stumble(self, db: Database, claimed: Claimed, error: Exception) -> None:
        """Write down an error of our own at one mail. Raises it when so many have one that it is not the mails'."""
        sender, sending = self._sender, self._sending
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
        if not self._sending.document.transactional:
            return [claimed]
        sizes = await attachment_store.attached_bytes(db, self._sending.licence_id, [each.id for each in claimed])
        portions: list[list[Claimed]] = [[]]
        total = 0
        for each in claimed:
            total += sizes.get(each.id, 0)
            if portions[-1] and total > _MOST_ATTACHED_BYTES:
                portions.append([])
                total = sizes.get(each.id, 0)
            portions[-1].append(each)
        return portions

    async def _keep(self, table: ProfileTable, mails: list[Ready]) -> None:
        """Keep mails in the outbox; where that fails, each for itself."""
        try:
            await self._to_outbox(table, mails)
        except Exception as error:
            if passes(error):
                raise
            if len(mails) > 1:
                for mail in mails:
                    await self._keep(table, [mail])
                return
            async with self._sender.database() as db:
                await self._stumble(db, mails[0].claimed, error)

    async def _to_outbox(self, table: ProfileTable, mails: list[Ready]) -> None:
        """Keep mails and say that they left, in one transaction: here nothing can be in doubt."""
        sender, sending = self._sender, self._sending
        if not mails:
            return
        now = sender.clock()
        kept = [(mail.claimed, mail.sender, mail.subject, mail.raw) for mail in mails]
        async with sender.database() as db, db.transaction():
            begun = await outbox_store.keep_in_outbox(db, sending, table, self._worker, kept, now)
            endings = [Ending(m.claimed, State.ACCEPTED, reply="kept in the outbox") for m in mails if m.claimed.id in begun]
            told = await recipient_store.end(db, sending, self._worker, endings, now)
            await self._ledger.announce(db, endings, told, now)
            left = [mail.claimed for mail in mails if mail.claimed.id not in begun]
            if left:
                await recipient_store.release(db, sending.licence_id, self._worker, left, now)

    def _orders(self, table: ProfileTable) -> Orders:
        sender = self._sender

        async def begin(held: Sequence[Claimed]) -> set[int] | None:
            sending = self._sending
            async with sender.database() as db:
                begun = await recipient_store.begin(db, sending, table, self._worker, held)
                if begun:
                    return begun
                fresh = await store.find(db, sending.id)
                return begun if fresh is not None and fresh.state == "RUNNING" else None

        async def give_back(held: Sequence[Claimed]) -> None:
            async with sender.database() as db:
                await recipient_store.release(db, self._sending.licence_id, self._worker, held, sender.clock())

        return Orders(
            begin, give_back, self._ledger.tell, sender.stumbles.happened, lambda: sender.stopping, sender.clock,
            self._sending.document.policy, sender.patience, self._sending.licence_id, self._favour,
        )  # fmt: skip
