"""Two licences with the same names: every route, every id swapped, and nothing of the other is seen or touched."""

import itertools
import json

import httpx
import psycopg
import pytest

from tabellion.features import licences as use
from tabellion.features.webhooks.examples import TABLE_WEBHOOK
from tabellion.kit.clock import utc_now
from tabellion.server.calls import CALLS
from tests.support.etls import one_file
from tests.support.tenant import Tenant, schema_of
from tests.support.tenants import Tenants

SECRET = "Geheim-Maier"


@pytest.fixture(scope="module")
def victim(tenants: Tenants, client: httpx.Client) -> Tenant:
    """A licence whose profile and record carry a mark that must never leave it. Each test proves that it did not change it."""
    victim = tenants.create(client, unlimited=False)
    body = {"key": {"emailAddress": "ann@example.com"}, "attributes": {"lastName": SECRET, "cardNumber": SECRET}}
    answer = victim.json("PUT", "/v5/entities/hotels/profile-tables/Guests/profiles", body)
    assert answer.status_code == 200, answer.text
    record = {"key": {"stayRef": SECRET}, "attributes": {"cardNumber": SECRET}}
    answer = victim.json("PUT", "/v5/entities/hotels/custom-tables/Stays/records", record)
    assert answer.status_code == 201, answer.text
    return victim


@pytest.fixture(scope="module")
def foreign_ids(victim: Tenant) -> dict[str, str]:
    """One of everything that the victim can have: what stands for each placeholder of a path."""
    tables = victim.json("GET", "/v4/entity/hotels/table").json()["profileTableNames"]
    custom_tables = victim.json("GET", "/v4/entity/hotels/customTable").json()["customTables"]
    profile = victim.json("GET", "/v4/entity/hotels/table/Guests/profile/emailAddress=ann@example.com").json()
    marked = TABLE_WEBHOOK | {"headers": {"X-Authorization": SECRET}}
    hook = victim.json("POST", "/v4/entity/hotels/table/Guests/webhookSubscription", marked).json()
    files = {"name": SECRET, "protocol": "SFTP", "host": "8.8.8.8", "user": "x", "password": SECRET}
    server = victim.json("POST", "/v5/entities/hotels/servers", files).json()
    place = {"name": SECRET, "serverId": server["id"], "path": "/in"}
    location = victim.json("POST", "/v5/entities/hotels/locations", place).json()
    action = victim.json("POST", "/v5/entities/hotels/custom-actions", {"name": SECRET}).json()
    file = {"inputFile": ("guests.csv", b"emailAddress,lastName\n", "text/csv")}
    bearer = {"Authorization": f"Bearer {victim.api_key}"}
    import_ = victim.client.post("/v4/entity/hotels/table/Guests/import", files=file, headers=bearer).json()
    etl = victim.json("POST", "/v5/entities/hotels/etls", {"name": SECRET} | one_file()).json()
    files_of_it = {"file": ("guests.csv", b"emailAddress,lastName\n", "text/csv")}
    triggered = f"/v5/entities/hotels/etls/{etl['id']}/trigger-execution"
    execution = victim.client.post(triggered, files=files_of_it, headers=bearer).json()
    export = victim.json("POST", "/v5/entities/hotels/exports", {"name": SECRET, "tableId": "Guests"}).json()
    written = victim.json("POST", f"/v5/entities/hotels/exports/{export['id']}/trigger-execution").json()
    erasure = victim.json("POST", "/v5/erasures", {"address": "nobody@example.com"}).json()
    saved = {"name": SECRET, "targetTable": "Guests", "filter": "points > 1"}
    audience = victim.json("POST", "/v5/entities/hotels/audiences", saved).json()
    return {
        "profileTable": tables[0]["id"],
        "customTable": custom_tables[0]["id"],
        "profile": profile["profileId"],
        "w": hook["id"],
        "servers": server["id"],
        "locations": location["id"],
        "custom-actions": action["id"],
        "import": import_["id"],
        "etls": etl["id"],
        "etl-executions": execution["id"],
        "exports": export["id"],
        "export-executions": written["id"],
        "erasures": erasure["id"],
        "c": victim.campaign(SECRET),
        "audience": audience["id"],
        "day": "2027-03-01",
        "language": "default",
        "a": "ann@example.com",
    }


@pytest.fixture(scope="module")
def untouched(victim: Tenant, foreign_ids: dict[str, str]) -> str:
    """The victim's state; what each test leaves is what the next one finds."""
    assert foreign_ids
    return victim.state()


