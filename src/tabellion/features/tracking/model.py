"""What the pages for readers show. Pure."""

from typing import NamedTuple

from tabellion.features.tracking.words import Words


class Page(NamedTuple):
    """The unsubscribe page. `done`: they get no more of these mails. `preferences`: the token of the other page, if any.

    `sender`: whose mails they are. `everything`: the mail was for no subscription, so that all but transactional mails end.
    `blocked`: not even those come.
    """

    language: str
    words: Words
    sender: str
    done: bool
    everything: bool
    blocked: bool
    preferences: str | None


class Option(NamedTuple):
    """A subscription that a reader may take or leave."""

    number: int
    name: str
    subscribed: bool


class Preferences(NamedTuple):
    """The preference page. `saved`: something was just said. `stopped`: the address gets nothing but transactional mails;
    `blocked`: not even those.
    """

    language: str
    words: Words
    sender: str
    options: tuple[Option, ...]
    saved: bool
    stopped: bool
    blocked: bool


class Choice(NamedTuple):
    """What a reader says: of the subscriptions that they were shown, those that they want; or no mails at all."""

    shown: frozenset[int] = frozenset()
    wanted: frozenset[int] = frozenset()
    stop: bool = False
