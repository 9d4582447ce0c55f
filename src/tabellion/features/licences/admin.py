"""Licences, entities and API users as the command line makes, changes and ends them."""

import shlex
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace
from psycopg import errors

from tabellion.features.licences import store
from tabellion.features.licences.errors import AdminError, UsersLimit
from tabellion.features.licences.model import (
    ALL_RIGHTS,
    PRESETS,
    ApiUser,
    Credentials,
    Entity,
    Licence,
    check_rights,
)
from tabellion.features.licences.passwords import hash_password
from tabellion.kit import keys
from tabellion.kit.clock import time_zones
from tabellion.kit.names import name_fault
from tabellion.platform import audit
from tabellion.platform.database.connection import Database


async def create_licence(
    db: Database, name: str, now: datetime, *, preset: str = "classic", time_zone: str = "UTC"
) -> Licence:
    """Make a licence with the limits of a preset. Raises `AdminError`."""
    _check_name(name, "a licence")
    await _check_zone(db, time_zone)
    if preset not in PRESETS:
        raise AdminError(f"there is no preset '{preset}'; presets: {', '.join(PRESETS)}")
    limits = PRESETS[preset]
    async with db.transaction():
        try:
            licence_id = await store.insert_licence(db, name, time_zone, preset, limits, now)
        except errors.UniqueViolation:
            raise AdminError(f"there is a licence '{name}' already") from None
        await audit.record_admin(db, licence_id, "licence create", f"licence/{licence_id}", now)
    return Licence(licence_id, name, time_zone, preset, limits, now)


async def list_licences(db: Database) -> list[Licence]:
    """All licences, by name."""
    return await store.licences(db)


async def get_licence(db: Database, name: str) -> Licence:
    """One licence. Raises `AdminError`."""
    found = await store.licence(db, name)
    if found is None:
        raise AdminError(f"there is no licence '{name}'; tabellion licence list shows them")
    return found


async def change_limits(
    db: Database,
    name: str,
    changes: Mapping[str, Any],
    now: datetime,
    *,
    preset: str | None = None,
    time_zone: str | None = None,
) -> Licence:
    """Change limits of a licence; members of `changes` are those of `LicenceLimits`. Raises `AdminError`."""
    if time_zone is not None:
        await _check_zone(db, time_zone)
    if preset is not None and preset not in PRESETS:
        raise AdminError(f"there is no preset '{preset}'; presets: {', '.join(PRESETS)}")
    async with db.transaction():
        licence = await get_licence(db, name)
        limits = replace(PRESETS[preset] if preset else licence.limits, **changes)
        kept = next((name for name, known in PRESETS.items() if known == limits), "custom")
        zone = time_zone or licence.time_zone
        try:
            await store.update_limits(db, licence.id, kept, limits, zone)
        except errors.CheckViolation as error:
            raise AdminError(f"this limit is not possible ({error.diag.constraint_name})") from None
        await store.bump_catalogue(db, licence.id)
        await audit.record_admin(db, licence.id, "licence limits", f"licence/{licence.id}", now)
    return replace(licence, preset=kept, limits=limits, time_zone=zone)


async def delete_licence(db: Database, name: str, now: datetime) -> int:
    """Erase a licence with everything it has but its audit trail; returns its id. Raises `AdminError`."""
    async with db.transaction():
        licence = await get_licence(db, name)
        await store.delete_licence(db, licence.id)
        await audit.record_admin(db, licence.id, "licence delete", f"licence/{licence.id}", now)
    return licence.id


async def create_entity(db: Database, licence_name: str, name: str, now: datetime, *, comment: str | None = None) -> Entity:
    """Make an entity. Raises `AdminError`."""
    _check_name(name, "an entity")
    if name == "-":
        raise AdminError("'-' stands for the default entity in addresses; choose another name")
    async with db.transaction():
        licence = await get_licence(db, licence_name)
        try:
            entity_id = await store.insert_entity(db, licence.id, name, comment, now)
        except errors.UniqueViolation:
            raise AdminError(f"the licence has an entity '{name}' already") from None
        await store.bump_catalogue(db, licence.id)
        await audit.record_admin(db, licence.id, "entity create", f"entity/{entity_id}", now)
    return Entity(entity_id, name, comment)


async def get_entity(db: Database, licence_name: str, name: str) -> tuple[Licence, Entity]:
    """An entity by its name, with its licence. Raises `AdminError`."""
    licence = await get_licence(db, licence_name)
    return licence, _entity_named(licence, await store.entities(db, licence.id), name)


async def list_entities(db: Database, licence_name: str) -> list[Entity]:
    """The entities of a licence, by name. Raises `AdminError`."""
    return await store.entities(db, (await get_licence(db, licence_name)).id)


