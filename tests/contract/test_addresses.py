"""Every call on every alias, in both formats where both exist."""

import itertools
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest
from lxml import etree

from tests.support.bounce_cases import BOUNCES_V5
from tests.support.campaign_cases import CAMPAIGNS_V4, CAMPAIGNS_V5
from tests.support.cases import Case
from tests.support.content_cases import CONTENTS_V5
from tests.support.custom_cases import CUSTOM_V4, CUSTOM_V5
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants

V4_FAMILIES = ["/{category}", "", "/ActitoWebServices/ws", "/usage", "//ActitoWebServices///ws"]
V5_FAMILIES = ["/{category}", "", "/actito-publicapi", "/entities", "/actito-publicapi//"]
JSON, XML = "application/json", "application/xml"


def _profile_xml(email: str, name: str) -> str:
    return (
        f"<profile><attributes><attribute><name>emailAddress</name><value>{email}</value></attribute>"
        f"<attribute><name>lastName</name><value>{name}</value></attribute></attributes></profile>"
    )


def _profile(email: str, name: str) -> dict[str, Any]:
    return {"attributes": [{"name": "emailAddress", "value": email}, {"name": "lastName", "value": name}]}


_TABLE = "/v4/entity/hotels/table/Guests"
_PROFILE = _TABLE + "/profile/emailAddress=ann@example.com"
V4 = [
    Case(
        "entities",
        "GET",
        "entities",
        "/v4/entity",
        200,
        check=lambda a: a["entities"][0]["name"] == "hotels",
        xpath="/entities/entity[1][name='hotels']",
    ),
    Case(
        "tables",
        "GET",
        "profile-table-structure",
        "/v4/entity/hotels/table",
        200,
        check=lambda a: a["profileTableNames"][0]["name"] == "Guests",
        xpath="/profileTableNames/profileTableName[name='Guests']",
    ),
    Case(
        "table",
        "GET",
        "profile-table-structure",
        _TABLE,
        200,
        check=lambda a: (
            a["attributes"]["emailAddress"]["valueType"] == "EmailAddress" and "profileId" not in a["attributes"]
        ),
        xpath="/profileTable/attributes/attribute[@name='emailAddress']/valueType[.='EmailAddress']",
    ),
    Case(
        "create",
        "POST",
        "profiles",
        _TABLE + "/profile",
        201,
        _profile("bob@example.com", "Bos"),
        _profile_xml("bob@example.com", "Bos"),
        check=lambda a: isinstance(a["profileId"], int),
        xpath="/profile/profileId",
        once=True,
    ),
    Case(
        "update",
        "POST",
        "profiles",
        _TABLE + "/profile",
        200,
        _profile("ann@example.com", "Vos2"),
        _profile_xml("ann@example.com", "Vos2"),
        check=lambda a: "status" not in a,
        xpath="/profile/profileId",
    ),
    Case(
        "exists",
        "POST",
        "profiles",
        _TABLE + "/profile?allowUpdate=false",
        409,
        _profile("ann@example.com", "Vos"),
        _profile_xml("ann@example.com", "Vos"),
        check=lambda a: a["code"] == "profile.exists",
        xpath="/error/code[.='profile.exists']",
    ),
    Case(
        "search",
        "GET",
        "profiles",
        _TABLE + "/profile?search=lastName%3DVos",
        200,
        check=lambda a: len(a["profiles"]) == 1,
        xpath="/profiles/profile/profileId",
    ),
    Case(
        "count",
        "GET",
        "profiles",
        _TABLE + "/profile/count",
        200,
        check=lambda a: a == {"count": 1},
        xpath="/profileCount/count[.='1']",
    ),
    Case(
        "get",
        "GET",
        "profiles",
        _PROFILE,
        200,
        check=lambda a: {"name": "lastName", "value": "Vos"} in a["attributes"],
        xpath="/profile/attributes/attribute[name='lastName'][value='Vos']",
    ),
    Case(
        "get unknown",
        "GET",
        "profiles",
        _TABLE + "/profile/999999",
        404,
        check=lambda a: a["code"] == "profile.unknown",
        xpath="/error/code[.='profile.unknown']",
    ),
    Case(
        "put",
        "PUT",
        "profiles",
        _PROFILE,
        200,
        {"attributes": [{"name": "lastName", "value": "Bos"}]},
        "<profile><attributes><attribute><name>lastName</name><value>Bos</value></attribute></attributes></profile>",
        check=lambda a: isinstance(a["profileId"], int),
        xpath="/profile/profileId",
    ),
    Case(
        "put creates",
        "PUT",
        "profiles",
        _TABLE + "/profile/emailAddress=new@example.com",
        201,
        {"attributes": [{"name": "lastName", "value": "Bos"}]},
        "<profile><attributes><attribute><name>lastName</name><value>Bos</value></attribute></attributes></profile>",
        xpath="/profile/profileId",
        once=True,
    ),
    Case(
        "put unknown id",
        "PUT",
        "profiles",
        _TABLE + "/profile/profileId=999999",
        404,
        {"attributes": [{"name": "lastName", "value": "Bos"}]},
        _profile_xml("x@example.com", "X"),
        xpath="/error",
    ),
    Case("delete", "DELETE", "profiles", _PROFILE, 204, once=True),
    Case("delete unknown", "DELETE", "profiles", _TABLE + "/profile/999999", 404, xpath="/error"),
    Case(
        "subscriptions",
        "GET",
        "profiles",
        _PROFILE + "/subscription",
        200,
        check=lambda a: [s["name"] for s in a["subscriptions"]] == ["Newsletter", "Weekly offers"],
        xpath="/subscriptions/subscription[name='Newsletter'][@* or subscribe]",
    ),
    Case(
        "subscribe",
        "POST",
        "profiles",
        _PROFILE + "/subscription/Newsletter",
        200,
        check=lambda a: a["subscribe"] is True,
        xpath="/subscription/subscribe[.='true']",
    ),
    Case("unsubscribe", "DELETE", "profiles", _PROFILE + "/subscription/Newsletter", 204),
    Case(
        "subscription unknown",
        "POST",
        "profiles",
        _PROFILE + "/subscription/None",
        404,
        check=lambda a: a["code"] == "subscription.unknown",
        xpath="/error",
    ),
    Case(
        "segmentations",
        "GET",
        "profiles",
        _PROFILE + "/segmentation",
        200,
        check=lambda a: a["segmentation"] == a["segmentations"],
        xpath="/segmentations/segmentation[name='Vip']",
    ),
    Case(
        "segment",
        "PUT",
        "profiles",
        _PROFILE + "/segmentation/Vip",
        200,
        check=lambda a: a["belongs"] is True,
        xpath="/segmentation/belongs[.='true']",
    ),
    Case(
        "segment category",
        "PUT",
        "profiles",
        _PROFILE + "/segmentation/Loyalty;category=Gold",
        200,
        check=lambda a: a["category"] == "Gold",
        xpath="/segmentation/category[.='Gold']",
    ),
    Case(
        "segment no category",
        "PUT",
        "profiles",
        _PROFILE + "/segmentation/Loyalty",
        400,
        check=lambda a: a["code"] == "segmentation.category",
        xpath="/error",
    ),
    Case("unsegment", "DELETE", "profiles", _PROFILE + "/segmentation/Loyalty", 204),
    Case(
        "interactions",
        "GET",
        "profiles",
        _PROFILE + "/interaction",
        200,
        check=lambda a: a == {"interactions": []},
        xpath="/interactions",
    ),
]
_HOOK = {"on": "PROFILE_TABLE", "onElementId": "guests", "eventType": "CREATE", "targetUrl": "https://8.8.8.8/hook"}
_HOOK_XML = (
    "<webhookSubscription><on>PROFILE_TABLE</on><onElementId>guests</onElementId><eventType>CREATE</eventType>"
    "<targetUrl>https://8.8.8.8/hook</targetUrl><maxBlockSize>10</maxBlockSize><headers><header name='X-Key'>secret</header>"
    "</headers><onFields><onField>lastName</onField></onFields></webhookSubscription>"
)
_ON_TABLE = {"eventType": "UPDATED_SUBSCRIPTION", "targetUrl": "https://8.8.8.8/hook", "onFields": ["newsletter"]}
_HOOKS = "/v4/entity/hotels/webhookSubscription"
V4 += [
    Case(
        "webhooks",
        "GET",
        "webhooks",
        _HOOKS + "?page=0&pageSize=100",
        200,
        check=lambda a: a["webhookSubscriptions"] == [],
        xpath="/webhookSubscriptions[not(*)]",
    ),
    Case(
        "create webhook",
        "POST",
        "webhooks",
        _HOOKS,
        201,
        _HOOK,
        _HOOK_XML,
        check=lambda a: isinstance(a["id"], int) and a["signingSecret"].startswith("whsec_"),
        xpath="/webhookSubscription[id]/signingSecret",
    ),
    Case(
        "webhook target",
        "POST",
        "webhooks",
        _HOOKS,
        400,
        {**_HOOK, "targetUrl": "https://127.0.0.1/"},
        _HOOK_XML.replace("8.8.8.8", "127.1"),
        check=lambda a: a["code"] == "webhook.target",
        xpath="/error/code[.='webhook.target']",
    ),
    Case(
        "create webhook on table",
        "POST",
        "webhooks",
        _TABLE + "/webhookSubscription",
        201,
        _ON_TABLE,
        check=lambda a: set(a) == {"id", "signingSecret"},
        xpath="/webhookSubscription/id",
    ),
    Case(
        "create webhook on unknown custom table",
        "POST",
        "webhooks",
        "/v4/entity/hotels/customTable/None/webhookSubscription",
        404,
        {"eventType": "CREATE", "targetUrl": "https://8.8.8.8/hook"},
        check=lambda a: a["code"] == "table.unknown",
        xpath="/error/code[.='table.unknown']",
    ),
    Case(
        "get webhook",
        "GET",
        "webhooks",
        _HOOKS + "/{webhook}",
        200,
        check=lambda a: a["on"] == "PROFILE_TABLE" and a["maxBlockSize"] == 100 and "signingSecret" not in a,
        xpath="/webhookSubscription[on='PROFILE_TABLE'][not(signingSecret)]/headers/header[@name='X-Key'][.='secret']",
    ),
    Case("webhook unknown", "GET", "webhooks", _HOOKS + "/999999999", 404, xpath="/error/code[.='webhook.unknown']"),
    Case(
        "switch webhook off",
        "PUT",
        "webhooks",
        _HOOKS + "/{webhook}",
        200,
        {"isActive": False},
        "<webhookSubscription><isActive>false</isActive></webhookSubscription>",
        check=lambda a: set(a) == {"id"},
        xpath="/webhookSubscription/id",
    ),
    Case("delete webhook", "DELETE", "webhooks", _HOOKS + "/{webhook}", 204),
    Case(
        "failures of a day",
        "GET",
        "webhooks",
        _HOOKS + "/{webhook}/2027-03-01",
        200,
        check=lambda a: a == {"errors": []},
        xpath="/webhookErrors/errors[not(*)]",
    ),
    Case("no day", "GET", "webhooks", _HOOKS + "/{webhook}/2027-02-30", 400, xpath="/error/code[.='parameter.invalid']"),
]
_TABLE5 = "/v5/entities/hotels/profile-tables/Guests"
_PROFILE5 = _TABLE5 + "/profiles/emailAddress=ann@example.com"
V5 = [
    Case("entities", "GET", "entities", "/v5/entities", 200, check=lambda a: a["entities"][0]["name"] == "hotels"),
    Case(
        "tables",
        "GET",
        "profile-table-structure",
        "/v5/entities/hotels/profile-tables",
        200,
        check=lambda a: a["profileTables"][0]["name"] == "Guests",
    ),
    Case(
        "table",
        "GET",
        "profile-table-structure",
        _TABLE5,
        200,
        check=lambda a: (
            [x["name"] for x in a["attributes"]][:4] == ["profileId", "creationMoment", "updateMoment", "emailAddress"]
        ),
    ),
    Case(
        "create table",
        "POST",
        "profile-table-structure",
        "/v5/entities/hotels/profile-tables",
        201,
        {"name": "Other", "attributes": [{"type": "EMAIL_ADDRESS", "name": "emailAddress"}]},
        check=lambda a: isinstance(a["id"], str),
        once=True,
    ),
    Case(
        "name used",
        "POST",
        "profile-table-structure",
        "/v5/entities/hotels/profile-tables",
        409,
        {"name": "guests", "attributes": []},
        check=lambda a: a["code"] == "name.used",
    ),
    Case(
        "change table",
        "POST",
        "profile-table-structure",
        _TABLE5 + "/change-requests",
        200,
        {"operations": [{"operation": "addSubscription", "subscription": {"name": "Events"}}]},
        check=lambda a: "Events" in [s["name"] for s in a["subscriptions"]],
        once=True,
    ),
    Case("delete table", "DELETE", "profile-table-structure", _TABLE5, 204, once=True),
    Case(
        "put",
        "PUT",
        "profiles",
        _TABLE5 + "/profiles",
        200,
        {"key": {"emailAddress": "ann@example.com"}, "attributes": {"lastName": "Bos"}},
        check=lambda a: isinstance(a["profileId"], int),
    ),
    Case(
        "put creates",
        "PUT",
        "profiles",
        _TABLE5 + "/profiles",
        201,
        {
            "key": {"emailAddress": "new@example.com"},
            "attributes": {"lastName": "Bos"},
            "subscriptions": [],
            "segmentations": [],
        },
        once=True,
    ),
    Case(
        "list",
        "GET",
        "profiles",
        _TABLE5 + "/profiles?lastName=Vos",
        200,
        check=lambda a: len(a["profiles"]) == 1 and a["nextCursor"] is None,
    ),
    Case("get", "GET", "profiles", _PROFILE5, 200, check=lambda a: a["attributes"]["lastName"] == "Vos"),
    Case("patch", "PATCH", "profiles", _PROFILE5, 200, {"attributes": {"birthDate": None}}),
    Case("patch unknown", "PATCH", "profiles", _TABLE5 + "/profiles/emailAddress=x@example.com", 404, {"attributes": {}}),
    Case("delete", "DELETE", "profiles", _PROFILE5, 204, once=True),
    Case("consents", "GET", "profiles", _PROFILE5 + "/consents", 200, check=lambda a: "consents" in a),
    Case(
        "replay",
        "POST",
        "webhooks",
        "/v5/entities/hotels/webhook-subscriptions/{webhook}/replays",
        200,
        {"day": "2027-03-01"},
        check=lambda a: a == {"replayed": 0},
    ),
    Case(
        "replay unknown event",
        "POST",
        "webhooks",
        "/v5/entities/hotels/webhook-subscriptions/{webhook}/replays",
        404,
        {"eventId": 55012},
        check=lambda a: a["code"] == "event.unknown",
    ),
    Case(
        "custom actions",
        "GET",
        "scenarios",
        "/v5/entities/hotels/custom-actions",
        200,
        check=lambda a: a == {"customActions": []},
    ),
    Case(
        "create custom action",
        "POST",
        "scenarios",
        "/v5/entities/hotels/custom-actions",
        201,
        {"name": "print-voucher", "parameters": [{"name": "amount", "valueType": "NUMBER", "mandatory": True}]},
        check=lambda a: isinstance(a["id"], str),
        once=True,
    ),
    Case(
        "get custom action",
        "GET",
        "scenarios",
        "/v5/entities/hotels/custom-actions/{action}",
        200,
        check=lambda a: (
            a["name"] == a["displayName"] == "call-back"
            and a["isActive"] is True
            and a["targetUrl"] is a["description"] is None
            and a["parameters"] == []
        ),
    ),
    Case(
        "change custom action",
        "PATCH",
        "scenarios",
        "/v5/entities/hotels/custom-actions/{action}",
        200,
        {"isActive": False, "targetUrl": "https://8.8.8.8/x"},
        check=lambda a: a["isActive"] is False and a["targetUrl"] == "https://8.8.8.8/x",
    ),
    Case("delete custom action", "DELETE", "scenarios", "/v5/entities/hotels/custom-actions/{action}", 204),
    Case("usage", "GET", "usage", "/v5/usage", 200, check=lambda a: a["limits"][0]["name"] == "permin"),
]


