"""Delivery limits and settings over the wire, and what a sender makes of them."""

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tabellion.kit.clock import utc_now
from tabellion.platform import secrets
from tests.contract.conftest import TRANSFERS
from tests.contract.test_sending import MAIL, PROFILES, guests, outbox, state
from tests.support.api import free_port
from tests.support.mailing import Sink, sending, smtp_sink
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants
from tests.support.waiting import until

LIMITS = "/v5/delivery-limits"
DAYS = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"]
NOW = [{"days": DAYS, "from": "00:00", "to": "24:00"}]


@pytest.fixture(scope="module", autouse=True)
def worker(worker_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two senders beside the API."""
    secrets.use_key(TRANSFERS["TABELLION_SECRET_KEY"], tmp_path_factory.mktemp("key"))
    with sending(worker_database_url), sending(worker_database_url):
        yield


def settings(number: int) -> str:
    return f"/v5/entities/hotels/mails/{number}/delivery-settings"


def report(tenant: Tenant, number: int) -> Any:
    return tenant.json("GET", f"{MAIL}/{number}/report").json()


def adds_up(found: Any) -> bool:
    return found["targeted"] == sum(found["excluded"].values()) + found["sent"] + found["uncertain"]


def test_who_has_had_enough_is_left_out_of_a_campaign_and_its_report_adds_up(tenant: Tenant) -> None:
    guests(tenant, 4)
    assert tenant.json("PUT", LIMITS, {"contactPressure": {"mails": 1, "days": 3}}).status_code == 200
    numbers = [tenant.campaign(f"c{i}") for i in range(3)]
    for number in numbers:
        assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: all(state(tenant, number) == "FINISHED" for number in numbers))
    reports = [report(tenant, number) for number in numbers]
    assert all(adds_up(each) for each in reports), reports
    assert sum(each["sent"] for each in reports) == 5
    assert sum(each["excluded"]["pressure"] for each in reports) == 10
    profile = tenant.json("GET", "/v4/entity/hotels/table/Guests/profile/emailAddress=ann@example.com/interaction").json()
    outcomes = sorted((each["outcome"], each.get("reason")) for each in profile["interactions"])
    assert outcomes == [("DELIVERED", None), ("EXCLUDED", "pressure"), ("EXCLUDED", "pressure")]


def test_a_campaign_keeps_its_pace_and_goes_on_faster_when_it_is_told_to(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    guests(tenant, 40)
    number = tenant.campaign()
    assert tenant.json("PUT", settings(number), {"mailsPerMinute": 300}).json() == {
        "mailsPerMinute": 300,
        "sendingHours": None,
    }
    started = time.monotonic()
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: len(outbox(tenant, database)) >= 15)
    seconds = time.monotonic() - started
    assert seconds > (15 - 6) / 5
    assert len(outbox(tenant, database)) <= seconds * 5 + 6 + 5
    assert tenant.json("POST", f"{MAIL}/{number}/pause").json()["state"] == "PAUSED"
    assert tenant.json("PUT", settings(number), {}).json() == {"mailsPerMinute": None, "sendingHours": None}
    assert tenant.json("POST", f"{MAIL}/{number}/resume").json()["state"] == "IN_PROGRESS"
    until(lambda: state(tenant, number) == "FINISHED")
    assert (report(tenant, number)["sent"], len(outbox(tenant, database))) == (41, 41)
    late = tenant.json("PUT", settings(number), {"mailsPerMinute": 300})
    assert (late.status_code, late.json()["code"]) == (409, "campaign.state")


def closed_now() -> dict[str, Any]:
    """Sending hours that nobody's clock has reached, and not for a day."""
    day = DAYS[(utc_now() + timedelta(days=3)).weekday()]
    return {"windows": [{"days": [day], "from": "10:00", "to": "11:30"}], "timeZone": "RECIPIENT", "attribute": "lastName"}


@pytest.mark.parametrize("kind", ["domain", "hours", "campaign", "sender"])
def test_mails_that_wait_for_a_slow_pace_leave_as_soon_as_it_is_changed(tenant: Tenant, kind: str) -> None:
    guests(tenant, 8)
    number = tenant.campaign()
    path, slow, fast = {
        "domain": (
            LIMITS,
            {"domains": [{"domain": "example.com", "mailsPerMinute": 1}]},
            {"domains": [{"domain": "example.com", "mailsPerMinute": 60000}]},
        ),
        "hours": (settings(number), {"sendingHours": closed_now()}, {"sendingHours": None}),
        "campaign": (settings(number), {"mailsPerMinute": 1}, {"mailsPerMinute": 60000}),
        "sender": (
            LIMITS,
            {"senders": [{"entity": "hotels", "mailsPerHour": 6}]},
            {"senders": [{"entity": "hotels", "mailsPerHour": 20000}]},
        ),
    }[kind]
    assert tenant.json("PUT", path, slow).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    first = 0 if kind == "hours" else 1
    until(lambda: (report(tenant, number)["pending"], report(tenant, number)["sent"]) == (9 - first, first))
    # The others have been looked at, and the senders know the slow pace.
    time.sleep(0.3)
    assert tenant.json("PUT", path, fast).status_code == 200
    until(lambda: state(tenant, number) == "FINISHED", within_s=8)
    assert report(tenant, number)["sent"] == 9


def test_who_is_reached_elsewhere_meanwhile_gets_the_mail_there_and_who_is_not_gets_none(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    guests(tenant, 3)
    optional = {"operation": "updateAttribute", "name": "emailAddress", "changes": {"mandatory": False}}
    assert tenant.json("POST", f"{PROFILES[:-9]}/change-requests", {"operations": [optional]}).status_code == 200
    number = tenant.campaign()
    assert tenant.json("PUT", settings(number), {"sendingHours": closed_now()}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: report(tenant, number)["pending"] == 4)
    for i, address in enumerate((None, "new@example.com")):
        changed = tenant.json(
            "PATCH", f"{PROFILES}/emailAddress=g{i}@example.com", {"attributes": {"emailAddress": address}}
        )
        assert changed.status_code == 200, changed.text
    assert tenant.json("PUT", settings(number), {}).status_code == 200
    until(lambda: state(tenant, number) == "FINISHED", within_s=8)
    assert {address for address, _ in outbox(tenant, database)} == {"ann@example.com", "new@example.com", "g2@example.com"}
    found = report(tenant, number)
    assert (found["targeted"], found["sent"], found["excluded"]["noAddress"]) == (4, 3, 1)
    assert adds_up(found)


def test_a_slower_pace_counts_at_once(tenant: Tenant) -> None:
    guests(tenant, 100)
    number = tenant.campaign()
    assert tenant.json("PUT", settings(number), {"mailsPerMinute": 600}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: report(tenant, number)["sent"] >= 15)
    assert tenant.json("PUT", LIMITS, {"domains": [{"domain": "*", "mailsPerMinute": 1}]}).status_code == 200
    sent = report(tenant, number)["sent"]
    time.sleep(1.5)
    # What had been claimed, one mail, and a second's worth, or two of a busy worker; at the old pace it would be 15.
    assert report(tenant, number)["sent"] <= sent + 10
    assert tenant.json("PUT", LIMITS, {}).status_code == 200
    assert tenant.json("PUT", settings(number), {}).status_code == 200
    until(lambda: state(tenant, number) == "FINISHED", within_s=8)
    assert report(tenant, number)["sent"] == 101


def test_mails_wait_for_their_hours_and_can_be_cancelled_meanwhile(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    day = DAYS[(utc_now() + timedelta(days=3)).weekday()]
    closed = {"sendingHours": {"windows": [{"days": [day], "from": "10:00", "to": "11:30"}]}}
    waiting, cancelled = tenant.campaign("waits"), tenant.campaign("cancelled", "CONTINUOUS")
    for number in (waiting, cancelled):
        answer = tenant.json("PUT", settings(number), closed)
        assert answer.json()["sendingHours"] == closed["sendingHours"] | {"timeZone": "LICENCE", "attribute": None}
        assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    assert tenant.json("POST", f"{MAIL}/{cancelled}/profile/emailAddress=ann@example.com").status_code == 200
    until(lambda: report(tenant, waiting)["pending"] == 1)
    urgent = tenant.campaign("urgent", "TRANSACTIONAL")
    assert tenant.json("POST", f"{MAIL}/{urgent}/launch").status_code == 200
    assert tenant.json("POST", f"{MAIL}/{urgent}/profile/emailAddress=ann@example.com").status_code == 200
    until(lambda: report(tenant, urgent)["sent"] == 1)
    assert tenant.json("POST", f"{MAIL}/{cancelled}/cancel").status_code == 200
    until(lambda: report(tenant, cancelled)["excluded"]["cancelled"] == 1)
    assert (report(tenant, waiting)["pending"], len(outbox(tenant, database))) == (1, 1)
    assert tenant.json("PUT", settings(waiting), {"sendingHours": {"windows": NOW}}).status_code == 200
    until(lambda: state(tenant, waiting) == "FINISHED")


def test_a_domain_that_says_later_holds_its_own_mails_only(tenant: Tenant, sink: Sink) -> None:
    profiles = "/v5/entities/hotels/profile-tables/Guests/profiles"
    for i in range(60):
        body = {"key": {"emailAddress": f"g{i}@{'busy' if i % 2 else 'calm'}.example"}, "attributes": {"lastName": "G"}}
        assert tenant.json("PUT", profiles, body).status_code == 201
        sink.refuse[f"g{i}@busy.example"] = "421 4.7.0 too many mails from you"
    number = tenant.campaign()
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: report(tenant, number)["sent"] == 31)
    (held,) = until(lambda: tenant.json("GET", LIMITS).json()["heldDomains"])
    assert (held["domain"], held["reply"]) == ("busy.example", "421 4.7.0 too many mails from you")
    assert report(tenant, number)["pending"] == 30
    # Only those that were on a connection when the first was refused have been tried.
    assert sink.refused["busy.example"] <= 25


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"contactPressure": {"mails": 0, "days": 7}}, "contactPressure.mails"),
        ({"contactPressure": {"mails": 1, "days": 400}}, "contactPressure.days"),
        ({"domains": [{"domain": "ann@example.com"}]}, "domains[0].domain"),
        ({"domains": [{"domain": "a.be"}, {"domain": "A.BE"}]}, "domains[1].domain"),
        ({"domains": [{"domain": "*", "mailsPerMinute": -1}]}, "domains[0].mailsPerMinute"),
        ({"domains": [{"domain": "*", "connections": 0}]}, "domains[0].connections"),
        ({"senders": [{"entity": "ghosts", "mailsPerHour": 5}]}, "senders[0].entity"),
        ({"senders": [{"entity": "hotels", "mailsPerHour": 0}]}, "senders[0].mailsPerHour"),
        ({"contactPresure": {"mails": 3, "days": 7}, "domains": [{"domain": "*"}]}, "contactPresure"),
        ({"domains": [{"domain": "*", "mailsPerMinut": 60}]}, "domains[0].mailsPerMinut"),
    ],
)
def test_limits_that_cannot_be_are_refused_with_their_place(tenant: Tenant, body: Any, field: str) -> None:
    before = tenant.state()
    answer = tenant.json("PUT", LIMITS, body)
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert tenant.state() == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"mailsPerMinute": 0}, "mailsPerMinute"),
        ({"sendingHours": {"windows": []}}, "sendingHours.windows"),
        ({"sendingHours": {"windows": [{"days": [], "from": "08:00", "to": "09:00"}]}}, "sendingHours.windows[0].days"),
        ({"sendingHours": {"windows": [{"days": ["MON"], "from": "22:00", "to": "06:00"}]}}, "sendingHours.windows[0].to"),
        ({"sendingHours": {"windows": [{"days": ["MON"], "from": "8h", "to": "09:00"}]}}, "sendingHours.windows[0].from"),
        ({"sendingHours": {"windows": [{"days": ["MON"], "from": "08:00", "to": "24:01"}]}}, "sendingHours.windows[0].to"),
        ({"sendingHours": {"windows": NOW, "attribute": "ghost"}}, "sendingHours.attribute"),
        ({"sendingHours": {"windows": NOW, "attribute": "points"}}, "sendingHours.attribute"),
        ({"sendingHours": {"windows": NOW, "timeZone": "MARS"}}, "sendingHours.timeZone"),
        ({"sendingHours": {"windows": NOW, "timezone": "RECIPIENT"}}, "sendingHours.timezone"),
        ({"mailPerMinute": 10, "sendingHours": {"windows": NOW}}, "mailPerMinute"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_place(tenant: Tenant, body: Any, field: str) -> None:
    number = tenant.campaign()
    before = tenant.state()
    answer = tenant.json("PUT", settings(number), body)
    assert answer.status_code == 400, answer.text
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert tenant.state() == before


def test_limits_and_settings_may_be_written_back_as_they_were_read(tenant: Tenant) -> None:
    body = {"contactPressure": {"mails": 3, "days": 7}, "domains": [{"domain": "*", "connections": 4}]}
    assert tenant.json("PUT", LIMITS, body).status_code == 200
    read = tenant.json("GET", LIMITS).json()
    assert tenant.json("PUT", LIMITS, read).json() == read
    number = tenant.campaign()
    assert tenant.json("PUT", settings(number), {"sendingHours": {"windows": NOW}}).status_code == 200
    chosen = tenant.json("GET", settings(number)).json()
    assert tenant.json("PUT", settings(number), chosen).json() == chosen


def test_transactional_campaigns_have_no_hours(tenant: Tenant) -> None:
    number = tenant.campaign(mode="TRANSACTIONAL")
    answer = tenant.json("PUT", settings(number), {"sendingHours": {"windows": NOW}})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "sendingHours")


