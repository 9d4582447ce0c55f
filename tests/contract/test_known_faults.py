"""Faults that comparable systems were caught with, by the names under which they are known: none of them is here."""

import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest

from tabellion.features import licences as use
from tabellion.kit.clock import utc_now
from tests.contract.test_campaign_html import upload
from tests.contract.test_sending import hrefs, local, outbox, state
from tests.support import plain
from tests.support.api import Api
from tests.support.tenant import Tenant, schema_of
from tests.support.tenants import Tenants
from tests.support.waiting import until
from tests.support.zips import packed

MAIL, PROFILES = "/v4/entity/hotels/mail", "/v5/entities/hotels/profile-tables/Guests/profiles"
ANN = f"{PROFILES}/emailAddress=ann@example.com"
HOOKS = "/v4/entity/hotels/webhookSubscription"
MARKUP = "<img src=x onerror=alert(1)>"


def test_cve_2026_9559_names_in_a_zip_are_no_paths(tenant: Tenant, api: Api) -> None:
    mail = f"{MAIL}/{tenant.campaign()}"
    before = {path for path in api.folder.rglob("*") if "metrics" not in path.parts and "postgres" not in path.parts}
    for name in ("../../escaped.html", "/tmp/escaped.html", "..\\..\\escaped.html", "C:\\escaped.html"):
        answer = upload(tenant, mail, packed({"a.html": "<p>a</p>", name: "<p>escaped</p>"}))
        assert answer.status_code in {200, 400}, answer.text
    after = {path for path in api.folder.rglob("*") if "metrics" not in path.parts and "postgres" not in path.parts}
    assert {path for path in after - before if "escaped" in path.name} == set()
    assert not any((folder / "escaped.html").exists() for folder in (Path("/tmp"), Path.cwd(), *api.folder.parents))


@pytest.mark.parametrize(
    "template",
    [
        # CVE-2026-9558, CVE-2026-115189 (Mautic): to code, and out of the sandbox.
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ profile.__class__ }}",
        "{{ ['id']|filter('system') }}",
        "{% include '/etc/passwd' %}",
        "{{ _self.env.registerUndefinedFilterCallback('exec') }}",
        # CVE-2025-49136 (listmonk): secrets through helpers.
        "{{ env.TABELLION_SECRET_KEY }}",
        "{{ 'TABELLION_SECRET_KEY' | env }}",
        "{{ 'HOME' | expandenv }}",
        "{{ settings.secret_key }}",
    ],
)
def test_cve_2026_9558_cve_2026_115189_cve_2025_49136_templates_reach_nothing(template: str, tenant: Tenant) -> None:
    number = tenant.campaign()
    before = tenant.state(but={"audit"})
    body = {"subject": "a", "html": f"<p>{template}</p>"}
    answer = tenant.json("PUT", f"/v5/entities/hotels/mails/{number}/contents/default", body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"].startswith("html")
    assert tenant.state(but={"audit"}) == before


@pytest.mark.parametrize(
    "query",
    [
        # CVE-2026-3105 (Mautic): the order of a list; CVE-2022-25775, CVE-2026-4776, CVE-2026-71245: filters and names.
        "sort=" + quote("lastName;DROP TABLE tabellion.licence"),
        "sort=" + quote("(SELECT pg_sleep(5))"),
        "sort=" + quote('lastName" DESC, (SELECT 1) --'),
        "filter=" + quote("lastName = 'a' OR 1=1 --"),
        "filter=" + quote("\"lastName'; SELECT pg_sleep(5) --\" = 'a'"),
        "filter=" + quote("lastName = ''; SELECT 1"),
        "filter=" + quote("pg_sleep(5) = 1"),
        quote("lastName' OR '1'='1") + "=x",
    ],
)
def test_cve_2026_3105_cve_2026_4776_cve_2022_25775_no_sql_comes_in(query: str, tenant: Tenant) -> None:
    answer = tenant.json("GET", f"{PROFILES}?{query}")
    assert answer.status_code == 400, answer.text
    assert "syntax" not in answer.json().get("detail", "")


def test_cve_2026_71245_cve_2017_20029_what_people_call_things_is_no_sql(tenant: Tenant) -> None:
    name = 'a"; DROP TABLE tabellion.licence; --'
    attribute = {"type": "CUSTOM", "name": name, "valueType": "STRING"}
    body = {"operations": [{"operation": "addAttribute", "attribute": attribute}]}
    refused = tenant.json("POST", "/v5/entities/hotels/profile-tables/Guests/change-requests", body)
    assert refused.status_code == 400
    # Names of subscriptions and values are anybody's words.
    values = {"lastName": "'); DROP TABLE tabellion.licence; --", "cardNumber": "' OR '1'='1"}
    assert tenant.json("PATCH", ANN, {"attributes": values}).status_code == 200
    found = tenant.json("GET", f"{PROFILES}?filter=" + quote("cardNumber = ''' OR ''1''=''1'")).json()
    assert [each["attributes"]["lastName"] for each in found["profiles"]] == [values["lastName"]]


@pytest.mark.parametrize("value", ['O:8:"stdClass":0:{}', "gASVHAAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOU", "!!python/object:os.system"])  # fmt: skip
def test_cve_2026_115190_a_filter_is_text_and_nothing_else(value: str, tenant: Tenant) -> None:
    assert tenant.json("GET", f"{PROFILES}?filter={quote(value)}").status_code == 400
    body = {"name": "Few", "targetTable": "Guests", "filter": {"$type": value}}
    assert tenant.json("POST", "/v5/entities/hotels/audiences", body).status_code == 400


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "169.254.169.254", "0x7f000001", "2130706433",
     "0177.0.0.1", "0.0.0.0", "10.0.0.1", "[64:ff9b::a9fe:a9fe]", "[fd00::1]", "user@127.0.0.1", "127.1"],
)  # fmt: skip
def test_cve_2026_9557_cve_2022_25777_cve_2026_35409_no_call_goes_inside(host: str, tenant: Tenant) -> None:
    body = {"on": "PROFILE_TABLE", "onElementId": "Guests", "eventType": "CREATE", "targetUrl": f"https://{host}/hook"}
    before = tenant.state(but={"audit"})
    answer = tenant.json("POST", HOOKS, body)
    assert answer.status_code == 400, answer.text
    assert tenant.state(but={"audit"}) == before


