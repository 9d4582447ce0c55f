"""What mails that come back mean, and what follows from it. Pure."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import msgspec

MOST_TEXT = 300


class Kind(StrEnum):
    """What a mail to a return path says about the mail that was sent.

    HARD: nobody will ever get mails there. SOFT: not now (full, unreachable, too large). BLOCK: the receiver does not want
    the mail, whoever it is for (reputation, policy, content). COMPLAINT: a reader called it spam. DELAYED: it is tried
    again. ACCEPTED: a relay has it, as its operator tells. ANSWER: a machine answers for a person (absence, receipt).
    CHALLENGE: a person is to prove to be one. OTHER: none of these.
    """

    HARD = "HARD"
    SOFT = "SOFT"
    BLOCK = "BLOCK"
    COMPLAINT = "COMPLAINT"
    DELAYED = "DELAYED"
    ACCEPTED = "ACCEPTED"
    ANSWER = "ANSWER"
    CHALLENGE = "CHALLENGE"
    OTHER = "OTHER"


class Finding(msgspec.Struct, frozen=True):
    """What was found: `status` is an enhanced status code (RFC 3463) or empty, `text` the reason in one line."""

    kind: Kind
    status: str = ""
    text: str = ""


# What is written down of a mail; the other kinds say nothing about the address.
EVENTS = {
    Kind.HARD: "HARD_BOUNCE",
    Kind.SOFT: "SOFT_BOUNCE",
    Kind.BLOCK: "SOFT_BOUNCE",
    Kind.COMPLAINT: "COMPLAINT",
}


def one_line(text: str, most: int = MOST_TEXT) -> str:
    """A text of strangers as it may be kept and shown: one line, printable, not long."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: most * 4]).split())[:most]


class Rules(NamedTuple):
    """After how many soft bounces within which time an address gets nothing more."""

    soft_bounces: int = 5
    within: timedelta = timedelta(days=30)

    @classmethod
    def of(cls, soft_bounces: int, days: int) -> "Rules":
        """The rules of a server's settings."""
        return cls(soft_bounces, timedelta(days=days))


class Wanted(NamedTuple):
    """Which suppressions a list is to hold; None: whatever it is. `after`: those behind an address."""

    reason: str | None = None
    domain: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    after: str = ""


# A mass campaign is held when more than 3 of 1,000 readers call it spam, and at least so many did: less is chance.
LEAST_COMPLAINTS = 5
_COMPLAINTS, _OF = 3, 1000


def enough_accepted(complaints: int) -> int:
    """Of how many accepted mails, or more, a campaign may have so many complaints; with fewer it is to be held."""
    return 0 if complaints < LEAST_COMPLAINTS else -(-complaints * _OF // _COMPLAINTS)
