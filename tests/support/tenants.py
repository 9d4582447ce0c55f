"""Makes licences as an operator would, and a table and a profile as an integrator would."""

import asyncio
import itertools
import os
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg

from tabellion.features import licences as use
from tabellion.kit.clock import utc_now
from tests.support.tenant import ANN, STAY, STAYS, TABLE, Tenant

_numbers = itertools.count(1)


class Tenants:
    """A factory of licences on one database."""

    def __init__(self, database_url: str) -> None:
        self.database_url = database_url

    def create(self, client: httpx.Client, *, unlimited: bool = True, table: bool = True) -> Tenant:
        """A licence with the entities `hotels` and `spas`, an API user, the tables `Guests` and `Stays`, a profile and a record."""
        name = f"licence-{os.getpid()}-{next(_numbers)}"
        credentials = self.run(self._make(name, unlimited=unlimited))
        tenant = Tenant(client, self.database_url, credentials)
        if table:
            made = tenant.json("POST", "/v5/entities/hotels/profile-tables", TABLE)
            assert made.status_code == 201, made.text
            made = tenant.json("PUT", "/v5/entities/hotels/profile-tables/Guests/profiles", ANN)
            assert made.status_code == 201, made.text
            made = tenant.json("POST", "/v5/entities/hotels/custom-tables", STAYS)
            assert made.status_code == 201, made.text
            made = tenant.json("PUT", "/v5/entities/hotels/custom-tables/Stays/records", STAY)
            assert made.status_code == 201, made.text
        return tenant

    def user(self, licence: str, login: str, **options) -> use.Credentials:
        """Another API user of a licence."""

        async def work(db) -> use.Credentials:
            return await use.create_user(db, licence, login, utc_now(), **options)

        return self.run(work)

    def run(self, work):
        """Run an operator's use case on a connection."""

        async def connected():
            async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as db:
                return await work(db)

        # In a thread of its own, for some tests (of a browser) already have an event loop in this one.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, connected()).result()

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
            user = await use.create_user(db, name, "website", now)
            return {"licence": name, "login": user.login, "password": user.password, "apiKey": user.api_key}

        return work
