"""A triggered mail leaves at once: workers hear of it, and do not have to look."""

from pathlib import Path
from typing import Any

import psycopg

from tabellion.features.delivery import Pace
from tabellion.platform import secrets
from tests.contract.test_sending import outbox
from tests.support.mailing import sending
from tests.support.tenant import Tenant
from tests.support.waiting import until

MAIL = "/v4/entity/hotels/mail"
# It looks once, as it begins, and hears the rest: the next look is further away than the tests wait. What others have left
# in the database takes nobody's place.
DEAF = Pace(look_every_s=60.0, beat_every_s=0.2, sendings=10_000)


def _contact(name: str) -> dict[str, Any]:
    attributes = [{"name": "emailAddress", "value": f"{name}@example.com"}, {"name": "lastName", "value": name}]
    return {"profile": {"attributes": attributes}}


def test_triggered_mails_do_not_wait_for_the_next_look(
    tenant: Tenant, database: psycopg.Connection[Any], worker_database_url: str, tmp_path: Path
) -> None:
    secrets.use_key("of the tests", tmp_path)
    number = _active(tenant, "Invoice")
    with sending(worker_database_url, pace=DEAF):
        count = _until_heard(tenant, database, number)
        for name in ("ann", "bob", "cem", "dan"):
            count += 1
            _trigger(tenant, number, name, **({"Idempotency-Key": f"key-{count}"} if count % 2 else {}))
            until(lambda wanted=count: len(outbox(tenant, database)) == wanted)


def test_what_a_worker_keeps_in_order_holds_up_no_triggered_mail(
    tenant: Tenant, database: psycopg.Connection[Any], worker_database_url: str, tmp_path: Path
) -> None:
    """Somebody has the row of a look that is over, which is to be forgotten, for as long as the mails are waited for."""
    secrets.use_key("of the tests", tmp_path)
    number = _active(tenant, "Invoice")
    over = (
        "INSERT INTO tabellion.mail_due SELECT id, now() - interval '2 hours', now() - interval '1 hour' "
        "FROM tabellion.sending WHERE campaign_id = %s"
    )
    database.execute(over, (number,))
    with database.transaction():
        database.execute("SELECT FROM tabellion.mail_due WHERE until_at < now() FOR UPDATE")
        with sending(worker_database_url, pace=DEAF):
            count = _until_heard(tenant, database, number)
            for name in ("ann", "bob", "cem"):
                count += 1
                _trigger(tenant, number, name)
                until(lambda wanted=count: len(outbox(tenant, database)) == wanted)


def test_many_at_once_are_all_heard(
    tenant: Tenant, database: psycopg.Connection[Any], worker_database_url: str, tmp_path: Path
) -> None:
    secrets.use_key("of the tests", tmp_path)
    campaigns = [_active(tenant, f"Invoice {count}") for count in range(3)]
    with sending(worker_database_url, pace=DEAF):
        before = _until_heard(tenant, database, campaigns[0])
        # Some come while the worker is busy with those before them, or about to go.
        for count in range(60):
            _trigger(tenant, campaigns[count % 3], f"n{count}")
        until(lambda: len(outbox(tenant, database)) == before + 60)


def test_a_call_that_is_refused_announces_nothing(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = _active(tenant, "Invoice")
    path = f"/v4/entity/hotels/transactionalmail/{number}/contact"
    database.execute("LISTEN tabellion_mail")
    nobody = {"profile": {"attributes": [{"name": "shoeSize", "value": "x"}]}}
    for headers in ({}, {"Idempotency-Key": "refused"}):
        assert tenant.json("POST", path, nobody, **headers).status_code == 400
    _trigger(tenant, number, "ann", **{"Idempotency-Key": "taken"})
    # Calls are answered after they have announced.
    heard = [*database.notifies(timeout=10, stop_after=1), *database.notifies(timeout=0)]
    database.execute("UNLISTEN tabellion_mail")
    sending_of = database.execute("SELECT id::text FROM tabellion.sending WHERE campaign_id = %s", (number,)).fetchone()
    assert [(told.payload,) for told in heard] == [sending_of]


def _active(tenant: Tenant, name: str) -> int:
    number = tenant.campaign(name, "TRANSACTIONAL")
    assert tenant.json("POST", f"{MAIL}/{number}/launch").json()["state"] == "ACTIVE"
    return number


def _trigger(tenant: Tenant, number: int, name: str, **headers: str) -> None:
    path = f"/v4/entity/hotels/transactionalmail/{number}/contact"
    assert tenant.json("POST", path, _contact(name), **headers).status_code == 200


def _until_heard(tenant: Tenant, database: psycopg.Connection[Any], number: int) -> int:
    """Trigger mails until one arrives, which the look with which the worker begins may have found; how many have left."""
    count = 0

    def arrived() -> bool:
        nonlocal count
        count += 1
        _trigger(tenant, number, f"first{count}")
        return len(outbox(tenant, database)) > 0

    until(arrived)
    until(lambda: len(outbox(tenant, database)) == count)
    return count
