"""A licence with an entity, a table and a profile, as a fresh integrator would have it, and its calls over HTTP."""

import hashlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psycopg

TABLE: dict[str, Any] = {
    "name": "Guests",
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress"},
        {"type": "LASTNAME", "name": "lastName", "mandatory": True},
        {
            "type": "CUSTOM",
            "name": "cardNumber",
            "valueType": "STRING",
            "unique": True,
            "valueRestriction": {"maxLength": 20},
        },
        {"type": "BIRTHDATE", "name": "birthDate"},
        {
            "type": "CUSTOM",
            "name": "interests",
            "valueType": "STRING",
            "multiValued": True,
            "valueRestriction": {"acceptedValues": ["SPA", "GOLF"]},
        },
        {"type": "CUSTOM", "name": "points", "valueType": "INTEGER"},
        {"type": "CUSTOM", "name": "spent", "valueType": "NUMBER"},
        {"type": "CUSTOM", "name": "member", "valueType": "BOOLEAN"},
        {"type": "CUSTOM", "name": "lastSeen", "valueType": "TIMESTAMP"},
        {"type": "GSM_NUMBER", "name": "gsmNumber"},
    ],
    "subscriptions": [{"name": "Newsletter"}, {"name": "Weekly offers"}],
    "segmentations": [
        {"name": "Vip", "type": "SIMPLE"},
        {"name": "Loyalty", "type": "EXCLUSIVE", "categories": ["Silver", "Gold"]},
    ],
}
STAYS: dict[str, Any] = {
    "name": "Stays",
    "type": "INTERACTIONS",
    "primaryKeyAttribute": "stayRef",
    "attributes": [
        {"name": "stayRef", "valueType": "STRING"},
        {"name": "cardNumber", "valueType": "STRING"},
        {"name": "bookedAt", "valueType": "TIMESTAMP"},
        {"name": "price", "valueType": "NUMBER"},
        {"name": "state", "valueType": "STRING", "valueRestriction": {"acceptedValues": ["OPEN", "PAID"]}},
        {"name": "breakfast", "valueType": "BOOLEAN"},
    ],
}
STAY = {"key": {"stayRef": "ST-00001"}, "attributes": {"state": "OPEN", "price": 249.5, "breakfast": False}}
ANN = {"key": {"emailAddress": "ann@example.com"}, "attributes": {"lastName": "Vos", "birthDate": "1984-05-12"}}

SUBJECT = "Spring is here, {{ profile.lastName }}"
HTML = (
    "<html><body><p>Dear {{ profile.lastName }},</p>"
    '<p><a href="https://www.example.com/spring?a=1&amp;b=2">Look</a> or <a href="{{ unsubscribeUrl }}">unsubscribe</a></p>'
    "</body></html>"
)

_PLACES = {
    "e": "hotels",
    "p": "emailAddress=ann@example.com",
    "r": "ST-00001",
    "s": "Newsletter",
    "w": "1",
    "i": "1000001",
    "id": "1",
    "day": "2027-03-01",
    "c": "SpringOffer",
    "language": "default",
    "a": "ann@example.com",
    "audience": "Regulars",
}


def places(path: str) -> dict[str, str]:
    """Good values of the placeholders of a call's path, in a tenant as it was made."""
    custom = "/customTable/" in path or "/custom-tables/" in path
    found = _PLACES | {"t": "Stays" if custom else "Guests"}
    return {name: value for name, value in found.items() if "{" + name + "}" in path}


