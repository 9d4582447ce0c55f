"""What readers say on the pages of their mails, and what it changes: of which mail, at which address, and how often."""

from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import pytest

from tabellion.features import delivery, tracking
from tabellion.features.delivery import Recipient, Sending, Token, Use, write_token
from tabellion.features.tracking import Choice, Page, Preferences
from tabellion.platform import secrets
from tests.features.delivery.conftest import START, Post, licence_that_sends

ANN = "ann@example.com"


class Readers:
    """Ann, who has the newsletter and was never asked about the weekly offers, and her mails."""

    def __init__(self, post: Post) -> None:
        self.post, self.db = post, post.db
        self.newsletter, self.weekly = (post.table.subscriptions_by_name[name] for name in ("newsletter", "weekly offers"))
        self.people = f"l{post.licence_id}.{post.table.relation}"

    async def rows(self, query: str) -> list[Any]:
        return await (await self.db.execute(query.replace("{l}", f"l{self.post.licence_id}").encode())).fetchall()

    async def mail(self, sending: Sending) -> int:
        ((number,),) = await self.rows(f"SELECT id FROM {{l}}.recipient WHERE sending_id = {sending.id}")
        return number

    async def choices(self) -> tuple[bool | None, bool | None]:
        (found,) = await self.rows(f"SELECT {self.newsletter.column}, {self.weekly.column} FROM {self.people}")
        return found

    async def events(self, mail: int) -> int:
        return len(await self.rows(f"SELECT FROM {{l}}.mail_event WHERE recipient_id = {mail} AND type = 'UNSUBSCRIBE'"))

    async def state(self) -> list[Any]:
        return [
            await self.rows(f"SELECT t::text FROM {table} t ORDER BY 1")
            for table in (self.people, "{l}.mail_event", "{l}.suppression", "{l}.consent")
        ]

    def token(self, use: Use, mail: int) -> str:
        return write_token(Token(use, self.post.licence_id, mail))

    async def leave(self, mail: int) -> Page:
        page = await tracking.unsubscribe(self.db, self.token(Use.UNSUBSCRIBE, mail), START)
        return page or pytest.fail("the token is not known")

    async def asked(self, mail: int) -> Page:
        page = await tracking.unsubscribe_page(self.db, self.token(Use.UNSUBSCRIBE, mail), START)
        return page or pytest.fail("the token is not known")

    async def choose(
        self, mail: int, shown: Collection[int] = (), wanted: Collection[int] = (), *, stop: bool = False
    ) -> Preferences:
        choice = Choice(frozenset(shown), frozenset(wanted), stop)
        page = await tracking.choose(self.db, self.token(Use.PREFERENCES, mail), choice, START)
        return page or pytest.fail("the token is not known")

    async def ticked(self, mail: int) -> dict[int, bool]:
        page = await tracking.preferences_page(self.db, self.token(Use.PREFERENCES, mail), START)
        assert page is not None
        return {each.number: each.subscribed for each in page.options}


@pytest.fixture
async def readers(worker_database_url: str, tmp_path: Path) -> AsyncIterator[Readers]:
    secrets.use_key("of the tests", tmp_path)
    async with licence_that_sends(worker_database_url) as post:
        await post.guests([ANN])
        made = Readers(post)
        await made.rows(f"UPDATE {made.people} SET {made.newsletter.column} = true RETURNING 1")
        yield made


async def test_what_is_said_of_a_test_changes_nothing(readers: Readers) -> None:
    post, newsletter = readers.post, readers.newsletter.number
    ((profile,),) = await readers.rows(f"SELECT id FROM {readers.people}")
    for subscription in (newsletter, None):
        sending = await post.sending("CONTINUOUS", test=True, subscription=subscription)
        await delivery.plan(post.db, sending, Recipient(profile, ANN, "en"), START)
        mail = await readers.mail(sending)
        before = await readers.state()
        assert (await readers.leave(mail)).done
        await readers.choose(mail, [newsletter], stop=True)
        await readers.choose(mail, [newsletter])
        assert await readers.state() == before
        # Whoever tries it out sees the question, whatever is known of the address.
        await delivery.suppress(post.db, post.licence_id, [ANN], "COMPLAINT", START)
        await readers.rows(f"UPDATE {readers.people} SET {readers.newsletter.column} = false RETURNING 1")
        asked = await readers.asked(mail)
        assert (asked.done, asked.blocked) == (False, False)


async def test_what_is_chosen_is_changed_and_nothing_else(readers: Readers) -> None:
    newsletter, weekly = readers.newsletter.number, readers.weekly.number
    mail = await readers.mail(await readers.post.sending(subscription=newsletter))
    # What nobody has offered to them cannot be taken, nor is it ended when all is.
    await readers.choose(mail, [newsletter, weekly], [newsletter, weekly])
    assert await readers.choices() == (True, None)
    for _ in range(2):
        await readers.choose(mail, stop=True)
        assert (await readers.choices(), await readers.events(mail)) == ((False, None), 1)
    # Other mails, of which the reader says nothing that was not so, are no reason.
    other = await readers.mail(await readers.post.sending(subscription=newsletter))
    await readers.choose(other, [newsletter])
    await readers.rows(f"UPDATE {readers.people} SET {readers.weekly.column} = true RETURNING 1")
    assert await readers.ticked(other) == {newsletter: False, weekly: False}
    (people, _, suppressed, consents) = await readers.state()
    assert len(suppressed) == 1
    # What is recorded already is not recorded again for that mails come again.
    await readers.choose(other, [newsletter, weekly], [weekly])
    (now, _, left, kept) = await readers.state()
    assert (now, left, kept) == (people, [], consents)
    await readers.choose(other, [newsletter, weekly])
    assert (await readers.choices(), await readers.events(other)) == ((False, False), 0)
    # Who is kept from mails for another reason has left nothing.
    await readers.choose(other, [newsletter], [newsletter])
    await delivery.suppress(readers.db, readers.post.licence_id, [ANN], "HARD_BOUNCE", START)
    assert (await readers.ticked(other))[newsletter] is True
    for _ in range(2):
        assert (await readers.leave(other)).done
        assert (await readers.choices(), await readers.events(other)) == ((False, False), 1)


async def test_a_mail_is_unsubscribed_at_the_address_that_it_went_to(readers: Readers) -> None:
    mail = await readers.mail(await readers.post.sending())
    email = readers.post.table.attributes_by_name["emailaddress"].column
    await readers.rows(f"UPDATE {readers.people} SET {email} = 'new@example.com' RETURNING 1")
    assert (await readers.leave(mail)).done
    assert await readers.rows("SELECT address FROM {l}.suppression") == [(ANN,)]
    assert await readers.events(mail) == 1
