"""An audience that is changed after its campaigns were launched: whom they mean then, and what their readers end by leaving."""

from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import psycopg
import pytest

from tabellion.kit.clock import utc_now
from tabellion.platform import secrets
from tests.contract.conftest import TRANSFERS
from tests.contract.test_audiences import AUDIENCES, MAIL, PROFILES, save
from tests.contract.test_bounces import tell
from tests.contract.test_sending import outbox, state
from tests.support import plain
from tests.support.mailing import sending
from tests.support.tenant import Tenant
from tests.support.waiting import until

TABLE = "/v5/entities/hotels/profile-tables/Guests"
# Who holds which of the two subscriptions.
HELD = {"news": (True, False), "both": (True, True), "offers": (False, True)}


@pytest.fixture
def campaign(tenant: Tenant, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> int:
    """One in definition that goes to the audience `Members`: those who hold the newsletter."""
    secrets.use_key(TRANSFERS["TABELLION_SECRET_KEY"], tmp_path_factory.mktemp("key"))
    for name, (newsletter, offers) in HELD.items():
        body: dict[str, Any] = {
            "key": {"emailAddress": f"{name}@example.com"},
            "attributes": {"lastName": name},
            "subscriptions": {"Newsletter": newsletter, "Weekly offers": offers},
        }
        assert tenant.json("PUT", PROFILES, body).status_code == 201
    save(tenant, "Members", subscription="Newsletter")
    number = tenant.campaign(mode=request.param)
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {"audience": "Members"}).status_code == 200
    return number


def turn_to_offers(tenant: Tenant) -> None:
    """From now on the audience means those who hold the weekly offers."""
    assert tenant.json("PATCH", f"{AUDIENCES}/Members", {"subscription": "Weekly offers"}).status_code == 200


def schedule(tenant: Tenant, number: int, after: timedelta) -> None:
    launched = tenant.json("POST", f"{MAIL}/{number}/launch", {"scheduledAt": (utc_now() + after).isoformat()})
    assert launched.status_code == 200, launched.text


def leave(tenant: Tenant, mail: EmailMessage) -> None:
    """Unsubscribe by a mail's button."""
    page = mail["List-Unsubscribe"].strip("<>").split("/t/", 1)[1]
    assert plain.post(f"{str(tenant.client.base_url).rstrip('/')}/t/{page}").status_code == 200


def holds(tenant: Tenant, name: str) -> dict[str, Any]:
    found: dict[str, Any] = tenant.json("GET", f"{PROFILES}/emailAddress={name}@example.com").json()["subscriptions"]
    return found


@pytest.mark.parametrize("campaign", ["MASS"], indirect=True)
def test_a_scheduled_campaign_begins_for_the_subscription_that_its_audience_has_then(
    tenant: Tenant, campaign: int, worker_database_url: str
) -> None:
    schedule(tenant, campaign, timedelta(hours=1))
    turn_to_offers(tenant)
    schedule(tenant, campaign, -timedelta(hours=1))
    with sending(worker_database_url), psycopg.connect(worker_database_url, autocommit=True) as database:
        until(lambda: state(tenant, campaign) == "FINISHED")
        mails = dict(outbox(tenant, database))
    assert set(mails) == {"both@example.com", "offers@example.com"}
    leave(tenant, mails["both@example.com"])
    assert holds(tenant, "both") == {"Newsletter": True, "Weekly offers": False}


@pytest.mark.parametrize("campaign", ["CONTINUOUS"], indirect=True)
def test_a_continuous_campaign_goes_by_the_subscription_that_its_audience_has_now(
    tenant: Tenant, campaign: int, worker_database_url: str
) -> None:
    def trigger() -> None:
        for name in HELD:
            path = f"{MAIL}/{campaign}/profile/emailAddress={name}@example.com"
            assert tenant.json("POST", path, []).status_code == 200

    assert tenant.json("POST", f"{MAIL}/{campaign}/launch").status_code == 200
    with sending(worker_database_url), psycopg.connect(worker_database_url, autocommit=True) as database:
        trigger()
        until(lambda: {to for to, _ in outbox(tenant, database)} == {"news@example.com", "both@example.com"})
        turn_to_offers(tenant)
        trigger()
        until(lambda: len(outbox(tenant, database)) == 4)
        mails = dict(outbox(tenant, database)[2:])
        assert set(mails) == {"both@example.com", "offers@example.com"}
        leave(tenant, mails["both@example.com"])
        assert holds(tenant, "both") == {"Newsletter": True, "Weekly offers": False}
        trigger()
        until(lambda: len(outbox(tenant, database)) == 5)
        assert outbox(tenant, database)[4][0] == "offers@example.com"


@pytest.mark.parametrize("by", ["trigger", "resume"])
@pytest.mark.parametrize("campaign", ["CONTINUOUS"], indirect=True)
def test_a_mail_that_has_left_stays_sent_for_the_subscription_of_then(
    tenant: Tenant, campaign: int, worker_database_url: str, by: str
) -> None:
    def trigger(name: str) -> None:
        assert tenant.json("POST", f"{MAIL}/{campaign}/profile/emailAddress={name}@example.com", []).status_code == 200

    assert tenant.json("POST", f"{MAIL}/{campaign}/launch").status_code == 200
    with sending(worker_database_url), psycopg.connect(worker_database_url, autocommit=True) as database:
        trigger("news")
        trigger("both")
        until(lambda: tenant.json("GET", f"{MAIL}/{campaign}/report").json()["sent"] == 2)
        mails = dict(outbox(tenant, database))
        turn_to_offers(tenant)
        if by == "trigger":
            trigger("offers")
        else:
            for call in ("pause", "resume"):
                assert tenant.json("POST", f"{MAIL}/{campaign}/{call}").status_code == 200
    leave(tenant, mails["both@example.com"])
    assert holds(tenant, "both") == {"Newsletter": False, "Weekly offers": True}
    spam = {"type": "COMPLAINT", "messageId": mails["news@example.com"]["Message-ID"]}
    assert tell(tenant, spam) == ["COMPLAINT"]
    assert holds(tenant, "news") == {"Newsletter": False, "Weekly offers": False}


@pytest.mark.parametrize("campaign", ["MASS"], indirect=True)
def test_what_an_audience_needs_no_more_can_be_removed_while_its_campaign_waits(tenant: Tenant, campaign: int) -> None:
    schedule(tenant, campaign, timedelta(hours=1))
    removal = {"operations": [{"operation": "removeSubscription", "name": "Newsletter"}]}
    assert tenant.json("POST", f"{TABLE}/change-requests", removal).json()["code"] == "table.inUse"
    turn_to_offers(tenant)
    assert tenant.json("POST", f"{TABLE}/change-requests", removal).status_code == 200
    removal["operations"][0]["name"] = "Weekly offers"
    assert tenant.json("POST", f"{TABLE}/change-requests", removal).json()["code"] == "table.inUse"
