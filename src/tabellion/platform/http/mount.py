"""Where a request goes: to the call at its address, or to the pages (documentation, health), which Litestar serves.

Calls are routed here and not by Litestar: its request and response objects, made for each call and used by nothing in the
pipeline, took an eighth of a call's time (docs/adr/0007-routing.md).
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any, NoReturn

from litestar import Litestar, Request
from litestar.exceptions import HTTPException
from litestar.plugins import PluginProtocol

from tabellion.kit.near import misspelt
from tabellion.kit.problem import Malformed
from tabellion.platform.http.call import Call
from tabellion.platform.http.exchange import Exchange, Rendered
from tabellion.platform.http.front import App, exchange_of, send_rendered
from tabellion.platform.http.paths import CATEGORIES, LEGACY_V4, LEGACY_V5, VERSIONS
from tabellion.platform.http.pipeline import Pipeline
from tabellion.platform.http.problems import MethodNotAllowed, RouteUnknown

AnyRequest = Request[Any, Any, Any]
# Addresses of v4 are in the singular, those of v5 in the plural.
_FIRST = (*CATEGORIES, LEGACY_V4[1:].partition("/")[0], LEGACY_V5[1:])
# Of the contract, but not of this server.
_NOT_OFFERED = {
    "form": "forms",
    "push-campaigns": "push campaigns",
    "scenario": "scenarios",
    "sms": "SMS campaigns",
    "transactionalsms": "SMS campaigns",
}
_OTHERWISE = {"/v4/entities": "; v4 writes /v4/entity", "/v5/entity/": "; v5 writes /v5/entities/"}

_BROKEN_OFF = "the connection ended before the whole body had arrived"
# Litestar's word for that, which it takes for a failure of the server.
_LEFT = "client disconnected prematurely"


class _Place:
    """One segment of an address: what may follow it, and the calls that end here, by method."""

    __slots__ = ("calls", "literal", "name", "placeholder")

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.literal: dict[str, _Place] = {}
        self.placeholder: _Place | None = None
        self.calls: dict[str, Call] = {}

    def follow(self, segment: str) -> "_Place":
        """The place of the next segment of a path, made where it is missing; `{e}` is a placeholder."""
        if not segment.startswith("{"):
            return self.literal.setdefault(segment, _Place())
        name = segment[1:-1]
        if self.placeholder is None:
            self.placeholder = _Place(name)
        if self.placeholder.name != name:
            raise ValueError(f"two names for one placeholder: {self.placeholder.name} and {name}")
        return self.placeholder


class Dispatcher:
    """The ASGI application behind the front: calls through the pipeline, everything else to `pages`."""

    def __init__(self, calls: Sequence[Call], pipeline: Pipeline, pages: App) -> None:
        self._pipeline = pipeline
        self._pages = pages
        self._root = _Place()
        for call in calls:
            place = self._root
            for segment in call.path.strip("/").split("/"):
                place = place.follow(segment)
            if call.method in place.calls:
                raise ValueError(f"two calls at {call.method} {call.path}")
            place.calls[call.method] = call

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI connection."""
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        exchange = exchange_of(scope)
        segments: dict[str, str] = {}
        place = self._find(exchange.path, segments)
        if place is None:
            await self._page(scope, receive, send, exchange)
            return
        method = scope["method"]
        call = place.calls.get(method)
        if call is not None:
            rendered = await self._pipeline.run(call, exchange, segments, _body(receive))
        elif method == "OPTIONS":
            rendered = Rendered(204, {"Allow": _allowed(place)}, b"")
        else:
            raise _not_allowed(exchange, _allowed(place))
        await send_rendered(send, rendered, exchange.headers.get("accept-encoding", ""))

    async def _page(self, scope: Any, receive: Any, send: Any, exchange: Exchange) -> None:
        try:
            # Litestar would answer by itself, and name the methods of one handler of the path alone; of a refusal, all.
            of_all = scope | {"method": "TRACE"} if scope["method"] == "OPTIONS" else scope
            await self._pages(of_all, receive, send)
        except MethodNotAllowed as refused:
            if scope["method"] != "OPTIONS":
                raise
            await send_rendered(send, Rendered(204, {"Allow": refused.headers["Allow"]}, b""), "")
        except RouteUnknown as refused:
            raise RouteUnknown(refused.message + self._advice(exchange)) from None

    def _advice(self, exchange: Exchange) -> str:
        """What an address at which there is nothing may have been meant for."""
        advice = next((said for begin, said in _OTHERWISE.items() if exchange.path.startswith(begin)), "")
        if advice:
            return advice
        place, begin, unknown = self._root, exchange.family, ""
        segments = exchange.path[1:].split("/")
        first = [*place.literal, *(() if begin else _FIRST)]
        if f"/{segments[0]}/ws" == LEGACY_V4:  # without the `ws`, or it would be the family
            return f"; it would begin with {LEGACY_V4}"
        if not begin and segments[0] in CATEGORIES:  # with a version behind it, it would be the family
            begin, first = f"/{segments.pop(0)}", [*VERSIONS]
        for segment in segments:
            following = place.literal.get(segment) or place.placeholder
            if following is None:
                unknown = segment
                break
            place, begin = following, f"{begin}/{segment}"
        names = sorted(first if place is self._root else place.literal)
        if unknown in _NOT_OFFERED:
            return f"; this server has no {_NOT_OFFERED[unknown]}"
        found = misspelt(unknown, names) if unknown else None
        if found is not None:
            return f"; did you mean {begin}/{found}?"
        if not begin:
            return "; /docs lists all calls"
        names += [f"{{{place.placeholder.name}}}"] if place.placeholder else []
        return f"; after {begin} comes {' or '.join(names) or 'nothing'}"

    def _find(self, path: str, segments: dict[str, str]) -> _Place | None:
        """The place of a normalised path, and the values of its placeholders, still percent-encoded."""
        place = self._root
        for segment in path[1:].split("/"):
            literal = place.literal.get(segment)
            if literal is not None:
                place = literal
            elif place.placeholder is not None:
                place = place.placeholder
                segments[place.name] = segment
            else:
                return None
        return place if place.calls else None


