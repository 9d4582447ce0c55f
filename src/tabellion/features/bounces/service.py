"""Use cases of what comes back: note it, and see to it that addresses that are gone, full or angry get nothing more."""

import asyncio
import logging
import re
from datetime import datetime
from typing import NamedTuple

from tabellion.features import campaigns
from tabellion.features.bounces import store
from tabellion.features.bounces.model import EVENTS, Finding, Kind, Rules, enough_accepted
from tabellion.features.bounces.reading import read
from tabellion.features.bounces.store import Mail
from tabellion.features.delivery import MailNews, licence_exists, read_return_path, read_token, settle, suppress, tell
from tabellion.features.profiles import record_choice, search_rows
from tabellion.features.tables import ProfileTable, email_of, profile_tables
from tabellion.features.tables.filters import Condition
from tabellion.kit.counted import counted
from tabellion.platform.database.connection import Database

_log = logging.getLogger(__name__)
# What may have a bounce or a complaint: it has left, or nobody knew whether it had.
_LEFT = frozenset({"ACCEPTED", "SENDING", "UNCERTAIN"})
_TOKENS = re.compile(rb"/t/[a-z]/([A-Za-z0-9_-]{39})(?![A-Za-z0-9_-])|\b(b-[a-z2-7]{47}@)", re.IGNORECASE)
_MOST_TOKENS = 50


class Desk(NamedTuple):
    """Where and when something is noted, and by which rules. `moment`: when it happened, if that is known."""

    db: Database
    rules: Rules
    now: datetime
    moment: datetime | None = None

    @property
    def at(self) -> datetime:
        """When it happened, as far as is known."""
        return self.moment or self.now


async def came_back(desk: Desk, address: str, raw: bytes, envelope_sender: str | None) -> Finding | None:
    """A mail came to a return path. What it means; None: nobody here wrote the address."""
    token = read_return_path(address)
    if token is None:
        return None
    finding = await asyncio.to_thread(read, raw, envelope_sender)
    await note(desk, token.licence_id, token.recipient_id, finding)
    return finding


async def was_reported(desk: Desk, raw: bytes) -> Finding | None:
    """A mail came to the address for complaints. None: it is none.

    Whose mail it is about is told by the seals of the mail's own links: whatever else stands in it, anybody can write.
    """
    finding = await asyncio.to_thread(read, raw)
    if finding.kind is not Kind.COMPLAINT:
        return None
    tokens = {read_return_path(bounce.decode()) if bounce else read_token(link.decode()) for link, bounce in _tokens(raw)}
    mails = {(token.licence_id, token.recipient_id) for token in tokens if token is not None}
    if len(mails) != 1:
        _log.warning("a complaint about a mail that cannot be told: it holds the seals of %d mails", len(mails))
        return finding
    ((licence_id, recipient_id),) = mails
    await note(desk, licence_id, recipient_id, finding)
    return finding


async def note(desk: Desk, licence_id: int, recipient_id: int, finding: Finding) -> Mail | None:
    """Note what was found about a mail, once, and what follows from it, together. None: the mail is no more."""
    db, now = desk.db, desk.now
    if finding.kind not in EVENTS or not await licence_exists(db, licence_id):
        return None
    async with db.transaction():
        mail = await store.mail(db, licence_id, recipient_id)
        if mail is None:
            return None
        new = await _note_event(desk, licence_id, mail, finding)
        if mail.address:
            await _follow(desk, licence_id, mail.address, f"mail {mail.id:d}", finding)
        elif finding.kind is Kind.COMPLAINT and (address := await _address_now(db, licence_id, mail)):
            # What is said of it may name the address that is not kept.
            await _follow(desk, licence_id, address, f"mail {mail.id:d}", Finding(Kind.COMPLAINT))
        if finding.kind is Kind.COMPLAINT and new:
            await _end_subscription(db, licence_id, mail, now)
    if finding.kind is Kind.COMPLAINT and new:
        await _hold(db, licence_id, mail.campaign_id, now)
    return mail


async def note_address(desk: Desk, licence_id: int, address: str, finding: Finding) -> None:
    """Note what was found about an address, where it is not known about which mail."""
    async with desk.db.transaction():
        await _follow(desk, licence_id, address, f"at {desk.at.isoformat()}", finding)


