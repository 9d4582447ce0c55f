"""`/i/{token}/{name}`: the images of campaigns, for whoever reads a mail."""

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from tabellion.features.campaigns import hosted_image
from tabellion.server.pages import AnyRequest, Connection

_A_YEAR_S = 365 * 24 * 3600
_MAX_TOKEN = 100


def handlers(connection: Connection) -> list[HTTPRouteHandler]:
    """The route. An image never changes under its address, so it may be kept for ever."""

    async def image(request: AnyRequest, token: str, name: str) -> Response[bytes]:
        """An image, whatever its name says."""
        found = None
        if len(token) <= _MAX_TOKEN and token.isprintable():
            async with connection() as db:
                found = await hosted_image(db, token)
        if found is None:
            return Response(b"", status_code=404, media_type="text/plain")
        media_type, content = found
        headers = {
            "Cache-Control": f"public, max-age={_A_YEAR_S}, immutable",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        return Response(content, media_type=media_type, headers=headers)

    return [HTTPRouteHandler("/i/{token:str}/{name:str}", http_method="GET", name="image")(image)]
