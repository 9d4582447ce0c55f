"""The baseline: Litestar and psycopg run the very statements of a call, with nothing around them.

No credentials, no limits, no validation, no audit, no history: what the framework and the database cost by themselves.
Served by Granian like Tabellion itself; `BARE_URL`, `BARE_TABLE` (`l1.p1`) and `BARE_COLUMNS` (a1,a2,...) come from the
environment.
"""

import os
from typing import Any

import msgspec
from litestar import Litestar, Request, Response
from litestar.handlers import HTTPRouteHandler
from psycopg_pool import AsyncConnectionPool

_TABLE = os.environ["BARE_TABLE"]
_EMAIL, _FIRST, _LAST, _BORN, _COUNTRY = os.environ["BARE_COLUMNS"].split(",")
_ALL = os.environ["BARE_SELECT"]
_GET = f"SELECT {_ALL} FROM {_TABLE} t WHERE lower(t.{_EMAIL}) = lower(%s::text)".encode()
_UPSERT = f"""
WITH found AS MATERIALIZED (SELECT t.id FROM {_TABLE} t WHERE lower(t.{_EMAIL}) = lower(%(v1)s::text)),
target AS MATERIALIZED (SELECT count(*) AS matches, min(id) AS id FROM found),
old AS MATERIALIZED (SELECT t.id, t.updated_at, t.{_EMAIL}, t.{_FIRST}, t.{_LAST}, t.{_BORN}, t.{_COUNTRY} FROM {_TABLE} t
    WHERE t.id = (SELECT id FROM target WHERE matches = 1) FOR NO KEY UPDATE),
changed AS (UPDATE {_TABLE} t SET updated_at = greatest(now(), old.updated_at + interval '1 microsecond'),
    {_EMAIL} = %(v1)s::text, {_FIRST} = %(v2)s::text, {_LAST} = %(v3)s::text, {_BORN} = %(v4)s::date,
    {_COUNTRY} = %(v5)s::text
    FROM old WHERE t.id = old.id AND (old.{_EMAIL} IS DISTINCT FROM %(v1)s::text OR old.{_FIRST} IS DISTINCT FROM
    %(v2)s::text OR old.{_LAST} IS DISTINCT FROM %(v3)s::text OR old.{_BORN} IS DISTINCT FROM %(v4)s::date OR
    old.{_COUNTRY} IS DISTINCT FROM %(v5)s::text) RETURNING t.id),
created AS (INSERT INTO {_TABLE} (created_at, updated_at, {_EMAIL}, {_FIRST}, {_LAST}, {_BORN}, {_COUNTRY})
    SELECT now(), now(), %(v1)s::text, %(v2)s::text, %(v3)s::text, %(v4)s::date, %(v5)s::text FROM target
    WHERE matches = 0 RETURNING id)
SELECT target.matches, target.id, (SELECT updated_at FROM old), (SELECT id FROM changed), (SELECT id FROM created)
FROM target""".encode()

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
