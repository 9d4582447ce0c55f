"""Use cases of campaigns before anything is sent: define, change, fill with content, aim, delete."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec.structs import replace
from psycopg import errors

from tabellion.features import delivery
from tabellion.features.audiences import Sample, Target, audiences_of, condition_of, count_target, note_use, sample_target
from tabellion.features.campaigns import store
from tabellion.features.campaigns.content import made_of, mistakes, mjml_mistakes, names_of, refers_to
from tabellion.features.campaigns.errors import (
    CampaignIncomplete,
    CampaignNameUsed,
    CampaignState,
    CampaignUnknown,
    ContentUnknown,
)
from tabellion.features.campaigns.fitting import address_faults
from tabellion.features.campaigns.model import (
    Campaign,
    Content,
    Part,
    Personalisation,
    may_change,
    may_change_content,
)
from tabellion.features.customdata import custom_tables
from tabellion.features.licences import entity_of, named_entity
from tabellion.features.tables import ProfileTable, named, profile_tables
from tabellion.features.tables.filters import row_unknown
from tabellion.kit.digits import number_of
from tabellion.kit.problem import FieldError, Invalid, Problem, invalid
from tabellion.platform import audit
from tabellion.platform.http.call import Incoming
from tabellion.platform.http.etag import require_match
from tabellion.platform.templates import Vocabulary


async def get(call: Incoming, *, lock: bool = False) -> Campaign:
    """The campaign of the path. Raises `CampaignUnknown`."""
    entity, reference = entity_of(call), call.path["c"]
    # Names are printable, and what is not (U+0000) the database does not read.
    if reference.isprintable():
        found = await store.find(call.db, call.caller.licence_id, entity.id, reference, lock=lock)
        if found is not None:
            return _as_table_is_called(found, await profile_tables.of_caller(call))
    raise CampaignUnknown(f"the entity '{entity.name}' has no campaign '{reference[:100]}'")


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


async def create(call: Incoming, new: Campaign) -> int:
    """Define a campaign; its id. Raises `Invalid`, `CampaignNameUsed`."""
    new = replace(new, licence_id=call.caller.licence_id, entity_id=entity_of(call).id)
    new = await _aimed(call, new)
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


async def change(call: Incoming, changed: Callable[[Campaign], Campaign]) -> Campaign:
    """Change the settings of the campaign of the path. Raises `CampaignUnknown`, `CampaignState`, `Invalid`."""

    async def work(before: Campaign) -> Campaign:
        after = await _aimed(call, changed(before))
        if after.table_id != before.table_id and before.target is not None:
            # What the target names is looked for in the new table.
            audiences = await audiences_of(call.db, before.licence_id, before.target)
            try:
                condition_of(await table_of(call, after), before.target, call.caller.time_zone, call.now, audiences)
            except Invalid as error:
                raise Invalid([_of_target(fault, after) for fault in error.errors]) from None
        return after

    return await _changed(call, work)


async def delete(call: Incoming) -> None:
    """Delete the campaign of the path. Raises `CampaignUnknown`, `CampaignState`, `EtagMismatch`."""
    async with call.db.transaction():
        found = await get(call, lock=True)
        require_match(call.headers.get("if-match"), etag(found))
        if not may_change(found.state):
            raise wrong_state(found, "be deleted")
        await store.delete(call.db, found.id)
        await audit.record(call.db, call, f"campaign/{found.id}")


async def set_subject(call: Incoming, language: str, subject: str) -> Campaign:
    """Set the subject of a language. Raises `CampaignUnknown`, `CampaignState`, `Invalid`."""

    async def work(before: Campaign) -> Campaign:
        if faults := await mistakes(subject, await names_in(call, before), "subject"):
            raise Invalid(faults)
        return _with_part(before, language, lambda part: replace(part, subject=subject))

    return await _changed(call, work, content=True)


async def set_html(call: Incoming, language: str, read: Callable[[Campaign], Awaitable[Any]]) -> Campaign:
    """Set the HTML of a language; `read` gives it with its images. Raises as `set_subject` does, and what `read` raises."""

    async def work(before: Campaign) -> Campaign:
        found = await read(before)
        if faults := await mistakes(found.html, await names_in(call, before), "body"):
            raise Invalid(faults)
        await store.replace_images(call.db, before.id, language, found.images)
        return _with_part(before, language, lambda part: replace(part, html=found.html, mjml=None))

    return await _changed(call, work, content=True)


async def set_part(call: Incoming, language: str, changed: Callable[[Part], Part]) -> Campaign:
    """Change the whole content of a language; images that its HTML names stay. Raises as `set_subject` does."""

    async def work(before: Campaign) -> Campaign:
        after = _with_part(before, language, changed)
        own = after.content.parts[language]
        names = await names_in(call, before)
        faults: list[FieldError] = []
        for place, source in own.sources:
            faults += await mistakes(source, names, "html" if place == "body" else place)
        if own.mjml is not None and not faults:
            faults = await mjml_mistakes(own.mjml, "mjml")
        if faults:
            raise Invalid(faults)
        return after

    return await _changed(call, work, content=True)


async def delete_part(call: Incoming, language: str) -> Campaign:
    """Take the content of a language away, its images too. Raises `CampaignUnknown`, `CampaignState`, `ContentUnknown`."""

    async def work(before: Campaign) -> Campaign:
        if language not in before.content.parts:
            raise missing_content("content of its own", language)
        await store.replace_images(call.db, before.id, language, [])
        parts = {name: part for name, part in before.content.parts.items() if name != language}
        return replace(before, content=Content(parts, before.content.personalisations))

    return await _changed(call, work, content=True)


async def set_personalisations(call: Incoming, keys: tuple[Personalisation, ...]) -> Campaign:
    """Say which parameters triggers hand over. Raises as `set_subject` does, also when a content would miss one."""

    async def work(before: Campaign) -> Campaign:
        after = replace(before, content=Content(before.content.parts, keys))
        names = await names_in(call, after)
        faults: list[FieldError] = []
        for language, part in before.content.parts.items():
            where = f" of language {language.upper()}" if language else ""
            for place, source in part.sources:
                found = await mistakes(source, names, place)
                faults += [replace(fault, message=f"{place}{where}: {fault.message}") for fault in found]
        if faults:
            raise Invalid(faults)
        return after

    return await _changed(call, work, content=True)


async def set_target(call: Incoming, target: Target) -> Campaign:
    """Aim the campaign of the path. Raises `CampaignUnknown`, `CampaignState`, `Invalid`."""

    async def work(before: Campaign) -> Campaign:
        audiences = await audiences_of(call.db, before.licence_id, target, keep=True)
        condition_of(await table_of(call, before), target, call.caller.time_zone, call.now, audiences)
        await note_use(call.db, before.id, target)
        return replace(before, target=target)

    return await _changed(call, work)


async def estimate(call: Incoming, campaign: Campaign) -> int | None:
    """How many profiles the target means now; None: there is no target yet, or no table any more."""
    if campaign.target is None or campaign.table_id is None:
        return None
    table = await table_of(call, campaign)
    return await count_target(call.db, table, campaign.target, call.caller.time_zone, call.now)


async def sample(call: Incoming, campaign: Campaign, most: int) -> tuple[ProfileTable, Sample]:
    """How many profiles the target means now, and some of them. Raises `CampaignIncomplete` without a target."""
    if campaign.target is None:
        raise CampaignIncomplete([FieldError("target", "member.mandatory", "there is no target yet")])
    table = await table_of(call, campaign)
    return table, await sample_target(call.db, table, campaign.target, call.caller.time_zone, call.now, most)


def part_of(campaign: Campaign, language: str) -> Part:
    """The content that a language has, its own or the default."""
    return campaign.content.part(language)


async def html_of(campaign: Campaign, language: str) -> str | None:
    """The HTML of a language, as it was written or made of MJML. Raises `Unavailable`."""
    part = campaign.content.part(language)
    return part.html if part.mjml is None else (await made_of(Part(mjml=part.mjml))).html


def read_language(call: Incoming, campaign: Campaign) -> str:
    """The language of the query, in lower case; empty: the default. Raises `Invalid`."""
    return known_language(campaign, call.query.first("language") or "")


def known_language(campaign: Campaign, text: str) -> str:
    """One of the campaign's languages, in lower case; empty stays empty. Raises `Invalid`."""
    text = text.strip()
    if text and text.lower() not in {known.lower() for known in campaign.settings.supported_languages}:
        listed = ", ".join(campaign.settings.supported_languages)
        raise invalid("language", "parameter.invalid", f"the campaign's languages are {listed}, not '{text[:20]}'")
    return text.lower()


