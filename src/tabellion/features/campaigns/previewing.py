"""A mail as somebody would get it, without sending it: rendered in a cage, counted nowhere."""

from typing import Any, NamedTuple

from tabellion.features.campaigns import content, rendering, service
from tabellion.features.campaigns.errors import CampaignIncomplete
from tabellion.features.campaigns.launching import sender_of
from tabellion.features.campaigns.model import Campaign
from tabellion.features.campaigns.recipients import language_for, profile_of
from tabellion.features.campaigns.testing import variant_of
from tabellion.features.delivery import Claimed, Document, Message, Parameter
from tabellion.kit.problem import Invalid
from tabellion.platform.http.call import Incoming
from tabellion.platform.templates import fill_links, fill_text_links, mark_links, mark_text_links, new_mark


class ShownLink(NamedTuple):
    """A link as it stands in the mail; `tracked`: it leads through the server in the mail that is sent."""

    url: str
    text: str
    tracked: bool


class Preview(NamedTuple):
    """The mail."""

    campaign: Campaign
    language: str
    sender: str
    reply_to: str | None
    subject: str
    preheader: str | None
    html: str
    text: str
    text_is_own: bool
    links: list[ShownLink]


async def preview(
    call: Incoming, campaign: Campaign, language: str, profile: str | None, given: dict[str, Any], variant: str | None = None
) -> Preview:
    """The mail that a profile (None: nobody) would get now, with the values of parameters; `variant` of the A/B test.

    `language` "": the profile's.

    Raises `CampaignIncomplete`, `ProfileUnknown`, `Invalid`, `Unavailable`.
    """
    table = await service.table_of(call, campaign)
    row = None if profile is None else await profile_of(call, table, profile, "profile")
    own = campaign.settings.supported_languages[0].lower() if row is None else language_for(campaign, table, row)
    language = language or own
    part = campaign.content.part(language)
    if variant is not None:
        (chosen,) = (await variant_of(call, campaign, variant)).variants
        part = chosen.part(language, part)
    missing = content.missing_in(part, language)
    if missing or part.subject is None:
        raise CampaignIncomplete(missing)
    made = await content.made_of(part)
    if faults := content.mjml_faults(made, "mjml"):
        raise Invalid(faults)
    mark = new_mark()
    names = await service.names_in(call, campaign)
    uses: dict[str, set[str]] = {}
    for _, source in part.sources:
        content.note_uses(uses, await content.checked(source, names))
    time_zone = str(call.caller.time_zone)
    sender = await sender_of(call.db, campaign)
    document = Document(
        entity_id=campaign.entity_id, table_id=table.id, campaign_name=campaign.name, sender_name=sender.name,
        sender_address=sender.address, reply_to="", charset="utf-8", time_zone=time_zone, languages=(language,), messages={},
        uses={root: sorted(members) for root, members in uses.items()}, mark=mark,
        parameters=tuple(Parameter(each.key, each.default_value) for each in campaign.content.personalisations),
    )  # fmt: skip
    claimed = Claimed(0, None if row is None else row.id, "", language, 1, given)
    (context,) = await rendering.contexts(call, document, table, [claimed])
    text = made.text if made.html else mark_text_links(made.text, mark)
    html = content.in_language(part, made.html, language)
    message = Message(part.subject, mark_links(html, mark, lambda _: True), text)
    template = rendering.template_of(message, language, time_zone, part.preheader or "")
    outcome = await rendering.render(template, part, context, call.now)
    if isinstance(outcome, rendering.Failure):
        raise Invalid([outcome.fault("this profile")])
    subject, preheader, html, text = outcome.parts
    html, text, links = _with_links(html, text, mark, made)
    line = subject.decode().strip()
    shown = f"{sender.name} <{sender.address}>" if sender.name else sender.address
    above = preheader.decode().strip() if part.preheader is not None else None
    return Preview(
        campaign, language, shown, sender.reply_to or None, line, above,
        html.decode(), text.decode(), made.text_is_own, links,
    )  # fmt: skip


def _with_links(html: bytes, text: bytes, mark: str, made: content.Made) -> tuple[bytes, bytes, list[ShownLink]]:
    """Both forms with the addresses of their links, and the links in their order."""
    links: list[ShownLink] = []

    def noted(index: int, address: str) -> str:
        links.append(ShownLink(address, made.links[index].text, content.leads_away(made.links[index])))
        return address

    return fill_links(html, mark, noted), fill_text_links(text, mark, noted), links
