"""What signs the mails of an entity (DKIM)."""

from typing import NamedTuple

from tabellion.features.delivery import relay_store
from tabellion.features.delivery.sealed import dkim_purpose
from tabellion.kit.domain import domain_name
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import Signer


class Signing(NamedTuple):
    """What signs an entity's mails; the key is sealed."""

    entity_id: int
    domain: str
    selector: str
    key: str

    def signer(self) -> Signer:
        """Who does it."""
        return Signer(self.domain, self.selector, secrets.unseal(self.key, dkim_purpose(self.entity_id)))


async def signing_of(db: Database, entity_id: int, sender_address: str) -> Signing | None:
    """What signs an entity's mails; None: nothing, or a key for another domain than the address's."""
    found = await relay_store.sender_of(db, entity_id)
    if found is None or not found.dkim_key or not signs_for(found.dkim_domain, sender_address):
        return None
    return Signing(entity_id, found.dkim_domain, found.dkim_selector, found.dkim_key)


async def signer_of(db: Database, entity_id: int, sender_address: str) -> Signer | None:
    """Who signs an entity's mails; None: nobody."""
    signing = await signing_of(db, entity_id, sender_address)
    return signing.signer() if signing else None


def signs_for(domain: str, sender_address: str) -> bool:
    """Whether the key of a domain is one for mails from an address: of the domain, or below it."""
    of_sender = domain_name(sender_address.rpartition("@")[2])
    return of_sender == domain or of_sender.endswith(f".{domain}")
