"""What calls need to know: who calls, and which entity is meant; access tokens."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tabellion.features.licences import store
from tabellion.features.licences.errors import EntityForbidden, EntityUnknown
from tabellion.features.licences.model import Owner
from tabellion.kit import keys
from tabellion.kit.near import meant
from tabellion.kit.problem import invalid
from tabellion.platform.database.connection import Database
from tabellion.platform.database.versioned import VersionedCache
from tabellion.platform.http.call import Incoming
from tabellion.platform.http.caller import Caller, EntityRef

TOKEN_LIFETIME = timedelta(minutes=15)
# A token on its way when it expires is still good on arrival.
TOKEN_GRACE = timedelta(seconds=60)
_MAX_CALLERS_CACHED = 20_000
_MOST_COMPARED = 200

_callers: VersionedCache[tuple[str, int], Caller | None] = VersionedCache(_MAX_CALLERS_CACHED)


def resolve_entity(caller: Caller, name: str) -> EntityRef:
    """The entity of a path; `-` is the caller's default one. Raises `EntityUnknown`, `EntityForbidden`."""
    if name == "-" and caller.entities:
        return caller.entities[0]
    lower = name.lower()
    for entity in caller.entities:
        if entity.name.lower() == lower:
            return entity
    if lower in caller.foreign_entities:
        raise EntityForbidden(f"this API user may not use the entity '{name}'")
    raise EntityUnknown(
        f"there is no entity '{name}'{meant(name, [entity.name for entity in caller.entities[:_MOST_COMPARED]])}"
    )


def entity_of(call: Incoming) -> EntityRef:
    """The entity of a call's path. Raises as `resolve_entity` does."""
    return resolve_entity(call.caller, call.path["e"])


def owner_of(call: Incoming) -> Owner:
    """To whom that belongs which a call is about. Raises as `resolve_entity` does."""
    return Owner(call.caller.licence_id, entity_of(call).id)


def named_entity(caller: Caller, name: str, member: str) -> EntityRef:
    """The entity that a member of a body names; one that there is not is a fault of the body.

    Raises `Invalid`, `EntityForbidden`.
    """
    try:
        return resolve_entity(caller, name)
    except EntityUnknown as error:
        raise invalid(member, error.code, error.message) from None


def check_reach(caller: Caller, entity_id: int, what: str) -> None:
    """That an API user may use the entity of what is only referred to. Raises `EntityForbidden`."""
    if all(entity.id != entity_id for entity in caller.entities):
        raise EntityForbidden(f"{what} belongs to an entity that this API user may not use")


def check_reaches_all(caller: Caller, what: str) -> None:
    """That an API user may use all entities of the licence, for what stops at none. Raises `EntityForbidden`."""
    if caller.foreign_entities:
        raise EntityForbidden(f"{what} is about the whole licence: only an API user who may use all its entities may do it")


async def find_caller(db: Database, user_id: int, licence_id: int, catalogue_version: int) -> Caller | None:
    """The caller behind a user id; from the process's cache unless the licence's catalogue has changed."""

    async def load() -> Caller | None:
        row = await store.caller(db, user_id)
        return None if row is None else _caller(row, user_id, licence_id, catalogue_version)

    return await _callers.get((db.info.dbname, user_id), catalogue_version, load)


def cached_caller(database: str, user_id: int, catalogue_version: int) -> Caller | None:
    """The caller, if this process knows it in this version."""
    return _callers.peek((database, user_id), catalogue_version)


def _caller(row: tuple[Any, ...], user_id: int, licence_id: int, version: int) -> Caller:
    licence_name, zone, login, rights, entity_ids, default_id, listed, max_file_bytes = row
    everything = [EntityRef(*entity) for entity in listed]
    own = [e for e in everything if entity_ids is None or e.id in entity_ids]
    own.sort(key=lambda e: (e.id != default_id, e.name.lower()))
    foreign = frozenset(e.name.lower() for e in everything if e not in own)
    return Caller(
        licence_id=licence_id,
        licence_name=licence_name,
        time_zone=ZoneInfo(zone),
        user_id=user_id,
        login=login,
        rights=rights,
        entities=tuple(own),
        foreign_entities=foreign,
        catalogue_version=version,
        max_file_bytes=max_file_bytes,
    )


async def issue_token(db: Database, user_id: int, now: datetime) -> str:
    """A new access token for an API user, good for 15 minutes."""
    token = keys.new_token()
    await store.insert_token(db, keys.digest(token), user_id, now + TOKEN_LIFETIME)
    return token
