"""The refusals that belong to the protocol itself, not to a feature."""

from tabellion.kit.problem import Problem


class RouteUnknown(Problem):
    """No call has this path. Check the address against the API documentation at `/docs`."""

    status = 404
    code = "route.unknown"


class MethodNotAllowed(Problem):
    """The path exists, the method does not; the header `Allow` lists those that do."""

    status = 405
    code = "method.notAllowed"


class RightMissing(Problem):
    """The API user lacks the right of this module. The licence's operator grants it (`tabellion user rights`)."""

    status = 403
    code = "right.missing"


class BodyTooLarge(Problem):
    """The body is over the size limit. Send less in one call, or use a bulk call."""

    status = 413
    code = "body.tooLarge"


class AddressTooLong(Problem):
    """The first line of the request is too long. Long searches and filters may be split, or made smaller."""

    status = 414
    code = "address.tooLong"


class HeadersTooLarge(Problem):
    """The request has too many headers, or too long ones."""

    status = 431
    code = "headers.tooLarge"


class RequestTooSlow(Problem):
    """The first line and the headers, or more of the body, did not come in time. Send the request again, at one go."""

    status = 408
    code = "request.timeout"


class EtagMismatch(Problem):
    """`If-Match` names another state than the present one, or `If-None-Match: *` meets what exists. Read it again."""

    status = 412
    code = "etag.mismatch"


class IdempotencyRunning(Problem):
    """The first call with this Idempotency-Key has not ended yet. Repeat a little later."""

    status = 409
    code = "idempotency.running"


class IdempotencyMismatch(Problem):
    """This Idempotency-Key was used with another query or body. Use a new key for a new call."""

    status = 422
    code = "idempotency.mismatch"


class IdempotencyForbidden(Problem):
    """The answer kept for this Idempotency-Key is not given again: the user has lost an entity since the call was done."""

    status = 403
    code = "idempotency.forbidden"


class Internal(Problem):
    """Our fault. The request id leads the operator to the log entry."""

    status = 500
    code = "internal"
