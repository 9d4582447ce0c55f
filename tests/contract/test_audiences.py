"""Saved audiences: what they mean, who uses them, and samples of whom a campaign would go to."""

from typing import Any

import httpx
import psycopg
import pytest

from tabellion.platform import secrets
from tests.contract.conftest import TRANSFERS
from tests.contract.test_sending import outbox, state
from tests.support import plain
from tests.support.mailing import sending
from tests.support.tenant import Tenant
from tests.support.waiting import until

MAIL, MAILS, AUDIENCES = "/v4/entity/hotels/mail", "/v5/entities/hotels/mails", "/v5/entities/hotels/audiences"
PROFILES = "/v5/entities/hotels/profile-tables/Guests/profiles"


@pytest.fixture
def guests(tenant: Tenant) -> Tenant:
    """Six guests beside Ann, without points: g0 to g5, with as many points; the even ones are Gold and subscribed."""
    for i in range(6):
        body: dict[str, Any] = {
            "key": {"emailAddress": f"g{i}@example.com"},
            "attributes": {"lastName": f"G{i}", "points": i, "cardNumber": f"C{i}", "spent": i + 0.5},
            "segmentations": {"Loyalty": "Gold" if i % 2 == 0 else "Silver", "Vip": i > 3},
            "subscriptions": {"Newsletter": i % 2 == 0},
        }
        assert tenant.json("PUT", PROFILES, body).status_code == 201
    return tenant


def save(tenant: Tenant, name: str, **definition: Any) -> int:
    made = tenant.json("POST", AUDIENCES, {"name": name, "targetTable": "Guests", **definition})
    assert made.status_code == 201, made.text
    number: int = made.json()["id"]
    return number


def meant(tenant: Tenant, path: str) -> list[str]:
    """Last names in a sample of all."""
    answer = tenant.json("GET", f"{path}?limit=100")
    assert answer.status_code == 200, answer.text
    found = sorted(profile["attributes"]["lastName"] for profile in answer.json()["profiles"])
    assert answer.json()["estimatedCount"] == len(found)
    return found


def faults(answer: httpx.Response) -> list[tuple[str, str]]:
    assert answer.status_code == 400, answer.text
    return [(error["field"], error["code"]) for error in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("definition", "found"),
    [
        ({}, ["G0", "G1", "G2", "G3", "G4", "G5", "Vos"]),
        ({"segmentations": [{"name": "Vip"}]}, ["G4", "G5"]),
        ({"segmentations": [{"name": "loyalty"}]}, ["G0", "G1", "G2", "G3", "G4", "G5"]),
        ({"segmentations": [{"name": "Loyalty", "category": "gold"}, {"name": "Vip"}]}, ["G4"]),
        ({"subscription": "Newsletter", "exclude": "points >= 4"}, ["G0", "G2"]),
        ({"keys": {"attribute": "cardNumber", "values": ["C1", "C3", "none"]}}, ["G1", "G3"]),
        ({"keys": {"attribute": "emailAddress", "values": ["G1@EXAMPLE.COM"]}, "filter": "points < 2"}, ["G1"]),
        ({"keys": {"values": ["1", "2", "2"]}}, ["G0", "Vos"]),
        ({"keys": {"values": []}}, []),
    ],
)
def test_an_audience_means_what_it_says(guests: Tenant, definition: Any, found: list[str]) -> None:
    number = save(guests, "Some", **definition)
    assert meant(guests, f"{AUDIENCES}/{number}/sample") == found
    # The target of a campaign that names it means the same, and a target that says the same does too.
    campaign = guests.campaign()
    assert guests.json("PUT", f"{MAIL}/{campaign}/target", {"audience": "some"}).status_code == 200
    assert meant(guests, f"{MAILS}/{campaign}/target/sample") == found
    if definition.get("keys", {"values": [1]})["values"]:
        assert guests.json("PUT", f"{MAIL}/{campaign}/target", definition).status_code == 200
        assert meant(guests, f"{MAILS}/{campaign}/target/sample") == found


def test_an_audience_with_a_misspelt_condition_is_not_everybody(guests: Tenant) -> None:
    body = {"name": "Few", "targetTable": "Guests", "fliter": "points = 1"}
    refused = guests.json("POST", AUDIENCES, body).json()
    assert [(error["field"], error["code"]) for error in refused["errors"]] == [("fliter", "member.unknown")]
    assert "did you mean 'filter'?" in refused["errors"][0]["message"]
    made = guests.json("POST", AUDIENCES, {"name": "All", "targetTable": "Guests", "id": 7})
    assert made.status_code == 201
    before = guests.state()
    refused = guests.json("PATCH", f"{AUDIENCES}/All", {"fliter": "points = 1", "id": 7}).json()
    assert [(error["field"], error["code"]) for error in refused["errors"]] == [("fliter", "member.unknown")]
    assert guests.state() == before
    assert guests.json("PATCH", f"{AUDIENCES}/All", {"id": 7}).status_code == 200


