"""What a profile received and did: outcomes, events and filters, in JSON and XML."""

from typing import Any

import psycopg
import pytest
from lxml import etree

from tests.support.tenant import Tenant

MAIL = "/v4/entity/hotels/mail"
PROFILE = "/v4/entity/hotels/table/Guests/profile/emailAddress=ann@example.com/interaction"
# State and reason as the sending keeps them, the event that came after, and what a caller is told.
OUTCOMES = [
    ("PLANNED", None, None, "QUEUED"),
    ("DEFERRED", "deferred", None, "QUEUED"),
    ("SENDING", None, None, "QUEUED"),
    ("UNCERTAIN", "uncertain", None, "SENT"),
    ("ACCEPTED", None, None, "DELIVERED"),
    ("ACCEPTED", None, "SOFT_BOUNCE", "SOFT_BOUNCE"),
    ("ACCEPTED", None, "HARD_BOUNCE", "HARD_BOUNCE"),
    ("ACCEPTED", None, "COMPLAINT", "DELIVERED"),
    ("REJECTED", "refused", None, "HARD_BOUNCE"),
    ("REJECTED", "expired", None, "SOFT_BOUNCE"),
    ("EXCLUDED", "unsubscribed", None, "EXCLUDED"),
    ("FAILED", "html: nothing", None, "FAILED"),
]


@pytest.fixture
def told(tenant: Tenant, worker_database_url: str) -> Tenant:
    """A profile with a mail of every outcome, one a day of March 2027; those of odd days are of the campaign `12`."""
    numbers = [tenant.campaign(), tenant.campaign("12")]
    profile = tenant.json("GET", "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com").json()
    with psycopg.connect(worker_database_url, autocommit=True) as db:
        found = db.execute(
            "SELECT l.id, t.id FROM tabellion.licence l JOIN tabellion.profile_table t ON t.licence_id = l.id WHERE l.name = %s",
            (tenant.licence,),
        ).fetchone()
        assert found is not None
        licence, table = found
        for day, (state, reason, event, _) in enumerate(OUTCOMES, 1):
            campaign = numbers[day % 2]
            sent = None if state in {"PLANNED", "DEFERRED", "SENDING"} else f"2027-03-{day:02d} 12:00Z"
            row = db.execute(
                f"INSERT INTO l{licence}.recipient (sending_id, campaign_id, test, table_id, profile_id, address, language, state, "
                "reason, planned_at, ended_at) VALUES (0, %s, false, %s, %s, 'ann@example.com', 'en', %s, %s, %s, %s) RETURNING id",
                (campaign, table, profile["profileId"], state, reason, f"2027-03-{day:02d} 08:00Z", sent),
            ).fetchone()
            assert row is not None
            for kind, actor, url in (
                (event, None, None),
                ("CLICK", "human", "https://a.example/?a=1&b=2"),
                ("OPEN", "scanner", None),
            ):
                if kind is not None and (event or state == "ACCEPTED"):
                    db.execute(
                        f"INSERT INTO l{licence}.mail_event (recipient_id, campaign_id, type, moment, url, actor) "
                        "VALUES (%s, %s, %s, '2027-03-20 10:00Z', %s, %s)",
                        (row[0], campaign, kind, url, actor),
                    )
    return tenant


def read(tenant: Tenant, path: str) -> list[dict[str, Any]]:
    """The interactions in JSON, after XML was found to say the same."""
    found = tenant.json("GET", path)
    assert found.status_code == 200, found.text
    interactions: list[dict[str, Any]] = found.json()["interactions"]
    root = etree.fromstring(tenant.call("GET", path, headers={"Accept": "application/xml"}).content)
    assert root.tag == "interactions"

    def plain(element: Any) -> dict[str, Any]:
        return {child.tag: [plain(item) for item in child] if child.tag == "events" else child.text for child in element}

    same = [plain(each) for each in root.iter("interaction")]
    for each, other in zip(interactions, same, strict=True):
        assert {name: value if name == "events" else str(value) for name, value in each.items()} == other
    return interactions


def test_outcomes_and_events(told: Tenant) -> None:
    found = read(told, PROFILE)
    assert [each["outcome"] for each in reversed(found)] == [outcome for *_, outcome in OUTCOMES]
    assert {each["channel"] for each in found} == {"EMAIL"}
    assert [each.get("reason") for each in reversed(found)][-2:] == ["unsubscribed", "html: nothing"]
    assert not any("reason" in each for each in found[2:])
    complained = found[len(OUTCOMES) - 8]
    assert complained["sentAt"] == "2027-03-08T12:00:00.000Z"
    assert complained["events"] == [
        {"type": "COMPLAINT", "moment": "2027-03-20T10:00:00.000Z"},
        {"type": "CLICK", "moment": "2027-03-20T10:00:00.000Z", "url": "https://a.example/?a=1&b=2"},
    ]
    # What waits has the moment for which it was planned.
    assert found[-1]["sentAt"] == "2027-03-01T08:00:00.000Z"


def test_filters(told: Tenant) -> None:
    number = told.json("GET", f"{MAIL}/SpringOffer").json()["campaignId"]
    for reference in (str(number), "springoffer"):
        assert {each["campaignName"] for each in read(told, f"{PROFILE}?campaign={reference}")} == {"SpringOffer"}
    assert {each["campaignName"] for each in read(told, f"{PROFILE}?campaign=12")} == {"12"}
    assert {
        each["campaignId"] for each in read(told, f"{MAIL}/{number}/profile/emailAddress=ann@example.com/interaction")
    } == {number}
    days = [each["sentAt"][8:10] for each in read(told, f"{PROFILE}?from=2027-03-04T12:00:00Z&to=2027-03-06T12:00:00Z")]
    assert days == ["05", "04"]
    assert [each["sentAt"][8:10] for each in read(told, f"{PROFILE}?number=2&channel=email")] == ["12", "11"]
    assert (
        read(told, f"{PROFILE}?channel=SMS")
        == read(told, f"{PROFILE}?campaign=999999")
        == read(told, f"{PROFILE}?campaign=x")
        == []
    )
    for query, field in (
        ("channel=FAX", "channel"),
        ("from=soon", "from"),
        ("to=2027-13-01", "to"),
        ("number=0", "number"),
        ("campaign=%00", "campaign"),
    ):
        refused = told.json("GET", f"{PROFILE}?{query}")
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field), query
