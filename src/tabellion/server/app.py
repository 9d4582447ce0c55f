"""The composition root of an API process: opens the resources, mounts the calls, closes everything at the end."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from tabellion.features import bounces, campaigns, delivery, webhooks
from tabellion.features.bulk import etls, exports
from tabellion.features.customdata import custom_tables
from tabellion.features.licences import TOKEN_GRACE, Authentication, Credential, Unauthorized
from tabellion.features.licences.endpoints import TOKEN_CALL
from tabellion.features.tables import profile_tables
from tabellion.features.usage import Admission, Batcher, Gate
from tabellion.kit.clock import utc_now
from tabellion.kit.disk import is_full
from tabellion.kit.ids import request_id
from tabellion.kit.problem import Problem
from tabellion.platform import files, outbox
from tabellion.platform.database.connection import Database
from tabellion.platform.database.errors import Unavailable, constraint_name, unavailable
from tabellion.platform.database.pool import Pool, open_pool
from tabellion.platform.dns import Names
from tabellion.platform.egress import Client, Policy
from tabellion.platform.http.call import Call
from tabellion.platform.http.docs.site import Site
from tabellion.platform.http.exchange import Exchange
from tabellion.platform.http.front import App, Front
from tabellion.platform.http.mount import Dispatcher, pages
from tabellion.platform.http.pipeline import Pipeline
from tabellion.platform.http.problems import Internal
from tabellion.platform.http.query import Query
from tabellion.platform.telemetry import Seldom, flush, render_metrics, report
from tabellion.platform.templates import Cages
from tabellion.server.callers import client_address
from tabellion.server.calls import CALLS
from tabellion.server.pages import images, mails, operations
from tabellion.server.pages.outbox import Outbox
from tabellion.server.targets import allow_targets
from tabellion.settings import Settings

_log = logging.getLogger(__name__)
# How long the checklist waits for a page.
_LINK_WITHIN_S = 6.0
# Monitoring asks again, and is better told that the database hangs than left without an answer.
_ANSWERS_WITHIN_S = 2.0
# Foreign keys of the catalogue to whom a call comes from: they are there when it is let in, and may be deleted meanwhile.
_OF_THE_CALLER = ("_licence_id_fkey", "_entity_id_fkey", "_user_id_fkey")
_full = Seldom()
_GONE = "the licence or API user of this call was deleted while it ran"


class Resources:
    """What an API process holds open: the pool, and the gate's connection."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pool: Pool | None = None
        self._authentication = Authentication(self, utc_now)
        self._batcher = Batcher(settings.database_url, TOKEN_GRACE, self._break_off)
        database = str(conninfo_to_dict(settings.database_url).get("dbname", ""))
        self._gate = Gate(self._batcher, self._authentication, self, database)

    async def open(self) -> None:
        """Connect. Raises when the database cannot be reached: the process ends and the supervisor starts it again."""
        size = self._settings.connections
        self._pool = await open_pool(
            self._settings.database_url, min_size=size, max_size=size, application_name="tabellion api"
        )
        await self._batcher.start()

    async def close(self) -> None:
        """Hand in the slots, close the connections."""
        await self._batcher.stop()
        if self._pool is not None:
            await self._pool.close()

    def _break_off(self) -> None:
        if self._pool is not None:
            self._pool.break_off()

    def connection(self, licence_id: int | None = None) -> AbstractAsyncContextManager[Database]:
        """A connection of the pool, for work on one licence's tables if it is named."""
        if self._pool is None:
            raise RuntimeError("the pool is not open")
        return self._pool.connection() if licence_id is None else self._of(self._pool, licence_id)

    @staticmethod
    @asynccontextmanager
    async def _of(pool: Pool, licence_id: int) -> AsyncGenerator[Database]:
        """A connection for work on a licence's tables. Raises `Unauthorized` when these were deleted with it meanwhile."""
        async with pool.of(licence_id) as db:
            try:
                yield db
            except (errors.UndefinedTable, errors.InvalidSchemaName) as error:
                if await delivery.licence_exists(db, licence_id):
                    raise
                raise Unauthorized(_GONE) from error

    async def admit(self, exchange: Exchange, call: Call) -> Admission:
        """Authenticate a call and put it to the gate."""
        credential = await self._credential(exchange, call)
        return await self._gate.admit(credential, exchange.address, counted=call.counted)

    async def _credential(self, exchange: Exchange, call: Call) -> Credential:
        authorization = exchange.headers.get("authorization")
        if call.version == "v1":
            query = Query.parse(exchange.query)
            licence, login, password = (query.first(name) for name in ("licence", "login", "pwd"))
            if not licence or not login or password is None:
                raise Unauthorized("the query parameters licence, login and pwd are needed", "auth.missing")
            return await self._authentication.password(licence, login, password, exchange.address)
        if call.id == TOKEN_CALL:
            return await self._authentication.key(authorization, exchange.address)
        return await self._authentication.read(authorization, exchange.address)

    @asynccontextmanager
    async def _at_once(self) -> AsyncGenerator[Database]:
        """A connection that is broken off when the database does not answer.

        Told to wait no longer (`asyncio.timeout`), the driver asks the database to cancel the statement, and waits for that.
        """
        if self._pool is None:
            raise RuntimeError("the pool is not open")
        db = await self._pool.getconn(timeout=_ANSWERS_WITHIN_S)
        hangs = asyncio.get_running_loop().call_later(_ANSWERS_WITHIN_S, db.break_off)
        try:
            yield db
        finally:
            hangs.cancel()
            await self._pool.putconn(db)

    async def ready(self) -> str | None:
        """None when calls can be served, else what is missing."""
        if not self._batcher.connected:
            return "the gate is not connected to the database"
        try:
            async with self._at_once() as db:
                await db.execute("SELECT 1")
        except Exception as error:  # noqa: BLE001 - whatever it is, we are not ready
            return f"the database does not answer ({type(error).__name__})"
        return None

    async def metrics(self) -> bytes:
        """What the processes have counted, and how webhooks stand; without that when the database does not answer."""
        own = render_metrics()
        try:
            async with self._at_once() as db:
                return own + await webhooks.exposition(db, utc_now())
        except Exception as error:  # noqa: BLE001 - monitoring is to hear of the rest above all then
            _log.warning("metrics of webhooks are missing: the database does not answer (%s)", type(error).__name__)
            return own


