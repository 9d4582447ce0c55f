"""Runs calls on a real database, without HTTP: what the pipeline does after the gate."""

import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from tabellion.features import licences as use
from tabellion.features.licences import find_caller
from tabellion.kit.clock import utc_now
from tabellion.kit.problem import Problem
from tabellion.platform.database.pool import with_settings
from tabellion.platform.http import json_codec, shapes
from tabellion.platform.http.call import Answer, Incoming
from tabellion.platform.http.query import Query
from tabellion.server.calls import CALLS as ALL_CALLS
from tests.support.passwords import quick_passwords
from tests.support.tenant import TABLE

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
CALLS = {call.id: call for call in ALL_CALLS}
RUNNING_EXAMPLE: dict[str, Any] = {
    "name": "Guests",
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress"},
        {"type": "LASTNAME", "name": "lastName", "mandatory": True},
        {"type": "BIRTHDATE", "name": "birthDate"},
        {
            "type": "CUSTOM",
            "name": "cardNumber",
            "unique": True,
            "valueType": "STRING",
            "valueRestriction": {"maxLength": 20},
        },
        {
            "type": "CUSTOM",
            "name": "interests",
            "valueType": "STRING",
            "multiValued": True,
            "valueRestriction": {"acceptedValues": ["SPA", "GOLF"]},
        },
    ],
    "subscriptions": [{"name": "Newsletter", "displayName": "Newsletter"}, {"name": "Promo"}],
    "segmentations": [
        {"name": "Vip", "type": "SIMPLE"},
        {"name": "Loyalty", "type": "EXCLUSIVE", "categories": ["Silver", "Gold"]},
    ],
    "displayOptions": {"forAttributes": [{"name": "lastName", "displayName": "Last name", "description": "Last name"}]},
}
_numbers = itertools.count(1)


class Bench:
    """A licence with the entities `hotels` and `spas`. Rows are committed: each test has a licence of its own."""

    def __init__(self, url: str, db: Connection) -> None:
        self._url = url
        self.db = db
        self.licence_id = 0
        self.licence = ""

    async def make_licence(self, *, time_zone: str = "UTC") -> None:
        """A licence and an API user."""
        now = utc_now()
        self.licence = f"structure-{os.getpid()}-{next(_numbers)}"
        made = await use.create_licence(self.db, self.licence, now, preset="unlimited", time_zone=time_zone)
        self.licence_id = made.id
        await use.create_entity(self.db, self.licence, "hotels", now)
        await use.create_entity(self.db, self.licence, "spas", now)
        with quick_passwords():
            await use.create_user(self.db, self.licence, "website", now)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Another connection, with the settings of the server's pool."""
        async with await connect(self._url) as db:
            yield db

    async def incoming(
        self, call_id: str, body: Any = None, *, db: Connection | None = None, if_match: str = "", **path: str
    ) -> Incoming:
        """A call that the gate has admitted just now."""
        call = CALLS[call_id]
        document: Any = None
        if body is not None:
            assert call.body is not None
            # As it would arrive: numbers with a fraction are exact.
            document = shapes.reader(call.body).read(json_codec.decode(json_codec.encode(body)))[0]
        row = await self.row(
            "SELECT u.id, l.catalogue_version FROM tabellion.api_user u JOIN tabellion.licence l ON l.id = u.licence_id "
            "WHERE l.id = %s ORDER BY u.id LIMIT 1",
            self.licence_id,
        )
        caller = await find_caller(self.db, row[0], self.licence_id, row[1])
        assert caller is not None
        headers = {"if-match": if_match} if if_match else {}
        names = {"e": "hotels", "t": "Guests", **path}
        return Incoming(call, caller, names, {}, Query([]), headers, document, db or self.db, utc_now(), "TEST")

    async def call(self, call_id: str, body: Any = None, **options: Any) -> Answer:
        """Run a call."""
        incoming = await self.incoming(call_id, body, **options)
        return await incoming.call.handler(incoming)

    async def read(self, call_id: str = "structure.v5.get", **options: Any) -> Any:
        """The JSON document of a reading call."""
        answer = await self.call(call_id, **options)
        return json_codec.decode(json_codec.encode(answer.body))

    async def create(self, document: Any = TABLE, **options: Any) -> Answer:
        """Make a table."""
        return await self.call("structure.v5.create", document, **options)

    async def change(self, *operations: dict[str, Any], **options: Any) -> Answer:
        """Send a change request."""
        return await self.call("structure.v5.change", {"operations": list(operations)}, **options)

    async def profile(self, email: str, **attributes: Any) -> Answer:
        """Create a profile or update it."""
        values = {"lastName": "Vos", **attributes}
        body = {
            "key": {"emailAddress": email},
            "attributes": {name: value for name, value in values.items() if name not in {"subscriptions", "segmentations"}},
            **{name: values[name] for name in ("subscriptions", "segmentations") if name in values},
        }
        return await self.call("profiles.v5.put", body)

    async def row(self, query: str, *parameters: Any) -> tuple[Any, ...]:
        """The one row of a query."""
        cursor = await self.db.execute(query, parameters)
        row = await cursor.fetchone()
        assert row is not None
        return row

    async def physical(self) -> tuple[Any, ...]:
        """All that the catalogue and the database know of the licence's tables: for tests that nothing changed."""
        return await self.row(
            "SELECT (SELECT array_agg(t::text ORDER BY t.id) FROM tabellion.profile_table t WHERE t.licence_id = %s), "
            "(SELECT array_agg(t::text ORDER BY t.id) FROM tabellion.custom_table t WHERE t.licence_id = %s), "
            "(SELECT catalogue_version FROM tabellion.licence WHERE id = %s), "
            "(SELECT count(*) FROM tabellion.audit WHERE licence_id = %s), "
            "(SELECT array_agg((table_name, column_name, data_type)::text ORDER BY table_name, column_name) "
            " FROM information_schema.columns WHERE table_schema = %s), "
            "(SELECT array_agg(indexdef ORDER BY indexname) FROM pg_indexes WHERE schemaname = %s)",
            *[self.licence_id] * 4,
            *[f"l{self.licence_id}"] * 2,
        )


async def connect(url: str) -> Connection:
    """A connection as the server's pool makes it."""
    settings = {"TimeZone": "UTC", "lock_timeout": "5000", "statement_timeout": "30000"}
    return await psycopg.AsyncConnection.connect(with_settings(url, settings, application_name="test"), autocommit=True)


async def refused(bench: Bench, *operations: dict[str, Any], **options: Any) -> Problem:
    """A change request that must fail, and change nothing."""
    before = await bench.physical()
    with pytest.raises(Problem) as refusal:
        await bench.change(*operations, **options)
    assert await bench.physical() == before
    return refusal.value


def attribute(name: str, value_type: str = "STRING", **members: Any) -> dict[str, Any]:
    """The operation that adds an attribute."""
    return {"operation": "addAttribute", "attribute": {"name": name, "valueType": value_type, **members}}


def update(name: str, /, **changes: Any) -> dict[str, Any]:
    """The operation that changes an attribute."""
    return {"operation": "updateAttribute", "name": name, "changes": changes}
