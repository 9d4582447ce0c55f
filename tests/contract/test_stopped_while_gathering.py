"""Campaigns that are paused, cancelled or taken back while a worker enters their audience, or gives it the winner of a test: for a
large one that takes long.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from tabellion.features import campaigns, delivery
from tabellion.kit.clock import utc_now
from tabellion.platform import secrets
from tests.contract.conftest import TRANSFERS
from tests.contract.test_sending import MAIL, guests, outbox, state
from tests.support.mailing import begin_now, sending
from tests.support.tenant import Tenant, schema_of
from tests.support.waiting import until

LATER = {"scheduledAt": "2090-03-05T07:00:00Z"}
# The statement that is meant goes on when `held` is empty.
_SLOW = """
CREATE TABLE {l}.held AS SELECT 1 AS one;
CREATE FUNCTION {l}.wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN WHILE EXISTS (SELECT FROM {l}.held) LOOP PERFORM pg_sleep(0.02); END LOOP; RETURN NULL; END $$;
CREATE TRIGGER wait {when} EXECUTE FUNCTION {l}.wait();
"""
_ENTERING = "BEFORE INSERT ON {l}.recipient"
_DECIDING = "AFTER UPDATE ON {l}.recipient FOR EACH ROW WHEN (old.due_at = 'infinity' AND new.due_at < 'infinity')"
_ASLEEP = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"


@pytest.fixture
def campaign(tenant: Tenant, tmp_path_factory: pytest.TempPathFactory) -> int:
    secrets.use_key(TRANSFERS["TABELLION_SECRET_KEY"], tmp_path_factory.mktemp("key"))
    guests(tenant, 3)
    return tenant.campaign()


@contextmanager
def gathering(tenant: Tenant, url: str, when: str = _ENTERING) -> Generator[psycopg.Connection[Any]]:
    """While a worker enters the audience of the campaign that was launched, or gives it the winner; it has done so afterwards."""
    with psycopg.connect(url, autocommit=True) as database:
        schema = schema_of(tenant, database)
        database.execute(_SLOW.replace("{when}", when).replace("{l}", schema))
        with sending(url):
            until(lambda: database.execute(_ASLEEP).fetchone() is not None)
            yield database
            database.execute(f"DELETE FROM {schema}.held")
            until(lambda: database.execute(_ASLEEP).fetchone() is None)


def report(tenant: Tenant, number: int) -> dict[str, Any]:
    found: dict[str, Any] = tenant.json("GET", f"{MAIL}/{number}/report").json()
    return found


def test_a_pause_does_not_wait_for_the_audience_and_nobody_is_lost_by_it(
    tenant: Tenant, campaign: int, worker_database_url: str
) -> None:
    assert tenant.json("POST", f"{MAIL}/{campaign}/launch").status_code == 200
    with gathering(tenant, worker_database_url):
        paused = tenant.json("POST", f"{MAIL}/{campaign}/pause")
        assert (paused.status_code, paused.json().get("state")) == (200, "PAUSED")
    paused_before = report(tenant, campaign)
    assert (paused_before["targeted"], state(tenant, campaign)) == (0, "PAUSED")
    assert [each["cause"] for each in paused_before["delays"]] == ["paused"]
    assert tenant.json("POST", f"{MAIL}/{campaign}/resume").status_code == 200
    with sending(worker_database_url), psycopg.connect(worker_database_url, autocommit=True) as database:
        until(lambda: state(tenant, campaign) == "FINISHED")
        addresses = sorted(address for address, _ in outbox(tenant, database))
    assert addresses == ["ann@example.com", "g0@example.com", "g1@example.com", "g2@example.com"]
    assert report(tenant, campaign)["targeted"] == 4


def test_a_campaign_goes_on_at_once_after_a_pause_while_its_audience_was_entered(
    tenant: Tenant, campaign: int, worker_database_url: str
) -> None:
    assert tenant.json("POST", f"{MAIL}/{campaign}/launch").status_code == 200
    with gathering(tenant, worker_database_url) as database:
        for call in ("pause", "resume"):
            assert tenant.json("POST", f"{MAIL}/{campaign}/{call}").status_code == 200
        database.execute(f"DELETE FROM {schema_of(tenant, database)}.held")
        until(lambda: state(tenant, campaign) == "FINISHED")
        assert len(outbox(tenant, database)) == 4


def test_nobody_gets_a_mail_of_a_campaign_that_was_cancelled_before_its_audience_was_entered(
    tenant: Tenant, campaign: int, worker_database_url: str
) -> None:
    assert tenant.json("POST", f"{MAIL}/{campaign}/launch").status_code == 200
    with gathering(tenant, worker_database_url) as database:
        assert tenant.json("POST", f"{MAIL}/{campaign}/cancel").status_code == 200
        database.execute(f"DELETE FROM {schema_of(tenant, database)}.held")
        query = "SELECT state FROM tabellion.sending WHERE campaign_id = %s"
        until(lambda: database.execute(query, (campaign,)).fetchone() == ("ENDED",))
        assert outbox(tenant, database) == []
    found = report(tenant, campaign)
    assert (found["targeted"], found["pending"], found["state"]) == (0, 0, "CANCELLED")


def test_a_scheduled_campaign_can_be_taken_back_while_its_audience_is_entered(
    tenant: Tenant, campaign: int, worker_database_url: str
) -> None:
    assert tenant.json("POST", f"{MAIL}/{campaign}/launch", LATER).status_code == 200
    with psycopg.connect(worker_database_url, autocommit=True) as database:
        begin_now(database, campaign)
    with gathering(tenant, worker_database_url):
        taken = tenant.json("POST", f"/v5/entities/hotels/mails/{campaign}/unschedule")
        assert (taken.status_code, taken.json().get("state")) == (200, "IN_DEFINITION")
    with psycopg.connect(worker_database_url, autocommit=True) as database:
        assert database.execute(f"SELECT FROM {schema_of(tenant, database)}.recipient").fetchone() is None
    assert tenant.json("DELETE", f"{MAIL}/{campaign}").status_code == 204


async def test_a_campaign_that_is_put_off_before_its_audience_is_entered_does_not_begin(
    tenant: Tenant, campaign: int, worker_database_url: str
) -> None:
    """The worker has found it due, and not read it yet."""
    assert tenant.json("POST", f"{MAIL}/{campaign}/launch", LATER).status_code == 200
    async with await psycopg.AsyncConnection.connect(worker_database_url, autocommit=True) as database:
        found = await delivery.sending_of(database, campaign)
        assert found is not None
        with pytest.raises(delivery.Overtaken):
            async with database.transaction():
                await campaigns.gather(database, found, utc_now())
    assert (report(tenant, campaign)["targeted"], state(tenant, campaign)) == (0, "SCHEDULED")


@pytest.mark.parametrize("call", ["pause", "cancel"])
def test_a_campaign_that_is_held_does_not_wait_until_all_have_the_winner_of_its_test(
    tenant: Tenant, campaign: int, worker_database_url: str, call: str
) -> None:
    test = f"/v5/entities/hotels/mails/{campaign}/ab-test"
    other = {"name": "B", "contents": [{"subject": "B", "html": "<p>B</p>"}]}
    plan = {"share": 50, "variants": [{"name": "A"}, other], "criterion": "MANUAL"}
    assert tenant.json("PUT", test, plan).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{campaign}/launch").status_code == 200
    with sending(worker_database_url):
        until(lambda: report(tenant, campaign)["sent"] == 2)
    assert tenant.json("POST", f"{test}/winner", {"variant": "B"}).status_code == 200
    with gathering(tenant, worker_database_url, _DECIDING) as database:
        answer = tenant.json("POST", f"{MAIL}/{campaign}/{call}")
        assert answer.status_code == 200, answer.text
        database.execute(f"DELETE FROM {schema_of(tenant, database)}.held")
        if call == "cancel":
            until(lambda: report(tenant, campaign)["pending"] == 0)
    assert (report(tenant, campaign)["sent"], tenant.json("GET", test).json()["winner"]) == (2, "B")
    if call == "pause":
        assert tenant.json("POST", f"{MAIL}/{campaign}/resume").status_code == 200
        with sending(worker_database_url):
            until(lambda: state(tenant, campaign) == "FINISHED")
        assert report(tenant, campaign)["sent"] == 4
