"""A new campaign in definition from what another one says, in whatever state that is."""

import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from msgspec.structs import replace
from psycopg import errors

from tabellion.features.audiences import audiences_of, note_use
from tabellion.features.campaigns import goals, service, store
from tabellion.features.campaigns.content import image_path
from tabellion.features.campaigns.errors import CampaignNameUsed
from tabellion.features.campaigns.model import MAX_LINE, ABTestPlan, Campaign, Content, Kind, Part, State
from tabellion.features.delivery import pacing_admin
from tabellion.kit.names import MAX_NAME
from tabellion.platform import audit
from tabellion.platform.http.call import Incoming

_NUMBERED = re.compile(r"(?P<stem>.*\S) \((?P<number>[1-9][0-9]{0,8})\)", re.DOTALL)
_MOST_TRIED = 1000


class Copied(NamedTuple):
    """The new campaign; `notice`: what of the other one it does not have."""

    campaign: Campaign
    notice: str | None = None


async def copy(call: Incoming, name: str | None, display_name: str | None) -> Copied:
    """Copy the campaign of the path: settings, contents with their images, target, A/B test, delivery settings.

    Without a name it is called as the other one, with the next number that is free behind. Raises `CampaignUnknown`,
    `CampaignNameUsed`, `Invalid`.
    """
    name_of_table = ""
    try:
        async with call.db.transaction():
            source = await service.get(call, lock=True)
            name_of_table = source.settings.target_table
            await service.table_of(call, source)
            tokens = {token: secrets.token_urlsafe(16) for token in await store.image_tokens(call.db, source.id)}
            audiences = await audiences_of(call.db, source.licence_id, source.target, keep=True)
            target, notice = source.target, None
            if target is not None and not set(target.names_audiences) <= set(audiences):
                target = None
                notice = "the target was not copied, for it names an audience that was deleted; aim the copy anew"
            plain = replace(
                source, state=State.IN_DEFINITION, version=1, target=None, content=_content(source.content, tokens),
                created_at=call.now, updated_at=call.now, scheduled_at=None, started_at=None, ended_at=None,
                paused_because=None,
            )  # fmt: skip
            made = await _entered(call, source, plain, name, display_name)
            if target is not None:
                made = replace(made, target=target)
                await store.set_target(call.db, made.id, target)
                await note_use(call.db, made.id, target)
            await store.copy_images(call.db, source.id, made.id, tokens)
            plan = await store.ab_test(call.db, source.id)
            if plan is not None and source.kind is Kind.MASS:
                await store.set_ab_test(call.db, made.id, _ab_test(plan, tokens), call.now)
            await pacing_admin.copy_delivery(call.db, source.id, made.id, call.now)
            await audit.record(call.db, call, f"campaign/{made.id}", f"copied from campaign/{source.id}")
    except errors.ForeignKeyViolation:
        raise service.table_gone(name_of_table) from None
    return Copied(made, notice)


async def _entered(
    call: Incoming, source: Campaign, plain: Campaign, name: str | None, display_name: str | None
) -> Campaign:
    """The copy, under the name that was given or the next free one."""
    if name is not None:
        new = _named(plain, source, name, display_name or name)
        return replace(new, id=await service.enter(call, new))
    stem, number = _stem(source.name)
    shown, _ = _stem(source.settings.display_name)
    names = {each: _numbered(stem, each, MAX_NAME) for each in range(number, number + _MOST_TRIED)}
    used = await store.names_used(call.db, source.entity_id, list(names.values()))
    for each, free in names.items():
        if free not in used:
            new = _named(plain, source, free, display_name or _numbered(shown, each, MAX_LINE))
            # Somebody else may have taken it meanwhile.
            if (found := await store.insert(call.db, new)) is not None:
                return replace(new, id=found)
    raise CampaignNameUsed(f"the names '{names[number]}' and those with the numbers behind it are used; say a 'name'")


def _stem(name: str) -> tuple[str, int]:
    """A name without the number of a copy, and the next number."""
    found = _NUMBERED.fullmatch(name)
    return (name, 2) if found is None else (found["stem"], int(found["number"]) + 1)


def _numbered(stem: str, number: int, most: int) -> str:
    end = f" ({number})"
    return stem[: most - len(end)].rstrip() + end


def _named(plain: Campaign, source: Campaign, name: str, display_name: str) -> Campaign:
    settings = replace(plain.settings, display_name=display_name)
    # Links that carried the name of the campaign carry that of the copy: its visits are counted apart.
    if settings.goal_tracking is not None and settings.goal_tracking == goals.of_name(source.name):
        settings = replace(settings, goal_tracking=goals.of_name(name))
    return replace(plain, name=name, settings=settings)


def _content(content: Content, tokens: Mapping[str, str]) -> Content:
    return Content({language: _part(part, tokens) for language, part in content.parts.items()}, content.personalisations)


def _ab_test(plan: ABTestPlan, tokens: Mapping[str, str]) -> ABTestPlan:
    variants = [
        replace(each, parts={language: _part(part, tokens) for language, part in each.parts.items()})
        for each in plan.variants
    ]
    return replace(plan, variants=tuple(variants))


def _part(part: Part, tokens: Mapping[str, str]) -> Part:
    """A content that names the images of the copy: those of the other campaign go with it when it is deleted."""
    return replace(part, html=_own(part.html, tokens), mjml=_own(part.mjml, tokens), text=_own(part.text, tokens))


def _own(source: str | None, tokens: Mapping[str, str]) -> str | None:
    if source is None:
        return None
    for token, own in tokens.items():
        source = source.replace(image_path(token), image_path(own))
    return source
