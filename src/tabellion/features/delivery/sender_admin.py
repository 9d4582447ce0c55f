"""What an operator says of senders: who the mails of an entity come from, what signs them, and where they come back to."""

import re
from datetime import datetime
from typing import NamedTuple

import msgspec

from tabellion.features import licences
from tabellion.features.delivery import relay_store
from tabellion.features.delivery.sealed import dkim_purpose
from tabellion.features.delivery.signing import signs_for
from tabellion.features.licences import AdminError
from tabellion.kit.domain import domain_name, is_domain
from tabellion.platform import audit, secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import address_of, new_key, one_line, public_record

_KINDS = ("rsa", "ed25519")
_SELECTOR = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


class SenderRow(NamedTuple):
    """Who sends for an entity, and the DNS record of the signing key (empty: mails are not signed).

    `reply_to`: where answers go, unless a campaign says; empty: to the address. `bounce_domain`: of the return paths;
    empty: the server's. `new_key`: the record has to be published yet.
    """

    entity: str
    name: str
    address: str
    record_name: str
    record: str
    reply_to: str
    bounce_domain: str
    new_key: bool = False


class SenderChange(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said anew of a sender; None: it stays as it is, or is as with a sender that says nothing of it.

    `selector`, `reply_to` and `bounce_domain` empty: none any more. `kind`: of a new key.
    """

    name: str | None = None
    selector: str | None = None
    kind: str | None = None
    reply_to: str | None = None
    bounce_domain: str | None = None


async def set_sender(
    db: Database, licence_name: str, entity_name: str, address: str, change: SenderChange, now: datetime
) -> SenderRow:
    """Say who sends for an entity. With a selector its mails are signed, by the key that it has or had, or a new one.

    Raises `AdminError`.
    """
    if address_of(address) is None:
        raise AdminError(f"'{address}' is no address that mails can come from")
    if change.reply_to and address_of(change.reply_to) is None:
        raise AdminError(f"'{change.reply_to[:100]}' is no address that answers can go to")
    if change.name is not None and not one_line(change.name):
        raise AdminError("the name is one line")
    if change.selector and not _SELECTOR.fullmatch(change.selector):
        raise AdminError("a selector has letters, digits and hyphens, such as s1")
    if change.kind is not None and change.kind not in _KINDS:
        raise AdminError(f"a key is {' or '.join(_KINDS)}")
    returns_to = None if change.bounce_domain is None else domain_name(change.bounce_domain)
    if returns_to and not is_domain(returns_to):
        wrong = (change.bounce_domain or "")[:100]
        raise AdminError(f"'{wrong}' is no domain that mails can come back to, such as bounces.example.com")
    found, entity = await licences.get_entity(db, licence_name, entity_name)
    async with db.transaction():
        await relay_store.lock_sender(db, entity.id)
        known = await relay_store.sender_of(db, entity.id) or relay_store.StoredSender()
        name = change.name if change.name is not None else known.name
        answers_to = change.reply_to if change.reply_to is not None else known.reply_to
        if returns_to is None:
            returns_to = known.bounce_domain
        dkim, made = await _signed_by(db, entity.id, address, known, change)
        await relay_store.set_sender(db, entity.id, name, address, dkim, reply_to=answers_to, bounce_domain=returns_to)
        await audit.record_admin(db, found.id, "sender set", f"entity/{entity.id}", now)
    shown = await show_sender(db, licence_name, entity_name)
    return shown._replace(new_key=made)


async def _signed_by(
    db: Database, entity_id: int, address: str, known: relay_store.StoredSender, change: SenderChange
) -> tuple[tuple[str, str, str], bool]:
    """Domain, selector and sealed key that sign from now on, and whether the key is a new one."""
    domain = domain_name(address.rpartition("@")[2])
    selector, sealed = change.selector, ""
    if selector is None:
        if not known.dkim_key:
            if change.kind is not None:
                raise AdminError("a key goes with a selector: name one, with --dkim-selector")
            return ("", "", ""), False
        # The key stays, unless it does not sign for the address any more: then it is the selector that stays.
        selector = known.dkim_selector
        if signs_for(known.dkim_domain, address):
            domain, sealed = known.dkim_domain, known.dkim_key
    if not selector:
        return ("", "", ""), False
    sealed = sealed or await relay_store.kept_key(db, entity_id, domain, selector)
    if not sealed:
        return (domain, selector, secrets.seal(new_key(change.kind or _KINDS[0])[0], dkim_purpose(entity_id))), True
    if change.kind is not None and (kind := _kind_of(secrets.unseal(sealed, dkim_purpose(entity_id)))) != change.kind:
        message = f"the key of {selector} is {kind}, and stays; name another selector for one that is {change.kind}"
        raise AdminError(message)
    return (domain, selector, sealed), False


async def show_sender(db: Database, licence_name: str, entity_name: str) -> SenderRow:
    """Who sends for an entity. Raises `AdminError`."""
    _, entity = await licences.get_entity(db, licence_name, entity_name)
    found = await relay_store.sender_of(db, entity.id)
    if found is None:
        raise AdminError(f"nobody was named for the entity '{entity.name}'; name somebody with sender set")
    place = record = ""
    if found.dkim_key:
        place = f"{found.dkim_selector}._domainkey.{found.dkim_domain}"
        record = public_record(secrets.unseal(found.dkim_key, dkim_purpose(entity.id)))
    return SenderRow(entity.name, found.name, found.address, place, record, found.reply_to, found.bounce_domain)


def _kind_of(pem: str) -> str:
    return next(kind for kind in _KINDS if f"k={kind};" in public_record(pem))
