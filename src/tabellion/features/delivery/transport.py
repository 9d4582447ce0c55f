"""Where the mails of a licence leave: its relays by their weights, or the outbox when it has none."""

import random
from collections.abc import Callable
from time import monotonic

from tabellion.features.delivery import store
from tabellion.features.delivery.store import Database
from tabellion.platform import secrets
from tabellion.platform.mail import Post, Relay, Signer

# How soon a change of relays is seen.
_KNOWN_FOR_S = 5.0


class Way:
    """The relays of a licence; `posts` empty: the outbox."""

    def __init__(self, posts: list[tuple[int, Post]]) -> None:
        self.posts = [post for _, post in posts]
        self._weights = [weight for weight, _ in posts]
        self._chance = random.Random()  # noqa: S311 - spreads mails, hides nothing

    @property
    def slots(self) -> int:
        """How many mails can be on their way at a time."""
        return sum(post.relay.connections for post in self.posts)

    def post(self) -> Post:
        """The relay for the next mail."""
        return self._chance.choices(self.posts, self._weights)[0] if len(self.posts) > 1 else self.posts[0]


class Ways:
    """The ways of all licences, as this process knows them. `bounce_domain`: for senders that have none of their own."""

    def __init__(self, post: Callable[[Relay], Post] = Post, *, bounce_domain: str = "") -> None:
        self._post, self._bounce_domain = post, bounce_domain
        self._posts: dict[Relay, Post] = {}
        self._known: dict[int, tuple[float, Way]] = {}

    async def of(self, db: Database, licence_id: int) -> Way:
        """The way of a licence; read anew every few seconds, over connections that are kept."""
        read_at, way = self._known.get(licence_id, (0.0, Way([])))
        if licence_id in self._known and monotonic() - read_at < _KNOWN_FOR_S:
            return way
        found: list[tuple[int, Post]] = []
        for id_, host, port, security, login, sealed, weight, connections in await store.relays(db, licence_id):
            password = secrets.unseal(sealed, f"relay {id_:d}") if sealed else ""
            relay = Relay(host=host, port=port, security=security, user=login, password=password, connections=connections)
            found.append((weight, self._posts.setdefault(relay, self._post(relay))))
        way = Way(found)
        self._known[licence_id] = (monotonic(), way)
        return way

    async def bounce_domain_of(self, db: Database, entity_id: int) -> str:
        """The domain that an entity's mails come back to; empty: to the sender's address."""
        return await store.bounce_domain_of(db, entity_id) or self._bounce_domain

    async def close(self) -> None:
        """Close all connections."""
        for post in self._posts.values():
            await post.__aexit__()


async def signer_of(db: Database, entity_id: int, sender_address: str) -> Signer | None:
    """Who signs for an entity's mails; None: nobody, or a key for another domain than the address's."""
    row = await store.sender_of(db, entity_id)
    if row is None or not row[4]:
        return None
    domain, selector, key = row[2], row[3], row[4]
    if not signs_for(domain, sender_address):
        return None
    return Signer(domain, selector, secrets.unseal(key, f"dkim {entity_id:d}"))


def signs_for(domain: str, sender_address: str) -> bool:
    """Whether the key of a domain is one for mails from an address: of the domain, or below it."""
    of_sender = sender_address.rpartition("@")[2].lower()
    return of_sender == domain or of_sender.endswith(f".{domain}")