V4 += CUSTOM_V4 + CAMPAIGNS_V4
V5 += CUSTOM_V5 + BOUNCES_V5 + CAMPAIGNS_V5 + CONTENTS_V5


class Place(NamedTuple):
    """A licence with what a case needs, and the address of its call there."""

    tenant: Tenant
    path: str


class Places:
    """One licence for all calls that change nothing, unless they need something to be there; one for each such call and for each
    that can be made again and again; and one for each spelling of a call that can be made but once.
    """

    def __init__(self, tenants: Tenants, client: httpx.Client) -> None:
        self._new = lambda: tenants.create(client, unlimited=False)
        self._unchanged: dict[tuple[str, str], tuple[Place, str]] = {}
        self._again: dict[tuple[str, str], Tenant] = {}
        self._numbers = itertools.count(1)

    def of(self, case: Case) -> Place:
        if case.once:
            return self._made(case, self._new())
        key = case.name, case.path
        if case.changes:
            if key not in self._again:
                self._again[key] = self._new()
            return self._made(case, self._again[key], str(next(self._numbers)))
        if "{" not in case.path:
            key = "", ""
        if key not in self._unchanged:
            place = self._made(case, self._new())
            self._unchanged[key] = place, place.tenant.state()
        place = self._unchanged[key][0]
        return place if "{" in case.path else Place(place.tenant, case.path)

    def changed(self) -> list[str]:
        """What should have been left as it was, and was not."""
        return [place.path for place, before in self._unchanged.values() if place.tenant.state() != before]

    @staticmethod
    def _made(case: Case, tenant: Tenant, another: str = "") -> Place:
        return Place(tenant, _path(case, tenant, another))