@pytest.fixture(scope="module")
def reader(tenants: Tenants, client: httpx.Client) -> Tenant:
    """A licence whose calls only read."""
    return tenants.create(client, unlimited=False)


@pytest.fixture
def attacker(call, request: pytest.FixtureRequest) -> Tenant:
    """Who makes the call: a licence as it was made, for what a call changes in its own could be what stops the next one."""
    return request.getfixturevalue("reader" if call.method == "GET" else "tenant")


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.id)
@pytest.mark.parametrize("accept", ["application/json", "application/xml", "application/problem+json"])
def test_foreign_ids_do_not_exist(
    call, accept, attacker: Tenant, victim: Tenant, foreign_ids: dict[str, str], untouched: str
) -> None:
    custom = "customTable" in call.path or "custom-tables" in call.path
    table_id = foreign_ids["customTable" if custom else "profileTable"]
    profile_id = foreign_ids["profile"]
    collection = next((part for part in call.path.split("/") if part in foreign_ids), "import")
    id_ = foreign_ids[collection]
    example = json.dumps(call.body_example) if call.body_example is not None else ""

    for entity in ("hotels", "-", "HOTELS", victim.licence):
        for reference in (str(profile_id), f"cardNumber={SECRET}", "emailAddress=ann@example.com"):
            path = call.path.format(
                e=entity, t=table_id, p=reference, r=reference, s="Newsletter", id=id_, i=id_, **foreign_ids
            )
            query = f"?licence={attacker.licence}&login={attacker.login}&pwd={attacker.password}&table={table_id}&id={profile_id}"
            headers = {"Accept": accept, "Content-Type": "application/json"}
            # Calls of v5 refuse a query that they do not have before they look at anything.
            query = "" if call.version == "v5" else query
            answer = attacker.call(call.method, path + query, content=example, headers=headers)
            if SECRET not in reference:
                assert SECRET.encode() not in answer.content
            foreign = any(placeholder in call.path for placeholder in ("{t}", "{w}", "{id}", "{i}", "{c}", "{audience}"))
            if foreign and entity in {"hotels", "-", "HOTELS"} and answer.status_code not in {406, 415}:
                assert answer.status_code in {400, 404}, answer.text

    assert victim.state() == untouched


def test_what_one_entity_has_does_not_exist_in_another(victim: Tenant, foreign_ids: dict[str, str], untouched: str) -> None:
    """The same caller, who may use both: what a path names by its id or its name is that of the entity before it."""
    named = {"profileTable": "Guests", "customTable": "Stays", "c": SECRET, "audience": SECRET}
    odd: list[tuple[str, str, int, str]] = []
    for call, known in itertools.product(CALLS, (foreign_ids, foreign_ids | named)):
        own = any(f"{{{each}}}" in call.path for each in ("t", "w", "id", "i", "c", "audience"))
        if "{e}" not in call.path or (call.method != "GET" and not own):
            continue
        table = known["customTable" if "customTable" in call.path or "custom-tables" in call.path else "profileTable"]
        id_ = known[next((part for part in call.path.split("/") if part in known), "import")]
        row = "emailAddress=ann@example.com" if table == known["profileTable"] else SECRET
        path = call.path.format(e="spas", t=table, p=row, r=row, s="Newsletter", id=id_, i=id_, **known)
        example = json.dumps(call.body_example) if call.body_example is not None else ""
        answer = victim.call(call.method, path, content=example, headers={"Content-Type": "application/json"})
        # Some look at their body first. Lists are of what the entity has: nothing.
        good = answer.status_code in {400, 404, 415} if own else not any(answer.json().values())
        if not good or SECRET in answer.text.replace(f"'{SECRET}'", ""):
            odd.append((call.method, path, answer.status_code, answer.text[:200]))
    assert odd == []
    assert victim.state() == untouched