async def purge(db: Database, rules: Rules, now: datetime) -> int:
    """Forget soft bounces that are too old to count; how many. A licence that is deleted meanwhile has none."""
    return await store.forget_soft(db, now - rules.within)


async def _note_event(desk: Desk, licence_id: int, mail: Mail, finding: Finding) -> bool:
    db = desk.db
    if mail.test or not (await settle(db, licence_id, mail.id, desk.now, by=desk.at) or mail.state in _LEFT):
        return False
    detail = " ".join(part for part in (finding.kind.value if finding.kind is Kind.BLOCK else "", finding.status) if part)
    # What a mail system says often names the address, which may be one that is not to be kept.
    text = finding.text if mail.address else ""
    detail = ": ".join(part for part in (detail, text) if part)
    kind = EVENTS[finding.kind]
    if finding.kind is Kind.COMPLAINT:
        new = await store.note_complaint(db, licence_id, mail, detail, desk.at)
    else:
        new = await store.note_bounce(db, licence_id, mail, kind, detail, desk.at)
    if new:
        await tell(db, licence_id, kind, [MailNews(mail.id, detail=detail, moment=desk.at)], desk.now)
    return new


async def _follow(desk: Desk, licence_id: int, address: str, mark: str, finding: Finding) -> None:
    """What a finding means for an address. A block is about the sender; the address is not to suffer for it."""
    db, rules, at = desk.db, desk.rules, desk.at
    if finding.kind in {Kind.HARD, Kind.COMPLAINT}:
        await suppress(db, licence_id, [address], EVENTS[finding.kind], at, finding.text or None)
    elif finding.kind is Kind.SOFT:
        count = await store.count_soft(db, licence_id, address, mark, at, desk.now - rules.within)
        if count >= rules.soft_bounces:
            detail = f"{counted(count, 'soft bounce')} within {counted(rules.within.days, 'day')}, the last: {finding.text}"
            await suppress(db, licence_id, [address], EVENTS[finding.kind], at, detail)


async def _address_now(db: Database, licence_id: int, mail: Mail) -> str | None:
    """The address of the profile that an old mail went to, as for who unsubscribes by it; None: nobody knows whose."""
    table = await _table(db, licence_id, mail)
    email = None if table is None else email_of(table.attributes)
    if table is None or email is None or mail.profile_id is None:
        return None
    rows = await search_rows(db, table, Condition("t.id = %s", (mail.profile_id,)), "t.id", 1)
    return rows[0].values[table.attributes.index(email)] if rows else None


async def _table(db: Database, licence_id: int, mail: Mail) -> ProfileTable | None:
    return next((table for table in await profile_tables.load(db, licence_id) if table.id == mail.table_id), None)


async def _end_subscription(db: Database, licence_id: int, mail: Mail, now: datetime) -> None:
    """Whoever calls it spam does not want it: the subscription that the mail was sent for ends."""
    if mail.profile_id is None or mail.subscription is None:
        return
    table = await _table(db, licence_id, mail)
    subscription = None
    if table is not None:
        subscription = next((s for s in table.subscriptions if s.number == mail.subscription), None)
    if table is not None and subscription is not None:
        await record_choice(db, table, [mail.profile_id], subscription, subscribed=False, way="complaint", now=now)


async def _hold(db: Database, licence_id: int, campaign_id: int, now: datetime) -> None:
    """Hold a mass campaign when too many readers call it spam. Once: whoever lets it go on after that means it."""
    complaints = await store.complaints(db, licence_id, campaign_id)
    enough = enough_accepted(complaints)
    accepted = await store.accepted(db, licence_id, campaign_id, enough)
    if accepted >= enough:
        return
    told = f"too many complaints: {complaints:,} readers of {accepted:,} mails call it spam"
    async with db.transaction():
        if await campaigns.hold(db, campaign_id, "complaints", now, told):
            await store.mark_held(db, campaign_id, now)
            _log.warning("campaign %d is held: %d complaints about %d mails", campaign_id, complaints, accepted)


def _tokens(raw: bytes) -> list[tuple[bytes, bytes]]:
    """What looks like seals in a mail, also where lines were broken for the way."""
    whole = raw.replace(b"=\r\n", b"").replace(b"=\n", b"").replace(b"=3D", b"=")
    return _TOKENS.findall(whole)[:_MOST_TOKENS]
