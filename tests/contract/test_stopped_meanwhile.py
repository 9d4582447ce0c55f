"""Campaigns that are stopped while triggers of theirs run: whoever was promised a mail has a fate, and nobody is left waiting."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from tests.support.tenant import Tenant, schema_of
from tests.support.tenants import Tenants
from tests.support.waiting import until, until_they_wait

pytestmark = pytest.mark.usefixtures("worker")

MAIL = "/v4/entity/hotels/mail"


@pytest.fixture
def active(tenant: Tenant) -> int:
    """A transactional campaign that takes triggers."""
    number = tenant.campaign("Booked", "TRANSACTIONAL")
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    return number


def _until_ended(database: psycopg.Connection[Any], number: int) -> None:
    query = "SELECT state FROM tabellion.sending WHERE campaign_id = %s AND NOT test"
    until(lambda: database.execute(query, (number,)).fetchone() == ("ENDED",))


def _fates(tenant: Tenant, database: psycopg.Connection[Any], number: int) -> list[tuple[str, str]]:
    query = f"SELECT coalesce(reason, state), address FROM {schema_of(tenant, database)}.recipient WHERE campaign_id = %s ORDER BY id"
    return database.execute(query.encode(), (number,)).fetchall()


def _hold_ann(database_url: str, schema: str) -> psycopg.Connection[Any]:
    """A connection that keeps the profile of Ann from being saved."""
    holding = psycopg.connect(database_url)
    table = holding.execute(
        "SELECT quote_ident(table_schema) || '.' || quote_ident(table_name) FROM information_schema.tables "
        "WHERE table_schema = %s AND table_name ~ '^p[0-9]+$'",
        (schema,),
    ).fetchone()
    assert table is not None
    holding.execute(f"SELECT FROM {table[0]} WHERE a1 = 'ann@example.com' FOR UPDATE".encode())
    return holding


def _saved(address: str) -> dict[str, Any]:
    attributes = [{"name": "emailAddress", "value": address}, {"name": "lastName", "value": "Changed"}]
    return {"profile": {"attributes": attributes}}


def test_a_trigger_that_comes_too_late_is_refused(
    tenants: Tenants, tenant: Tenant, active: int, database: psycopg.Connection[Any]
) -> None:
    with _hold_ann(tenants.database_url, schema_of(tenant, database)) as holding, ThreadPoolExecutor(1) as threads:
        sent = threads.submit(
            tenant.json, "POST", f"/v4/entity/hotels/transactionalmail/{active}/contact", _saved("ann@example.com")
        )
        until_they_wait(database, "tabellion api")
        assert tenant.json("POST", f"{MAIL}/{active}/cancel").status_code == 200
        _until_ended(database, active)
        holding.commit()
        refused = sent.result()
    assert (refused.status_code, refused.json()["code"]) == (409, "campaign.state"), refused.text
    assert "cancelled" in refused.json()["message"]
    assert _fates(tenant, database, active) == []
    profile = tenant.json("GET", "/v4/entity/hotels/table/Guests/profile/emailAddress=ann@example.com").json()
    assert {"name": "lastName", "value": "Vos"} in profile["attributes"]


def test_a_campaign_does_not_end_before_its_triggers(
    tenants: Tenants, tenant: Tenant, active: int, database: psycopg.Connection[Any]
) -> None:
    contacts = {"contacts": [_saved("new@example.com"), _saved("ann@example.com")]}
    with _hold_ann(tenants.database_url, schema_of(tenant, database)) as holding, ThreadPoolExecutor(1) as threads:
        sent = threads.submit(tenant.json, "POST", f"{MAIL}/{active}/contact", contacts)
        until_they_wait(database, "tabellion api")
        assert tenant.json("POST", f"{MAIL}/{active}/cancel").status_code == 200
        # The worker, which would end it, waits for the trigger.
        until_they_wait(database, "tabellion api", "tabellion mail")
        holding.commit()
        answer = sent.result()
    assert answer.status_code == 200, answer.text
    assert [(each.get("interactionId") is not None, each.get("code")) for each in answer.json()["contacts"]] == [
        (True, None),
        (False, "campaign.state"),
    ]
    _until_ended(database, active)
    assert _fates(tenant, database, active) == [("cancelled", "new@example.com")]


def test_a_trigger_waits_for_no_call_with_many(
    tenants: Tenants, tenant: Tenant, active: int, database: psycopg.Connection[Any]
) -> None:
    contacts = {"contacts": [_saved("new@example.com"), _saved("ann@example.com")]}
    bob = {"attributes": [{"name": "emailAddress", "value": "bob@example.com"}, {"name": "lastName", "value": "Bos"}]}
    with _hold_ann(tenants.database_url, schema_of(tenant, database)) as holding, ThreadPoolExecutor(1) as threads:
        sent = threads.submit(tenant.json, "POST", f"{MAIL}/{active}/contact", contacts)
        until_they_wait(database, "tabellion api")
        answer = tenant.json("POST", f"/v4/entity/hotels/transactionalmail/{active}/contact", {"profile": bob})
        assert answer.status_code == 200, answer.text
        assert not sent.done()
        holding.commit()
        assert sent.result().json()["accepted"] == 2
    until(lambda: len(_fates(tenant, database, active)) == 3)
    until(lambda: {reason for reason, _ in _fates(tenant, database, active)} == {"ACCEPTED"})