def test_ghsa_2jrw_c95w_h43g_cve_2025_55746_what_is_refused_in_one_version_is_in_all_and_does_nothing(
    tenant: Tenant, tenants: Tenants
) -> None:
    key = tenants.user(tenant.licence, "reader", rights={"profiles": "r"}).api_key
    reader = {"Authorization": f"Bearer {key}"}
    before = tenant.state(but={"audit"})
    v4 = {"attributes": [{"name": "emailAddress", "value": "ann@example.com"}, {"name": "lastName", "value": "Other"}]}
    v5 = {"key": {"emailAddress": "ann@example.com"}, "attributes": {"lastName": "Other"}}
    writes: list[tuple[str, str, Any]] = [
        ("POST", "/v4/entity/hotels/table/Guests/profile?allowUpdate=true", v4),
        ("PUT", "/v4/entity/hotels/table/Guests/profile/emailAddress=ann@example.com", v4),
        ("DELETE", "/v4/entity/hotels/table/Guests/profile/emailAddress=ann@example.com", None),
        ("PUT", PROFILES, v5),
        ("PATCH", ANN, {"attributes": {"lastName": "Other"}}),
        ("DELETE", ANN, None),
    ]
    for method, path, body in writes:
        refused = tenant.json(method, path, body, **reader)
        assert (refused.status_code, path) == (403, path), refused.text
        assert tenant.state(but={"audit"}) == before
    assert tenant.json("GET", ANN, **reader).status_code == 200


