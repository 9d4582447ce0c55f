"""Who is calling, in the platform's own words; `features.licences` fills it in."""

from collections.abc import Mapping
from zoneinfo import ZoneInfo

import msgspec


class EntityRef(msgspec.Struct, frozen=True):
    """An entity the caller may use. `name` is echoed as it was defined."""

    id: int
    name: str
    comment: str | None = None


class Caller(msgspec.Struct, frozen=True):
    """An authenticated API user of one licence.

    `rights` maps a module (`structure`, `profiles`, ...) to `r` or `rw`; a missing module is no right at all.
    `entities` holds the user's entities, the default one first, then by name; `foreign_entities` the names (lower case)
    of the licence's other entities, which answer 403 instead of 404. `catalogue_version` grows with every change of
    the licence's users, entities and tables: whoever caches such things compares it. `max_file_bytes` is the limit for the
    file of a bulk call.
    """

    licence_id: int
    licence_name: str
    time_zone: ZoneInfo
    user_id: int
    login: str
    rights: Mapping[str, str]
    entities: tuple[EntityRef, ...]
    foreign_entities: frozenset[str]
    catalogue_version: int
    max_file_bytes: int
