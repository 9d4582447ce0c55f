"""Makes licences as an operator would, and a table and a profile as an integrator would."""

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

import httpx
import psycopg

from tabellion.features import licences as use
from tabellion.kit.clock import utc_now
from tabellion.platform.database.connection import Database
from tests.support.passwords import quick_passwords
from tests.support.tenant import ANN, TABLE, Tenant

Result = TypeVar("Result")

_numbers = itertools.count(1)
# A connection remembers the tables of each licence that it has made.
_USES_OF_A_CONNECTION = 50


class Tenants:
    """A factory of licences on one database, with a connection that is kept: a new one would have to learn the catalogue anew."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url
        # A thread of its own, for some tests (of a browser) already have an event loop in theirs.
        self._thread = ThreadPoolExecutor(1)
        self._runner = asyncio.Runner()
        self._connection: Database | None = None
        self._uses = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def create(self, client: httpx.Client, *, unlimited: bool = True, table: bool = True, stays: bool = True) -> Tenant:
        """A licence with the entities `hotels` and `spas`, an API user, the tables `Guests` and `Stays`, a profile and a record."""
        name = f"licence-{os.getpid()}-{next(_numbers)}"
        credentials = self.run(self._make(name, unlimited=unlimited))
        tenant = Tenant(client, self.database_url, credentials)
        if table:
            tenant.make("/v5/entities/hotels/profile-tables", TABLE, "/Guests/profiles", ANN)
        if table and stays:
            tenant.make_stays()
        return tenant

    def user(self, licence: str, login: str, **options) -> use.Credentials:
        """Another API user of a licence."""

        async def work(db) -> use.Credentials:
            return await use.create_user(db, licence, login, utc_now(), **options)

        return self.run(work)

    def run(self, work: Callable[[Database], Awaitable[Result]]) -> Result:
        """Run an operator's use case on a connection."""

        async def connected() -> Result:
            return await work(await self._connected())

        return self._thread.submit(lambda: self._runner.run(connected())).result()

    async def _connected(self) -> Database:
        if self._connection is None or self._connection.closed or self._uses >= _USES_OF_A_CONNECTION:
            await self._disconnect()
            self._connection = await psycopg.AsyncConnection.connect(self.database_url, autocommit=True)
        self._uses += 1
        return self._connection

    async def _disconnect(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        self._connection, self._uses = None, 0

    def _close(self) -> None:
        self._runner.run(self._disconnect())
        self._runner.close()

    @staticmethod
    def _make(name: str, *, unlimited: bool):
        async def work(db) -> dict[str, str]:
            now = utc_now()
            await use.create_licence(db, name, now, preset="unlimited")
            if not unlimited:
                # The gate counts; the limits are out of the tests' way.
                await use.change_limits(db, name, {"calls_per_minute": 1_000_000, "max_concurrent": 1000}, now)
            await use.create_entity(db, name, "hotels", now)
            await use.create_entity(db, name, "spas", now)
            with quick_passwords():
                user = await use.create_user(db, name, "website", now)
            return {"licence": name, "login": user.login, "password": user.password, "apiKey": user.api_key}

        return work
