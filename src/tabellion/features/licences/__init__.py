"""Licences, their entities and API users; credentials."""

from tabellion.features.licences.admin import (
    change_access,
    change_limits,
    create_entity,
    create_licence,
    create_user,
    delete_licence,
    get_entity,
    get_licence,
    list_entities,
    list_licences,
    list_users,
    revoke_user,
    rotate_user,
)
from tabellion.features.licences.analyst_store import views_schema
from tabellion.features.licences.analysts import end_analysts_access, give_analysts_access, views_schema_of
from tabellion.features.licences.authentication import Authentication, Connections, Credential
from tabellion.features.licences.errors import AdminError, Unauthorized, UsersLimit
from tabellion.features.licences.model import (
    MODULES,
    PRESETS,
    ApiUser,
    Credentials,
    Entity,
    Licence,
    LicenceLimits,
)
from tabellion.features.licences.service import (
    TOKEN_GRACE,
    cached_caller,
    entity_of,
    find_caller,
    named_entity,
    resolve_entity,
)
from tabellion.features.licences.store import bump_catalogue, entity_name, lock_licence, zone_and_version

__all__ = [
    "MODULES",
    "PRESETS",
    "TOKEN_GRACE",
    "AdminError",
    "ApiUser",
    "Authentication",
    "Connections",
    "Credential",
    "Credentials",
    "Entity",
    "Licence",
    "LicenceLimits",
    "Unauthorized",
    "UsersLimit",
    "bump_catalogue",
    "cached_caller",
    "change_access",
    "change_limits",
    "create_entity",
    "create_licence",
    "create_user",
    "delete_licence",
    "end_analysts_access",
    "entity_name",
    "entity_of",
    "find_caller",
    "get_entity",
    "get_licence",
    "give_analysts_access",
    "list_entities",
    "list_licences",
    "list_users",
    "lock_licence",
    "named_entity",
    "resolve_entity",
    "revoke_user",
    "rotate_user",
    "views_schema",
    "views_schema_of",
    "zone_and_version",
]