def test_what_another_entity_has_cannot_be_referred_to(victim: Tenant, foreign_ids: dict[str, str], untouched: str) -> None:
    guests, spas = foreign_ids["profileTable"], "/v5/entities/spas"
    here = {"type": "LOCATION", "locationId": foreign_ids["locations"]}
    etl = one_file(namePattern="a.csv", load={"tableId": guests}) | {"name": "x", "source": here}
    key = {"name": "k", "attribute": "x", "onDelete": "CASCADE"}
    key["reference"] = {"tableType": "PROFILE_TABLE", "tableId": guests, "attribute": "cardNumber"}
    keyed = {"name": "x", "attributes": [{"name": "x", "valueType": "STRING"}], "foreignKeys": [key]}
    bodies = [
        (f"{spas}/locations", {"name": "x", "serverId": foreign_ids["servers"], "path": "/in"}, ["serverId"]),
        (
            f"{spas}/exports",
            {"name": "x", "tableId": guests, "locationId": foreign_ids["locations"]},
            ["tableId", "locationId"],
        ),
        (f"{spas}/export-executions", {"tableId": guests}, ["tableId"]),
        (f"{spas}/etls", etl, ["files[0].load.tableId", "source.locationId"]),
        (f"{spas}/custom-tables", keyed, ["foreignKeys[0].reference.tableId"]),
        (f"{spas}/audiences", {"name": "x", "targetTable": guests}, ["targetTable"]),
    ]
    subjects = {
        "PROFILE_TABLE": guests, "CUSTOM_TABLE": foreign_ids["customTable"], "CUSTOM_ACTION": foreign_ids["custom-actions"],
        "ETL": foreign_ids["etls"], "EXPORT": foreign_ids["exports"], "EMAIL_CAMPAIGN": str(foreign_ids["c"]),
    }  # fmt: skip
    types = {"CUSTOM_ACTION": "TRIGGER", "ETL": "STARTED", "EXPORT": "STARTED", "EMAIL_CAMPAIGN": "OPEN"}
    for kind, number in subjects.items():
        hook = {"on": kind, "onElementId": number, "eventType": types.get(kind, "CREATE"), "targetUrl": "https://8.8.8.8/x"}
        bodies.append(("/v4/entity/spas/webhookSubscription", hook, ["onElementId"]))
    for path, body, fields in bodies:
        refused = victim.json("POST", path, body)
        assert (refused.status_code, [each["field"] for each in refused.json()["errors"]]) == (400, fields), refused.text
        assert {each["code"].partition(".")[2] for each in refused.json()["errors"]} == {"unknown"}, refused.text
    assert victim.state() == untouched


@pytest.mark.usefixtures("stays")
def test_an_entity_of_another_licence_does_not_exist(tenant: Tenant, tenants: Tenants, other_tenant: Tenant) -> None:
    only = f"{other_tenant.licence}-only"
    tenants.run(lambda db: use.create_entity(db, other_tenant.licence, only, utc_now()))
    assert other_tenant.json("GET", f"/v4/entity/{only}/table").status_code == 200

    answer = tenant.json("GET", f"/v4/entity/{only}/table")

    assert answer.status_code == 404
    assert answer.json()["code"] == "entity.unknown"
    assert [each["name"] for each in tenant.json("GET", "/v5/entities").json()["entities"]] == ["hotels", "spas"]


@pytest.mark.usefixtures("stays")
def test_an_entity_of_ones_own_licence_may_be_forbidden(tenant: Tenant, limited_user_key: str) -> None:
    answer = tenant.call("GET", "/v4/entity/spas/table", headers={"Authorization": f"Bearer {limited_user_key}"})

    assert answer.status_code == 403
    assert answer.json()["code"] == "entity.forbidden"


@pytest.mark.usefixtures("stays")
def test_a_table_of_another_licence_cannot_be_referred_to_or_listened_to(tenant: Tenant, victim: Tenant) -> None:
    before = victim.state()
    profiles = victim.json("GET", "/v4/entity/hotels/table").json()["profileTableNames"][0]["id"]
    records = victim.json("GET", "/v4/entity/hotels/customTable").json()["customTables"][0]["id"]
    for type_, table_id, attribute in (("PROFILE_TABLE", profiles, "cardNumber"), ("CUSTOM_TABLE", records, "stayRef")):
        reference = {"tableType": type_, "tableId": table_id, "attribute": attribute}
        key = {"name": "k", "attribute": "x", "reference": reference, "onDelete": "CASCADE"}
        body = {"name": "T", "attributes": [{"name": "x", "valueType": "STRING"}], "foreignKeys": [key]}
        refused = tenant.json("POST", "/v5/entities/hotels/custom-tables", body)
        assert (refused.status_code, refused.json()["code"]) == (400, "table.unknown")
        hook = {"on": type_, "onElementId": table_id, "eventType": "CREATE", "targetUrl": "https://8.8.8.8/x"}
        refused = tenant.json("POST", "/v4/entity/hotels/webhookSubscription", hook)
        assert (refused.status_code, refused.json()["code"]) == (400, "table.unknown")
    assert victim.state() == before


