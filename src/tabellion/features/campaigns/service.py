"""Use cases of campaigns before anything is sent: define, find, change, delete."""

from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace
from psycopg import errors

from tabellion.features import delivery
from tabellion.features.audiences import audiences_of, condition_of
from tabellion.features.campaigns import store
from tabellion.features.campaigns.content import names_of
from tabellion.features.campaigns.errors import CampaignNameUsed, CampaignState, CampaignUnknown
from tabellion.features.campaigns.fitting import address_faults
from tabellion.features.campaigns.model import Campaign, State, may_change, may_change_content
from tabellion.features.customdata import custom_tables
from tabellion.features.licences import check_reach, entity_of, named_entity
from tabellion.features.tables import ProfileTable, TableUnknown, profile_tables
from tabellion.kit.digits import number_of
from tabellion.kit.near import meant
from tabellion.kit.problem import FieldError, Invalid, gathered, invalid
from tabellion.platform import audit
from tabellion.platform.http.call import Incoming
from tabellion.platform.http.etag import require_match
from tabellion.platform.templates import Vocabulary

_UNSCHEDULE = "take it back into definition first ('unschedule')"


async def get(call: Incoming, *, lock: bool = False) -> Campaign:
    """The campaign of the path. Raises `CampaignUnknown`."""
    entity, reference = entity_of(call), call.path["c"]
    # Names are printable, and what is not (U+0000) the database does not read.
    if reference.isprintable():
        found = await store.find(call.db, call.caller.licence_id, entity.id, reference, lock=lock)
        if found is not None:
            return _as_table_is_called(found, await profile_tables.of_caller(call))
    nearly = meant(reference, await store.names(call.db, call.caller.licence_id, entity.id))
    raise CampaignUnknown(f"the entity '{entity.name}' has no campaign '{reference[:100]}'{nearly}")


async def find_subject(call: Incoming, reference: str) -> str | None:
    """The subject that a webhook is to listen to: a campaign by its id or name, or `*`, all campaigns of the entity."""
    entity = entity_of(call)
    if reference in {"*", delivery.all_of(entity.id)}:
        return delivery.all_of(entity.id)
    if not reference.isprintable():
        return None
    found = await store.find(call.db, call.caller.licence_id, entity.id, reference)
    return None if found is None else str(found.id)


async def search(call: Incoming, wanted: store.Search) -> list[Campaign]:
    """Campaigns of the entity of the path, by id."""
    tables = await profile_tables.of_caller(call)
    found = await store.search(call.db, call.caller.licence_id, entity_of(call).id, wanted)
    return [_as_table_is_called(campaign, tables) for campaign in found]


def _as_table_is_called(campaign: Campaign, tables: Sequence[ProfileTable]) -> Campaign:
    """A campaign whose table was renamed names it as it is called now; another table may have the old name."""
    table = next((table for table in tables if table.id == campaign.table_id), None)
    said = campaign.settings.target_table.lower()
    if table is None or said in {table.name.lower(), table.public_id}:
        return campaign
    return replace(campaign, settings=replace(campaign.settings, target_table=table.name))


async def create(call: Incoming, new: Campaign, faults: list[FieldError]) -> int:
    """Define a campaign; its id. `faults`: what is known to be wrong. Raises `Invalid`, `CampaignNameUsed`."""
    new = replace(new, licence_id=call.caller.licence_id, entity_id=entity_of(call).id)
    new = await _aimed(call, new, faults)
    try:
        async with call.db.transaction():
            number = await enter(call, new)
            await audit.record(call.db, call, f"campaign/{number}")
    except errors.ForeignKeyViolation:
        raise table_gone(new.settings.target_table) from None
    return number


async def enter(call: Incoming, new: Campaign) -> int:
    """Enter a campaign of the entity of the path under its name; its id. In a transaction of the caller's.

    Raises `CampaignNameUsed`, also for a name that is the id of another one.
    """
    entity = entity_of(call)
    if (means := number_of(new.name)) is not None:
        other = await store.find(call.db, new.licence_id, entity.id, new.name)
        if other is not None and other.id == means:
            said = f"'{new.name}' is the id of the campaign '{other.name}', which the calls would mean by it"
            raise CampaignNameUsed(f"{said}; choose another name")
    number = await store.insert(call.db, new)
    if number is None:
        raise CampaignNameUsed(f"the entity '{entity.name}' has a campaign '{new.name}' already")
    return number


async def change(call: Incoming, changed: Callable[[Campaign], tuple[Campaign, list[FieldError]]]) -> Campaign:
    """Change the settings of the campaign of the path. `changed`: what they become, and what is wrong with that.

    Raises `CampaignUnknown`, `CampaignState`, `Invalid`.
    """

    async def work(before: Campaign) -> Campaign:
        after = await _aimed(call, *changed(before))
        if after.table_id != before.table_id and before.target is not None:
            # What the target names is looked for in the new table.
            audiences = await audiences_of(call.db, before.licence_id, before.target)
            try:
                condition_of(await table_of(call, after), before.target, call.caller.time_zone, call.now, audiences)
            except Invalid as error:
                raise Invalid([_of_target(fault, after) for fault in error.errors]) from None
        return after

    return await revise(call, work)


