"""What launched campaigns need is not taken out of their table, nor out of the custom tables that their contents name."""

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from tabellion.features import delivery
from tabellion.features.audiences import audiences_for
from tabellion.features.campaigns import store
from tabellion.features.campaigns.fitting import document_faults, hours_faults, linked_of, sending_faults
from tabellion.features.campaigns.model import Campaign, Kind, State, is_over, may_change
from tabellion.features.customdata import CustomTable, custom_tables
from tabellion.features.delivery import Sending
from tabellion.features.tables import ProfileTable, TableInUse, profile_tables
from tabellion.kit.enumerated import first_few
from tabellion.kit.problem import FieldError
from tabellion.platform.http.call import Incoming

_MOST_NAMED = 3


async def check_change(call: Incoming, before: ProfileTable, after: ProfileTable | None) -> None:
    """That a change of a table leaves launched campaigns what they need. Raises `TableInUse` with all who lose something.

    A campaign that has lost something already keeps nobody from further changes. None: the table is deleted.
    """
    if after is None:
        await _let_go(call, before)
        return
    faults: list[FieldError] = []
    for campaign in await store.on_their_way(call.db, after.licence_id, [after.id]):
        sending = await delivery.sending_of(call.db, campaign.id)
        if sending is None:
            continue
        linked = await linked_of(call.db, campaign.licence_id, sending.document)
        lost = await _lacks(call, campaign, sending, after, linked)
        if lost:
            lost = [_with_name(fault, sending, before) for fault in lost]
            faults += _needs(call, campaign, lost, await _lacks(call, campaign, sending, before, linked))
    _refuse(faults)


async def _let_go(call: Incoming, table: ProfileTable) -> None:
    """Have campaigns that are over, whose reports stay, do without a table. Raises `TableInUse` for what still needs it."""
    faults: list[str] = []
    for campaign, ended in await store.of_table(call.db, table.id):
        if not is_over(campaign.state):
            way = _way_to_end(campaign) if campaign.kind is Kind.MASS else "cancel it"
            if may_change(campaign.state):
                way = "delete it, or aim it at another table"
            faults.append(f"{_named(call, campaign)} is {campaign.state.value}; {way}")
        elif not ended:
            faults.append(f"{_named(call, campaign)} has mails that are still on their way; repeat in a minute")
    for audience in await audiences_for(call.db, table.id):
        known = any(entity.id == audience.entity_id for entity in call.caller.entities)
        name = f"the audience '{audience.name}'" if known else "an audience of another entity"
        faults.append(f"{name} chooses from it; delete it")
    if faults:
        raise TableInUse(f"the table '{table.name}' is needed: {first_few(faults, _MOST_NAMED, '; ')}")
    await store.forget_table(call.db, table.id)


async def _lacks(
    call: Incoming, campaign: Campaign, sending: Sending, table: ProfileTable, linked: Sequence[CustomTable]
) -> list[FieldError]:
    faults = await sending_faults(call.db, campaign, sending, table, linked, call.now)
    return faults or await hours_faults(call.db, campaign, table, country=True)


async def check_custom_change(call: Incoming, before: CustomTable, after: CustomTable | None) -> None:
    """The same for a custom table, which contents name by its name; None: it is deleted."""
    if not _takes_away(before, after):
        return
    relations = {key.relation for key in before.definition.foreign_keys}
    tables = {
        table.id: table for table in await profile_tables.load(call.db, before.licence_id) if table.relation in relations
    }
    if not tables:
        return
    now = await custom_tables.load(call.db, before.licence_id)
    then = [after if custom.id == before.id else custom for custom in now]
    left = [custom for custom in then if custom is not None]
    faults: list[FieldError] = []
    for campaign in await store.on_their_way(call.db, before.licence_id, list(tables)):
        sending = await delivery.sending_of(call.db, campaign.id)
        if sending is None or campaign.table_id is None:
            continue
        table = tables[campaign.table_id]
        lost = document_faults(sending.document, table, left)
        faults += _needs(call, campaign, lost, document_faults(sending.document, table, now))
    _refuse(faults)


def _takes_away(before: CustomTable, after: CustomTable | None) -> bool:
    """Whether contents can miss something after a change."""
    if after is None or after.name != before.name:
        return True
    columns = {attribute.number for attribute in after.attributes}
    keys = {key.relation for key in after.definition.foreign_keys}
    return any(attribute.number not in columns for attribute in before.attributes) or any(
        key.relation not in keys for key in before.definition.foreign_keys
    )


def _needs(
    call: Incoming, campaign: Campaign, lost: Sequence[FieldError], already: Sequence[FieldError]
) -> list[FieldError]:
    """That a campaign needs what is taken away, unless it has lost as much before."""
    missed = Counter((each.field, each.code) for each in already)
    if Counter((each.field, each.code) for each in lost) <= missed:
        return []
    stands = f"{_named(call, campaign)} is {campaign.state.value}"
    known = {(each.field, each.message) for each in already}
    missing = list(dict.fromkeys(each.message for each in lost if (each.field, each.message) not in known))
    then = first_few(missing, _MOST_NAMED, "; ")
    message = f"{stands} and needs what was to be taken away (without it: {then}); {_way_out(campaign)}"
    return [FieldError("operations", TableInUse.code, message)]


def _with_name(fault: FieldError, sending: Sending, before: ProfileTable) -> FieldError:
    """What campaigns keep by number is told by the name that it has until it is removed."""
    if (fault.field, fault.code) != ("target.subscription", "subscription.unknown"):
        return fault
    name = next((each.name for each in before.subscriptions if each.number == sending.document.subscription), None)
    message = f"the table '{before.name}' has no subscription '{name}', which the target names"
    return fault if name is None else replace(fault, message=message)


def _named(call: Incoming, campaign: Campaign) -> str:
    known = {entity.id for entity in call.caller.entities}
    return f"the campaign '{campaign.name}'" if campaign.entity_id in known else "a campaign of another entity"


def _refuse(faults: list[FieldError]) -> None:
    if faults:
        raise TableInUse(faults[0].message, errors=faults)


def _way_out(campaign: Campaign) -> str:
    if campaign.kind is Kind.MASS:
        return _way_to_end(campaign)
    return "stop it; or, where contents need it, pause it, change them and let it go on"


def _way_to_end(campaign: Campaign) -> str:
    back = "take it back into definition (unschedule), " if campaign.state is State.SCHEDULED else ""
    return f"{back}cancel it, or wait until it has ended"