@pytest.fixture(scope="module")
def places(tenants: Tenants, client: httpx.Client) -> Iterator[Places]:
    places = Places(tenants, client)
    yield places
    assert places.changed() == []


@pytest.fixture
def place(case: Case, places: Places) -> Place:
    return places.of(case)


@pytest.mark.parametrize("family", V4_FAMILIES)
@pytest.mark.parametrize("answer", [JSON, XML])
@pytest.mark.parametrize("case", V4, ids=lambda case: case.name)
def test_v4_call(case: Case, answer: str, family: str, place: Place) -> None:
    # Each JSON answer goes with an XML request and the reverse half of the time: the two formats are independent.
    as_xml = bool(case.xml) and (answer == XML) == (len(family) % 2 == 0)
    content = case.xml if as_xml else ("" if case.body is None else json.dumps(case.body))
    headers = {"Accept": answer} | ({"Content-Type": XML if as_xml else JSON} if content else {})

    path = family.format(category=case.category) + place.path
    got = place.tenant.call(case.method, path, content=content, headers=headers)

    assert got.status_code == case.status, got.text
    _look_at(got, case, answer)


@pytest.mark.parametrize("family", V5_FAMILIES)
@pytest.mark.parametrize("case", V5, ids=lambda case: case.name)
def test_v5_call(case: Case, family: str, place: Place) -> None:
    content = "" if case.body is None else json.dumps(case.body)
    headers = {"Content-Type": JSON} if content else {}

    path = family.format(category=case.category) + place.path
    got = place.tenant.call(case.method, path, content=content, headers=headers)

    assert got.status_code == case.status, got.text
    _look_at(got, case, JSON)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("case", [c for c in V4 + V5 if c.method == "GET"], ids=lambda case: case.name)