async def create_user(  # noqa: PLR0913 - an API user has this many settings
    db: Database,
    licence_name: str,
    login: str,
    now: datetime,
    *,
    rights: dict[str, str] | None = None,
    entities: list[str] | None = None,
    default_entity: str | None = None,
    password: str | None = None,
    application: str | None = None,
    email: str | None = None,
) -> Credentials:
    """Make an API user; its credentials are shown here and never again. Raises `AdminError`, `UsersLimit`.

    Without `rights` it has all, without `entities` it may use all, and its default entity is the licence's first.
    """
    _check_name(login, "an API user")
    rights = ALL_RIGHTS if rights is None else rights
    if problem := check_rights(rights):
        raise AdminError(problem)
    secret, key = password or keys.new_password(), keys.new_key()
    password_hash = hash_password(secret)
    async with db.transaction():
        # The licence's row is locked, so two creations at once cannot both take the last place.
        licence = await get_licence(db, licence_name)
        most = licence.limits.max_users
        if most is not None and await store.count_users(db, licence.id) >= most:
            raise UsersLimit(f"the licence '{licence.name}' has its {most} API users already; revoke one or raise the limit")
        known = await store.entities(db, licence.id)
        ids = None if entities is None else [_entity_named(licence, known, name).id for name in entities]
        by_id = sorted((e for e in known if ids is None or e.id in ids), key=lambda e: e.id)
        default = _entity_named(licence, known, default_entity).id if default_entity else (by_id[0].id if by_id else None)
        if default is not None and ids is not None and default not in ids:
            raise AdminError("the default entity is not one of the user's entities")
        values = {
            "login": login,
            "application": application,
            "email": email,
            "rights": rights,
            "entity_ids": ids,
            "default_entity_id": default,
            "key_hash": keys.digest(key),
            "password_hash": password_hash,
            "now": now,
        }
        try:
            user_id = await store.insert_user(db, licence.id, values)
        except errors.UniqueViolation:
            raise AdminError(
                f"the licence has an API user '{login}' already; for a new key and password: "
                f"tabellion user rotate {shlex.quote(licence.name)} {shlex.quote(login)}"
            ) from None
        await store.bump_catalogue(db, licence.id)
        await audit.record_admin(db, licence.id, "user create", f"user/{user_id}", now)
    return Credentials(licence.name, login, secret, key)


async def list_users(db: Database, licence_name: str) -> list[ApiUser]:
    """The API users of a licence, by login. Raises `AdminError`."""
    return await store.users(db, (await get_licence(db, licence_name)).id)


async def get_user(db: Database, licence_name: str, login: str) -> ApiUser:
    """An API user. Raises `AdminError`."""
    licence = await get_licence(db, licence_name)
    found = next((user for user in await store.users(db, licence.id) if user.login.lower() == login.lower()), None)
    if found is None:
        raise _no_user(licence, login)
    return found


async def rotate_user(
    db: Database, licence_name: str, login: str, now: datetime, *, password: str | None = None
) -> Credentials:
    """Give an API user a new key and password; the old ones and its tokens end at once. Raises `AdminError`."""
    secret, key = password or keys.new_password(), keys.new_key()
    password_hash = hash_password(secret)
    async with db.transaction():
        licence = await get_licence(db, licence_name)
        user_id = await store.rotate(db, licence.id, login, keys.digest(key), password_hash)
        if user_id is None:
            raise _no_user(licence, login)
        await store.bump_catalogue(db, licence.id)
        await audit.record_admin(db, licence.id, "user rotate", f"user/{user_id}", now)
    return Credentials(licence.name, login, secret, key)


async def change_access(
    db: Database,
    licence_name: str,
    login: str,
    now: datetime,
    *,
    rights: dict[str, str] | None = None,
    entities: list[str] | None = None,
    every_entity: bool = False,
) -> None:
    """Change what an API user may do and where, at once; what is None stays. Raises `AdminError`.

    A default entity that it may not use any more becomes the first of those that it may.
    """
    if rights is not None and (problem := check_rights(rights)):
        raise AdminError(problem)
    async with db.transaction():
        licence = await get_licence(db, licence_name)
        known = await store.entities(db, licence.id)
        ids = None if entities is None else sorted(_entity_named(licence, known, name).id for name in entities)
        found = await store.access(db, licence.id, login)
        if found is None:
            raise _no_user(licence, login)
        user_id, access = found
        if ids is not None or every_entity:
            access = access.within(ids)
        await store.set_access(db, user_id, access if rights is None else replace(access, rights=rights))
        await store.bump_catalogue(db, licence.id)
        await audit.record_admin(db, licence.id, "user rights", f"user/{user_id}", now)


async def revoke_user(db: Database, licence_name: str, login: str, now: datetime) -> None:
    """End an API user with its key, password and tokens, at once. Raises `AdminError`."""
    async with db.transaction():
        licence = await get_licence(db, licence_name)
        user_id = await store.delete_user(db, licence.id, login)
        if user_id is None:
            raise _no_user(licence, login)
        await store.bump_catalogue(db, licence.id)
        await audit.record_admin(db, licence.id, "user revoke", f"user/{user_id}", now)


async def revoke_users(db: Database, licence_name: str, now: datetime) -> None:
    """End all API users of a licence, at once. Raises `AdminError`.

    Before it is erased, so that no calls wait for that: who asks the gate for a licence that is being erased keeps everybody
    waiting who asks with it.
    """
    async with db.transaction():
        licence = await get_licence(db, licence_name)
        await store.delete_users(db, licence.id)
        await store.bump_catalogue(db, licence.id)
        await audit.record_admin(db, licence.id, "user revoke", f"licence/{licence.id}", now)


def _no_user(licence: Licence, login: str) -> AdminError:
    return AdminError(
        f"the licence '{licence.name}' has no API user '{login}'; tabellion user list {licence.name} shows them"
    )


def _entity_named(licence: Licence, known: list[Entity], name: str) -> Entity:
    found = next((e for e in known if e.name.lower() == name.lower()), None)
    if found is None:
        raise AdminError(
            f"the licence '{licence.name}' has no entity '{name}'; tabellion entity list {licence.name} shows them"
        )
    return found


def _check_name(name: str, kind: str) -> None:
    """Names stand in addresses and in `licence/login:password`."""
    if fault := name_fault(name, "/:;?#%"):
        raise AdminError(f"the name of {kind} has {fault}")


async def _check_zone(db: Database, name: str) -> None:
    """The gate counts by the clocks of the database: what it does not know would keep all calls of a batch out."""
    if name not in time_zones():
        raise AdminError(f"there is no time zone '{name}'; use a name such as Europe/Brussels")
    if not await store.knows_zone(db, name):
        raise AdminError(f"the database knows no time zone '{name}'; use a name such as Europe/Brussels")
