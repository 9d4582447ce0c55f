"""One server per xdist worker, a fresh licence per test."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser

from tabellion.platform import secrets
from tabellion.platform.mail import new_key, public_record
from tests.support.api import Api, running_api
from tests.support.browser import chromium
from tests.support.etls import Etls
from tests.support.exports import Exports
from tests.support.imports import Imports
from tests.support.mailing import Sink, sending, smtp_sink
from tests.support.names import NameServer, name_server
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants
from tests.support.twins import Twins

# Servers of files run on this machine.
TRANSFERS = {
    "TABELLION_TRANSFERS_ALLOW_PRIVATE": "true",
    "TABELLION_TRANSFERS_ALLOW_HTTP": "true",
    "TABELLION_SECRET_KEY": "of the tests",
}


class Signed(NamedTuple):
    """The domain of a sender, and the records that receivers want of it."""

    domain: str
    records: dict[tuple[str, str], list[str]]


@pytest.fixture(scope="session")
def names() -> Iterator[NameServer]:
    """The name server that the API asks about senders and links; it knows what tests tell it."""
    with name_server() as server:
        yield server


@pytest.fixture(scope="session")
def api(worker_database_url: str, tmp_path_factory: pytest.TempPathFactory, names: NameServer) -> Iterator[Api]:
    """API processes on the worker's database."""
    folder: Path = tmp_path_factory.mktemp("api")
    settings = TRANSFERS | {
        "TABELLION_TRANSFERS_FOLDER": str(folder),
        "TABELLION_DNS_SERVERS": f"127.0.0.1:{names.port}",
    }
    with running_api(worker_database_url, folder, settings=settings) as api:
        yield api


@pytest.fixture(scope="session")
def client(api: Api) -> Iterator[httpx.Client]:
    """Kept-alive connections to the server."""
    with api.client() as client:
        yield client


@pytest.fixture(scope="session")
def tenants(worker_database_url: str) -> Iterator[Tenants]:
    """Makes licences."""
    with Tenants(worker_database_url) as tenants:
        yield tenants


@pytest.fixture
def tenant(tenants: Tenants, client: httpx.Client) -> Tenant:
    """A licence with limits that are out of the way, and the table `Guests`; those that need `Stays` too ask for `stays`."""
    return tenants.create(client, unlimited=False, stays=False)


@pytest.fixture
def stays(tenant: Tenant) -> None:
    """The licence's custom table."""
    tenant.make_stays()


@pytest.fixture
def other_tenant(tenants: Tenants, client: httpx.Client) -> Tenant:
    """Another licence, with the same names in it."""
    return tenants.create(client, unlimited=False)


@pytest.fixture
def spool(api: Api) -> Path:
    """Where the files of bulk calls are."""
    return api.spool


@pytest.fixture
def etls(tenant: Tenant, worker_database_url: str, spool: Path) -> Etls:
    """ETLs of a fresh licence."""
    return Etls(tenant, worker_database_url, spool)


@pytest.fixture
def exports(tenant: Tenant, worker_database_url: str, spool: Path) -> Exports:
    """Exports of a fresh licence."""
    return Exports(tenant, worker_database_url, spool)


@pytest.fixture
def database(worker_database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The server's database, for what no call shows or does."""
    with psycopg.connect(worker_database_url, autocommit=True) as db:
        yield db


@pytest.fixture(scope="module")
def worker(worker_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A sender beside the API. Modules whose mails are to leave say so: `pytestmark = pytest.mark.usefixtures("worker")`."""
    secrets.use_key(TRANSFERS["TABELLION_SECRET_KEY"], tmp_path_factory.mktemp("key"))
    with sending(worker_database_url):
        yield


@pytest.fixture
def sink(tenant: Tenant, database: psycopg.Connection[Any]) -> Iterator[Sink]:
    """The licence's relay."""
    with smtp_sink() as sink:
        database.execute(
            "INSERT INTO tabellion.relay (licence_id, host, port, security) SELECT id, '127.0.0.1', %s, 'NONE' "
            "FROM tabellion.licence WHERE name = %s",
            (sink.port, tenant.licence),
        )
        yield sink


@pytest.fixture
def signed(tenant: Tenant, worker_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Signed:
    """A sender with a key and a relay."""
    secrets.use_key(TRANSFERS["TABELLION_SECRET_KEY"], tmp_path_factory.mktemp("key"))
    domain = f"{tenant.licence.lower()}.example"
    pem = new_key("ed25519")[0]
    with psycopg.connect(worker_database_url, autocommit=True) as db:
        row = db.execute(
            "SELECT e.id, l.id FROM tabellion.entity e JOIN tabellion.licence l ON l.id = e.licence_id "
            "WHERE l.name = %s AND e.name = 'hotels'",
            (tenant.licence,),
        ).fetchone()
        assert row is not None
        db.execute(
            "INSERT INTO tabellion.sender (entity_id, name, address, dkim_domain, dkim_selector, dkim_key) "
            "VALUES (%s, 'Harbour', %s, %s, 's1', %s)",
            (row[0], f"news@{domain}", domain, secrets.seal(pem, f"dkim {row[0]:d}")),
        )
        db.execute(
            "INSERT INTO tabellion.relay (licence_id, host, port, security) VALUES (%s, '127.0.0.1', 9, 'NONE')", (row[1],)
        )
    return Signed(
        domain,
        {
            (domain, "TXT"): ["v=spf1 ip4:192.0.2.1 -all"],
            (f"s1._domainkey.{domain}", "TXT"): [public_record(pem)],
            (f"_dmarc.{domain}", "TXT"): ["v=DMARC1; p=reject"],
        },
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the pages that people see."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def limited_user_key(tenants: Tenants, tenant: Tenant) -> str:
    """The API key of a user that may use the entity `hotels` only."""
    return tenants.user(tenant.licence, "limited", entities=["hotels"]).api_key


@pytest.fixture(scope="module")
def twins(tenants: Tenants, client: httpx.Client, worker_database_url: str) -> Iterator[Twins]:
    """Two tables of one structure with two profiles each, for properties: whoever uses them resets them."""
    with psycopg.connect(worker_database_url, autocommit=True) as database:
        yield Twins(tenants.create(client, table=False), database)


@pytest.fixture
def pair(twins: Twins) -> Twins:
    """The same as they were at first."""
    twins.reset()
    return twins


@pytest.fixture
def imports(tenant: Tenant, worker_database_url: str, api: Api) -> Imports:
    """Imports of a fresh licence."""
    return Imports(tenant, worker_database_url, api.spool)
