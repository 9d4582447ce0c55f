"""What holds the mails of a sending back at a moment, as a process knows it: read anew every other second."""

from collections.abc import Sequence
from datetime import datetime
from time import monotonic
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from tabellion.features.delivery import limits_store
from tabellion.features.delivery.hours import Hours, openings, opens_at
from tabellion.features.delivery.limits import ANY_DOMAIN, Contact, Delivery, DomainLimit, Limits, counted_since
from tabellion.features.delivery.model import Sending
from tabellion.features.tables import ProfileTable
from tabellion.platform.database.connection import Database

_KNOWN_FOR_S = 2.0
_COUNTRY = "ADDRESS_COUNTRY"
# Of a licence without a rule for domains, when one of them said "later".
_NO_RULE = DomainLimit(ANY_DOMAIN)


class Zones(NamedTuple):
    """When mails may leave by what a column says; `otherwise`: where it says nothing that is known. None: now."""

    column: str
    closed: dict[str, datetime]
    open: frozenset[str]
    otherwise: datetime | None


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a claim has to look at.

    `rates`: key and pause in seconds of what is let go at a pace. `exempt`: paces are charged, and nothing waits for them.
    `opens_at`: nothing may leave before. `domains` empty: no domain has a limit. `versions`: of what was said; once that is
    another, nothing is claimed. None: nothing counts, whatever is said.
    """

    contact: Contact | None = None
    since: datetime | None = None
    rates: tuple[tuple[str, float], ...] = ()
    domains: tuple[DomainLimit, ...] = ()
    zones: Zones | None = None
    opens_at: datetime | None = None
    exempt: bool = False
    versions: limits_store.Versions | None = None

    @property
    def plain(self) -> bool:
        """Whether there is nothing to look at."""
        return not (self.contact or self.rates or self.domains or self.zones)

    @property
    def soonest_s(self) -> float:
        """After how many seconds there may be room again."""
        return min(max(max((every_s for _, every_s in self.rates), default=0.0) / 2, 0.1), 1.0)

    @property
    def any_domain(self) -> DomainLimit:
        """The limit of domains that are not named."""
        return next((each for each in self.domains if each.domain == ANY_DOMAIN), _NO_RULE)


PLAIN = Rules()


class Pacing:
    """The rules of all sendings, as this process knows them."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[float, limits_store.Said]] = {}

    async def of(self, db: Database, sending: Sending, table: ProfileTable, now: datetime) -> Rules:
        """The rules of a sending. Tests have none."""
        if sending.document.test:
            return PLAIN
        oldest = monotonic() - _KNOWN_FOR_S
        read_at, said = self._known.get(sending.id, (0.0, None))
        if said is None or read_at <= oldest:
            said = await limits_store.said_of(db, sending, now)
            # With those of sendings that have ended, all that is too old to be used is forgotten.
            self._known = {number: each for number, each in self._known.items() if each[0] > oldest}
            self._known[sending.id] = (monotonic(), said)
        return Rules(versions=said.versions) if said.nothing else rules_of(sending, said, table, now)

    def forget(self, sending_id: int) -> None:
        """Read the rules of a sending anew before they are asked for again."""
        self._known.pop(sending_id, None)


def rules_of(sending: Sending, said: limits_store.Said, table: ProfileTable | None, now: datetime) -> Rules:
    """The rules at a moment, from what was said. Hours of recipients need the table."""
    limits, own, held, versions = said
    document = sending.document
    zone = ZoneInfo(document.time_zone)
    contact = None if document.transactional else limits.contact
    domains = limits.domains or ((_NO_RULE,) if held else ())
    hours = None if document.transactional else own.hours
    closed_until, zones = None, None
    if hours is not None:
        closed_until = opens_at(hours, zone, now)
        column = zone_column(table, hours) if table is not None and hours.clock == "RECIPIENT" else None
        if column is not None:
            known = openings(hours, now)
            closed = {name: moment for name, moment in known.items() if moment is not None}
            zones = Zones(column, closed, frozenset(known) - frozenset(closed), closed_until)
            closed_until = None
    return Rules(
        contact=contact,
        since=None if contact is None else counted_since(contact, zone, now),
        rates=tuple(_rates(sending, limits, own)),
        domains=domains,
        zones=zones,
        opens_at=closed_until,
        exempt=document.transactional,
        versions=versions,
    )


def _rates(sending: Sending, limits: Limits, own: Delivery) -> Sequence[tuple[str, float]]:
    found = [(f"campaign:{sending.campaign_id:d}", own.every_s)]
    found += [
        (f"sender:{each.entity_id:d}", each.every_s)
        for each in limits.senders
        if each.entity_id == sending.document.entity_id
    ]
    return [(key, every_s) for key, every_s in found if every_s is not None]


def zone_column(table: ProfileTable, hours: Hours) -> str | None:
    """The column that tells where a recipient is, if there is one."""
    name = hours.attribute
    if name is None:
        return next((a.column for a in table.attributes if a.type == _COUNTRY), None)
    attribute = table.attributes_by_name.get(name.lower())
    return None if attribute is None or attribute.multi_valued else attribute.column