def test_get_never_changes_the_state_of_a_resource(case: Case, method: str, place: Place) -> None:
    tenant, path = place
    before = tenant.state()

    got = tenant.call(method, path)

    assert got.status_code == case.status, got.text
    assert tenant.state() == before


@pytest.mark.parametrize("case", V5, ids=lambda case: case.name)
def test_v5_refuses_xml(case: Case, place: Place) -> None:
    tenant, path = place
    before = tenant.state()

    got = tenant.call(case.method, path, content=json.dumps(case.body or {}), headers={"Accept": XML, "Content-Type": JSON})
    assert got.status_code == 406
    assert got.headers["Content-Type"].startswith(JSON)
    if case.body is not None:
        got = tenant.call(case.method, path, content="<profile/>", headers={"Content-Type": XML})
        assert got.status_code == 415

    assert tenant.state() == before


@pytest.mark.parametrize("case", [c for c in V5 if c.method == "PATCH"], ids=lambda case: case.name)
def test_a_partial_change_may_be_called_a_merge_patch(case: Case, place: Place) -> None:
    headers = {"Content-Type": "application/merge-patch+json; charset=utf-8"}

    got = place.tenant.call("PATCH", place.path, content=json.dumps(case.body), headers=headers)

    assert got.status_code == case.status, got.text


