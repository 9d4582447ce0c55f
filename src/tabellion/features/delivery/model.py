"""A mail's way to one recipient, and what a sending is made of. Pure.

```
PLANNED --claim--> CLAIMED --commit before the first byte--> SENDING --> ACCEPTED | REJECTED | UNCERTAIN
   ^                  |                                         |
   +--released--------+                                         +--> DEFERRED --claim, when it is due--> CLAIMED
PLANNED, DEFERRED --claim--> EXCLUDED (suppressed, unsubscribed, gone)      CLAIMED --> FAILED (cannot be written)
CLAIMED --> REJECTED | DEFERRED (the relay refused before it asked for the mail)
CLAIMED --> DEFERRED (an error of the server's own; FAILED after the last attempt)
```

What a worker held when it died: CLAIMED is PLANNED again; SENDING may have reached the relay and is UNCERTAIN, or with
the policy RESEND planned again. Every claim has a number (`attempt`); whoever writes with an old one changes nothing. What
was tried is counted apart (`tries`), as many claims are given back.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from tabellion.kit.domain import domain_name


class State(StrEnum):
    """Where a recipient stands."""

    PLANNED = "PLANNED"
    CLAIMED = "CLAIMED"
    SENDING = "SENDING"
    ACCEPTED = "ACCEPTED"
    DEFERRED = "DEFERRED"
    REJECTED = "REJECTED"
    UNCERTAIN = "UNCERTAIN"
    EXCLUDED = "EXCLUDED"
    FAILED = "FAILED"


OPEN = (State.PLANNED, State.DEFERRED, State.CLAIMED, State.SENDING)


class Policy(StrEnum):
    """What becomes of a mail of which nobody knows whether it left: at most once, or at least once."""

    HOLD = "HOLD"
    RESEND = "RESEND"


class Criterion(StrEnum):
    """What chooses the winner of an A/B test."""

    OPENS = "OPENS"
    CLICKS = "CLICKS"
    MANUAL = "MANUAL"


class ABTest(msgspec.Struct, frozen=True):
    """Contents that a part of the audience gets (`share` in percent), and how the one for the others is chosen.

    `variants` are names; the messages of the nth are `language/n`, where they differ from those of the language.
    """

    share: int
    variants: tuple[str, ...]
    criterion: Criterion
    decide_after_min: int = 0


class Message(msgspec.Struct, frozen=True):
    """What is rendered for the recipients of one language; addresses of links carry marks."""

    subject: str
    html: str
    text: str


class Parameter(msgspec.Struct, frozen=True):
    """What a trigger hands over, and what stands for it otherwise."""

    key: str
    default: str | None = None


class Former(msgspec.Struct, frozen=True):
    """What the mails that left up to a moment were sent for: the column number of a subscription; None: for none."""

    until: datetime
    subscription: int | None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """All that is needed to send, frozen at the launch.

    `messages` by language in lower case; `languages` are those that are sent to, the first of them for whom no language is
    recorded. `uses`: names that the messages take, by root. `subscription`: the column number of the one that must still be
    held when the mail leaves; `formerly`: those before it, oldest first. `reply_to` may be empty. `goals`: parameters that
    tracked links carry to where they lead.
    `once_per_address`: profiles with one address get one mail together.
    """

    entity_id: int
    table_id: int
    campaign_name: str
    sender_name: str
    sender_address: str
    reply_to: str
    charset: str
    time_zone: str
    languages: tuple[str, ...]
    messages: dict[str, Message]
    uses: dict[str, list[str]]
    mark: str
    parameters: tuple[Parameter, ...] = ()
    subscription: int | None = None
    formerly: tuple[Former, ...] = ()
    policy: Policy = Policy.HOLD
    transactional: bool = False
    triggered: bool = False
    test: bool = False
    tracking: str = ""
    goals: tuple[tuple[str, str], ...] = ()
    ab_test: ABTest | None = None
    once_per_address: bool = False


class Sending(msgspec.Struct, frozen=True):
    """What is being sent."""

    id: int
    licence_id: int
    campaign_id: int
    state: str
    version: int
    document: Document


class Overtaken(Exception):
    """While an audience was entered, or given a winner, its campaign was changed: none of it counts."""


class Recipient(msgspec.Struct, frozen=True):
    """Whom a trigger or test is for. `excluded`: why they get nothing."""

    profile_id: int | None
    address: str | None
    language: str
    parameters: dict[str, Any] | None = None
    excluded: str | None = None


class Claimed(msgspec.Struct, frozen=True):
    """A recipient that a worker holds. `address` has its domain as relays take it, where there is such a form.

    `language` names the message: `nl`, or `nl/2` for a variant of an A/B test. `attempt`: the number of the claim.
    `doubtful`: nobody knows whether an earlier attempt has arrived. `tries`: how often it was tried before. `written`: the
    address as the profile says it.
    """

    id: int
    profile_id: int | None
    address: str
    language: str
    attempt: int
    parameters: dict[str, Any] | None
    doubtful: bool = False
    tries: int = 0
    written: str | None = None

    @property
    def domain(self) -> str:
        """Of the address, as limits name it."""
        return domain_name(self.address.rpartition("@")[2])


class Ending(msgspec.Struct, frozen=True):
    """What came of an attempt. `suppress`: nobody lives at the address. `hold`: the domain wants no mails for now."""

    claimed: Claimed
    state: State
    reason: str | None = None
    reply: str | None = None
    due_at: datetime | None = None
    suppress: bool = False
    hold: bool = False


# Why a mail was rejected, where that says nothing about the address: tried for too long, or declined for what it is, for who
# sends it, or for now (a full mailbox). A soft bounce; any other rejection is a hard one.
DECLINED = "declined"
SOFT_REASONS = ("expired", DECLINED)

# Why nobody knows whether a mail has left. With the policy RESEND they stay the reason until its fate is known: what comes
# of a later attempt says nothing of an earlier one, but that it arrives, or that nobody lives there.
UNCERTAIN, DIED = "uncertain", "the worker died while the mail was on its way"
DOUBTS = (UNCERTAIN, DIED)
RESTORED = "it was under way when the backup was made that the server was restored from"

# After the nth attempt: how long until the next one. Relays keep what they accepted themselves; this is for those that
# cannot be reached or say "later".
_PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 30, 60, 120, 240, 480, 480))


def next_attempt(claimed: Claimed, now: datetime) -> datetime | None:
    """When a mail is tried again that is put off now; None: it was tried for a day, that is enough."""
    return now + _PAUSES[claimed.tries] if claimed.tries < len(_PAUSES) else None


def words_of(error: BaseException) -> str:
    """An error of the server's own, for those who read what became of a mail."""
    return f"an error of the server ({type(error).__name__})"


