"""Use cases of sendings: begin, hold, go on, stop; one recipient more; what became of them all."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from tabellion.features.delivery import (
    ab_store,
    attachment_store,
    audience_store,
    outcome_store,
    recipient_store,
    relay_store,
    store,
)
from tabellion.features.delivery.audience_store import Forecast
from tabellion.features.delivery.model import Document, Former, Recipient, Sending
from tabellion.features.delivery.outcome_store import Interaction, MailEvent, WantedInteractions
from tabellion.features.delivery.sealed import dkim_purpose
from tabellion.features.delivery.signing import signs_for
from tabellion.features.tables import ProfileTable
from tabellion.features.tables.filters import Condition
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import Attachment, public_record

sending_of = store.of_campaign
foretell = audience_store.foretell
interactions = outcome_store.interactions
events_of = outcome_store.events_of
is_gathered = recipient_store.is_gathered
# Workers look for a triggered mail this long after the trigger; a call's transaction is over much sooner.
_LOOK_FOR = timedelta(seconds=90)
_LOOK_STEP_S = 10


class SenderIdentity(NamedTuple):
    """Who sends for an entity, and where answers go; `reply_to` empty: to the address."""

    name: str
    address: str
    reply_to: str


async def start(db: Database, licence_id: int, campaign_id: int, document: Document, at: datetime, now: datetime) -> int:
    """Begin a sending: a mass one gathers its audience first, at a moment; the others wait for triggers."""
    state = "RUNNING" if document.triggered or document.test else "GATHERING"
    number = await store.insert(db, licence_id, campaign_id, state, document, now)
    if not document.triggered:
        await store.look_at(db, number, at, None)
    return number


async def reschedule(db: Database, sending: Sending, at: datetime) -> None:
    """Let a sending that has not begun begin at another moment."""
    await store.forget_looks(db, sending.id)
    await store.look_at(db, sending.id, at, None)


async def withdraw(db: Database, sending: Sending) -> None:
    """Forget a sending that has no recipients yet. Its campaign's row is held, as by whoever freezes the audience."""
    await store.delete(db, sending.id)


async def pause(db: Database, sending: Sending, now: datetime) -> None:
    """Hold a sending: nothing is claimed any more, and what is claimed does not leave."""
    await store.set_state(db, sending.id, "PAUSED", now)


async def resume(db: Database, sending: Sending, document: Document, now: datetime) -> None:
    """Go on, with the document as it is now; a relay that has refused the mails is tried at once."""
    await store.replace_document(db, sending.id, _following(sending.document, document, now))
    await store.set_state(db, sending.id, "RUNNING" if await is_gathered(db, sending) else "GATHERING", now)
    await store.look_at(db, sending.id, now, now + _LOOK_FOR)


async def go_by(db: Database, sending: Sending, document: Document, now: datetime) -> Sending:
    """Have what is not sent yet go by another document, unless it was changed since; the sending as it is then."""
    document = _following(sending.document, document, now)
    if await store.exchange_document(db, sending, document):
        return replace(sending, document=document, version=sending.version + 1)
    return await store.find(db, sending.id) or sending


def _following(before: Document, document: Document, now: datetime) -> Document:
    """A document that takes the place of another: what has left by then stays sent for the subscription that it was for."""
    former = [] if document.subscription == before.subscription else [Former(now, before.subscription)]
    return replace(document, formerly=(*before.formerly, *former))


async def stop(db: Database, sending: Sending, now: datetime) -> None:
    """Stop a sending for good: workers take back what is planned."""
    await store.set_state(db, sending.id, "CLOSING", now)
    await store.look_at(db, sending.id, now, None)


class Stopped(Exception):
    """The sending was stopped for good after it was read."""


async def plan(
    db: Database, sending: Sending, recipient: Recipient, now: datetime, attachments: Sequence[Attachment] = ()
) -> int:
    """Enter one recipient; the interaction's id. In the caller's transaction. Only transactional mails take attachments.

    Of triggers `look_soon` has to follow. Raises `Stopped`.
    """
    number = await recipient_store.plan(db, sending, recipient, now)
    if number is None:
        raise Stopped
    if attachments and recipient.excluded is None:
        await attachment_store.attach(db, sending.licence_id, number, attachments)
    return number


async def look_soon(db: Database, sending: Sending, now: datetime) -> None:
    """Have workers look for mails that were triggered: last in their transaction, for it is the same row for all triggers of
    ten seconds, and who enters it waits for the one who does at the moment.
    """
    step = now.timestamp() // _LOOK_STEP_S * _LOOK_STEP_S
    from_at = datetime.fromtimestamp(step, now.tzinfo)
    await store.look_at(db, sending.id, from_at, from_at + _LOOK_FOR)


async def gather(
    db: Database, sending: Sending, table: ProfileTable, audience: Condition, most: int | None, now: datetime
) -> int:
    """Freeze the audience of a sending: one row for each profile, also for those who get nothing; how many."""
    count = await audience_store.freeze(db, sending, table, audience, most, now)
    if sending.document.ab_test is not None:
        await ab_store.split(db, sending, sending.document.ab_test, now)
    return count


async def identity_of(db: Database, entity_id: int) -> SenderIdentity | None:
    """Who sends for an entity, if somebody was named."""
    found = await relay_store.sender_of(db, entity_id)
    return None if found is None else SenderIdentity(found.name, found.address, found.reply_to)


class SenderFacts(NamedTuple):
    """What receivers will see of a sender: the domain of its own that bounces go to, the key of its signatures (both may be
    empty), and whether mails are meant to leave. `waits`: there is no relay any more, and they wait for another one.
    `dkim_record` None: the key was sealed by another server, and no mail leaves.
    """

    bounce_domain: str
    dkim_name: str
    dkim_record: str | None
    leaves: bool
    waits: bool


async def sender_facts(db: Database, licence_id: int, entity_id: int, address: str) -> SenderFacts:
    """What receivers will see of mails of an entity from an address."""
    sender = await relay_store.sender_of(db, entity_id) or relay_store.StoredSender()
    name, record = "", ""
    if sender.dkim_key and signs_for(sender.dkim_domain, address):
        name = f"{sender.dkim_selector}._domainkey.{sender.dkim_domain}"
        try:
            record = public_record(secrets.unseal(sender.dkim_key, dkim_purpose(entity_id)))
        except secrets.SecretUnreadable:
            record = None
    has_relay = bool(await relay_store.relays(db, licence_id))
    waits = not has_relay and await relay_store.relayed(db, licence_id) is not None
    return SenderFacts(sender.bounce_domain, name, record, has_relay or waits, waits)


__all__ = ["Forecast", "Interaction", "MailEvent", "SenderIdentity", "WantedInteractions"]
