"""The baseline: Litestar and psycopg run the very statements of a call, with nothing around them.

No credentials, no limits, no validation, no audit, no history: what the framework and the database cost by themselves.
Served by uvicorn, with the parser and the event loop that Tabellion has, too; `BARE_URL` and `BARE_TABLE` (`l1.p1`) come from the environment.
"""

import os
from typing import Any

import msgspec
import statements
from litestar import Litestar, Request, Response
from litestar.handlers import HTTPRouteHandler
from psycopg_pool import AsyncConnectionPool

_TABLE = os.environ["BARE_TABLE"]
_GET = statements.get(_TABLE, "%s").encode()
_UPSERT = statements.upsert(_TABLE, [f"%(v{n})s" for n in range(1, 6)]).encode()

_pool: AsyncConnectionPool[Any]


async def _start(_: Litestar) -> None:
    global _pool  # noqa: PLW0603 - one pool per process
    _pool = AsyncConnectionPool(os.environ["BARE_URL"], min_size=4, max_size=16, open=False, kwargs={"autocommit": True})
    await _pool.open(wait=True)


async def _get(request: Request[Any, Any, Any]) -> Response[bytes]:
    async with _pool.connection() as connection, connection.cursor(binary=True) as cursor:
        await cursor.execute(_GET, (request.path_params["email"],), prepare=True)
        row = await cursor.fetchone()
    if row is None:
        return Response(b"{}", status_code=404, media_type="application/json")
    return Response(msgspec.json.encode(row), media_type="application/json")


async def _put(request: Request[Any, Any, Any]) -> Response[bytes]:
    body = msgspec.json.decode(await request.body())
    values = {f"v{i + 1}": attribute["value"] for i, attribute in enumerate(body["attributes"])}
    async with _pool.connection() as connection, connection.cursor(binary=True) as cursor:
        await cursor.execute(_UPSERT, values, prepare=True)
        row = await cursor.fetchone()
    return Response(msgspec.json.encode({"profileId": row[1] or row[4]}), media_type="application/json")


app = Litestar(
    [
        HTTPRouteHandler("/profile/{email:str}", http_method="GET")(_get),
        HTTPRouteHandler("/profile", http_method="POST")(_put),
    ],
    on_startup=[_start],
    openapi_config=None,
    logging_config=None,
)
