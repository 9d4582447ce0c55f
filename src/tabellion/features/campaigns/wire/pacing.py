"""The documents of delivery limits and delivery settings (our own, v5)."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from tabellion.features.delivery import (
    DAYS,
    MINUTES_OF_DAY,
    MOST_CONNECTIONS,
    MOST_CONTACTS,
    MOST_DAYS,
    MOST_PACED,
    Contact,
    Delivery,
    DomainLimit,
    HeldDomain,
    Hours,
    Limits,
    SenderLimit,
    Window,
    limited_domain,
)
from tabellion.features.tables import ProfileTable, render_moment
from tabellion.kit.near import meant
from tabellion.kit.problem import FieldError, Invalid
from tabellion.platform.http.caller import EntityRef

_INVALID = "structure.invalid"
_MAX_LISTED, _MAX_WINDOWS = 1000, 50
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")
_HOUR_MIN, _HOURS = 60, 24


class ContactPressure(msgspec.Struct):
    """At most so many mails to a profile in so many days, today included."""

    mails: int
    days: int


class Domain(msgspec.Struct, rename="camel"):
    """What a domain of recipients takes."""

    domain: Annotated[
        str, Meta(description="in any form, and answered in ASCII (xn--...); `*`: every domain that is not listed")
    ]
    mails_per_minute: Annotated[int | None, Meta(description="null: no limit")] = None
    connections: Annotated[int | None, Meta(description="mails on their way at a time; null: no limit")] = None


class Sender(msgspec.Struct, rename="camel"):
    """What an entity sends."""

    entity: str
    mails_per_hour: int


class LimitsIn(msgspec.Struct, rename="camel"):
    """The limits of a licence; what is left out has no limit."""

    contact_pressure: ContactPressure | None = None
    domains: list[Domain] = []
    senders: list[Sender] = []


class Held(msgspec.Struct):
    """A domain that said "later"."""

    domain: str
    until: str
    reply: str


class LimitsOut(LimitsIn, rename="camel", kw_only=True):
    """The limits of a licence, and the domains that get nothing at the moment."""

    held_domains: list[Held] = []


class WindowDoc(msgspec.Struct, rename={"begin": "from", "end": "to", "days": "days"}):
    """Hours of some days."""

    days: list[Literal["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]]
    begin: Annotated[str, Meta(description="HH:MM")]
    end: Annotated[str, Meta(description="HH:MM, up to 24:00")]


class SendingHours(msgspec.Struct, rename="camel"):
    """When mails may leave."""

    windows: list[WindowDoc]
    time_zone: Annotated[Literal["LICENCE", "RECIPIENT"], Meta(description="whose clocks")] = "LICENCE"
    attribute: Annotated[
        str | None,
        Meta(
            description="what tells a recipient's time zone (Europe/Brussels) or country (BE); null: the country's attribute"
        ),
    ] = None


class DeliverySettings(msgspec.Struct, rename="camel"):
    """When and how fast the mails of a campaign leave; what is left out has no limit."""

    mails_per_minute: int | None = None
    sending_hours: SendingHours | None = None


def limits_out(limits: Limits, held: Sequence[HeldDomain], entities: Sequence[EntityRef]) -> LimitsOut:
    """The limits as they are answered; senders are those that the caller knows."""
    names = {entity.id: entity.name for entity in entities}
    contact = limits.contact
    return LimitsOut(
        contact_pressure=None if contact is None else ContactPressure(contact.mails, contact.days),
        domains=[Domain(each.domain, each.per_minute, each.connections) for each in limits.domains],
        senders=[Sender(names[each.entity_id], each.per_hour) for each in limits.senders if each.entity_id in names],
        held_domains=[Held(each.domain, render_moment(each.until), each.reply) for each in held],
    )


def read_limits(given: LimitsIn, entities: Mapping[str, int]) -> Limits:
    """The limits, with entities by name in lower case. Raises `Invalid` with all that is wrong."""
    faults: list[FieldError] = []
    contact = None
    if (said := given.contact_pressure) is not None:
        _within(said.mails, "contactPressure.mails", MOST_CONTACTS, faults)
        _within(said.days, "contactPressure.days", MOST_DAYS, faults)
        contact = Contact(said.mails, said.days)
    for name, rows in (("domains", given.domains), ("senders", given.senders)):
        if len(rows) > _MAX_LISTED:
            faults.append(FieldError(name, "structure.tooMany", f"'{name}' expects at most {_MAX_LISTED}"))
    limits = Limits(contact, tuple(_domains(given.domains, faults)), tuple(_senders(given.senders, entities, faults)))
    if faults:
        raise Invalid(faults)
    return limits


def delivery_out(delivery: Delivery) -> DeliverySettings:
    """The settings as they are answered."""
    hours = delivery.hours
    if hours is None:
        return DeliverySettings(delivery.per_minute)
    windows = [WindowDoc(list(each.days), _shown(each.begin), _shown(each.end)) for each in hours.windows]
    return DeliverySettings(delivery.per_minute, SendingHours(windows, hours.clock, hours.attribute))


def read_delivery(given: DeliverySettings, table: ProfileTable, *, transactional: bool) -> Delivery:
    """The settings of a campaign for a table. Raises `Invalid` with all that is wrong."""
    faults: list[FieldError] = []
    if given.mails_per_minute is not None:
        _within(given.mails_per_minute, "mailsPerMinute", MOST_PACED, faults)
    hours = None
    if given.sending_hours is not None:
        if transactional:
            faults.append(
                FieldError("sendingHours", _INVALID, "transactional mails leave at once; they have no sending hours")
            )
        hours = _hours(given.sending_hours, table, faults)
    if faults:
        raise Invalid(faults)
    return Delivery(given.mails_per_minute, hours)


def _domains(given: Sequence[Domain], faults: list[FieldError]) -> list[DomainLimit]:
    found: dict[str, DomainLimit] = {}
    for i, each in enumerate(given):
        place, domain = f"domains[{i}]", limited_domain(each.domain)
        if domain is None:
            message = f"'{each.domain[:100]}' is no domain such as example.com, and not *"
            faults.append(FieldError(f"{place}.domain", _INVALID, message))
        elif domain in found:
            written = each.domain.strip()[:100]
            also = "" if domain == written else f", as '{written}'"
            faults.append(FieldError(f"{place}.domain", _INVALID, f"'{domain}' is listed twice{also}"))
        if each.mails_per_minute is not None:
            _within(each.mails_per_minute, f"{place}.mailsPerMinute", MOST_PACED, faults)
        if each.connections is not None:
            _within(each.connections, f"{place}.connections", MOST_CONNECTIONS, faults)
        if domain is not None:
            found[domain] = DomainLimit(domain, each.mails_per_minute, each.connections)
    return list(found.values())


def _senders(given: Sequence[Sender], entities: Mapping[str, int], faults: list[FieldError]) -> list[SenderLimit]:
    found: dict[int, SenderLimit] = {}
    for i, each in enumerate(given):
        number = entities.get(each.entity.lower())
        if number is None:
            message = f"there is no entity '{each.entity[:100]}'{meant(each.entity, entities)}"
            faults.append(FieldError(f"senders[{i}].entity", _INVALID, message))
            continue
        if number in found:
            faults.append(FieldError(f"senders[{i}].entity", _INVALID, f"'{each.entity}' is listed twice"))
        _within(each.mails_per_hour, f"senders[{i}].mailsPerHour", MOST_PACED, faults)
        found[number] = SenderLimit(number, each.mails_per_hour)
    return list(found.values())


def _hours(given: SendingHours, table: ProfileTable, faults: list[FieldError]) -> Hours:
    if not 1 <= len(given.windows) <= _MAX_WINDOWS:
        faults.append(FieldError("sendingHours.windows", _INVALID, f"'windows' expects 1 to {_MAX_WINDOWS} windows"))
    windows: list[Window] = []
    for i, each in enumerate(given.windows):
        place = f"sendingHours.windows[{i}]"
        if not each.days:
            faults.append(FieldError(f"{place}.days", _INVALID, "'days' expects at least one day"))
        begin, end = _minute(each.begin, f"{place}.from", faults), _minute(each.end, f"{place}.to", faults)
        if begin >= end:
            message = "'from' is before 'to'; hours across midnight are two windows"
            faults.append(FieldError(f"{place}.to", _INVALID, message))
        windows.append(Window(tuple(day for day in DAYS if day in each.days), begin, end))
    name = given.attribute
    if name is not None:
        attribute = table.attributes_by_name.get(name.lower())
        if attribute is None or attribute.multi_valued:
            message = f"the table '{table.name}' has no attribute '{name[:100]}' with one value"
            faults.append(FieldError("sendingHours.attribute", "attribute.unknown", message))
        elif attribute.value_type != "STRING":
            message = f"'{attribute.name}' is {attribute.value_type}; a time zone or a country is text"
            faults.append(FieldError("sendingHours.attribute", "attribute.type", message))
    return Hours(tuple(windows), given.time_zone, name)


def _minute(text: str, place: str, faults: list[FieldError]) -> int:
    match = _CLOCK.fullmatch(text.strip())
    minute = int(match[1]) * _HOUR_MIN + int(match[2]) if match else -1
    if match is None or minute > MINUTES_OF_DAY or int(match[2]) >= _HOUR_MIN:
        faults.append(FieldError(place, _INVALID, f"'{place}' expects HH:MM from 00:00 to 24:00, not '{text[:20]}'"))
    return minute


def _shown(minute: int) -> str:
    return f"{minute // _HOUR_MIN:02d}:{minute % _HOUR_MIN:02d}"


def _within(number: int, place: str, most: int, faults: list[FieldError]) -> None:
    if not 1 <= number <= most:
        faults.append(FieldError(place, _INVALID, f"'{place}' expects a number from 1 to {most:,}, or nothing"))