def translate(error: BaseException) -> Problem:
    """What a caller sees of an exception: a refusal, a lost database (503), or our own fault (500)."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, OSError) and is_full(error):
        _tell_full("the disk of the spool", "in the data directory")
        return Unavailable("the disk of the server is full; its operator has to make room")
    if isinstance(error, errors.ForeignKeyViolation) and constraint_name(error).endswith(_OF_THE_CALLER):
        return Unauthorized(_GONE)
    if isinstance(error, errors.DiskFull):
        _tell_full("the disk of the database", "where the database is")
    return unavailable(error) or Internal("an error of the server; tell the operator the request id")


def _tell_full(what: str, where: str) -> None:
    if _full.is_due():
        _log.error("%s is full, and calls are answered with 503: make room %s", what, where)


def create_app(settings: Settings) -> App:
    """The ASGI application of one API process."""
    allow_targets(settings)
    files.use_spool(settings.spool_dir)
    for feature in (etls, exports):
        outbox.subjects.register(feature.SUBJECT, feature.find_subject)
    outbox.subjects.register(delivery.SUBJECT, campaigns.find_subject)
    profile_tables.use_guard(campaigns.check_change)
    custom_tables.use_guard(campaigns.check_custom_change)
    campaigns.use_public_url(settings.outside_address)
    bounces.use_rules(bounces.Rules.of(settings.soft_bounces, settings.soft_bounce_days))
    resources, cages = Resources(settings), Cages(1)
    names = Names(settings.dns_servers)
    # Links of mails may begin with http://; whether they may lead into the server's own network is said for webhooks.
    links = Policy(allow_http=True, allow_private=settings.webhooks_allow_private)
    client = Client(links, resolver=names.addresses if settings.dns_servers else None, answer_within_s=_LINK_WITHIN_S)
    trusted = frozenset(settings.trusted_proxies)
    pipeline = Pipeline(resources, resources, clock=utc_now, max_body_bytes=settings.max_body_bytes, translate=translate)
    handlers = [
        *Site(CALLS).handlers(),
        *operations.handlers(ready=resources.ready, metrics=resources.metrics),
        *images.handlers(resources.connection),
        *mails.handlers(resources.connection, cages, utc_now),
        *Outbox(resources.connection, resources.admit, translate).handlers(),
    ]

    async def start(_: object) -> None:
        await resources.open()
        campaigns.use_cages(cages)
        campaigns.use_network(campaigns.Network(client, names, settings.bounce_domain))

    async def stop(_: object) -> None:
        campaigns.use_cages(None)
        campaigns.use_network(None)
        await client.__aexit__()
        await cages.__aexit__(None, None, None)
        await resources.close()
        flush()

    return Front(
        Dispatcher(CALLS, pipeline, pages(handlers, on_startup=[start], on_shutdown=[stop])),
        new_id=lambda: request_id(utc_now()),
        address=lambda scope, headers: client_address(scope, headers, trusted),
        translate=translate,
        report=report,
    )