def _allowed(place: _Place) -> str:
    return _listed(place.calls)


def _listed(methods: Iterable[str]) -> str:
    """Where there is GET there is HEAD: the front sees to it."""
    known = {"OPTIONS", *methods}
    return ", ".join(sorted(known | {"HEAD"} if "GET" in known else known))


def _not_allowed(exchange: Exchange, allow: str) -> MethodNotAllowed:
    message = f"{exchange.method} is not offered at {exchange.family}{exchange.path}; allowed: {allow}"
    if exchange.method.upper() in allow.split(", ") and exchange.method != exchange.method.upper():
        message += "; methods are written in capitals"
    return MethodNotAllowed(message, headers={"Allow": allow})


async def _body(receive: Any) -> AsyncGenerator[bytes]:
    """The chunks of the body, read straight from the server so that a cap is met while reading."""
    while True:
        message: Any = await receive()
        if message["type"] != "http.request":
            raise Malformed(_BROKEN_OFF)
        if message["body"]:
            yield message["body"]
        if not message.get("more_body", False):
            return


class _Pages(Litestar):
    """Without the plugins that the library adds by itself: for pydantic and attrs, which it would load."""

    @staticmethod
    def _get_default_plugins(plugins: list[PluginProtocol]) -> list[PluginProtocol]:
        return plugins


def pages(handlers: Sequence[Any], **options: Any) -> Litestar:
    """The Litestar application of the pages; its refusals are raised, for the front to answer."""
    return _Pages(
        handlers,
        openapi_config=None,
        logging_config=None,
        exception_handlers={HTTPException: _refuse, Exception: _to_the_front},
        **options,
    )


def _refuse(request: AnyRequest, error: HTTPException) -> NoReturn:
    """Litestar's own refusals in our words: 404 and 405, and what it cannot read."""
    exchange = exchange_of(request.scope)
    if error.status_code == 405:  # noqa: PLR2004 - method not allowed
        raise _not_allowed(exchange, _listed((error.headers or {}).get("allow", "").split(", "))) from None
    if error.status_code == 404:  # noqa: PLR2004 - not found
        raise RouteUnknown(f"there is no call at {exchange.family}{exchange.path}") from None
    if error.detail == _LEFT:
        raise Malformed(_BROKEN_OFF) from None
    if error.status_code == 400:  # noqa: PLR2004 - bad request
        raise Malformed(f"the request cannot be read: {error.detail}") from None
    raise error


def _to_the_front(_: AnyRequest, error: Exception) -> NoReturn:
    raise error
