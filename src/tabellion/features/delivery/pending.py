"""Why mails of a campaign have not left: what each waits for, and what delays all of them; true when it is read.

What the mails wait for adds up to those that are pending. What lies outside them is told once, with what to do.
"""

import math
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Literal, NamedTuple, get_args

from tabellion.features.delivery import ab_store, limits_store, pending_store
from tabellion.features.delivery.model import Criterion, Sending
from tabellion.features.delivery.pacing import PLAIN, Rules, rules_of
from tabellion.features.delivery.pending_store import Whose
from tabellion.features.delivery.recipient_store import is_gathered
from tabellion.features.delivery.sums import Scope
from tabellion.features.delivery.transport import waiting
from tabellion.features.tables import profile_tables
from tabellion.kit.counted import counted
from tabellion.platform.database.connection import Database

Reason = Literal["ready", "leaving", "retry", "hours", "domain", "winner"]
Cause = Literal[
    "restored", "paused", "noWorker", "cancelled", "noRelay", "relay", "refused", "error", "gathering", "hours",
    "campaignPace", "senderPace",
]  # fmt: skip
REASONS: tuple[Reason, ...] = get_args(Reason)
_MOST_REPLIES = 3
# What receivers say may name them to whom the mail is.
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]+@[^\s<>()\[\]\"',;:]+")
_TROUBLES = {
    "relay": "A relay cannot be used, and is tried again by itself: {wrong}",
    "refused": (
        "A relay takes none of the campaign's mails, which wait or go by others: {wrong}. Set relay, login and sender so "
        "that it does; if it is the contents that it refuses, cancel the campaign"
    ),
    "error": "The sending was interrupted, and is tried again by itself: {wrong}. The worker's log tells more",
}
# A pace that lets all who are ready go sooner is not worth telling.
_WORTH_TELLING_S = 60.0


class Wait(NamedTuple):
    """How many mails wait for one thing; `until`: the first of them, where that is known. `details`: such as replies."""

    reason: Reason
    mails: int
    until: datetime | None = None
    details: tuple[str, ...] = ()


class Delay(NamedTuple):
    """What holds or slows all of them, in words for those whose campaign it is. `until`: where its end is known."""

    cause: Cause
    message: str
    until: datetime | None = None


class Pending(NamedTuple):
    """What the pending ones wait for, in the order of `REASONS`, and what delays them all."""

    waits: tuple[Wait, ...] = ()
    delays: tuple[Delay, ...] = ()


async def explain(
    db: Database, scope: Scope, sending: Sending, pending: int, now: datetime, *, paused_because: str | None
) -> Pending:
    """Why so many mails of a scope are pending. In the transaction of one snapshot in which they were counted."""
    to_begin = sending.state == "GATHERING" or (sending.state == "PAUSED" and not await is_gathered(db, sending))
    if not pending and not to_begin:
        return Pending()
    rules = await _rules(db, sending, now)
    whose = Whose(scope, sending, now, _openings(rules))
    waits = await _waits(db, whose, pending, rules) if pending else []
    ready = sum(each.mails for each in waits if each.reason == "ready")
    return Pending(tuple(waits), tuple([each async for each in _delays(db, whose, ready, rules, paused_because)]))


async def delays_of_test(db: Database, sending: Sending, now: datetime) -> tuple[Delay, ...]:
    """What is known to hold the mails of a test that was just asked for; limits and sending hours do not."""
    whose = Whose(Scope(sending.licence_id, sending.campaign_id), sending, now)
    return tuple([each async for each in _delays(db, whose, 0, PLAIN, None)])


async def _rules(db: Database, sending: Sending, now: datetime) -> Rules:
    said = await limits_store.said_of(db, sending, now)
    if said.nothing:
        return PLAIN
    hours, table = said.delivery.hours, None
    if hours is not None and hours.clock == "RECIPIENT":
        tables = await profile_tables.load(db, sending.licence_id)
        table = next((each for each in tables if each.id == sending.document.table_id), None)
    return rules_of(sending, said, table, now)


def _openings(rules: Rules) -> list[datetime]:
    if rules.zones is None:
        return []
    return list({*rules.zones.closed.values(), *([rules.zones.otherwise] if rules.zones.otherwise else [])})


