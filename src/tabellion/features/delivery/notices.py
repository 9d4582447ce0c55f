"""Mails of the server's own to people who run things: one at a time, in plain words, beside the campaigns."""

import html
from datetime import datetime
from typing import NamedTuple

from tabellion.features.delivery import outbox_store
from tabellion.features.delivery.service import SenderIdentity, identity_of
from tabellion.features.delivery.signing import signer_of
from tabellion.features.delivery.transport import Ways
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import Fate, Mail, Reply, Unsendable, address_of, compose, formless


class Notice(NamedTuple):
    """What is told to whom. `key` is the same for each try, so that receivers notice a mail that comes twice."""

    licence_id: int
    entity_id: int
    recipient: str
    subject: str
    text: str
    key: str


async def send_notice(db: Database, notice: Notice, host: str, now: datetime) -> Reply:
    """Hand it to a relay of the licence, or keep it in the outbox where there never was one.

    The entity's sender signs it; where nobody was named, it comes from `host`.
    """
    fallback = f"no-reply@{host if '.' in host else 'localhost.localdomain'}"
    sender = await identity_of(db, notice.entity_id) or SenderIdentity("", fallback, "")
    recipient = address_of(notice.recipient)
    if recipient is None:
        return Reply(Fate.REJECTED, formless(notice.recipient))
    try:
        raw = compose(
            Mail(
                sender=sender.address,
                sender_name=sender.name,
                reply_to=sender.reply_to,
                recipient=recipient,
                subject=notice.subject,
                text=notice.text.encode(),
                html=f"<!doctype html><title></title><pre>{html.escape(notice.text)}</pre>".encode(),
                date=now,
                message_id=f"{notice.key}@{sender.address.rpartition('@')[2]}",
                # Nobody's absence note answers it (RFC 3834).
                extra=(("Auto-Submitted", "auto-generated"),),
            )
        )
    except Unsendable as error:
        return Reply(Fate.REJECTED, str(error))
    signer = await signer_of(db, notice.entity_id, sender.address)
    raw = signer.sign(raw) if signer else raw
    ways = Ways()
    try:
        way = await ways.of(db, notice.licence_id)
        if way.posts:
            return (await way.deliver(sender.address, recipient, raw))[0]
        if way.waits:
            return Reply(
                Fate.DEFERRED, "the licence has no relay any more: name one with tabellion relay add", reached=False
            )
    finally:
        await ways.close()
    await outbox_store.keep_notice(db, notice.licence_id, (sender.address, recipient, notice.subject, raw), now)
    return Reply(Fate.ACCEPTED, "kept in the outbox")
