"""What a document says to some recipients, rendered without sending it; and why it cannot be written, with the place."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from tabellion.features.campaigns import content
from tabellion.features.campaigns.model import Part
from tabellion.features.customdata import custom_tables
from tabellion.features.delivery import Claimed, Crowded, Document, Message, contexts_of
from tabellion.features.tables import ProfileTable
from tabellion.kit.problem import FieldError
from tabellion.platform.http.call import Incoming
from tabellion.platform.templates import Failed, PartKind, Reason, Rendered, Template
from tabellion.platform.templates import Part as Source

_KINDS = {"subject": PartKind.LINE, "preheader": PartKind.LINE, "text": PartKind.TEXT}
_OF_MESSAGE = {"html": "body"}
# To try again would take as long, or as much.
COSTLY = frozenset({Reason.TIME, Reason.MEMORY, Reason.DIED})


class Failure(NamedTuple):
    """Why a mail cannot be written. `place`: subject, preheader, body, mjml or text; line 0: nobody knows which."""

    place: str
    line: int
    column: int
    message: str
    costly: bool

    def fault(self, whom: str) -> FieldError:
        """It as a fault of a request; `whom` says for whom."""
        message = f"{self.where}the mail cannot be written for {whom}: {self.message}"
        return FieldError(self.place, "template.failed", message)

    @property
    def where(self) -> str:
        """The line and the column for the beginning of a message."""
        return f"line {self.line}, column {self.column}: " if self.line else ""


async def contexts(
    call: Incoming, document: Document, table: ProfileTable, claimed: Sequence[Claimed]
) -> list[dict[str, Any]]:
    """What a document is rendered with for recipients."""
    linked = [custom for custom in await custom_tables.of_caller(call) if custom.key_to(table)]
    try:
        found = await contexts_of(call.db, document, table, linked, claimed)
    except Crowded:
        found = [(await contexts_of(call.db, document, table, linked, [each]))[0] for each in claimed]
    return [context | content.sample_addresses() for context in found]


def template_of(message: Message, language: str, time_zone: str, preheader: str | None = None) -> Template:
    """A message as it is rendered; `preheader`: also that, by itself."""
    parts = [Source("subject", PartKind.LINE, message.subject)]
    if preheader is not None:
        parts.append(Source("preheader", PartKind.LINE, preheader))
    parts += [Source("html", PartKind.HTML, message.html), Source("text", PartKind.TEXT, message.text)]
    return Template(tuple(parts), language or "en", time_zone)


async def render(template: Template, part: Part, context: Mapping[str, Any], now: datetime) -> Rendered | Failure:
    """A mail made of an author's `part`, or why there is none. Raises `Unavailable`."""
    outcome = await content.rendered(template, context, now)
    if not isinstance(outcome, Failed):
        return outcome
    place = _OF_MESSAGE.get(outcome.part, outcome.part) or "body"
    costly = outcome.reason in COSTLY
    if not costly:
        # What is rendered has been prepared: lines of their own, marks in links. The author knows the source only.
        sources = tuple(Source(name, _KINDS.get(name, PartKind.HTML), source) for name, source in part.sources)
        written = await content.rendered(Template(sources, template.language, template.time_zone), context, now)
        if isinstance(written, Failed) and written.message == outcome.message and written.line:
            return Failure(written.part, written.line, written.column, outcome.message, costly)
    if part.mjml is not None and place == "body":
        place = "mjml"
    return Failure(place, 0, 0, outcome.message, costly)
