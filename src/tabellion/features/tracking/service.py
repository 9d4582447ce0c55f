"""Use cases of what readers of mails do. Whoever has the mail has its token: that is all the authority there is."""

from datetime import datetime
from typing import NamedTuple

from tabellion.features.delivery import MailNews, Use, read_token, settle, tell, unseal_address
from tabellion.features.tracking import actors, store
from tabellion.features.tracking.store import Happening, Reader
from tabellion.platform.database.connection import Database


class Asked(NamedTuple):
    """How something was asked for: the method, and the program as it names itself."""

    method: str
    agent: str


async def find_reader(db: Database, text: str, use: Use) -> tuple[int, Reader] | None:
    """The licence and the recipient that a token is of, when it is one of ours and for this use."""
    token = read_token(text)
    if token is None or token.use is not use:
        return None
    reader = await store.reader(db, token.licence_id, token.recipient_id)
    return None if reader is None else (token.licence_id, reader)


async def opened(db: Database, text: str, asked: Asked, now: datetime) -> None:
    """A mail's picture was fetched."""
    found = await find_reader(db, text, Use.OPEN)
    if found is not None and _counts(found[1]):
        async with db.transaction():
            await _note(db, *found, _happening(actors.OPEN, asked, now))


def target_of(text: str, sealed: str) -> str | None:
    """Where a link leads; None: we did not write it."""
    token = read_token(text)
    if token is None or token.use is not Use.CLICK:
        return None
    return unseal_address(token.licence_id, token.recipient_id, sealed)


async def clicked(db: Database, text: str, url: str, asked: Asked, now: datetime) -> None:
    """A link was followed."""
    found, token = await find_reader(db, text, Use.CLICK), read_token(text)
    if found is None or token is None or not _counts(found[1]):
        return
    async with db.transaction():
        await store.lock(db, found[0], found[1].id)
        await _note(db, *found, _happening(actors.CLICK, asked, now)._replace(url=url, link=token.link))


async def trapped(db: Database, text: str, asked: Asked, now: datetime) -> None:
    """The link that people do not see was followed."""
    found = await find_reader(db, text, Use.TRAP)
    if found is None or not _counts(found[1]):
        return
    async with db.transaction():
        await store.lock(db, found[0], found[1].id)
        await _note(db, *found, _happening(actors.CLICK, Asked(actors.TRAP, asked.agent), now))


async def judge_again(db: Database, licence_id: int, reader_id: int, delivered_at: datetime | None) -> int:
    """Judge whose the events of one mail are, with the rules and lists of today; how many are somebody else's now."""
    events, before = await store.raw_events(db, licence_id, reader_id)
    after = actors.actors_of(events, delivered_at)
    changed = [(event.id, new) for event, old, new in zip(events, before, after, strict=True) if old != new]
    if changed:
        await store.judge(db, licence_id, changed)
    return len(changed)


async def note_unsubscribe(db: Database, licence_id: int, reader: Reader, now: datetime) -> None:
    """Note that a reader has unsubscribed, and tell whoever listens."""
    await store.add(db, licence_id, reader, Happening("UNSUBSCRIBE", now, actors.HUMAN, method="POST"))
    await tell(db, licence_id, "UNSUBSCRIBE", [MailNews(reader.id)], now)


def _counts(reader: Reader) -> bool:
    """Whether it is noted what a reader does: not of tests, and nothing more of people who are erased."""
    return not (reader.test or reader.erased)


async def _note(db: Database, licence_id: int, reader: Reader, happening: Happening) -> None:
    """Note it, judge a mail's events again when a link was followed, and tell whoever listens of what people did."""
    if reader.uncertain:
        await settle(db, licence_id, reader.id, happening.moment)
    actor = await store.add(db, licence_id, reader, happening)
    if actor is None:
        return
    if happening.type == actors.CLICK and await judge_again(db, licence_id, reader.id, reader.delivered_at):
        # One of a burst: nobody is told of it. Of those before it they were told when they looked like a person's.
        return
    if actor != actors.SCANNER:
        news = MailNews(reader.id, url=happening.url, actor=actor)
        await tell(db, licence_id, happening.type, [news], happening.moment)


def _happening(kind: str, asked: Asked, now: datetime) -> Happening:
    agent = "".join(c for c in asked.agent if c.isprintable())[: actors.MAX_AGENT]
    actor = actors.actor_of(kind, asked.method, agent)
    return Happening(kind, now, actor, method=asked.method, agent=agent, device=actors.device_of(agent))