def spelt(campaign: Campaign, language: str) -> str:
    """A language in the case that the campaign was given it in."""
    known = campaign.settings.supported_languages
    return next((each for each in known if each.lower() == language.lower()), language.upper())


def missing_content(what: str, language: str) -> ContentUnknown:
    """The refusal for a content that is not there."""
    return ContentUnknown(f"the campaign has no {what}{f' for {language.upper()}' if language else ''} yet")


def profile_unknown(table: ProfileTable, reference: str) -> Problem:
    """The refusal for a profile that is not there."""
    return row_unknown(table.kind.row, table.name, reference)


def etag(campaign: Campaign) -> str:
    """The strong tag of a campaign."""
    return f"{campaign.id:x}-{campaign.version:x}"


async def table_of(call: Incoming, campaign: Campaign) -> ProfileTable:
    """The profile table of a campaign. Raises `Invalid` when it is gone."""
    tables = await profile_tables.of_caller(call)
    found = next((table for table in tables if table.id == campaign.table_id), None)
    if found is None:
        raise _table_deleted(campaign)
    return found


async def kept_table_of(call: Incoming, campaign: Campaign) -> ProfileTable:
    """The same as it is now; it stays so until the end of the transaction. Raises `Invalid` when it is gone."""
    found = None if campaign.table_id is None else await profile_tables.keep(call.db, campaign.table_id)
    if found is None:
        raise _table_deleted(campaign)
    return found