@pytest.mark.parametrize("ending", ["/", "//", "%20", "/%20/", "?", "?&", "?&&x=1&"])
@pytest.mark.parametrize("case", [c for c in V4 if "?" not in c.path], ids=lambda case: case.name)
def test_dangling_ends_are_ignored_in_place(case: Case, ending: str, place: Place) -> None:
    content = "" if case.body is None else json.dumps(case.body)

    got = place.tenant.call(case.method, place.path + ending, content=content, headers={"Content-Type": JSON})

    assert got.status_code == case.status, got.text


def _path(case: Case, tenant: Tenant, another: str) -> str:
    """The address, with the id of what the case needs to be there; `another` is in the names of it."""
    path = case.path
    if "{webhook}" in path:
        made = tenant.json("POST", _HOOKS, {**_HOOK, "headers": {"X-Key": "secret"}})
        path = path.replace("{webhook}", str(made.json()["id"]))
    if "{action}" in path:
        made = tenant.json("POST", "/v5/entities/hotels/custom-actions", {"name": f"call-back{another}"})
        path = path.replace("{action}", made.json()["id"])
    if "{suppressed}" in path:
        assert tenant.json("PUT", "/v5/suppressions/ann@example.com", {"reason": "COMPLAINT"}).status_code == 200
        path = path.replace("{suppressed}", "ANN@example.com")
    if "{audience}" in path:
        body = {"name": f"Regulars{another}", "targetTable": "Guests", "subscription": "Newsletter"}
        made = tenant.json("POST", "/v5/entities/hotels/audiences", body)
        path = path.replace("{audience}", str(made.json()["id"]))
    if "{mail}" in path:
        path = path.replace("{mail}", str(tenant.campaign(f"SpringOffer{another}")))
    for place in ("{active}", "{paused}"):
        if place in path:
            number = tenant.campaign(f"SpringOffer{another}", mode="TRANSACTIONAL")
            one = f"/v4/entity/hotels/mail/{number}"
            for action in ("launch", "pause")[: 1 + (place == "{paused}")]:
                assert tenant.json("POST", f"{one}/{action}").status_code == 200
            path = path.replace(place, str(number))
    if "{stays}" in path:
        made = tenant.json("GET", "/v4/entity/hotels/customTable")
        path = path.replace("{stays}", made.json()["customTables"][0]["id"])
    if "{record}" in path:
        made = tenant.json("GET", "/v5/entities/hotels/custom-tables/Stays/records/ST-00001")
        path = path.replace("{record}", str(made.json()["id"]))
    return path


def _look_at(got: httpx.Response, case: Case, answer: str) -> None:
    assert got.headers["X-Request-Id"]
    assert got.headers["RateLimit-Policy"].startswith('"permin";q=')
    if case.status == 204:
        assert got.content == b""
        return
    if case.status == 201:
        assert got.headers["Location"].startswith("/")
    if answer == JSON:
        assert got.headers["Content-Type"] == "application/json;charset=UTF-8"
        assert case.check(got.json()), got.text
        assert "Deprecation" not in got.headers
        return
    assert got.headers["Content-Type"] == "application/xml;charset=UTF-8"
    assert got.headers["Deprecation"] == "@1546300800"
    assert 'rel="deprecation"' in got.headers["Link"]
    assert etree.fromstring(got.content).getroottree().xpath(case.xpath), got.text
