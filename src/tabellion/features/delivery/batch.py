"""The work of one process on one sending, from the first claim until nothing is due.

Recipients are claimed, their mails made, handed over or kept, and what came of them is written down.
"""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tabellion.features.delivery import outbox_store, recipient_store, store
from tabellion.features.delivery.composing import Ready
from tabellion.features.delivery.current import Current
from tabellion.features.delivery.handing import Handing, Orders
from tabellion.features.delivery.ledger import Ledger
from tabellion.features.delivery.making import Making
from tabellion.features.delivery.model import DECLINED, Claimed, Ending, Sending, State
from tabellion.features.delivery.setbacks import passes

if TYPE_CHECKING:  # as in `current`
    from tabellion.features.delivery.sender import Sender

# How long a sending is left alone at most when no relay can be reached.
_LONGEST_REST_S = 5.0
# And when relays are stuck.
_STUCK_REST_S = 1.0
# And when there is no relay any more.
_WAITING_REST_S = 2.0
# While a relay takes its time for what has begun: how often it is looked at whether there is more to send.
_LOOK_AGAIN_S = 1.0


class Batch:
    """The work of one process on one sending; what it shares with the others is the sender's."""

    def __init__(self, sender: "Sender", sending: Sending, worker: int) -> None:
        self._sender, self._worker = sender, worker
        self._current = Current(sender, sending)
        self._making = Making(sender, self._current, worker)
        self._favour = sender.favours.of(sending)
        pace = sender.pace
        self._ledger = Ledger(
            sender.database, sending, worker, sender.clock, every_s=pace.write_every_s, at=pace.write_at,
            held=lambda: sender.pacing.forget(sending.id),
        )  # fmt: skip

    async def run(self) -> None:
        """Send what is due."""
        sender, current = self._sender, self._current
        sending = current.sending
        async with sender.database() as db:
            if not await current.load(db, sending):
                return
            await sender.works_for(db, self._worker, sending.licence_id)
            # What an earlier round of this process left when the database went away; none of it is on its way.
            await recipient_store.take_up(db, sending, self._worker, sender.clock())
        way = current.way
        if way.waits:
            # As they are: nothing is claimed, and no attempt counted, for as long as it takes.
            sender.rest(sending.id, _WAITING_REST_S)
            return
        if way.is_stuck:
            sender.rest(sending.id, _STUCK_REST_S)
            return
        if way.is_blocked and not await current.opens():
            sender.rest(sending.id, min(max(way.rest_s, 0.1), _LONGEST_REST_S))
            return
        if rest_s := way.rests_s(self._favour):
            # Mails of another worker may have been the last that were open.
            await self._conclude()
            sender.rest(sending.id, min(rest_s, _LONGEST_REST_S))
            return
        if not way.posts:
            while not self._making.gives_way and (mails := await self._making.next()) is not None:
                await self._keep(mails)
            return
        writing = asyncio.create_task(self._ledger.run())
        handing = current.handing = Handing(way, self._orders())
        try:
            await self._feed(handing)
            while not handing.failed and not await self._settled(handing):
                # A relay takes its time for a mail; the others of the sending need not wait for that.
                if await self._again(handing):
                    await self._feed(handing)
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
        sender, sending, favour = self._sender, self._current.sending, self._favour
        if not favour.kept(lost=True) or sender.stopping:
            return
        async with sender.database() as db:
            if await recipient_store.is_open(db, sending, beside=DECLINED):
                return
            lost = all(map(favour.is_lost, self._current.way.exits)) and await recipient_store.has_accepted(db, sending)
        if kept := favour.kept(lost=lost):
            await self._ledger.write(kept)
            favour.forget(kept)

    async def _again(self, handing: Handing) -> bool:
        """Go on while mails of this round are on their way; False: not now."""
        sender, current = self._sender, self._current
        await handing.give_back()
        async with sender.database() as db:
            fresh = await store.find(db, current.sending.id)
            if fresh is None or sender.stopping or fresh.state != "RUNNING":
                return False
            if fresh.version != current.sending.version:
                handing.renew()
            loaded = await current.load(db, fresh)
        way = current.way
        if not way.posts:
            handing.use(way)
        if not loaded or not way.posts or (way.is_blocked and not await current.opens()) or way.rests_s(self._favour):
            return False
        handing.resume(current.way)
        return True

    async def _feed(self, handing: Handing) -> None:
        """Have handed over what is due, until there is no more."""
        while not handing.halted and not self._making.gives_way and (mails := await self._making.next()) is not None:
            putting = asyncio.create_task(handing.put(mails))
            try:
                while not (await asyncio.wait([putting], timeout=_LOOK_AGAIN_S))[0]:
                    async with self._sender.database() as db:
                        await self._current.follow(db)
            finally:
                putting.cancel()

    async def _settled(self, handing: Handing) -> bool:
        with self._sender.aside(self._current.sending.id):
            return await handing.settled(_LOOK_AGAIN_S)

    async def _keep(self, mails: list[Ready]) -> None:
        """Keep mails in the outbox; where that fails, each for itself."""
        try:
            await self._to_outbox(mails)
        except Exception as error:
            if passes(error):
                raise
            if len(mails) > 1:
                for mail in mails:
                    await self._keep([mail])
                return
            async with self._sender.database() as db:
                await self._making.stumble(db, mails[0].claimed, error)

    async def _to_outbox(self, mails: list[Ready]) -> None:
        """Keep mails and say that they left, in one transaction: here nothing can be in doubt."""
        sender, sending, table = self._sender, self._current.sending, self._current.table
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

    def _orders(self) -> Orders:
        sender, current = self._sender, self._current

        async def begin(held: Sequence[Claimed]) -> set[int] | None:
            sending = current.sending
            async with sender.database() as db:
                begun = await recipient_store.begin(db, sending, current.table, self._worker, held)
                if begun:
                    return begun
                fresh = await store.find(db, sending.id)
                goes_on = fresh is not None and (fresh.state, fresh.version) == ("RUNNING", sending.version)
                return begun if goes_on else None

        async def give_back(held: Sequence[Claimed]) -> None:
            async with sender.database() as db:
                await recipient_store.release(db, current.sending.licence_id, self._worker, held, sender.clock())

        return Orders(
            begin, give_back, self._ledger.tell, sender.stumbles.happened, lambda: sender.stopping, sender.clock,
            current.sending.document.policy, sender.patience, current.sending.licence_id, self._favour,
        )  # fmt: skip
