"""Use cases of the pages for readers: unsubscribe, and choose among subscriptions. Looking at a page changes nothing
but that the mail is known to have arrived.

Shown are the subscriptions for which the reader's profile has a recorded choice, and the one that the mail was sent for:
what else a table has is none of a reader's business before somebody has offered it to them.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from tabellion.features.delivery import (
    UNSUBSCRIBE,
    Forgotten,
    Token,
    Use,
    is_suppressed,
    reached,
    settle,
    subscribe_again,
    suppress,
    suppression_store,
    write_token,
)
from tabellion.features.profiles import are_over, record_choice, search_rows, until_current
from tabellion.features.tables import ProfileTable, Subscription, email_of, profile_tables
from tabellion.features.tables.filters import Condition
from tabellion.features.tracking import store
from tabellion.features.tracking.model import Choice, Option, Page, Preferences
from tabellion.features.tracking.service import find_reader, note_unsubscribe
from tabellion.features.tracking.store import Reader
from tabellion.features.tracking.words import words_in
from tabellion.kit.domain import readable
from tabellion.platform.database.connection import Database

_UNSUBSCRIBED, _ONE_CLICK, _BY_MAIL, _CHOSEN = "unsubscribe page", "one-click", "unsubscribe mail", "preference page"
# Of one address, at a time.
_MOST = 10_000
T = TypeVar("T")


class _Standing(NamedTuple):
    """What a reader has chosen: every subscription of the table with the recorded choice. No `table`: they are gone."""

    table: ProfileTable | None
    choices: tuple[tuple[Subscription, bool | None], ...]


async def unsubscribe_page(db: Database, text: str, now: datetime) -> Page | None:
    """The page that asks; nothing happens by looking at it, as machines do. None: we did not write the address."""

    async def work(licence_id: int, reader: Reader) -> Page:
        standing = await _standing(db, licence_id, reader)
        done = not reader.test and await _is_out(db, licence_id, reader, standing)
        return await _page(db, licence_id, reader, standing, done=done)

    return await _for_reader(db, text, Use.UNSUBSCRIBE, now, work)


async def unsubscribe(db: Database, text: str, now: datetime, *, one_click: bool = False) -> Page | None:
    """Take a reader out of what the mail was sent for: its subscription, or else all mails of the licence.

    `one_click`: a mail program asks, by the button of its own (RFC 8058).

    In one transaction with the event; repeated, it changes nothing. A test changes nothing at all.
    """
    return await _leave(db, text, now, _ONE_CLICK if one_click else _UNSUBSCRIBED)


async def unsubscribe_by_mail(db: Database, token: Token, now: datetime) -> None:
    """The same for who wrote to the address for that (RFC 2369). Raises `Forgotten`."""
    await _leave(db, write_token(token), now, _BY_MAIL)


async def _leave(db: Database, text: str, now: datetime, way: str) -> Page | None:
    async def work(licence_id: int, reader: Reader) -> Page:
        if reader.test:
            standing = await _standing(db, licence_id, reader)
        else:
            async with db.transaction():
                await store.lock(db, licence_id, reader.id)
                standing = await _standing(db, licence_id, reader)
                own = _own(reader, standing)
                if own is None:
                    await suppress(db, licence_id, [reader.address], "UNSUBSCRIBE", now)
                else:
                    more = True
                    while more:
                        found = await _subscribed(db, reader, standing, own[0])
                        await _record(db, found, standing, own[0], way, now, subscribed=False)
                        more = len(found) == _MOST
                await _note_once(db, licence_id, reader, now)
        return await _page(db, licence_id, reader, standing, done=True)

    return await _for_reader(db, text, Use.UNSUBSCRIBE, now, work)


async def preferences_page(db: Database, text: str, now: datetime) -> Preferences | None:
    """What a reader may choose. None: we did not write the address."""
    return await _for_reader(db, text, Use.PREFERENCES, now, lambda *reader: _shown(db, *reader, saved=False))


async def choose(db: Database, text: str, choice: Choice, now: datetime) -> Preferences | None:
    """Do what a reader says, in one transaction; a test changes nothing.

    Only what they were shown can change. Who takes a subscription after having stopped all mails gets mails again; who is
    kept from them for another reason (bounces, complaints) does not.
    """

    async def work(licence_id: int, reader: Reader) -> Preferences:
        if not reader.test:
            async with db.transaction():
                await store.lock(db, licence_id, reader.id)
                standing = await _standing(db, licence_id, reader)
                if choice.stop:
                    await _stop(db, licence_id, reader, standing, now)
                else:
                    await _change(db, licence_id, reader, standing, choice, now)
        return await _shown(db, licence_id, reader, saved=True)

    return await _for_reader(db, text, Use.PREFERENCES, now, work)


async def _for_reader(
    db: Database, text: str, use: Use, now: datetime, work: Callable[[int, Reader], Awaitable[T]]
) -> T | None:
    """Do `work` for the reader whom a token names, again where the structure of their table changed in between.

    Their mail has arrived, whatever comes of it: only that has the token.

    Raises `Forgotten` of a mail of an erased person, or where neither the address is kept nor the profile is there.
    """

    async def found(found: tuple[int, Reader] | None) -> T | None:
        if found is None:
            return None
        reader = await _addressed(db, *found)
        if not reader.address:
            raise Forgotten
        if reader.uncertain:
            await settle(db, found[0], reader.id, now)
        return await work(found[0], reader)

    return await until_current(lambda _: find_reader(db, text, use), found)


async def _addressed(db: Database, licence_id: int, reader: Reader) -> Reader:
    """A reader with the address of their profile, where that of the mail is not kept any more."""
    if reader.address or reader.profile_id is None:
        return reader
    tables = await profile_tables.load(db, licence_id)
    table = next((table for table in tables if table.id == reader.table_id), None)
    email = None if table is None else email_of(table.attributes)
    if table is None or email is None:
        return reader
    rows: Any = await search_rows(db, table, Condition("t.id = %s", (reader.profile_id,)), "t.id", 1)
    return reader._replace(address=rows[0].values[table.attributes.index(email)] or "") if rows else reader


async def _stop(db: Database, licence_id: int, reader: Reader, standing: _Standing, now: datetime) -> None:
    for subscription, subscribed in standing.choices:
        if subscribed:
            await _record(db, _whose(reader), standing, subscription, _CHOSEN, now, subscribed=False)
    await suppress(db, licence_id, [reader.address], "UNSUBSCRIBE", now)
    await _note_once(db, licence_id, reader, now)


async def _change(db: Database, licence_id: int, reader: Reader, standing: _Standing, choice: Choice, now: datetime) -> None:
    left = await _has_left(db, licence_id, reader)
    for subscription, before in standing.choices:
        wanted = subscription.number in choice.wanted
        if not _offered(reader, subscription, before) or subscription.number not in choice.shown:
            continue
        # Who had left saw no box ticked: they take anew what they tick, and nothing else.
        if wanted == bool(before) and not (wanted and left):
            continue
        if wanted != bool(before):
            await _record(db, _whose(reader), standing, subscription, _CHOSEN, now, subscribed=wanted)
        if wanted:
            await subscribe_again(db, licence_id, reader.address)
        elif subscription.number == reader.subscription:
            await _note_once(db, licence_id, reader, now)


async def _record(
    db: Database, ids: Sequence[int], standing: _Standing, subscription: Subscription, way: str, now: datetime,
    *, subscribed: bool,
) -> None:  # fmt: skip
    if standing.table is not None and ids:
        await record_choice(db, standing.table, ids, subscription, subscribed=subscribed, way=way, now=now)


def _whose(reader: Reader) -> list[int]:
    return [] if reader.profile_id is None else [reader.profile_id]


async def _subscribed(db: Database, reader: Reader, standing: _Standing, subscription: Subscription) -> list[int]:
    """Profiles that mails of a subscription go to at the address of a reader, at most `_MOST`."""
    table = standing.table
    if table is None:
        return []
    found = await search_rows(db, table, _subscribers(reader, table, subscription), "t.id", _MOST)
    return [each.id for each in found]


def _subscribers(reader: Reader, table: ProfileTable, subscription: Subscription) -> Condition:
    """Whom mails of a subscription go to at the address of a reader: theirs, and where several people may have one address,
    the others'. Whoever unsubscribes is promised that no more come there, and would get the next one's.
    """
    condition = reached(table, reader.profile_id, reader.address)
    return Condition(f"t.{subscription.column} IS TRUE AND {condition.sql}", condition.params)


async def _note_once(db: Database, licence_id: int, reader: Reader, now: datetime) -> None:
    """The event of a mail that made somebody unsubscribe, once."""
    if not await store.has(db, licence_id, reader.id, "UNSUBSCRIBE"):
        await note_unsubscribe(db, licence_id, reader, now)


async def _shown(db: Database, licence_id: int, reader: Reader, *, saved: bool) -> Preferences:
    standing = await _standing(db, licence_id, reader)
    left = await _has_left(db, licence_id, reader)
    options = tuple(
        Option(subscription.number, subscription.display_name or subscription.name, bool(subscribed) and not left)
        for subscription, subscribed in standing.choices
        if _offered(reader, subscription, subscribed)
    )
    code, words = words_in(reader.language, reader.address)
    stopped = await is_suppressed(db, licence_id, reader.address)
    blocked = stopped and await is_suppressed(db, licence_id, reader.address, transactional=True)
    return Preferences(code, words, readable(reader.sender), options, saved, stopped, blocked)


async def _standing(db: Database, licence_id: int, reader: Reader) -> _Standing:
    tables = await profile_tables.load(db, licence_id)
    table = next((table for table in tables if table.id == reader.table_id), None)
    if table is None or reader.profile_id is None:
        return _Standing(None, ())
    rows: Any = await search_rows(db, table, Condition("t.id = %s", (reader.profile_id,)), "t.id", 1)
    if not rows:
        return _Standing(None, ())
    chosen = [choice.subscribed for choice in rows[0].choices]
    return _Standing(table, tuple(zip(table.subscriptions, chosen, strict=True)))


async def _is_out(db: Database, licence_id: int, reader: Reader, standing: _Standing) -> bool:
    """Whether a reader gets no more of these mails."""
    own = _own(reader, standing)
    if own is None or standing.table is None:
        return await is_suppressed(db, licence_id, reader.address)
    return own[1] is not True and not await are_over(db, standing.table, _subscribers(reader, standing.table, own[0]), 0)


async def _has_left(db: Database, licence_id: int, reader: Reader) -> bool:
    """Whether a reader has stopped all mails, whatever choices are recorded."""
    found = await suppression_store.find(db, licence_id, reader.address)
    return found is not None and (found.reason == UNSUBSCRIBE or found.unsubscribed is not None)


def _own(reader: Reader, standing: _Standing) -> tuple[Subscription, bool | None] | None:
    """The subscription that the mail was sent for, if it is there still."""
    return next((each for each in standing.choices if each[0].number == reader.subscription), None)


def _offered(reader: Reader, subscription: Subscription, subscribed: bool | None) -> bool:  # noqa: FBT001 - a recorded choice
    return subscribed is not None or subscription.number == reader.subscription


async def _page(db: Database, licence_id: int, reader: Reader, standing: _Standing, *, done: bool) -> Page:
    own = _own(reader, standing)
    everything = own is None
    blocked = done and everything and await is_suppressed(db, licence_id, reader.address, transactional=True)
    code, words = words_in(reader.language, reader.address, "" if own is None else own[0].display_name or own[0].name)
    other = None if reader.profile_id is None else write_token(Token(Use.PREFERENCES, licence_id, reader.id))
    return Page(code, words, readable(reader.sender), done, everything, blocked, other)
