"""Refusals about licences, entities, API users and credentials."""

from tabellion.kit.problem import Problem

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="actito", Basic realm="actito"'}


class Unauthorized(Problem):
    """The caller is not known: no credentials, or wrong, expired or revoked ones. `code` tells which."""

    status = 401

    def __init__(self, message: str, code: str = "auth.invalid") -> None:
        super().__init__(message, headers=CHALLENGE)
        self.code = code


class AuthThrottled(Problem):
    """Too many failed attempts for this API user or from this address. Wait as long as Retry-After says."""

    status = 429
    code = "auth.throttled"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("too many failed attempts; wait before you try again", headers={"Retry-After": str(retry_after_s)})


class EntityUnknown(Problem):
    """The licence has no such entity."""

    status = 404
    code = "entity.unknown"


class EntityForbidden(Problem):
    """The licence has this entity, but the API user may not use it."""

    status = 403
    code = "entity.forbidden"


class UsersLimit(Problem):
    """The licence has all the API users that it may have. Revoke one, or raise the licence's limit."""

    status = 409
    code = "limit.users"


class AdminError(Exception):
    """What was asked for on the command line cannot be done; the message says why."""