async def _waits(db: Database, whose: Whose, pending: int, rules: Rules) -> list[Wait]:
    test = whose.sending.document.ab_test
    decision = ab_store.Decision() if test is None else await ab_store.decision(db, whose.sending.campaign_id)
    testing = test is not None and decision.decided_at is None
    found = await pending_store.count(db, whose, due_too=testing)
    numbers = Counter(ready=found.ready, leaving=found.leaving, retry=found.retry, hours=found.hours, domain=found.domain)
    # Of which there may be a million: they are what is left.
    numbers["winner" if testing else "ready"] += pending - numbers.total()
    until = {"retry": found.retry_at, "hours": found.opens_at, "winner": decision.decide_at}
    details: dict[str, tuple[str, ...]] = {}
    if found.retry:
        details["retry"] = _spoken(await pending_store.replies(db, whose))
    if found.domain:
        until["domain"], names = await pending_store.domains(db, whose)
        details["domain"] = tuple(_of_domain(rules, *each) for each in names)
    if test is not None and numbers["winner"] and decision.decide_at is None:
        by_hand = test.criterion is Criterion.MANUAL
        told = "somebody has to choose it" if by_hand else f"{test.decide_after_min} minutes after the last mail of the test"
        details["winner"] = (told,)
    return [
        Wait(reason, numbers[reason], until.get(reason), details.get(reason, ())) for reason in REASONS if numbers[reason]
    ]


def _spoken(replies: list[tuple[str, int]]) -> tuple[str, ...]:
    """The most frequent of what was said, without addresses."""
    found: Counter[str] = Counter()
    for text, number in replies:
        found[_ADDRESS.sub("…", text)] += number
    return tuple(text for text, _ in sorted(found.items(), key=lambda each: (-each[1], each[0]))[:_MOST_REPLIES] if text)


def _of_domain(rules: Rules, domain: str, reply: str | None) -> str:
    if reply is not None:
        return f"{domain} said: {_ADDRESS.sub('…', reply)}"
    limit = next((each for each in rules.domains if each.domain == domain), rules.any_domain)
    said = [
        *([] if limit.per_minute is None else [f"{limit.per_minute:,} mails a minute"]),
        *([] if limit.connections is None else [f"{limit.connections:,} at a time"]),
    ]
    return f"{domain} gets at most {' and '.join(said)}" if said else domain


async def _delays(db: Database, whose: Whose, ready: int, rules: Rules, paused_because: str | None) -> AsyncIterator[Delay]:
    sending = whose.sending
    facts = await pending_store.facts(db, sending, whose.now)
    if sending.state == "GATHERING" and not facts.is_due:
        return
    if facts.restored:
        told = "The server was restored from a backup: nothing leaves it until its operator runs: tabellion resume"
        yield Delay("restored", told)
        return
    if sending.state == "PAUSED":
        why = f": {paused_because}" if paused_because else ""
        yield Delay("paused", f"The campaign is paused{why}. Resume or cancel it")
        return
    if not facts.has_worker:
        told = "No worker is running, so nothing leaves. Start one: tabellion worker (tabellion serve has one)"
        yield Delay("noWorker", told)
    if sending.state == "CLOSING":
        yield Delay("cancelled", "The campaign is cancelled: a worker is about to leave out who has not got it")
        return
    if facts.without_relay is not None:
        yield Delay("noRelay", f"No mail leaves: {waiting(facts.without_relay)}")
    for cause, wrong in await pending_store.troubles(db, sending):
        yield Delay(cause, _TROUBLES[cause].format(wrong=_ADDRESS.sub("…", wrong) if cause == "refused" else wrong))
    if facts.has_worker and sending.state == "GATHERING":
        yield Delay("gathering", "The audience is being looked up")
    if ready:
        for each in _of_rules(rules, ready):
            yield each


def _of_rules(rules: Rules, ready: int) -> Iterator[Delay]:
    if rules.opens_at is not None:
        yield Delay("hours", "These are not the campaign's sending hours", rules.opens_at)
    for key, every_s in () if rules.exempt else rules.rates:
        if ready * every_s < _WORTH_TELLING_S:
            continue
        lasts = f"those that are ready take {_lasting(ready * every_s)} or more"
        if key.startswith("campaign:"):
            yield Delay("campaignPace", f"The campaign sends at most {60 / every_s:,.0f} mails a minute; {lasts}")
        else:
            told = f"The campaigns of the entity send at most {3600 / every_s:,.0f} mails an hour together; {lasts}"
            yield Delay("senderPace", told)


def _lasting(seconds: float) -> str:
    for unit_s, name, most in ((60, "minute", 120), (3600, "hour", 48)):
        if seconds <= unit_s * most:
            return counted(math.ceil(seconds / unit_s), name)
    return counted(math.ceil(seconds / 86400), "day")
