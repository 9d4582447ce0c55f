"""Copies of campaigns: they say what the other one says, and stand for themselves."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.contract.test_campaign_html import GIF, upload
from tests.contract.test_campaigns import NEW
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants
from tests.support.waiting import until
from tests.support.zips import packed

pytestmark = pytest.mark.usefixtures("worker")

MAIL, MAILS = "/v4/entity/hotels/mail", "/v5/entities/hotels/mails"
# What a copy has of its own.
OWN = {"campaignId", "name", "displayName", "creationMoment", "updateMoment", "notice"}
HOURS = {"windows": [{"days": ["MON"], "from": "08:00", "to": "20:00"}], "timeZone": "LICENCE", "attribute": None}


def copy(tenant: Tenant, campaign: Any, body: Any = None) -> Any:
    """The document of a copy."""
    answer = tenant.json("POST", f"{MAILS}/{campaign}/copies", body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def full(tenant: Tenant) -> int:
    """A campaign that says all that can be said."""
    settings = {"displayName": "Welcome to us", "from": "Harbour", "replyTo": "reply@example.com", "goalTracking": "true"}
    made = tenant.json("POST", MAIL, NEW | settings)
    number: int = made.json()["campaignId"]
    one, v5 = f"{MAIL}/{number}", f"{MAILS}/{number}"
    html = '<p>Dear {{ lastName }} <img src="images/a.gif"> {{ stayRef }}</p>'
    keys = {"personalisations": [{"key": "stayRef", "mandatory": True, "defaultValue": "none"}]}
    saved = tenant.json("POST", "/v5/entities/hotels/audiences", {"name": "Regulars", "targetTable": "Guests"})
    target = {"audience": "Regulars", "exclude": "points < 10", "maxProfiles": 9, "oncePerAddress": False}
    variants = [{"name": "A"}, {"name": "B", "contents": [{"language": None, "html": "<p>Only {{ lastName }}</p>"}]}]
    for answer in (
        made,
        saved,
        tenant.json("PUT", f"{one}/content/personalisation", keys),
        upload(tenant, one, packed({"mail.html": html, "images/a.gif": GIF}), query="?language=NL"),
        tenant.call("PUT", f"{one}/content/subject?language=NL", content="Dag {{ lastName }}"),
        tenant.json("PUT", f"{v5}/contents/default", {"subject": "Hello", "mjml": "<mjml><mj-body></mj-body></mjml>"}),
        tenant.json("PUT", f"{one}/target", target),
        tenant.json("PUT", f"{v5}/delivery-settings", {"mailsPerMinute": 70, "sendingHours": HOURS}),
        tenant.json("PUT", f"{v5}/ab-test", {"share": 20, "criterion": "CLICKS", "variants": variants}),
    ):
        assert answer.status_code < 300, answer.text
    return number


def said(tenant: Tenant, number: int) -> dict[str, Any]:
    """All that a campaign says, but for what it is called, and the places of its images."""
    found: dict[str, Any] = {}
    for path in ("target", "content/personalisation", "content/subject?language=NL"):
        found[path] = tenant.json("GET", f"{MAIL}/{number}/{path}").json()
    for path in ("contents/default", "delivery-settings", "ab-test"):
        found[path] = tenant.json("GET", f"{MAILS}/{number}/{path}").json()
    settings = tenant.json("GET", f"{MAIL}/{number}").json()
    return found | {name: value for name, value in settings.items() if name not in OWN | {"goalTracking"}}


def html_of(tenant: Tenant, number: int) -> str:
    html: str = tenant.json("GET", f"{MAILS}/{number}/contents/NL").json()["html"]
    return html


def image_of(tenant: Tenant, number: int) -> httpx.Response:
    html = html_of(tenant, number)
    path = html[html.index("/i/") :].partition('"')[0]
    return tenant.client.get(path)


def test_a_copy_says_all_that_the_other_one_says(tenant: Tenant) -> None:
    number = full(tenant)
    before = tenant.json("GET", f"{MAIL}/{number}").json()
    answer = tenant.json("POST", f"{MAILS}/Welcome/copies")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"].endswith(f"/v4/entity/hotels/mail/{made['campaignId']}")
    assert (made["name"], made["displayName"], made["notice"]) == ("Welcome (2)", "Welcome to us (2)", None)
    assert (made["state"], made["goalTracking"]) == ("IN_DEFINITION", "Welcome (2)")
    read = tenant.json("GET", f"{MAIL}/{made['campaignId']}")
    assert read.json() == {name: value for name, value in made.items() if name != "notice"}
    assert answer.headers["etag"] == read.headers["etag"]
    assert said(tenant, made["campaignId"]) == said(tenant, number)
    assert tenant.json("GET", f"{MAIL}/{number}").json() == before
    assert tenant.json("GET", f"{MAILS}/{number}/checklist").json()["launchable"]
    assert tenant.json("POST", f"{MAIL}/{made['campaignId']}/launch").status_code == 200


def test_images_are_those_of_the_copy(tenant: Tenant) -> None:
    number = full(tenant)
    made = copy(tenant, number)["campaignId"]
    assert html_of(tenant, made) != html_of(tenant, number)
    assert tenant.json("DELETE", f"{MAIL}/{number}").status_code == 204
    assert image_of(tenant, made).content == GIF
    again = copy(tenant, made)["campaignId"]
    assert tenant.json("DELETE", f"{MAIL}/{made}").status_code == 204
    assert image_of(tenant, again).content == GIF


def test_what_is_changed_in_one_stays_in_the_other(tenant: Tenant) -> None:
    number = full(tenant)
    before = said(tenant, number)
    made = copy(tenant, number)["campaignId"]
    for answer in (
        tenant.call("PUT", f"{MAIL}/{made}/content/subject?language=NL", content="Other"),
        tenant.json("PUT", f"{MAILS}/{made}/delivery-settings", {}),
        tenant.json("DELETE", f"{MAILS}/{made}/ab-test"),
        tenant.json("PUT", f"{MAIL}/{made}/target", {}),
    ):
        assert answer.status_code < 300, answer.text
    assert said(tenant, number) == before
    # The audience is still used by the one, and by nobody after that.
    audience = "/v5/entities/hotels/audiences/Regulars"
    assert tenant.json("DELETE", audience).status_code == 409
    assert tenant.json("DELETE", f"{MAIL}/{number}").status_code == 204
    assert tenant.json("DELETE", audience).status_code == 204


def test_names_are_given_or_numbered(tenant: Tenant) -> None:
    number = tenant.campaign("Spring", displayName="Spring offer")
    shown = [(made["name"], made["displayName"]) for made in (copy(tenant, number) for _ in range(3))]
    assert shown == [(f"Spring ({i})", f"Spring offer ({i})") for i in (2, 3, 4)]
    # A copy of a copy goes on counting; a number that is free behind is not gone back to.
    assert copy(tenant, "Spring (3)")["name"] == "Spring (5)"
    given = copy(tenant, number, {"name": "Été (1)"})
    assert (given["name"], given["displayName"]) == ("Été (1)", "Été (1)")
    assert copy(tenant, number, {"name": "c", "displayName": "For people"})["displayName"] == "For people"
    only_shown = copy(tenant, number, {"displayName": "Shown"})
    assert (only_shown["name"], only_shown["displayName"]) == ("Spring (6)", "Shown")
    long = tenant.campaign("n" * 100, displayName="d" * 320)
    made = copy(tenant, long)
    assert (made["name"], made["displayName"]) == ("n" * 96 + " (2)", "d" * 316 + " (2)")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "SPRING"}, 409, "campaign.nameUsed"),
        ({"name": ""}, 400, "structure.nameInvalid"),
        ({"name": " x"}, 400, "structure.nameInvalid"),
        ({"name": ".."}, 400, "structure.nameInvalid"),
        ({"name": "a/b"}, 400, "structure.nameInvalid"),
        ({"name": "a\r\nBcc: x@example.com"}, 400, "structure.nameInvalid"),
        ({"name": "x" * 101}, 400, "structure.nameInvalid"),
        ({"displayName": "x" * 321}, 400, "structure.invalid"),
        ({"displayName": "a\nb"}, 400, "text.control"),
        ({"name": 12}, 400, "member.type"),
        ({"nmae": "Autumn"}, 400, "member.unknown"),
    ],
)
def test_what_a_copy_cannot_be_called_changes_nothing(tenant: Tenant, body: Any, status: int, code: str) -> None:
    number = tenant.campaign("Spring")
    before = tenant.state()
    answer = tenant.json("POST", f"{MAILS}/{number}/copies", body)
    assert answer.status_code == status, answer.text
    found = answer.json()
    assert code in {found.get("code"), *(error["code"] for error in found.get("errors", []))}, found
    assert tenant.state() == before


def test_a_name_that_is_the_id_of_another_campaign_is_refused(tenant: Tenant) -> None:
    number = tenant.campaign("Spring")
    refused = tenant.json("POST", f"{MAILS}/{number}/copies", {"name": str(number)})
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.nameUsed")


def test_copies_made_at_once_get_numbers_of_their_own(tenant: Tenant) -> None:
    number = tenant.campaign("Spring")
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: copy(tenant, number)["name"], range(8)))
    assert sorted(made) == [f"Spring ({i})" for i in range(2, 10)]
    with ThreadPoolExecutor(4) as threads:
        path = f"{MAILS}/{number}/copies"
        codes = Counter(threads.map(lambda _: tenant.json("POST", path, {"name": "One"}).status_code, range(4)))
    assert codes == {201: 1, 409: 3}


def test_a_call_that_is_repeated_makes_one_copy(tenant: Tenant) -> None:
    number = tenant.campaign("Spring")
    twice = [tenant.json("POST", f"{MAILS}/{number}/copies", Idempotency_Key="copy-1") for _ in range(2)]
    assert twice[0].json() == twice[1].json()
    assert len(tenant.json("GET", MAIL).json()["mailDocuments"]) == 2


@pytest.mark.parametrize("mode", ["CONTINUOUS", "TRANSACTIONAL"])
def test_a_campaign_is_copied_in_any_state(tenant: Tenant, mode: str) -> None:
    number = tenant.campaign("Booked", mode)
    for action, state in (("launch", "ACTIVE"), ("pause", "PAUSED"), ("cancel", "STOPPED")):
        assert tenant.json("POST", f"{MAIL}/{number}/{action}").json()["state"] == state
        made = copy(tenant, number)
        assert (made["state"], made["sendingMode"]) == ("IN_DEFINITION", mode)
        assert (made["startedAt"], made["endedAt"], made["scheduledAt"]) == (None, None, None)
        assert tenant.json("POST", f"{MAIL}/{made['campaignId']}/launch").json()["state"] == "ACTIVE"
    assert tenant.json("GET", f"{MAIL}/{number}").json()["state"] == "STOPPED"


def test_a_target_whose_audience_is_gone_is_left_out_and_the_answer_says_so(tenant: Tenant) -> None:
    saved = tenant.json("POST", "/v5/entities/hotels/audiences", {"name": "Regulars", "targetTable": "Guests"})
    assert saved.status_code == 201
    number = tenant.campaign("Spring")
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {"audience": "Regulars"}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch", {"scheduledAt": "2090-01-01"}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/cancel").status_code == 200
    assert tenant.json("DELETE", "/v5/entities/hotels/audiences/Regulars").status_code == 204
    made = copy(tenant, number)
    assert "aim the copy anew" in made["notice"]
    refused = tenant.json("POST", f"{MAIL}/{made['campaignId']}/launch").json()
    assert (refused["code"], refused["errors"][0]["field"]) == ("campaign.incomplete", "target")


def test_a_campaign_whose_table_is_gone_cannot_be_copied(tenant: Tenant) -> None:
    table = {"name": "Old", "attributes": [{"type": "EMAIL_ADDRESS", "name": "emailAddress"}]}
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables", table).status_code == 201
    number = tenant.json("POST", MAIL, {"name": "s", "targetTable": "Old", "supportedLanguages": ["EN"]}).json()[
        "campaignId"
    ]
    one = f"{MAIL}/{number}"
    for path, content, kind in (
        ("content/subject", "Hello", "text/plain"), ("content/body", "<p>Hello</p>", "text/html"),
        ("target", "{}", "application/json"),
    ):  # fmt: skip
        assert tenant.call("PUT", f"{one}/{path}", content=content, headers={"Content-Type": kind}).status_code == 200
    assert tenant.json("POST", f"{one}/launch", {"scheduledAt": "2090-01-01"}).status_code == 200
    assert tenant.json("POST", f"{one}/cancel").status_code == 200
    until(lambda: tenant.json("DELETE", "/v5/entities/hotels/profile-tables/Old").status_code == 204)
    # Another table that is called so is another one.
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables", table).status_code == 201
    refused = tenant.json("POST", f"{MAILS}/{number}/copies")
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "table.unknown")


def test_others_cannot_copy_it_and_rights_are_asked_for(
    tenant: Tenant, other_tenant: Tenant, tenants: Tenants, database: psycopg.Connection[Any]
) -> None:
    number = tenant.campaign("Spring")
    unknown = other_tenant.json("POST", f"{MAILS}/{number}/copies")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "campaign.unknown")
    elsewhere = tenant.json("POST", f"/v5/entities/spas/mails/{number}/copies")
    assert elsewhere.status_code == 404
    reader = tenants.user(tenant.licence, "reader", rights={"campaigns": "r"})
    headers = {"Authorization": f"Bearer {reader.api_key}"}
    before = tenant.state()
    assert tenant.client.post(f"{MAILS}/{number}/copies", headers=headers).status_code == 403
    assert tenant.state() == before
    made = copy(tenant, number)["campaignId"]
    row = database.execute("SELECT note FROM tabellion.audit WHERE object = %s", (f"campaign/{made}",)).fetchone()
    assert row == (f"copied from campaign/{number}",)
