"""Who gets one mail: a profile, where it is reached, and whether anything is sent there."""

from msgspec.structs import replace

from tabellion.features import delivery
from tabellion.features.campaigns.model import Campaign, Kind
from tabellion.features.delivery import language_of
from tabellion.features.profiles import Profile, read_row
from tabellion.features.tables import Attribute, ProfileTable, email_of, mother_language_of
from tabellion.features.tables.filters import parse_reference, row_unknown
from tabellion.kit.problem import Invalid
from tabellion.platform.http.call import Incoming


async def profile_of(call: Incoming, table: ProfileTable, reference: str, place: str | None = None) -> Profile:
    """A profile by id or `attribute=value`, which stands in the path, or at a place of the body.

    Raises `ProfileUnknown`, `Invalid`.
    """
    try:
        found = parse_reference(table, reference, call.caller.time_zone)
    except Invalid as error:
        if place is None:
            raise
        raise Invalid([replace(fault, field=place) for fault in error.errors]) from None
    profile = await read_row(call.db, table, found.attribute, found.value)
    if profile is None:
        raise row_unknown(table.kind.row, table.name, reference)
    return profile


def reached_at(table: ProfileTable, profile: Profile) -> tuple[str | None, str | None]:
    """The e-mail address and the mother language of a profile, as far as they are known."""

    def value_of(attribute: Attribute | None) -> str | None:
        return None if attribute is None else profile.values[table.attributes.index(attribute)]

    return value_of(email_of(table.attributes)), value_of(mother_language_of(table.attributes))


def language_for(campaign: Campaign, table: ProfileTable, profile: Profile) -> str:
    """The campaign's language in which a profile is written to, in lower case: its own, else the first."""
    known = tuple(language.lower() for language in campaign.settings.supported_languages)
    return language_of(reached_at(table, profile)[1], known) or known[0]


async def is_suppressed(call: Incoming, campaign: Campaign, address: str) -> bool:
    """Whether the campaign must send nothing to an address."""
    transactional = campaign.kind is Kind.TRANSACTIONAL
    return await delivery.is_suppressed(call.db, campaign.licence_id, address, transactional=transactional)
