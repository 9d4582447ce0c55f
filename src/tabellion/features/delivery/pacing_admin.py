"""What is said about the pace of mails: by callers and operators, for a licence or a campaign."""

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from tabellion.features import licences
from tabellion.features.delivery import limits_store, recall_store
from tabellion.features.delivery.limits import (
    MOST_CONNECTIONS,
    MOST_CONTACTS,
    MOST_DAYS,
    MOST_PACED,
    Contact,
    Delivery,
    DomainLimit,
    Limits,
    SenderLimit,
    carried_over,
    limited_domain,
    pauses,
)
from tabellion.features.delivery.limits_store import HeldDomain
from tabellion.features.delivery.store import of_campaign
from tabellion.features.licences import AdminError
from tabellion.platform import audit
from tabellion.platform.database.connection import Database

# By key, the pause between two mails.
_Pauses = Callable[[str], float | None]

limits_of = limits_store.limits_of
held_domains = limits_store.held_domains
delivery_of = limits_store.delivery_of
copy_delivery = limits_store.copy_delivery


async def change_limits(
    db: Database, licence_id: int, change: Callable[[Limits, int], Limits], now: datetime
) -> tuple[Limits, int]:
    """Change a licence's limits, from what they are and their version; in a transaction of the caller's.

    No mail is claimed or put off by the old ones any more; those that wait because of them are looked at again.
    """
    await licences.lock_licence(db, licence_id)
    before, version = await limits_store.limits_of(db, licence_id)
    after = change(before, version)
    await limits_store.hold_claims(db, licence_id)
    version = await limits_store.set_limits(db, licence_id, after, now)
    await _carry_over(db, licence_id, pauses(before), pauses(after), now)
    if after.domains != before.domains:
        await recall_store.ask(db, licence_id, None, now)
    return after, version


async def set_delivery(db: Database, licence_id: int, campaign_id: int, delivery: Delivery, now: datetime) -> None:
    """Say when and how fast a campaign's mails leave; counts at once, also for those that were put off.

    In a transaction of the caller's, who holds the campaign's row.
    """
    before = await limits_store.delivery_of(db, campaign_id)
    await limits_store.hold_claims(db, licence_id)
    await limits_store.set_delivery(db, campaign_id, delivery, now)
    key = f"campaign:{campaign_id:d}"
    await _carry_over(db, licence_id, {key: before.every_s}.get, {key: delivery.every_s}.get, now)
    sending = await of_campaign(db, campaign_id)
    if sending is not None and delivery.hours != before.hours:
        await recall_store.ask(db, licence_id, [sending.id], now)


async def _carry_over(db: Database, licence_id: int, before: _Pauses, after: _Pauses, now: datetime) -> None:
    """Have what has left paid for at the paces that count now."""
    free_at = {
        key: carried_over(moment, before(key), after(key), now)
        for key, moment in (await limits_store.debts(db, licence_id, now)).items()
        if before(key) != after(key)
    }
    await limits_store.set_debts(db, licence_id, free_at)


async def show(db: Database, licence_name: str, now: datetime) -> tuple[Limits, list[HeldDomain], dict[int, str]]:
    """A licence's limits, the domains that are held, and the names of its entities by id. Raises `AdminError`."""
    found = await licences.get_licence(db, licence_name)
    limits, _ = await limits_store.limits_of(db, found.id)
    names = {entity.id: entity.name for entity in await licences.list_entities(db, licence_name)}
    return limits, await limits_store.held_domains(db, found.id, now), names


async def set_contact(db: Database, licence_name: str, contact: Contact | None, now: datetime) -> None:
    """Limit how many mails a profile gets. Raises `AdminError`."""
    if contact is not None and not (1 <= contact.mails <= MOST_CONTACTS and 1 <= contact.days <= MOST_DAYS):
        raise AdminError(f"mails are 1 to {MOST_CONTACTS:,}, days 1 to {MOST_DAYS}")
    await _change(db, licence_name, "pacing contact", lambda before: replace(before, contact=contact), now)


async def set_domain(db: Database, licence_name: str, limit: DomainLimit, now: datetime, *, remove: bool) -> None:
    """Limit what a domain gets, or let it be. Raises `AdminError`."""
    said = ((limit.per_minute, MOST_PACED), (limit.connections, MOST_CONNECTIONS))
    if any(number is not None and not 1 <= number <= most for number, most in said):
        raise AdminError(f"mails a minute are 1 to {MOST_PACED:,}, connections 1 to {MOST_CONNECTIONS:,}")
    domain = limited_domain(limit.domain)
    if domain is None:
        raise AdminError(f"'{limit.domain[:100]}' is no domain such as example.com, and not *")

    def change(before: Limits) -> Limits:
        others = tuple(each for each in before.domains if each.domain != domain)
        if remove and len(others) == len(before.domains):
            raise AdminError(f"the domain '{domain}' has no limit")
        return replace(before, domains=others if remove else (*others, replace(limit, domain=domain)))

    await _change(db, licence_name, "pacing domain", change, now)


async def set_sender(db: Database, licence_name: str, entity_name: str, per_hour: int | None, now: datetime) -> None:
    """Limit what an entity sends in an hour. Raises `AdminError`."""
    if per_hour is not None and not 1 <= per_hour <= MOST_PACED:
        raise AdminError(f"mails an hour are 1 to {MOST_PACED:,}")
    _, entity = await licences.get_entity(db, licence_name, entity_name)

    def change(before: Limits) -> Limits:
        others = tuple(each for each in before.senders if each.entity_id != entity.id)
        return replace(before, senders=others if per_hour is None else (*others, SenderLimit(entity.id, per_hour)))

    await _change(db, licence_name, "pacing sender", change, now)


async def _change(db: Database, licence_name: str, action: str, change: Callable[[Limits], Limits], now: datetime) -> None:
    found = await licences.get_licence(db, licence_name)
    async with db.transaction():
        await change_limits(db, found.id, lambda before, _: change(before), now)
        await audit.record_admin(db, found.id, action, f"delivery-limits/{found.id}", now)