async def delete(call: Incoming) -> None:
    """Delete the campaign of the path. Raises `CampaignUnknown`, `CampaignState`, `EtagMismatch`."""
    async with call.db.transaction():
        found = await get(call, lock=True)
        require_match(call.headers.get("if-match"), etag(found))
        if not may_change(found.state):
            advice = _UNSCHEDULE if found.state is State.SCHEDULED else "what was launched stays, with its reports"
            raise wrong_state(found, f"be deleted: {advice}")
        await store.delete(call.db, found.id)
        await audit.record(call.db, call, f"campaign/{found.id}")


def etag(campaign: Campaign) -> str:
    """The strong tag of a campaign."""
    return f"{campaign.id:x}-{campaign.version:x}"


async def table_of(call: Incoming, campaign: Campaign) -> ProfileTable:
    """The profile table of a campaign. Raises `Invalid` when it is gone, `EntityForbidden`."""
    tables = await profile_tables.of_caller(call)
    return _within_reach(call, campaign, next((table for table in tables if table.id == campaign.table_id), None))


async def kept_table_of(call: Incoming, campaign: Campaign) -> ProfileTable:
    """The same as it is now; it stays so until the end of the transaction. Raises as `table_of` does."""
    found = None if campaign.table_id is None else await profile_tables.keep(call.db, campaign.table_id)
    return _within_reach(call, campaign, found)


def _within_reach(call: Incoming, campaign: Campaign, table: ProfileTable | None) -> ProfileTable:
    """A table, if it is there and the caller may use it: whoever may not has no way to its profiles by a campaign either."""
    if table is None:
        raise _table_deleted(campaign)
    check_reach(call.caller, table.entity_id, f"the table of the campaign '{campaign.name}'")
    return table


async def revise(call: Incoming, work: Callable[[Campaign], Awaitable[Campaign]], *, content: bool = False) -> Campaign:
    """Do `work` with the campaign of the path locked, and keep what it makes of it. `content`: it changes contents alone.

    Raises `CampaignUnknown`, `CampaignState`, `EtagMismatch`, and what `work` raises; nothing has changed then.
    """
    name = ""
    try:
        async with call.db.transaction():
            before = await get(call, lock=True)
            name = before.settings.target_table
            require_match(call.headers.get("if-match"), etag(before))
            if not (may_change_content(before.kind, before.state) if content else may_change(before.state)):
                raise unchangeable(before, content=content)
            after = await work(before)
            await store.update(call.db, after, call.now)
            await audit.record(call.db, call, f"campaign/{after.id}")
    except errors.ForeignKeyViolation:
        raise table_gone(name) from None
    return after


async def _aimed(call: Incoming, campaign: Campaign, faults: list[FieldError]) -> Campaign:
    """The campaign with its table found. Raises `Invalid`, `EntityForbidden`."""
    settings = campaign.settings
    with gathered(faults):
        owner = named_entity(call.caller, settings.entity_of_target, "entityOfTarget")
        try:
            table = await profile_tables.find_of(call, owner, settings.target_table)
        except TableUnknown as error:
            faults.append(FieldError("targetTable", error.code, error.message))
        else:
            faults += address_faults(table)
            campaign = replace(campaign, table_id=table.id)
    if faults:
        raise Invalid(faults)
    return campaign


async def names_in(call: Incoming, campaign: Campaign, table: ProfileTable | None = None) -> Vocabulary:
    """What the contents of a campaign may name; `table`: its table, where that is at hand.

    A custom table comes before an attribute of its name, unless a launched campaign has had the attribute alone so far.
    """
    table = table or await table_of(call, campaign)
    linked = [custom for custom in await custom_tables.of_caller(call) if custom.key_to(table)]
    sending = None if campaign.state is State.IN_DEFINITION else await delivery.sending_of(call.db, campaign.id)
    if sending is not None:
        others = {a.name for a in table.attributes} | {each.key for each in campaign.content.personalisations}
        linked = [custom for custom in linked if custom.name in sending.document.uses or custom.name not in others]
    return names_of(table, linked, campaign.content.personalisations)


def _of_target(fault: FieldError, campaign: Campaign) -> FieldError:
    table = campaign.settings.target_table
    why = f"the campaign's target does not fit the table '{table}': {fault.message}; aim it anew first"
    return FieldError(f"target.{fault.field}", fault.code, why)


def unchangeable(campaign: Campaign, *, content: bool = False) -> CampaignState:
    """The refusal of a change after the launch, with the way to it. `content`: contents alone were to be changed."""
    advice = "what was launched stays as it is. Make a copy of it ('copies'), and change that"
    if campaign.state is State.SCHEDULED:
        advice = _UNSCHEDULE
    elif content and campaign.state is State.ACTIVE and may_change_content(campaign.kind, State.PAUSED):
        advice = "pause it, change it, and resume it"
    return wrong_state(campaign, f"be changed: {advice}")


def wrong_state(campaign: Campaign, what: str) -> CampaignState:
    """The refusal of what the state does not allow."""
    return CampaignState(f"the campaign '{campaign.name}' is {campaign.state.value} and cannot {what}")


def _table_deleted(campaign: Campaign) -> Invalid:
    return invalid("targetTable", "table.unknown", f"the table '{campaign.settings.target_table}' was deleted")


def table_gone(name: str) -> Invalid:
    """The refusal of what needs a table that somebody deletes at the same moment."""
    return invalid("targetTable", "table.unknown", f"the table '{name}' has just been deleted")