def test_targets_take_audiences_and_leave_others_out(guests: Tenant) -> None:
    save(guests, "Regulars", filter="points >= 1")
    number = save(guests, "Gold", segmentations=[{"name": "Loyalty", "category": "Gold"}])
    campaign = guests.campaign()
    target = {"audience": "Regulars", "excludeAudiences": ["gold"], "filter": "points < 5"}
    assert guests.json("PUT", f"{MAIL}/{campaign}/target", target).status_code == 200
    read = guests.json("GET", f"{MAIL}/{campaign}/target").json()
    assert (read["audience"], read["excludeAudiences"], read["estimatedCount"]) == ("Regulars", ["Gold"], 2)
    assert meant(guests, f"{MAILS}/{campaign}/target/sample") == ["G1", "G3"]
    xml = (
        f"<mailTarget><audience>Regulars</audience><excludeAudiences><excludeAudience>{number}</excludeAudience>"
        "</excludeAudiences><segmentations><segmentation><name>Vip</name></segmentation></segmentations></mailTarget>"
    )
    headers = {"Content-Type": "application/xml", "Accept": "application/xml"}
    assert guests.call("PUT", f"{MAIL}/{campaign}/target", content=xml, headers=headers).status_code == 200
    assert meant(guests, f"{MAILS}/{campaign}/target/sample") == ["G5"]
    read = guests.call("GET", f"{MAIL}/{campaign}/target", headers={"Accept": "application/xml"}).text
    assert "<excludeAudience>Gold</excludeAudience>" in read
    # Who is in no category is not in that one.
    assert guests.json("PUT", f"{MAIL}/{campaign}/target", {"excludeAudiences": ["Gold"]}).status_code == 200
    assert meant(guests, f"{MAILS}/{campaign}/target/sample") == ["G1", "G3", "G5", "Vos"]
    assert guests.json("PUT", f"{MAIL}/{campaign}/target", target).status_code == 200
    # What it means follows the audience, until the campaign begins.
    assert guests.json("PATCH", f"{AUDIENCES}/Regulars", {"filter": "points = 4"}).status_code == 200
    assert meant(guests, f"{MAILS}/{campaign}/target/sample") == []


