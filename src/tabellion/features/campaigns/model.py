"""What a campaign is, and how its state changes. Pure."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from tabellion.features.audiences import Target
from tabellion.features.delivery import ABTest, Criterion

_QUOTED = re.compile(r"\\(.)")
# Characters of a line such as the name for people.
MAX_LINE = 320


class Kind(StrEnum):
    """How a campaign is sent: to many at once, one by one when something happens, or one by one whatever was chosen."""

    MASS = "MASS"
    CONTINUOUS = "CONTINUOUS"
    TRANSACTIONAL = "TRANSACTIONAL"


class State(StrEnum):
    """Where a campaign stands."""

    IN_DEFINITION = "IN_DEFINITION"
    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN_PROGRESS"
    PAUSED = "PAUSED"
    FINISHED = "FINISHED"
    CANCELLED = "CANCELLED"
    ACTIVE = "ACTIVE"
    STOPPED = "STOPPED"


class Event(StrEnum):
    """What changes a state: calls, and for mass campaigns time and the end of the work."""

    LAUNCH = "launch"
    SCHEDULE = "schedule"
    DUE = "due"
    HANDLED = "handled"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    UNSCHEDULE = "unschedule"


_MASS: dict[tuple[State, Event], State] = {
    (State.IN_DEFINITION, Event.SCHEDULE): State.SCHEDULED,
    (State.IN_DEFINITION, Event.LAUNCH): State.IN_PROGRESS,
    (State.SCHEDULED, Event.SCHEDULE): State.SCHEDULED,
    (State.SCHEDULED, Event.DUE): State.IN_PROGRESS,
    (State.SCHEDULED, Event.UNSCHEDULE): State.IN_DEFINITION,
    (State.IN_PROGRESS, Event.HANDLED): State.FINISHED,
    (State.IN_PROGRESS, Event.PAUSE): State.PAUSED,
    (State.PAUSED, Event.RESUME): State.IN_PROGRESS,
    (State.SCHEDULED, Event.CANCEL): State.CANCELLED,
    (State.IN_PROGRESS, Event.CANCEL): State.CANCELLED,
    (State.PAUSED, Event.CANCEL): State.CANCELLED,
}
_TRIGGERED: dict[tuple[State, Event], State] = {
    (State.IN_DEFINITION, Event.LAUNCH): State.ACTIVE,
    (State.ACTIVE, Event.PAUSE): State.PAUSED,
    (State.PAUSED, Event.RESUME): State.ACTIVE,
    (State.ACTIVE, Event.CANCEL): State.STOPPED,
    (State.PAUSED, Event.CANCEL): State.STOPPED,
}


def after(kind: Kind, state: State, event: Event) -> State | None:
    """The state that an event leads to; None: it may not happen."""
    return (_MASS if kind is Kind.MASS else _TRIGGERED).get((state, event))


def is_over(state: State) -> bool:
    """Whether nothing of a campaign will leave any more."""
    return state in {State.FINISHED, State.CANCELLED, State.STOPPED}


def may_change(state: State) -> bool:
    """Whether settings and target may be changed, and the campaign deleted."""
    return state is State.IN_DEFINITION


def may_change_content(kind: Kind, state: State) -> bool:
    """Whether contents may be changed: also while a triggered campaign is paused."""
    return may_change(state) or (kind is not Kind.MASS and state is State.PAUSED)


def name_and_address(sender: str) -> tuple[str, str]:
    """What a `from` says, either of which may be empty: `Harbour Hotels <news@example.com>`, one of the two alone."""
    said = sender.strip()
    name, address = said, ""
    if said.endswith(">") and "<" in said:
        name, _, address = said[:-1].rpartition("<")
    elif "@" in said and " " not in said:
        name, address = "", said
    name = name.strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        # In quotes, as headers have it, with backslashes before those within.
        name = _QUOTED.sub(r"\1", name[1:-1])
    return name, address.strip()


class Settings(msgspec.Struct, frozen=True, rename="camel"):
    """What the creation said; names of languages, entity and table as they were sent."""

    display_name: str
    sender: str | None
    reply_to: str | None
    entity_of_target: str
    target_table: str
    supported_languages: tuple[str, ...]
    encoding: str
    goal_tracking: Any = None


class Personalisation(msgspec.Struct, frozen=True, rename="camel"):
    """A parameter that a trigger call hands to the content."""

    key: str
    mandatory: bool = False
    default_value: str | None = None


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """The content of one language, as far as it is there. The body is HTML or MJML; without a text, one is made of it.

    A text without a body is a mail by itself.
    """

    subject: str | None = None
    html: str | None = None
    mjml: str | None = None
    text: str | None = None
    preheader: str | None = None

    @property
    def has_body(self) -> bool:
        """Whether there is HTML, or MJML to make it of."""
        return self.html is not None or self.mjml is not None

    @property
    def is_written(self) -> bool:
        """Whether there is anything to be sent but a subject."""
        return self.has_body or self.text is not None

    @property
    def sources(self) -> list[tuple[str, str]]:
        """What there is, by name."""
        found = (("subject", self.subject), ("preheader", self.preheader), ("body", self.html), ("mjml", self.mjml))
        return [(name, source) for name, source in (*found, ("text", self.text)) if source is not None]


class Variant(msgspec.Struct, frozen=True):
    """A content of an A/B test: what differs from the campaign's, by language in lower case; empty: all languages."""

    name: str
    parts: dict[str, Part] = {}

    def part(self, language: str, own: Part) -> Part:
        """The content of a language, over the campaign's own. A body of its own gets a text of its own."""
        mine, every = self.parts.get(language, Part()), self.parts.get("", Part())
        subject = next((s for s in (mine.subject, every.subject) if s is not None), own.subject)
        html = next((s for s in (mine.html, every.html) if s is not None), None)
        if html is None:
            return replace(own, subject=subject)
        return Part(subject, html, preheader=own.preheader)


class ABTestPlan(msgspec.Struct, frozen=True):
    """An A/B test as it was said."""

    share: int
    criterion: Criterion
    decide_after_min: int
    variants: tuple[Variant, ...]

    def frozen(self) -> ABTest:
        """What the sending keeps of it, beside the messages."""
        return ABTest(self.share, tuple(each.name for each in self.variants), self.criterion, self.decide_after_min)


class Content(msgspec.Struct, frozen=True):
    """Contents by language in lower case; the empty language is for all that have none of their own."""

    parts: dict[str, Part] = {}
    personalisations: tuple[Personalisation, ...] = ()

    def part(self, language: str | None) -> Part:
        """The content of a language: its own subject and body, or else the default's.

        Text and preheader belong to the body: those of the default are not put beside a body in another language.
        """
        own = self.parts.get((language or "").lower(), Part())
        default = self.parts.get("", Part())
        subject = own.subject if own.subject is not None else default.subject
        if own.has_body:
            return replace(own, subject=subject)
        text = own.text if own.text is not None else default.text
        preheader = own.preheader if own.preheader is not None else default.preheader
        return Part(subject, default.html, default.mjml, text, preheader)


class Campaign(msgspec.Struct, frozen=True):
    """A campaign of an entity; `table_id` is its profile table. `version` counts its changes.

    `paused_because`: why the server holds it.
    """

    id: int
    licence_id: int
    entity_id: int
    table_id: int | None
    name: str
    kind: Kind
    state: State
    version: int
    settings: Settings
    content: Content
    target: Target | None
    created_at: datetime
    updated_at: datetime
    scheduled_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    paused_because: str | None = None
