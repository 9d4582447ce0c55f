"""`/health`, `/ready` and `/metrics`: what load balancers and monitoring ask. No credentials, no counting."""

from collections.abc import Awaitable, Callable

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from tabellion.server.pages import AnyRequest

# Litestar adds the charset to whatever is text.
METRICS_TYPE = "text/plain; version=0.0.4"


def handlers(
    *, ready: Callable[[], Awaitable[str | None]], metrics: Callable[[], Awaitable[bytes]]
) -> list[HTTPRouteHandler]:
    """The three routes. `ready` gives None, or what is missing."""

    async def health(request: AnyRequest) -> Response[dict[str, str]]:
        """200 as long as the process answers."""
        return Response({"status": "up"})

    async def readiness(request: AnyRequest) -> Response[dict[str, str]]:
        """200 when calls can be served, else 503 with the reason."""
        missing = await ready()
        if missing is None:
            return Response({"status": "ready"})
        return Response({"status": "unavailable", "reason": missing}, status_code=503, headers={"Retry-After": "2"})

    async def exposition(request: AnyRequest) -> Response[bytes]:
        """The metrics of all the processes of this server, and of what waits in the database, for Prometheus."""
        return Response(await metrics(), media_type=METRICS_TYPE)

    routes = [("/health", health), ("/ready", readiness), ("/metrics", exposition)]
    return [HTTPRouteHandler(path, http_method="GET", name=path)(handler) for path, handler in routes]