def own_failure(claimed: Claimed, error: BaseException, now: datetime) -> Ending:
    """An error of the server's own at one mail: tried again as after a "later" of a relay, and failed in the end."""
    reply = words_of(error)
    if claimed.doubtful:
        return in_doubt(claimed, reply, now)
    due_at = next_attempt(claimed, now)
    return Ending(claimed, State.DEFERRED if due_at else State.FAILED, reply, due_at=due_at)


def put_back(claimed: Claimed, due_at: datetime) -> Ending:
    """A mail that was not tried after all is planned again; what was in doubt stays so."""
    return Ending(claimed, State.PLANNED, UNCERTAIN if claimed.doubtful else None, due_at=due_at)


def unwritable(claimed: Claimed, why: str) -> Ending:
    """No mail can be made for a recipient, who may have got one before."""
    return Ending(claimed, State.UNCERTAIN, UNCERTAIN, why) if claimed.doubtful else Ending(claimed, State.FAILED, why)


def in_doubt(claimed: Claimed, reply: str, now: datetime, *, hold: bool = False) -> Ending:
    """With the policy RESEND, an attempt of which nobody knows, or one after such: tried again for a day, then let be."""
    due_at = next_attempt(claimed, now)
    return Ending(claimed, State.DEFERRED if due_at else State.UNCERTAIN, UNCERTAIN, reply, due_at, hold=hold)


def language_of(recorded: str | None, languages: tuple[str, ...]) -> str | None:
    """The language to write in: the recorded one, the first where none is; None: this one is not sent to."""
    if not recorded:
        return languages[0]
    return recorded.lower() if recorded.lower() in languages else None