def test_a_campaign_is_no_way_to_a_table_of_an_entity_that_is_out_of_reach(tenant: Tenant, tenants: Tenants) -> None:
    """A user of all entities aims campaigns of `spas` at a table of `hotels`; one of `spas` alone gets nothing out of them."""
    limited = {"Authorization": f"Bearer {tenants.user(tenant.licence, 'limited', entities=['spas']).api_key}"}
    limited["Content-Type"] = "application/json"
    aimed = {"entityOfTarget": "hotels", "targetTable": "Guests"}
    audience = tenant.json("POST", "/v5/entities/spas/audiences", {"name": "All", **aimed})
    assert audience.status_code == 201, audience.text
    mail = {"name": "Offer", "supportedLanguages": ["EN"], "sendingMode": "TRANSACTIONAL", **aimed}
    made = tenant.json("POST", "/v4/entity/spas/mail", mail)
    assert made.status_code == 201, made.text
    number = made.json()["campaignId"]
    one = f"/v4/entity/spas/mail/{number}"
    for part, text in (("subject", "Hello {{ profile.lastName }}"), ("body", "<p>{{ profile.lastName }}</p>")):
        kind = {"Content-Type": "text/html" if part == "body" else "text/plain"}
        assert tenant.call("PUT", f"{one}/content/{part}", content=text, headers=kind).status_code == 200
    assert tenant.json("PUT", f"{one}/target", {}).status_code == 200
    before = tenant.state(but={"audit"})
    audiences, mails = "/v5/entities/spas/audiences/All", f"/v5/entities/spas/mails/{number}"
    ann = "emailAddress=ann@example.com"
    calls = [
        ("GET", f"{audiences}/sample", None),
        ("PATCH", audiences, {"filter": 'lastName = "Vos"'}),
        ("GET", f"{mails}/target/sample", None),
        ("POST", f"{mails}/preview", {"profile": ann}),
        ("GET", f"{mails}/checklist", None),
        ("POST", f"{mails}/copies", {"name": "Mine"}),
        ("PUT", f"{one}/target", {"filter": 'lastName = "Vos"'}),
        ("POST", f"{one}/test", {"recipients": ["me@example.com"], "profile": ann}),
        ("POST", f"{one}/launch", None),
        ("GET", f"{one}/profile/{ann}/interaction", None),
    ]
    for method, path, body in calls:
        answer = tenant.call(method, path, content="" if body is None else json.dumps(body), headers=limited)
        assert (answer.status_code, answer.json()["code"]) == (403, "entity.forbidden"), (path, answer.text)
        assert "Vos" not in answer.text
    assert tenant.state(but={"audit"}) == before
    assert tenant.json("POST", f"{one}/launch").status_code == 200
    told = {"profile": {"attributes": [{"name": "emailAddress", "value": "ann@example.com"}]}}
    for path, body in ((f"{one}/profile/{ann}", {}), (f"/v4/entity/spas/transactionalmail/{number}/contact", told)):
        answer = tenant.call("POST", path, content=json.dumps(body), headers=limited)
        assert (answer.status_code, answer.json()["code"]) == (403, "entity.forbidden"), answer.text


def test_the_outbox_shows_the_mails_of_the_entities_in_reach(
    tenant: Tenant, tenants: Tenants, database: psycopg.Connection
) -> None:
    number = tenant.campaign()
    schema = schema_of(tenant, database)
    database.execute(
        f"WITH r AS (INSERT INTO {schema}.recipient (sending_id, campaign_id, test, table_id, language, state, planned_at) "
        f"VALUES (0, %s, false, 1, 'en', 'ACCEPTED', now()) RETURNING id) "
        f"INSERT INTO {schema}.outbox_mail (recipient_id, moment, sender, recipient, subject, content) "
        f"SELECT id, now(), 'a@b.example', '{SECRET}@example.com', '{SECRET}', 'Subject: {SECRET}' FROM r",
        (number,),
    )
    row = database.execute(f"SELECT id FROM {schema}.outbox_mail").fetchone()
    assert row is not None
    near, far = (tenants.user(tenant.licence, name, entities=[name]) for name in ("hotels", "spas"))
    for user, status in ((near, 200), (far, 404)):
        auth = httpx.BasicAuth(f"{tenant.licence}/{user.login}", user.password)
        assert (SECRET in tenant.client.get("/outbox", auth=auth).text) is (status == 200)
        for page in ("", "/html", "/source"):
            answer = tenant.client.get(f"/outbox/{row[0]}{page}", auth=auth)
            assert answer.status_code == status
            assert answer.headers["cache-control"] == "no-store"
    assert SECRET in tenant.client.get(f"/outbox/{row[0]}", auth=tenant.basic).text
