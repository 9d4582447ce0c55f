"""Use cases of contents: what a campaign says in each language, and the parameters that it is told with."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from msgspec.structs import replace

from tabellion.features.campaigns import service, store
from tabellion.features.campaigns.content import image_path, made_of, mistakes, mjml_mistakes
from tabellion.features.campaigns.errors import ContentUnknown
from tabellion.features.campaigns.model import Campaign, Content, Part, Personalisation, may_change
from tabellion.kit.problem import FieldError, Invalid
from tabellion.platform.http.call import Incoming


async def set_subject(call: Incoming, language: str, subject: str) -> Campaign:
    """Set the subject of a language. Raises `CampaignUnknown`, `CampaignState`, `Invalid`."""

    async def work(before: Campaign) -> Campaign:
        if faults := await mistakes(subject, await service.names_in(call, before), "subject"):
            raise Invalid(faults)
        return _with_part(before, language, lambda part: replace(part, subject=subject))

    return await service.revise(call, work, content=True)


async def set_html(call: Incoming, language: str, read: Callable[[Campaign], Awaitable[Any]]) -> Campaign:
    """Set the HTML of a language; `read` gives it with its images. Raises as `set_subject` does, and what `read` raises."""

    async def work(before: Campaign) -> Campaign:
        found = await read(before)
        if faults := await mistakes(found.html, await service.names_in(call, before), "body"):
            raise Invalid(faults)
        await _replace_images(call, before, language, found.images, found.html)
        return _with_part(before, language, lambda part: replace(part, html=found.html, mjml=None))

    return await service.revise(call, work, content=True)


async def set_part(call: Incoming, language: str, changed: Callable[[Part], Part]) -> Campaign:
    """Change the whole content of a language; images that its HTML names stay. Raises as `set_subject` does."""

    async def work(before: Campaign) -> Campaign:
        after = _with_part(before, language, changed)
        own = after.content.parts[language]
        names = await service.names_in(call, before)
        faults: list[FieldError] = []
        for place, source in own.sources:
            faults += await mistakes(source, names, "html" if place == "body" else place)
        if own.mjml is not None and not faults:
            faults = await mjml_mistakes(own.mjml, "mjml")
        if faults:
            raise Invalid(faults)
        return after

    return await service.revise(call, work, content=True)


async def delete_part(call: Incoming, language: str) -> Campaign:
    """Take the content of a language away, its images too. Raises `CampaignUnknown`, `CampaignState`, `ContentUnknown`."""

    async def work(before: Campaign) -> Campaign:
        if language not in before.content.parts:
            raise missing_content("content of its own", language)
        await _replace_images(call, before, language, [], "")
        parts = {name: part for name, part in before.content.parts.items() if name != language}
        return replace(before, content=Content(parts, before.content.personalisations))

    return await service.revise(call, work, content=True)


async def set_personalisations(call: Incoming, keys: tuple[Personalisation, ...]) -> Campaign:
    """Say which parameters triggers hand over. Raises as `set_subject` does, also when a content would miss one."""

    async def work(before: Campaign) -> Campaign:
        after = replace(before, content=Content(before.content.parts, keys))
        names = await service.names_in(call, after)
        faults: list[FieldError] = []
        for language, part in before.content.parts.items():
            where = f" of language {language.upper()}" if language else ""
            for place, source in part.sources:
                found = await mistakes(source, names, place)
                faults += [replace(fault, message=f"{place}{where}: {fault.message}") for fault in found]
        if faults:
            raise Invalid(faults)
        return after

    return await service.revise(call, work, content=True)


async def html_of(campaign: Campaign, language: str) -> str | None:
    """The HTML of a language, as it was written or made of MJML. Raises `Unavailable`."""
    part = campaign.content.part(language)
    return part.html if part.mjml is None else (await made_of(Part(mjml=part.mjml))).html


def missing_content(what: str, language: str) -> ContentUnknown:
    """The refusal for a content that is not there."""
    return ContentUnknown(f"the campaign has no {what}{f' for {language.upper()}' if language else ''} yet")


async def _replace_images(call: Incoming, before: Campaign, language: str, images: Sequence[store.Image], html: str) -> None:
    """Images that the new `html` or other contents name stay, and where mails have left with them, all do."""
    kept = await store.image_tokens(call.db, before.id)
    if may_change(before.state):
        plan = await store.ab_test(call.db, before.id)
        others = [part for name, part in before.content.parts.items() if name != language]
        others += [part for variant in plan.variants for part in variant.parts.values()] if plan else []
        said = "\n".join([html, *(source for part in others for _, source in part.sources)])
        kept = [token for token in kept if image_path(token) in said]
    await store.replace_images(call.db, before.id, language, images, kept=kept)


def _with_part(campaign: Campaign, language: str, change: Callable[[Part], Part]) -> Campaign:
    parts = dict(campaign.content.parts)
    parts[language] = change(parts.get(language, Part()))
    return replace(campaign, content=Content(parts, campaign.content.personalisations))
