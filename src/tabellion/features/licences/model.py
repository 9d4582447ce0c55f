"""Licences, entities, API users: records and rules."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

MODULES = ("structure", "profiles", "custom-data", "bulk", "campaigns", "webhooks", "administration")
ALL_RIGHTS: dict[str, str] = dict.fromkeys(MODULES, "rw")

Mode = Literal["SLOW_DOWN", "REJECT"]


class LicenceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The usage limits of a licence; None is no limit. `calls_per_minute` is per `window_seconds` (60 unless for tests)."""

    max_users: int | None = 5
    calls_per_minute: int | None = 60
    window_seconds: int = 60
    on_excess: Mode = "SLOW_DOWN"
    max_wait_seconds: int = 25
    max_concurrent: int | None = 5
    bulk_per_day: int | None = 12
    bulk_scope: Literal["LICENCE", "TABLE"] = "LICENCE"
    max_bulk_file_bytes: int = 100 * 1024 * 1024


PRESETS = {
    "classic": LicenceLimits(),
    "current": LicenceLimits(calls_per_minute=100, bulk_per_day=24, bulk_scope="TABLE"),
    "unlimited": LicenceLimits(max_users=None, calls_per_minute=None, max_concurrent=None, bulk_per_day=None),
}


class Licence(msgspec.Struct, frozen=True):
    """A licence: a customer of this server."""

    id: int
    name: str
    time_zone: str
    preset: str
    limits: LicenceLimits
    created_at: datetime


class Entity(msgspec.Struct, frozen=True):
    """A brand or department of a licence."""

    id: int
    name: str
    comment: str | None


class Owner(NamedTuple):
    """To whom something belongs: an entity of a licence."""

    licence_id: int
    entity_id: int


class ApiUser(msgspec.Struct, frozen=True, rename="camel"):
    """An API user. `entities` None: every entity of the licence."""

    id: int
    login: str
    rights: dict[str, str]
    entities: list[str] | None
    default_entity: str | None
    created_at: datetime


class Credentials(msgspec.Struct, frozen=True, rename="camel"):
    """What is shown once, when an API user is created or its credentials are rotated."""

    licence: str
    login: str
    password: str
    api_key: str


class Access(msgspec.Struct, frozen=True):
    """What an API user may do, and where: in these entities (None: in all), by default in this one."""

    rights: dict[str, str]
    entity_ids: list[int] | None
    default_entity_id: int | None

    def within(self, entity_ids: list[int] | None) -> "Access":
        """The same in other entities; the default becomes the first of those, unless it is one of them."""
        stays = entity_ids is None or self.default_entity_id in entity_ids
        return Access(self.rights, entity_ids, self.default_entity_id if stays else next(iter(entity_ids or ()), None))


class PasswordUser(msgspec.Struct, frozen=True):
    """What the check of a password needs."""

    user_id: int
    credential_version: int
    password_hash: str


def check_rights(rights: dict[str, Any]) -> str | None:
    """What is wrong with rights, or None."""
    for module, level in rights.items():
        if module not in MODULES:
            return f"there is no module '{module}'; modules: {', '.join(MODULES)}"
        if level not in {"r", "rw"}:
            return f"the right of '{module}' is r or rw, not '{level}'"
    return None