@pytest.mark.usefixtures("worker")
def test_cve_2021_27910_cve_2026_21483_what_others_send_is_no_markup_of_ours(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    number = tenant.campaign(MARKUP, **{"from": f'"{MARKUP}" <news@example.com>'})
    html = f'<body>{MARKUP}<a href="{{{{ unsubscribeUrl }}}}">x</a></body>'
    put = tenant.call("PUT", f"{MAIL}/{number}/content/body", content=html, headers={"Content-Type": "text/html"})
    assert put.status_code == 200, put.text
    tenant.json("POST", f"{MAIL}/{number}/launch")
    until(lambda: state(tenant, number) == "FINISHED")
    # A provider's callback, with markup in all that is kept of it.
    schema = schema_of(tenant, database)
    ((recipient,),) = database.execute(f"SELECT id FROM {schema}.recipient").fetchall()
    bounce = {"type": "HARD_BOUNCE", "interactionId": recipient, "status": "5.1.1", "reason": f"550 5.1.1 {MARKUP} unknown"}
    assert tenant.json("POST", "/v5/bounces", {"bounces": [bounce]}).json()["accepted"] == 1
    for end in ("page", "chart"):
        page = tenant.call("GET", f"/v5/entities/hotels/mails/{number}/report/{end}")
        assert page.status_code == 200
        assert ("alert(1)" in page.text, MARKUP in page.text) == (True, False)
    # What a marketer wrote is shown to colleagues in a frame of no origin, in which nothing runs.
    (kept,) = database.execute(f"SELECT max(id) FROM {schema}.outbox_mail").fetchone() or (0,)
    shown = tenant.client.get(f"/outbox/{kept}/html", auth=tenant.basic)
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("sandbox")
    assert "allow-scripts" not in policy.partition(";")[0]
    assert "allow-same-origin" not in policy.partition(";")[0]
    listed = tenant.client.get(f"/outbox/{kept}", auth=tenant.basic)
    assert ("alert(1)" in listed.text, MARKUP in listed.text) == (True, False)
    ((_, mail),) = outbox(tenant, database)
    leaving = plain.get(next(local(tenant, link) for link in hrefs(mail) if "/t/u/" in link))
    assert ("alert(1)" in leaving.text, MARKUP in leaving.text) == (True, False)


@pytest.mark.usefixtures("worker")
def test_ghsa_vfxj_qg93_7wwc_cve_2017_20030_what_mails_lead_to_cannot_be_guessed(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    other = {"key": {"emailAddress": "bob@example.com"}, "attributes": {"lastName": "Bos"}}
    assert tenant.json("PUT", PROFILES, other).status_code == 201
    number = tenant.campaign()
    tenant.json("POST", f"{MAIL}/{number}/launch")
    until(lambda: state(tenant, number) == "FINISHED")
    mails = [mail for _, mail in outbox(tenant, database)]
    first, second = (next(local(tenant, link) for link in hrefs(mail) if "/t/u/" in link) for mail in mails)
    token, another = (re.sub(r".*/", "", address) for address in (first, second))
    assert token != another
    # One mail's number with the other one's seal is nobody's.
    before = tenant.json("GET", ANN).json()
    base, half = first.removesuffix(token), len(token) - 15
    for forged in (another[:half] + token[half:], token[:half] + another[half:], token[:-1], "1", quote("' OR 1=1 --")):
        assert plain.get(base + forged).status_code == 404
        assert plain.post(base + forged).status_code == 404
    assert tenant.json("GET", ANN).json() == before


def test_cve_2026_128333_cve_2026_126539_cve_2023_28443_failed_and_former_credentials_open_nothing(
    tenant: Tenant, tenants: Tenants, api: Api
) -> None:
    token = tenant.client.get("/auth/token", headers={"Authorization": tenant.api_key}).json()["accessToken"]
    bearer = {"Authorization": f"Bearer {token}"}
    assert tenant.json("GET", ANN, **bearer).status_code == 200
    for wrong in (f"{tenant.api_key}x", "", "Bearer", f"Bearer {tenant.api_key}x", "Basic bm9ib2R5"):
        failed = tenant.client.get("/auth/token", headers={"Authorization": wrong})
        assert failed.status_code == 401
        assert "accessToken" not in failed.text
        assert tenant.json("GET", ANN, Authorization=wrong).status_code == 401
    tenants.run(lambda db: use.rotate_user(db, tenant.licence, tenant.login, utc_now()))
    for former in (tenant.api_key, token):
        assert tenant.json("GET", ANN, Authorization=f"Bearer {former}").status_code == 401
        assert former.encode() not in api.log.read_bytes()


def test_cve_2025_30225_a_burst_of_bad_calls_spoils_nothing_for_the_good_ones(tenant: Tenant) -> None:
    good = tenant.json("GET", ANN).json()
    for _ in range(50):
        assert tenant.call("PUT", PROFILES, content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
        assert tenant.json("GET", f"{PROFILES}?filter=%00").status_code == 400
    assert tenant.json("GET", ANN).json() == good
