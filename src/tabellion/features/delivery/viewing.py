"""A mail as a page, for readers whose mail program does not show it well."""

import email
import re
from collections.abc import Sequence
from datetime import datetime
from email import policy
from functools import partial
from html import escape
from typing import NamedTuple

from tabellion.features.customdata import CustomTable, custom_tables
from tabellion.features.delivery import recipient_store, store, tokens
from tabellion.features.delivery.composing import Composer, Ready
from tabellion.features.delivery.contexts import contexts_of
from tabellion.features.delivery.model import Claimed, Sending
from tabellion.features.delivery.news import settle
from tabellion.features.delivery.stripping import Forgotten
from tabellion.features.delivery.tokens import Token, Use
from tabellion.features.profiles import until_current
from tabellion.features.tables import ProfileTable, profile_tables
from tabellion.platform.database.connection import Database
from tabellion.platform.templates import Cages

# In text that is escaped already.
_ADDRESS = re.compile(r"https?://(?:[^\s<>\"'()&]|&amp;)+")


class _Found(NamedTuple):
    sending: Sending
    recipient: Claimed
    table: ProfileTable
    linked: Sequence[CustomTable]


async def view(db: Database, cages: Cages, text: str, now: datetime) -> str | None:
    """The HTML of a token's mail, or its text as a page, with the recipient's data as they are now.

    None: we did not write the address. Raises `CageUnavailable`, and `Forgotten` where what stood in the mail is not kept.
    """
    token = tokens.read(text)
    if token is None or token.use is not Use.ONLINE:
        return None
    if await store.licence_exists(db, token.licence_id):
        await settle(db, token.licence_id, token.recipient_id, now)
    return await until_current(lambda _: _found(db, token), partial(_made, db, cages, now))


async def _found(db: Database, token: Token) -> _Found | None:
    """What a token's mail is made of. Raises `Forgotten`."""
    if not await store.licence_exists(db, token.licence_id):
        return None
    found = await recipient_store.recipient(db, token.licence_id, token.recipient_id)
    sending = None if found is None else await store.find(db, found[0])
    if found is None or sending is None:
        return None
    if not found[1].address:
        raise Forgotten
    tables = await profile_tables.load(db, token.licence_id)
    table = next((table for table in tables if table.id == sending.document.table_id), None)
    if table is None:
        return None
    return _Found(sending, found[1], table, await custom_tables.load(db, token.licence_id))


async def _made(db: Database, cages: Cages, now: datetime, found: _Found | None) -> str | None:
    """The page. Raises `CageUnavailable`, and `StaleDefinition` when a table has changed since."""
    if found is None:
        return None
    sending, recipient = found.sending, found.recipient
    contexts = await contexts_of(db, sending.document, found.table, found.linked, [recipient])
    (made,) = await Composer(sending, cages, None).mails([recipient], contexts, now)
    if not isinstance(made, Ready):
        return None
    mail = email.message_from_bytes(made.raw, policy=policy.default)
    part = mail.get_body(("html", "plain"))
    if part is None:
        return None
    content: str = part.get_content()
    return content if part.get_content_subtype() == "html" else _page(str(mail["Subject"]), content)


def _page(subject: str, text: str) -> str:
    """A plain text as a page, with links in it."""
    linked = _ADDRESS.sub(r'<a href="\g<0>">\g<0></a>', escape(text, quote=True))
    style = "white-space:pre-wrap;overflow-wrap:anywhere;font-family:inherit"
    return (
        '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,'
        'initial-scale=1">'
        f'<title>{escape(subject)}</title></head><body><pre dir="auto" style="{style}">{linked}</pre></body></html>'
    )
