"""What a target is (contract, section 19.3, and beyond it exclusions and lists of keys)."""

import msgspec

MAX_KEYS = 100_000


class Keys(msgspec.Struct, frozen=True):
    """Profiles by the values of a unique attribute (None: their ids)."""

    values: tuple[str, ...]
    attribute: str | None = None


class Target(msgspec.Struct, frozen=True, rename="camel"):
    """Profiles for whom all holds that is said; nothing said: the whole table.

    `subscription`: who has subscribed to it. `filter`: the language of the v5 lists. `keys`: those that are listed.
    `exclude`: a filter for those who are left out. `max_profiles`: no more than so many, the lowest ids first.
    """

    subscription: str | None = None
    filter: str | None = None
    keys: Keys | None = None
    exclude: str | None = None
    max_profiles: int | None = None