class Tenant:
    """`state()` is a digest of everything that calls may change, for tests that nothing changed."""

    def __init__(self, client: httpx.Client, database_url: str, credentials: dict[str, str]) -> None:
        self.client, self.credentials = client, credentials
        self.licence = credentials["licence"]
        self.login = credentials["login"]
        self.password = credentials["password"]
        self.api_key = credentials["apiKey"]
        self.basic = httpx.BasicAuth(f"{self.licence}/{self.login}", self.password)
        self._database_url = database_url

    def call(
        self, method: str, path: str, *, content: str | bytes = b"", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """One call with the API key; the address is sent as it stands."""
        url = httpx.URL(str(self.client.base_url).rstrip("/"), raw_path=path.encode())
        sent = {"Authorization": f"Bearer {self.api_key}"} | (headers or {})
        return self.client.request(method, url, content=content or None, headers=sent)

    def json(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """One call with a JSON body."""
        content = b"" if body is None else httpx.Request("POST", "http://x", json=body).read()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.call(method, path, content=content, headers={"Content-Type": "application/json"} | named)

    def make(self, collection: str, structure: dict[str, Any], rows: str, row: dict[str, Any]) -> None:
        """A table, and a row in it."""
        for method, path, body in (("POST", collection, structure), ("PUT", collection + rows, row)):
            made = self.json(method, path, body)
            assert made.status_code == 201, made.text

    def make_stays(self) -> None:
        """The custom table `Stays`, with a record."""
        self.make("/v5/entities/hotels/custom-tables", STAYS, "/Stays/records", STAY)

    def campaign(self, name: str = "SpringOffer", mode: str = "MASS", **settings: Any) -> int:
        """A campaign in definition, complete: it can be launched."""
        body = {"name": name, "targetTable": "Guests", "supportedLanguages": ["EN"], "sendingMode": mode, **settings}
        made = self.json("POST", "/v4/entity/hotels/mail", body)
        assert made.status_code == 201, made.text
        number: int = made.json()["campaignId"]
        one = f"/v4/entity/hotels/mail/{number}"
        parts = [("content/subject", "text/plain", SUBJECT), ("content/body", "text/html", HTML)]
        for path, kind, content in [*parts, ("target", "application/json", "{}")]:
            answer = self.call("PUT", f"{one}/{path}", content=content, headers={"Content-Type": kind})
            assert answer.status_code == 200, answer.text
        return number

    def state(self, *, but: Collection[str] = ()) -> str:
        """A digest of the licence's rows and of its definitions, `but` for some tables of the catalogue."""
        with _looking(self._database_url) as db:
            found = db.execute("SELECT id FROM tabellion.licence WHERE name = %s", (self.licence,)).fetchone()
            assert found is not None
            digest = hashlib.sha256()
            # By the schema's number, for which there is an index: the views for people read the tables of all licences.
            tables = db.execute(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v') AND relnamespace = %s::regnamespace ORDER BY 1",
                (f"l{found[0]}",),
            ).fetchall()
            for (table,) in tables:
                for row in db.execute(f"SELECT t::text FROM l{found[0]}.{table} t ORDER BY 1"):
                    digest.update(row[0].encode())
            catalogues = {
                "profile_table",
                "custom_table",
                "entity",
                "idempotency",
                "audit",
                "webhook_subscription",
                "custom_action",
                "campaign",
                "audience",
                "delivery_limits",
                "import_job",
                "etl",
                "etl_execution",
                "export",
                "export_execution",
                "erasure",
            }
            for catalogue in sorted(catalogues.difference(but)):
                query = f"SELECT t::text FROM tabellion.{catalogue} t WHERE licence_id = %s ORDER BY 1"
                for row in db.execute(query, found):
                    digest.update(row[0].encode())
            return digest.hexdigest()


_kept: dict[str, psycopg.Connection[Any]] = {}


@contextmanager
def _looking(database_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection for one look, kept for the next one: it knows the catalogue by then."""
    kept = _kept.pop(database_url, None)
    db = kept if kept and not kept.broken else psycopg.connect(database_url, autocommit=True)
    yield db
    _kept[database_url] = db


def schema_of(tenant: Tenant, database: psycopg.Connection[Any]) -> str:
    """The schema that the licence's tables are in."""
    found = database.execute("SELECT id FROM tabellion.licence WHERE name = %s", (tenant.licence,)).fetchone()
    assert found is not None
    return f"l{found[0]}"
