"""The documents of the entity and token calls."""

import msgspec


class EntityOut(msgspec.Struct):
    """An entity."""

    id: int
    name: str
    comment: str | None


class EntitiesOut(msgspec.Struct):
    """The API user's entities: the default one first, then by name."""

    entities: list[EntityOut]


class TokenOut(msgspec.Struct, rename="camel"):
    """An access token."""

    access_token: str
    token_type: str
    expires_in: str
    scope: str
    jti: str
