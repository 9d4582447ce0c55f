"""Calls become Litestar routes; what Litestar refuses (no such path, no such method) becomes our error document."""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, NoReturn

from litestar import Litestar, Request
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp

from tabellion.kit.problem import Malformed
from tabellion.platform.http.call import Call
from tabellion.platform.http.exchange import Exchange, Rendered
from tabellion.platform.http.front import SCOPE_KEY, send_rendered
from tabellion.platform.http.pipeline import Pipeline
from tabellion.platform.http.problems import MethodNotAllowed, RouteUnknown

AnyRequest = Request[Any, Any, Any]


class RenderedResponse:
    """A rendered answer as the ASGI application that Litestar sends."""

    __slots__ = ("_accept_encoding", "_rendered")

    def __init__(self, rendered: Rendered, accept_encoding: str = "") -> None:
        self._rendered = rendered
        self._accept_encoding = accept_encoding

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Send the answer."""
        await send_rendered(send, self._rendered, self._accept_encoding)


def route(call: Call, pipeline: Pipeline) -> HTTPRouteHandler:
    """The Litestar handler of one call."""

    async def handle(request: AnyRequest) -> ASGIApp:
        exchange: Exchange = request.scope[SCOPE_KEY]  # pyright: ignore[reportGeneralTypeIssues, reportTypedDictNotRequiredAccess] - our own key
        rendered = await pipeline.run(call, exchange, request.path_params, _body(request))
        return RenderedResponse(rendered, exchange.headers.get("accept-encoding", ""))

    path = call.path.replace("}", ":str}")
    return HTTPRouteHandler(path, http_method=call.method, name=call.id, status_code=200)(handle)


async def _body(request: AnyRequest) -> AsyncGenerator[bytes]:
    """The chunks of the body, read straight from the server so that a cap is met while reading."""
    while True:
        message: Any = await request.receive()
        if message["type"] != "http.request":
            raise Malformed("the connection ended before the whole body had arrived")
        if message["body"]:
            yield message["body"]
        if not message.get("more_body", False):
            return


def refuse(request: AnyRequest, error: HTTPException) -> NoReturn:
    """Litestar's own refusals, 404 and 405, in our words; the front answers them, as everything else that is raised."""
    exchange: Exchange = request.scope[SCOPE_KEY]  # pyright: ignore[reportGeneralTypeIssues, reportTypedDictNotRequiredAccess] - our own key
    address = exchange.family + exchange.path
    if error.status_code == 405:  # noqa: PLR2004 - method not allowed
        allow = (error.headers or {}).get("allow", "")
        message = f"{exchange.method} is not offered at {address}; allowed: {allow}"
        raise MethodNotAllowed(message, headers={"Allow": allow}) from None
    if error.status_code == 404:  # noqa: PLR2004 - not found
        raise RouteUnknown(f"there is no call at {address}") from None
    raise error


def _to_the_front(_: AnyRequest, error: Exception) -> NoReturn:
    raise error


def litestar(calls: Sequence[Call], pipeline: Pipeline, extra: Sequence[Any] = (), **options: Any) -> Litestar:
    """The Litestar application of these calls plus `extra` handlers (documentation, health)."""
    handlers: list[Any] = [route(call, pipeline) for call in calls]
    return Litestar(
        [*handlers, *extra],
        openapi_config=None,
        logging_config=None,
        exception_handlers={HTTPException: refuse, Exception: _to_the_front},
        **options,
    )
