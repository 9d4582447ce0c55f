"""How many mails may leave: what a licence says for all its campaigns, and what a campaign says for itself. Pure."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from tabellion.features.delivery.hours import Hours
from tabellion.kit.domain import domain_name

ANY_DOMAIN = "*"
# What may be said: mails of a pace, connections to a domain, mails and days of the contact pressure; each 1 or more.
MOST_PACED, MOST_CONNECTIONS, MOST_CONTACTS, MOST_DAYS = 1_000_000_000, 1000, 1000, 366
_DOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")
_MINUTE_S, _HOUR_S = 60.0, 3600.0
# What a connection to a domain is expected to hand over in a second: the pace at which mails to it are put off.
_MAILS_PER_CONNECTION_S = 5.0


class Contact(msgspec.Struct, frozen=True):
    """At most so many mails to a profile in so many days, today included; transactional ones aside."""

    mails: int
    days: int


class DomainLimit(msgspec.Struct, frozen=True):
    """What a domain takes; `*` is every domain that is not named. `connections`: mails on their way at a time."""

    domain: str
    per_minute: int | None = None
    connections: int | None = None

    @property
    def every_s(self) -> float | None:
        """The pause between two mails; None: none."""
        return None if self.per_minute is None else _MINUTE_S / self.per_minute

    @property
    def step_s(self) -> float:
        """How far apart mails are put off that have to wait for the domain."""
        by_connections = 0.0 if self.connections is None else 1 / (_MAILS_PER_CONNECTION_S * self.connections)
        return max(self.every_s or 0.0, by_connections, 0.01)


def limited_domain(text: str) -> str | None:
    """What a limit is for, from what somebody wrote: `*`, or the one name of a domain in any form; None: it is none."""
    name = domain_name(text)
    return name if name == ANY_DOMAIN or _DOMAIN.fullmatch(name) else None


class SenderLimit(msgspec.Struct, frozen=True):
    """What an entity sends in an hour."""

    entity_id: int
    per_hour: int

    @property
    def every_s(self) -> float:
        """The pause between two mails."""
        return _HOUR_S / self.per_hour


class Limits(msgspec.Struct, frozen=True):
    """The limits of a licence."""

    contact: Contact | None = None
    domains: tuple[DomainLimit, ...] = ()
    senders: tuple[SenderLimit, ...] = ()


def pauses(limits: Limits) -> Callable[[str], float | None]:
    """The pause between two mails of what is let go at a pace (`sender:7`, `domain:example.com`); None: none."""
    known = {f"sender:{each.entity_id:d}": each.every_s for each in limits.senders}
    known |= {f"domain:{each.domain}": each.every_s for each in limits.domains}
    usual = known.get(f"domain:{ANY_DOMAIN}")
    return lambda key: known.get(key, usual if key.startswith("domain:") else None)


def carried_over(free_at: datetime, before_s: float | None, after_s: float | None, now: datetime) -> datetime:
    """When a pace that was changed will have been paid for: a faster one counts for what has left, too.

    A slower one does not: what has left was allowed to.
    """
    if before_s is None or after_s is None:
        return now
    return now + (free_at - now) * min(after_s / before_s, 1.0)


class Delivery(msgspec.Struct, frozen=True):
    """What a campaign says about when and how fast its mails leave."""

    per_minute: int | None = None
    hours: Hours | None = None

    @property
    def every_s(self) -> float | None:
        """The pause between two mails; None: none."""
        return None if self.per_minute is None else _MINUTE_S / self.per_minute


def counted_since(contact: Contact, zone: ZoneInfo, now: datetime) -> datetime:
    """From when on mails count: the beginning of a day in the licence's time zone.

    Whole days, so that a mail a day at nine is not held by the one that left a second later yesterday.
    """
    first = (now.astimezone(zone) - timedelta(days=contact.days - 1)).date()
    return datetime(first.year, first.month, first.day, tzinfo=zone)
