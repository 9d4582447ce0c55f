"""Where the mails of a licence leave: its relays by their weights, or the outbox when it never had one."""

import logging
import random
import re
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic

from tabellion.features.delivery import relay_store
from tabellion.features.delivery.favour import Favour
from tabellion.features.delivery.sealed import relay_purpose
from tabellion.kit.outage import Outage
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import Fate, MayLeave, Post, Relay, Reply

# How soon a change of relays is seen.
_KNOWN_FOR_S = 2.0
# How long a relay is left alone that cannot be reached, and at most after many times.
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_log = logging.getLogger(__name__)
MayLeaveBy = Callable[["Exit"], Awaitable[bool]]


class Exit:
    """A relay, and whether it is worth trying: one that could not be reached is left alone for a while."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self._pause_s = self._until = 0.0
        self._trying = False
        self._wrong = ""
        self._slow = Outage(_log)

    @property
    def failing(self) -> bool:
        """Whether it could not be reached the last time."""
        return self._wrong != ""

    @property
    def rest_s(self) -> float:
        """For how long it is not to be tried; 0: it may be. A failing one is tried by one at a time."""
        if not self.failing:
            return 0.0
        return max(self._until - monotonic(), 0.1 if self._trying else 0.0)

    @property
    def is_stuck(self) -> bool:
        """Whether all its connections wait for it, and have for a while."""
        return self.post.is_stuck

    @property
    def trouble(self) -> str | None:
        """Why mails do not leave by it at the moment, without what is secret of it; None: they do."""
        if not self.failing and not self.is_stuck:
            return None
        return self.spoken(self._wrong if self.failing else self._slowness)

    @property
    def name(self) -> str:
        """Host and port."""
        return f"{self.post.relay.host}:{self.post.relay.port}"

    def spoken(self, text: str) -> str:
        """What it has said, without what is secret of it."""
        for secret in filter(None, (self.post.relay.user, self.post.relay.password)):
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "…", text)
        return text

    @property
    def _slowness(self) -> str:
        relay = self.post.relay
        return (
            f"{relay.host}:{relay.port} is slow: all {relay.connections} connections wait for its answers; mails go by "
            "other relays, or wait. See what it is busy with, and whether --connections is less than it can do"
        )

    def watch(self) -> None:
        """Tell the log when it has become stuck since the last look, or is so no more."""
        relay = self.post.relay
        if self.is_stuck:
            self._slow.found(self._slowness)
        else:
            self._slow.over(f"{relay.host}:{relay.port} answers again")

    async def deliver(
        self, sender: str, recipient: str, raw: bytes, may_leave: MayLeave | None, *, patient: bool = True
    ) -> Reply:
        """Hand one mail over, and learn from it; `patient`: even where the relay is stuck."""
        with self._trial():
            reply = await self.post.deliver(sender, recipient, raw, may_leave, patient=patient)
            if reply.reached:
                # Only then: one that greets may still take no mails.
                self._pause_s = 0.0
            if not reply.busy:
                self._learn(None if reply.reached else reply.text)
        return reply

    async def reach(self) -> bool:
        """Whether there is a connection, or can be one."""
        with self._trial():
            wrong = await self.post.reach()
            self._learn(wrong)
        return wrong is None

    @contextmanager
    def _trial(self) -> Generator[None]:
        mine = self.failing and not self._trying
        self._trying = self._trying or mine
        try:
            yield
        finally:
            self._trying = self._trying and not mine

    def _learn(self, wrong: str | None) -> None:
        if wrong is None:
            self._wrong = ""
        elif not self.failing or monotonic() >= self._until:
            # Mails that were on their way together have failed together: that is once.
            self._pause_s = min(self._pause_s * 2 or _PAUSE_S, _LONGEST_PAUSE_S)
            self._until, self._wrong = monotonic() + self._pause_s, wrong
            _log.warning("%s; the relay is left alone for %.0f s", wrong, self._pause_s)


class Way:
    """The relays of a licence by weight; none: the outbox. `waits`: none any more, so that mails are to wait for one."""

    def __init__(self, exits: Sequence[tuple[int, Exit]], *, waits: bool = False) -> None:
        self._exits, self.waits = list(exits), waits
        self._chance = random.Random()  # noqa: S311 - spreads mails, hides nothing

    @property
    def posts(self) -> bool:
        """Whether there are relays at all."""
        return bool(self._exits)

    @property
    def exits(self) -> set[Exit]:
        """The relays."""
        return {each for _, each in self._exits}

    @property
    def is_blocked(self) -> bool:
        """Whether no relay could be reached the last time."""
        return bool(self._exits) and all(each.failing for _, each in self._exits)

    @property
    def is_stuck(self) -> bool:
        """Whether mails would only wait: all relays are stuck or cannot be reached."""
        relays = self.exits
        return any(each.is_stuck for each in relays) and all(each.is_stuck or each.failing for each in relays)

    @property
    def rest_s(self) -> float:
        """For how long no relay is worth trying."""
        return min((each.rest_s for _, each in self._exits), default=0.0)

    def rests_s(self, favour: Favour) -> float:
        """For how long no relay is worth trying for a sending."""
        return min((max(each.rest_s, favour.rest_s(each)) for _, each in self._exits), default=0.0)

    def is_of(self, exits: Sequence[tuple[int, Exit]], *, waits: bool) -> bool:
        """Whether it is made of these."""
        return self._exits == list(exits) and self.waits == waits

    async def opens(self) -> bool:
        """Whether a relay can be reached, tried without a mail."""
        for _, each in self._exits:
            if not each.failing or (not each.rest_s and await each.reach()):
                return True
        return False

    async def deliver(
        self, sender: str, recipient: str, raw: bytes, may_leave: MayLeaveBy | None = None, favour: Favour | None = None
    ) -> tuple[Reply, "Exit | None"]:
        """Hand one mail over to a relay, chosen by weight; to another one when that cannot be reached, or is stuck.

        `may_leave` is asked with the relay that waits for the mail; with `favour`, by one of those that take the sending's
        mails. Answers which relay has said it; None: none was tried.
        """
        favour = favour or Favour()
        left = [(weight, each) for weight, each in self._exits if not each.rest_s and not favour.rest_s(each)]
        reply, chosen = Reply(Fate.DEFERRED, "no relay can be reached", reached=False), None
        while left:
            if len(left) > 1:
                left = [(weight, each) for weight, each in left if not each.is_stuck] or left
            ((_, chosen),) = self._chance.choices(left, [weight for weight, _ in left]) if len(left) > 1 else left
            asked = None if may_leave is None else partial(may_leave, chosen)
            with favour.trial(chosen):
                reply = await chosen.deliver(sender, recipient, raw, asked, patient=len(left) == 1)
            if reply.reached:
                break
            left = [
                (weight, each) for weight, each in left if each is not chosen and not each.rest_s and not favour.rest_s(each)
            ]
        return reply, chosen


class Ways:
    """The ways of all licences, as this process knows them. `bounce_domain`: for senders that have none of their own."""

    def __init__(self, post: Callable[[Relay], Post] = Post, *, bounce_domain: str = "") -> None:
        self._post, self._bounce_domain = post, bounce_domain
        self._exits: dict[Relay, Exit] = {}
        self._known: dict[int, tuple[float, Way]] = {}
        self._numbers: dict[int, dict[int, Exit]] = {}

    async def of(self, db: Database, licence_id: int) -> Way:
        """The way of a licence: the same one until it is changed, which is looked at every other second."""
        read_at, way = self._known.get(licence_id, (0.0, Way([])))
        if licence_id in self._known and monotonic() - read_at < _KNOWN_FOR_S:
            return way
        found: list[tuple[int, Exit]] = []
        numbers: dict[int, Exit] = {}
        for id_, host, port, security, login, sealed, weight, connections in await relay_store.relays(db, licence_id):
            password = secrets.unseal(sealed, relay_purpose(id_)) if sealed else ""
            relay = Relay(host=host, port=port, security=security, user=login, password=password, connections=connections)
            if relay not in self._exits:
                self._exits[relay] = Exit(self._post(relay))
            found.append((weight, self._exits[relay]))
            numbers[id_] = self._exits[relay]
        self._numbers[licence_id] = numbers
        licence = None if found else await relay_store.relayed(db, licence_id)
        if licence is not None and not way.waits:
            _log.warning("%s", waiting(licence))
        if licence_id not in self._known or not way.is_of(found, waits=licence is not None):
            gone, way = way.exits, Way(found, waits=licence is not None)
            self._known[licence_id] = (monotonic(), way)
            await self._forget(gone)
        self._known[licence_id] = (monotonic(), way)
        return way

    async def _forget(self, gone: set[Exit]) -> None:
        """Close the connections that are kept to relays which nobody has any more."""
        gone = gone.difference(*(way.exits for _, way in self._known.values()))
        self._exits = {relay: each for relay, each in self._exits.items() if each not in gone}
        for each in gone:
            await each.post.__aexit__()

    async def bounce_domain_of(self, db: Database, entity_id: int) -> str:
        """The domain that an entity's mails come back to; empty: to the sender's address."""
        sender = await relay_store.sender_of(db, entity_id)
        return (sender.bounce_domain if sender is not None else "") or self._bounce_domain

    def number_of(self, licence_id: int, relay: Exit) -> int | None:
        """The id that a relay has for a licence; None: it has it no more."""
        return next((id_ for id_, each in self._numbers.get(licence_id, {}).items() if each is relay), None)

    def troubles(self) -> dict[int, str]:
        """Why mails do not leave by relays, by their ids."""
        found = {id_: each.trouble for numbers in self._numbers.values() for id_, each in numbers.items()}
        return {id_: wrong for id_, wrong in found.items() if wrong is not None}

    def watch(self) -> None:
        """Tell the log of relays that have become stuck, or are so no more."""
        for each in self._exits.values():
            each.watch()

    async def close(self) -> None:
        """Close all connections."""
        for each in self._exits.values():
            await each.post.__aexit__()


def waiting(licence: str) -> str:
    """What is told of a licence without a relay whose mails wait for one."""
    return (
        f"the licence '{licence}' has no relay any more, and its mails wait: name one with tabellion relay add, or "
        "have them kept in the outbox with tabellion relay outbox"
    )