def test_an_audience_in_use_stays_until_its_campaigns_have_ended(
    guests: Tenant, worker_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secrets.use_key(TRANSFERS["TABELLION_SECRET_KEY"], tmp_path_factory.mktemp("key"))
    number = save(
        guests, "Members", subscription="Newsletter", keys={"attribute": "cardNumber", "values": ["C0", "C1", "C2"]}
    )
    campaign = guests.campaign()
    assert guests.json("PUT", f"{MAIL}/{campaign}/target", {"audience": number}).status_code == 200
    refused = guests.json("DELETE", f"{AUDIENCES}/{number}")
    assert (refused.status_code, refused.json()["code"]) == (409, "audience.inUse")
    assert "SpringOffer" in refused.json()["message"]
    assert guests.json("DELETE", "/v5/entities/hotels/profile-tables/Guests").json()["code"] == "table.inUse"
    assert guests.json("POST", f"{MAIL}/{campaign}/launch").status_code == 200
    with sending(worker_database_url), psycopg.connect(worker_database_url, autocommit=True) as database:
        until(lambda: state(guests, campaign) == "FINISHED")
        mails = outbox(guests, database)
    assert sorted(address for address, _ in mails) == ["g0@example.com", "g2@example.com"]
    # Leaving ends the subscription that the audience asks for.
    leave = mails[0][1]["List-Unsubscribe"].strip("<>")
    base = str(guests.client.base_url).rstrip("/")
    assert plain.post(base + "/t/" + leave.split("/t/", 1)[1]).status_code == 200
    left = guests.json("GET", f"{PROFILES}/emailAddress={mails[0][0]}").json()
    assert left["subscriptions"]["Newsletter"] is False
    assert guests.json("DELETE", f"{AUDIENCES}/{number}").status_code == 204
    assert guests.json("DELETE", f"{AUDIENCES}/{number}").status_code == 404
    read = guests.json("GET", f"{MAIL}/{campaign}")
    assert read.status_code == 200


def test_a_target_that_is_changed_lets_go_of_its_audience(guests: Tenant) -> None:
    save(guests, "Members")
    campaign = guests.campaign()
    assert guests.json("PUT", f"{MAIL}/{campaign}/target", {"excludeAudiences": ["Members"]}).status_code == 200
    assert guests.json("DELETE", f"{AUDIENCES}/Members").status_code == 409
    assert guests.json("PUT", f"{MAIL}/{campaign}/target", {}).status_code == 200
    assert guests.json("DELETE", f"{AUDIENCES}/Members").status_code == 204


def put_keys(tenant: Tenant, query: str, content: bytes) -> httpx.Response:
    bearer = {"Authorization": f"Bearer {tenant.api_key}"}
    file = {"inputFile": ("keys.csv", content, "text/csv")}
    return tenant.client.put(f"{AUDIENCES}/Members/keys{query}", files=file, headers=bearer)


def test_keys_come_from_a_file(guests: Tenant) -> None:
    save(guests, "Members")
    csv = b'\xef\xbb\xbfcardNumber;name\r\nC1;x\r\n"C2";y\r\n\r\nC1\r\nno"body\r\n"no""body";z\r\n'
    answer = put_keys(guests, "?attribute=cardNumber", csv)
    assert answer.json()["keys"] == {"attribute": "cardNumber", "count": 3}
    assert answer.json() == guests.json("GET", f"{AUDIENCES}/Members").json()
    assert meant(guests, f"{AUDIENCES}/Members/sample") == ["G1", "G2"]
    raw = guests.call("PUT", f"{AUDIENCES}/Members/keys", content="1\n3\n", headers={"Content-Type": "text/plain"})
    assert raw.json()["keys"] == {"attribute": None, "count": 2}
    assert meant(guests, f"{AUDIENCES}/Members/sample") == ["G1", "Vos"]
    before = guests.state()
    assert faults(put_keys(guests, "", b"1\nx\n9999999999999999999\n")) == [
        ("line 2", "attribute.type"), ("line 3", "attribute.type"),
    ]  # fmt: skip
    lines = b"ProfileID;\n\n1\n;x\nx\n"
    assert faults(put_keys(guests, "", lines)) == [("line 5", "attribute.type")]
    too_long = b"cardNumber\n\nC1\n" + b"C" * 5000
    assert faults(put_keys(guests, "?attribute=cardNumber", too_long)) == [("line 4", "attribute.value")]
    assert faults(put_keys(guests, "?attribute=lastName", b"Vos\n")) == [("attribute", "attribute.unknown")]
    refused = put_keys(guests, "?attribute=card_number", b"C1\n").json()
    assert refused["errors"][0]["message"].endswith("no unique attribute of the table; did you mean 'cardNumber'?")
    assert put_keys(guests, "", b"\xff\xfe1").status_code == 400
    assert put_keys(guests, "", b"1\0").status_code == 400
    assert guests.state() == before
    cleared = guests.json("PATCH", f"{AUDIENCES}/Members", {"keys": None}).json()
    assert cleared["keys"] is None
    assert len(meant(guests, f"{AUDIENCES}/Members/sample")) == 7


@pytest.mark.parametrize("content", [b"", b"\r\n\n", b"\xef\xbb\xbf", b"CardNumber\r\n"])
def test_a_file_without_keys_empties_no_list(guests: Tenant, content: bytes) -> None:
    save(guests, "Members", keys={"attribute": "cardNumber", "values": ["C1"]})
    before = guests.state()
    refused = put_keys(guests, "?attribute=cardNumber", content)
    assert (refused.status_code, faults(refused)) == (400, [("inputFile", "member.mandatory")])
    assert '{"keys": {"attribute": "cardNumber", "values": []}}' in refused.json()["message"]
    path, as_text = f"{AUDIENCES}/Members/keys?attribute=cardNumber", {"Content-Type": "text/plain"}
    assert guests.call("PUT", path, content=content, headers=as_text).status_code == 400
    assert guests.state() == before
    # Who means it can say so.
    emptied = guests.json("PATCH", f"{AUDIENCES}/Members", {"keys": {"attribute": "cardNumber", "values": []}})
    assert emptied.json()["keys"] == {"attribute": "cardNumber", "count": 0}
    assert meant(guests, f"{AUDIENCES}/Members/sample") == []


def test_a_hundred_thousand_keys_fit_into_a_target_and_more_into_an_audience(guests: Tenant) -> None:
    campaign = guests.campaign()
    keys = {"values": [str(i) for i in range(1, 100_001)]}
    assert guests.json("PUT", f"{MAIL}/{campaign}/target", {"keys": keys}).status_code == 200
    assert guests.json("GET", f"{MAIL}/{campaign}/target").json()["estimatedCount"] == 7
    too_many = {"values": [*keys["values"], "100001"]}
    assert faults(guests.json("PUT", f"{MAIL}/{campaign}/target", {"keys": too_many})) == [
        ("keys.values", "structure.tooMany")
    ]
    save(guests, "Members")
    lines = "".join(f"somebody.with.a.long.name.{i}@example.com\n" for i in range(150_000)) + "g3@example.com\n"
    answer = put_keys(guests, "?attribute=emailAddress", lines.encode())
    assert answer.json()["keys"]["count"] == 150_001
    assert meant(guests, f"{AUDIENCES}/Members/sample") == ["G3"]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"name": "17"}, ["name"]),
        ({"name": "a/b"}, ["name"]),
        ({"name": "a\n"}, ["name"]),
        ({"targetTable": "Ghosts"}, ["targetTable"]),
        ({"filter": "pints = 1", "exclude": "("}, ["filter", "exclude"]),
        ({"subscription": "Ghosts"}, ["subscription"]),
        ({"segmentations": [{"name": "Ghosts"}, {"name": "Loyalty", "category": "Tin"}]},
         ["segmentations[0].name", "segmentations[1].category"]),
        ({"keys": {"attribute": "lastName", "values": ["x"]}}, ["keys.attribute"]),
        ({"keys": {"values": ["1", "x"]}}, ["keys.values[1]"]),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(tenant: Tenant, body: dict[str, Any], found: list[str]) -> None:
    save(tenant, "Known", filter="points = 1")
    before = tenant.state()
    refused = tenant.json("POST", AUDIENCES, {"name": "New", "targetTable": "Guests"} | body)
    assert [field for field, _ in faults(refused)] == found
    if "targetTable" not in body:
        refused = tenant.json("PATCH", f"{AUDIENCES}/Known", body)
        assert [field for field, _ in faults(refused)] == found
    assert tenant.state() == before


