"""Use cases of what readers of mails do. Whoever has the mail has its token: that is all the authority there is."""

from datetime import datetime

from tabellion.features.delivery import Use, read_token, suppress, unseal_address
from tabellion.features.profiles import record_choice
from tabellion.features.tables import profile_tables
from tabellion.features.tracking import store
from tabellion.features.tracking.model import Page, actor_of, page_in
from tabellion.features.tracking.store import Database, Reader

_SOURCE = "unsubscribe page"


async def opened(db: Database, text: str, user_agent: str, now: datetime) -> None:
    """A mail's picture was fetched."""
    found = await _reader(db, text, Use.OPEN)
    if found is not None and not found[1].test:
        await store.add(db, found[0], found[1], "OPEN", now, url=None, actor=actor_of(user_agent))


def target_of(text: str, sealed: str) -> str | None:
    """Where a link leads; None: we did not write it."""
    token = read_token(text)
    if token is None or token.use is not Use.CLICK:
        return None
    return unseal_address(token.licence_id, token.recipient_id, sealed)


async def clicked(db: Database, text: str, url: str, user_agent: str, now: datetime) -> None:
    """A link was followed."""
    found = await _reader(db, text, Use.CLICK)
    if found is not None and not found[1].test:
        await store.add(db, found[0], found[1], "CLICK", now, url=url, actor=actor_of(user_agent))


async def unsubscribe_page(db: Database, text: str) -> Page | None:
    """The page that asks; nothing happens by looking at it, as machines do. None: we did not write the address."""
    found = await _reader(db, text, Use.UNSUBSCRIBE)
    if found is None:
        return None
    licence_id, reader = found
    done = await store.has(db, licence_id, reader.id, "UNSUBSCRIBE")
    return page_in(reader.language, reader.address, done=done)


async def unsubscribe(db: Database, text: str, now: datetime) -> Page | None:
    """Take a reader out of what the mail was sent for: its subscription, or else all mails of the licence.

    In one transaction with the event; repeated, it changes nothing. A test changes nothing at all.
    """
    found = await _reader(db, text, Use.UNSUBSCRIBE)
    if found is None:
        return None
    licence_id, reader = found
    async with db.transaction():
        if not reader.test and not await store.has(db, licence_id, reader.id, "UNSUBSCRIBE"):
            await store.add(db, licence_id, reader, "UNSUBSCRIBE", now, url=None, actor="human")
            await _take_out(db, licence_id, reader, now)
    return page_in(reader.language, reader.address, done=True)


async def _take_out(db: Database, licence_id: int, reader: Reader, now: datetime) -> None:
    tables = await profile_tables.load(db, licence_id)
    table = next((table for table in tables if table.id == reader.table_id), None)
    subscription = None
    if table is not None:
        subscription = next((s for s in table.subscriptions if s.number == reader.subscription), None)
    if table is None or subscription is None or reader.profile_id is None:
        await suppress(db, licence_id, [reader.address], "UNSUBSCRIBE", now)
        return
    await record_choice(db, table, reader.profile_id, subscription, subscribed=False, source=_SOURCE, now=now)


async def _reader(db: Database, text: str, use: Use) -> tuple[int, Reader] | None:
    token = read_token(text)
    if token is None or token.use is not use:
        return None
    reader = await store.reader(db, token.licence_id, token.recipient_id)
    return None if reader is None else (token.licence_id, reader)
