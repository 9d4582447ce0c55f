"""Every call on every alias, in both formats where both exist."""

import itertools
import json
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from lxml import etree

from tests.support.bounce_cases import BOUNCES_V5
from tests.support.campaign_cases import CAMPAIGNS_V4, CAMPAIGNS_V5
from tests.support.cases import Case
from tests.support.content_cases import CONTENTS_V5
from tests.support.custom_cases import CUSTOM_V4, CUSTOM_V5
from tests.support.hook_cases import HOOK, HOOKS, HOOKS_V4, HOOKS_V5
from tests.support.profile_cases import PROFILES_V4, PROFILES_V5
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants

V4_FAMILIES = ["/{category}", "", "/ActitoWebServices/ws", "/usage", "//ActitoWebServices///ws"]
V5_FAMILIES = ["/{category}", "", "/actito-publicapi", "/entities", "/actito-publicapi//"]
JSON, XML = "application/json", "application/xml"
V4 = PROFILES_V4 + HOOKS_V4 + CUSTOM_V4 + CAMPAIGNS_V4
V5 = PROFILES_V5 + HOOKS_V5 + CUSTOM_V5 + BOUNCES_V5 + CAMPAIGNS_V5 + CONTENTS_V5


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
        made = tenant.json("POST", HOOKS, {**HOOK, "headers": {"X-Key": "secret"}})
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