def test_names_are_there_once_and_tags_are_kept(tenant: Tenant) -> None:
    number = save(tenant, "Known")
    save(tenant, "Other")
    again = tenant.json("POST", AUDIENCES, {"name": "KNOWN", "targetTable": "Guests"})
    assert (again.status_code, again.json()["code"]) == (409, "name.used")
    assert tenant.json("PATCH", f"{AUDIENCES}/Other", {"name": "known"}).json()["code"] == "name.used"
    tag = tenant.json("GET", f"{AUDIENCES}/{number}").headers["ETag"]
    assert tenant.json("PATCH", f"{AUDIENCES}/{number}", {"name": "Renamed"}, If_Match=tag).status_code == 200
    assert tenant.json("PATCH", f"{AUDIENCES}/{number}", {"name": "Late"}, If_Match=tag).status_code == 412
    assert [each["name"] for each in tenant.json("GET", AUDIENCES).json()["audiences"]] == ["Other", "Renamed"]
    assert tenant.json("GET", "/v5/entities/spas/audiences").json() == {"audiences": []}
    assert tenant.json("GET", f"/v5/entities/spas/audiences/{number}").status_code == 404


def test_a_target_names_audiences_of_its_table_only(tenant: Tenant) -> None:
    other = {"name": "Others", "attributes": [{"type": "EMAIL_ADDRESS", "name": "emailAddress"}]}
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables", other).status_code == 201
    save(tenant, "Elsewhere", targetTable="Others")
    campaign = tenant.campaign()
    before = tenant.state()
    for target, place, code in (
        ({"audience": "Ghosts"}, "audience", "audience.unknown"),
        ({"excludeAudiences": ["Elsewhere", "Ghosts"]}, "excludeAudiences[1]", "audience.unknown"),
        ({"audience": "Elsewhere"}, "audience", "structure.invalid"),
        ({"audience": "a\u2028b"}, "audience", "audience.unknown"),
    ):
        assert (place, code) in faults(tenant.json("PUT", f"{MAIL}/{campaign}/target", target))
    assert tenant.state() == before


def test_a_campaign_without_target_has_no_sample(tenant: Tenant) -> None:
    body = {"name": "Empty", "targetTable": "Guests", "supportedLanguages": ["NL"]}
    number = tenant.json("POST", MAIL, body).json()["campaignId"]
    refused = tenant.json("GET", f"{MAILS}/{number}/target/sample")
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.incomplete")
    campaign = tenant.campaign()
    assert tenant.json("GET", f"{MAILS}/{campaign}/target/sample?limit=x").status_code == 400
    assert tenant.json("GET", f"{MAILS}/{campaign}/target/sample?limit=0").json()["profiles"] == []


@pytest.fixture(scope="module", autouse=True)
def key(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The key that seals addresses in mails."""
    secrets.use_key(TRANSFERS["TABELLION_SECRET_KEY"], tmp_path_factory.mktemp("key"))


def test_a_simple_segmentation_has_no_category(guests: Tenant) -> None:
    campaign = guests.campaign()
    wrong = {"segmentations": [{"name": "Vip", "category": "Gold"}]}
    refused = guests.json("PUT", f"{MAIL}/{campaign}/target", wrong)
    assert refused.status_code == 400
    assert [(each["field"], each["code"]) for each in refused.json()["errors"]] == [
        ("segmentations[0].category", "segmentation.category")
    ]
    refused = guests.json("POST", AUDIENCES, {"name": "Gold", "targetTable": "Guests", **wrong})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "segmentations[0].category")
