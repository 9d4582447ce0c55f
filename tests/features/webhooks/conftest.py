"""A licence with the table `Guests`, a receiver on loopback, and a dispatcher whose clock the test moves."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from tabellion.features import licences as use
from tabellion.features.webhooks import Dispatcher
from tabellion.kit.clock import utc_now
from tabellion.platform import egress
from tabellion.platform.egress import Client, Policy
from tests.support.receiver import Received, Receiver, receiving
from tests.support.structure import Bench, connect

ALLOWED = Policy(allow_http=True, allow_private=True)


def verify(received: Received, secret: str) -> Any:
    """As a receiver would, with the reference library."""
    return Webhook(secret).verify(received.body, received.headers)


class Clock:
    """The present, moved on by hand."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self._ahead

    def forward(self, **by: float) -> None:
        self._ahead += timedelta(**by)


class Hooks(Bench):
    """Runs calls, and the dispatcher step by step."""

    def prepare(self, dispatcher: Dispatcher, clock: Clock, receiver: Receiver) -> None:
        self.dispatcher = dispatcher
        self.clock = clock
        self.receiver = receiver
        self.secrets: dict[int, str] = {}

    async def subscribe(self, event_type: str = "CREATE", url: str | None = None, **members: Any) -> int:
        """Subscribe to the table; the id."""
        body = {"eventType": event_type, "targetUrl": url or self.receiver.url, **members}
        made = await self.call("webhooks.v4.createOnTable", body)
        self.secrets[made.body.id] = made.body.signing_secret
        return made.body.id

    async def pass_time(self, seconds: float) -> None:
        """Have time pass on the clock of the test, and for leases, which go by that of the database."""
        self.clock.forward(seconds=seconds)
        query = "UPDATE tabellion.webhook_delivery SET held_until = held_until - %s::interval"
        await self.db.execute(query, (timedelta(seconds=seconds),))

    async def deliver(self) -> None:
        """Rounds of the dispatcher until nothing is due any more."""
        async with self.connection() as db:
            for _ in range(20):
                before = len(self.receiver.requests)
                more = await self.dispatcher.step(db)
                await self.dispatcher.idle()
                await self.dispatcher.step(db)
                await self.dispatcher.idle()
                if not more and len(self.receiver.requests) == before:
                    return

    async def deliveries(self) -> list[tuple[Any, ...]]:
        """State, attempts and error of what is left."""
        cursor = await self.db.execute(
            "SELECT d.state, d.attempts, d.last_error FROM tabellion.webhook_delivery d "
            "JOIN tabellion.webhook_subscription s ON s.id = d.subscription_id WHERE s.licence_id = %s ORDER BY d.event_ids",
            (self.licence_id,),
        )
        return await cursor.fetchall()

    async def due_in(self) -> timedelta:
        """How long until the one delivery is due."""
        row = await self.row(
            "SELECT d.due_at FROM tabellion.webhook_delivery d JOIN tabellion.webhook_subscription s "
            "ON s.id = d.subscription_id WHERE s.licence_id = %s",
            self.licence_id,
        )
        return row[0] - self.clock()


@pytest.fixture
async def hooks(database_url: str) -> AsyncIterator[Hooks]:
    """A licence alone in its database: the dispatcher takes whatever it finds."""
    egress.allow(ALLOWED)
    clock = Clock()
    async with await connect(database_url) as db, receiving() as (receiver,), Client(ALLOWED, answer_within_s=1.0) as client:
        hooks = Hooks(database_url, db)
        await hooks.make_licence(time_zone="Europe/Brussels")
        await hooks.create()
        hooks.prepare(Dispatcher(database_url, client, clock), clock, receiver)
        yield hooks
        await use.delete_licence(db, hooks.licence, utc_now())
    egress.allow(Policy())