async def _changed(call: Incoming, work: Callable[[Campaign], Awaitable[Campaign]], *, content: bool = False) -> Campaign:
    name = ""
    try:
        async with call.db.transaction():
            before = await get(call, lock=True)
            name = before.settings.target_table
            require_match(call.headers.get("if-match"), etag(before))
            if not (may_change_content(before.kind, before.state) if content else may_change(before.state)):
                raise wrong_state(before, "be changed")
            after = await work(before)
            await store.update(call.db, after, call.now)
            await audit.record(call.db, call, f"campaign/{after.id}")
    except errors.ForeignKeyViolation:
        raise table_gone(name) from None
    return after


async def _aimed(call: Incoming, campaign: Campaign) -> Campaign:
    """The campaign with its table found. Raises `Invalid`."""
    settings = campaign.settings
    owner = named_entity(call.caller, settings.entity_of_target, "entityOfTarget")
    table = named(await profile_tables.of_caller(call), owner, settings.target_table)
    if table is None:
        message = f"the entity '{owner.name}' has no profile table '{settings.target_table[:100]}'"
        raise invalid("targetTable", "table.unknown", message)
    if faults := address_faults(table):
        raise Invalid(faults)
    return replace(campaign, table_id=table.id)


async def names_in(call: Incoming, campaign: Campaign, table: ProfileTable | None = None) -> Vocabulary:
    """What the contents of a campaign may name; `table`: its table, where that is at hand."""
    table = table or await table_of(call, campaign)
    linked = [custom for custom in await custom_tables.of_caller(call) if refers_to(custom, table)]
    return names_of(table, linked, campaign.content.personalisations)


def _of_target(fault: FieldError, campaign: Campaign) -> FieldError:
    table = campaign.settings.target_table
    why = f"the campaign's target does not fit the table '{table}': {fault.message}; aim it anew first"
    return FieldError(f"target.{fault.field}", fault.code, why)


def _with_part(campaign: Campaign, language: str, change: Callable[[Part], Part]) -> Campaign:
    parts = dict(campaign.content.parts)
    parts[language] = change(parts.get(language, Part()))
    return replace(campaign, content=Content(parts, campaign.content.personalisations))


def wrong_state(campaign: Campaign, what: str) -> CampaignState:
    """The refusal of what the state does not allow."""
    return CampaignState(f"the campaign '{campaign.name}' is {campaign.state.value} and cannot {what}")


def _table_deleted(campaign: Campaign) -> Invalid:
    return invalid("targetTable", "table.unknown", f"the table '{campaign.settings.target_table}' was deleted")


def table_gone(name: str) -> Invalid:
    """The refusal of what needs a table that somebody deletes at the same moment."""
    return Invalid([FieldError("targetTable", "table.unknown", f"the table '{name}' has just been deleted")])