def test_limits_are_changed_by_who_has_read_them_and_senders_of_other_entities_stay(
    tenant: Tenant, tenants: Tenants
) -> None:
    both = {"senders": [{"entity": "hotels", "mailsPerHour": 100}, {"entity": "spas", "mailsPerHour": 200}]}
    first = tenant.json("PUT", LIMITS, both)
    stale = tenant.json("PUT", LIMITS, {}, If_Match='"l0"')
    assert (stale.status_code, stale.json()["code"]) == (412, "etag.mismatch")
    limited = tenants.user(tenant.licence, "limited", entities=["hotels"]).api_key
    bearer = {"Authorization": f"Bearer {limited}", "Content-Type": "application/json", "If-Match": first.headers["ETag"]}
    body = b'{"senders": [{"entity": "hotels", "mailsPerHour": 50}]}'
    answer = tenant.call("PUT", LIMITS, content=body, headers=bearer)
    assert answer.json()["senders"] == [{"entity": "hotels", "mailsPerHour": 50}]
    assert {each["entity"]: each["mailsPerHour"] for each in tenant.json("GET", LIMITS).json()["senders"]} == {
        "hotels": 50,
        "spas": 200,
    }


def test_mails_wait_for_a_relay_that_is_down_and_all_leave_when_it_is_back(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    guests(tenant, 20)
    port = free_port()
    database.execute(
        "INSERT INTO tabellion.relay (licence_id, host, port, security) SELECT id, '127.0.0.1', %s, 'NONE' "
        "FROM tabellion.licence WHERE name = %s",
        (port, tenant.licence),
    )
    number = tenant.campaign()
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    (licence,) = database.execute("SELECT id FROM tabellion.licence WHERE name = %s", (tenant.licence,)).fetchone() or (0,)
    query = f"SELECT count(*) FROM l{licence}.recipient WHERE attempt > 0"
    until(lambda: (database.execute(query).fetchone() or (0,))[0] == 21)
    with smtp_sink(port) as sink:
        until(lambda: state(tenant, number) == "FINISHED")
        assert set(sink.recipients().values()) == {1}
    assert report(tenant, number)["sent"] == 21
