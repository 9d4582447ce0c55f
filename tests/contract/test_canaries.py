"""Secrets and addresses go with every call: log and metrics have none of them, refusals and dumps no secret."""

import base64
import binascii
import hashlib
import json
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import httpx
import psycopg

from tabellion.server.calls import CALLS
from tests.support import plain
from tests.support.api import Api
from tests.support.tenant import Tenant, places, schema_of
from tests.support.tenants import Tenants
from tests.support.waiting import until

ADDRESS, NAME = "kanarienvogel@canary.example", "Kanarienvogel"
# Of a form that somebody who looks for it finds in whatever surrounds it.
SECRET = "Zwitscher-7f3a91c2"
PASSWORD = "Trillern-5be2"
TARGETS_OWN = "Flattern-c40d"
HOOK = {"eventType": "UPDATE", "targetUrl": "https://8.8.8.8/", "headers": {"X-Authorization": TARGETS_OWN}}
SFTP = {"name": "erp", "protocol": "SFTP", "host": "files.example.com", "user": "erp", "password": PASSWORD}


def bodies(call: Any) -> list[tuple[str, bytes]]:
    """Good, wrong in its members, and not to be read at all."""
    wrong = {"password": SECRET, "privateKey": SECRET, "emailAddress": {"pwd": SECRET}, "attributes": {NAME: SECRET}}
    example = call.body_example if isinstance(call.body_example, dict) else {}
    return [
        ("application/json", json.dumps(example | {"name": NAME}).encode()),
        ("application/json", json.dumps(example | wrong).encode()),
        ("application/xml", f"<profile><password>{SECRET}</password><{ADDRESS}".encode()),
    ]


def send_everything(tenant: Tenant) -> list[httpx.Response]:
    """Every call with canaries wherever there is room for one."""
    wrong = base64.b64encode(f"{tenant.licence}/{tenant.login}:{SECRET}".encode()).decode()
    bearer = f"Bearer {tenant.api_key}"
    answers: list[httpx.Response] = []
    for call in CALLS:
        named = places(call.path)
        for name in named.keys() & {"p", "r", "a"}:
            named[name] = quote(ADDRESS) if name == "a" else f"emailAddress={ADDRESS}"
        path = call.path.format(**named)
        query = (
            f"?licence={tenant.licence}&login={tenant.login}&pwd={SECRET}&password={SECRET}&emailAddress={ADDRESS}&x={NAME}"
        )
        carried = {"User-Agent": NAME, "Referer": f"https://{ADDRESS}/", "Cookie": f"key={SECRET}", "X-Api-Key": SECRET}
        for number, (kind, body) in enumerate(
            bodies(call) if call.method in {"POST", "PUT", "PATCH"} else [("text/plain", b"")]
        ):
            headers = carried | {"Authorization": bearer, "Content-Type": kind, "Idempotency-Key": f'"{NAME}-{number}"'}
            answers.append(tenant.call(call.method, path + query, content=body, headers=headers))
    # Few, for those of an address are counted.
    for credentials in (f"Basic {wrong}", f"Bearer tbl_{SECRET}", f"Bearer {SECRET}", SECRET):
        for path in ("/auth/token", f"/v4/entity/hotels/table?pwd={SECRET}"):
            answers.append(tenant.call("GET", path, headers={"Authorization": credentials}))
    return answers


def stored(database: psycopg.Connection[Any], tenant: Tenant) -> str:
    """What a dump has of the licence, of all licences and of the jobs."""
    schemas = ["tabellion", "jobs", schema_of(tenant, database)]
    tables = database.execute(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text = ANY (%s)",
        (schemas,),
    ).fetchall()
    return "\n".join(row[0] for (table,) in tables for row in database.execute(f"SELECT t::text FROM {table} t").fetchall())


def logged(api: Api, begin: int) -> str:
    """What the server has said from a place on."""
    return api.log.read_bytes()[begin:].decode()


def test_secrets_and_addresses_stay_where_they_belong(
    api: Api, tenant: Tenant, tenants: Tenants, database: psycopg.Connection[Any]
) -> None:
    begin = api.log.stat().st_size
    person = {"key": {"emailAddress": ADDRESS}, "attributes": {"lastName": NAME}}
    assert tenant.json("PUT", "/v5/entities/hotels/profile-tables/Guests/profiles", person).status_code == 201
    token = tenant.call("GET", "/auth/token", headers={"Authorization": tenant.api_key}).json()["accessToken"]
    other = tenants.user(tenant.licence, "other")
    assert tenant.json("POST", "/v5/entities/hotels/servers", SFTP).status_code == 201
    hook = tenant.json("POST", "/v4/entity/hotels/table/Guests/webhookSubscription", HOOK).json()
    one = f"/v4/entity/hotels/webhookSubscription/{hook['id']}"
    new = tenant.json("PUT", one, {"rotateSecret": True}).json()

    answers = send_everything(tenant)

    own = {PASSWORD, TARGETS_OWN, *(each["signingSecret"].removeprefix("whsec_") for each in (hook, new))}
    secrets = {SECRET, *own, tenant.api_key, tenant.password, token, other.api_key, other.password}
    assert {answer.status_code // 100 for answer in answers} >= {2, 4}
    for answer in answers:
        if answer.status_code >= 400:
            told = answer.text + str(answer.headers)
            assert [secret for secret in secrets if secret in told] == [], (answer.request.method, answer.request.url.path)
    # Lines are written some at a time, after the answers.
    until(lambda: logged(api, begin).count('"event":"request"') >= len(answers))
    told = "".join([logged(api, begin), *(plain.get(f"{api.url}/{page}").text for page in ("metrics", "health", "ready"))])
    assert [word for word in {ADDRESS, NAME, *secrets} if word.lower() in told.lower()] == []
    dump = stored(database, tenant)
    assert ADDRESS in dump, "it is read at all"
    for secret in secrets - {SECRET}:
        assert secret not in dump
        assert secret.encode().hex() not in dump
        with suppress(binascii.Error):
            assert base64.b64decode(secret, validate=True).hex() not in dump


def test_a_kept_answer_tells_no_secret_and_no_password_can_be_tried_on_what_was_asked(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    path, body = "/v4/entity/hotels/table/Guests/webhookSubscription", json.dumps(HOOK).encode()

    def send() -> httpx.Response:
        headers = {"Content-Type": "application/json", "Idempotency-Key": "hook"}
        return tenant.call("POST", path, content=body, headers=headers)

    first, again = send(), send()
    assert (first.status_code, again.content, again.headers["Idempotency-Replayed"]) == (201, first.content, "true")
    plainly = hashlib.sha256(b"0\n\n" + body).digest()
    row = database.execute("SELECT fingerprint, body FROM tabellion.idempotency WHERE key = 'hook'").fetchone()
    assert row is not None
    assert row[0] != plainly
    assert first.json()["signingSecret"].encode() not in row[1]
    # Of a release that kept both as they were.
    database.execute("UPDATE tabellion.idempotency SET fingerprint = %s, body = %s", (plainly, first.content))
    assert send().content == first.content
