"""A triggered mail leaves at once: workers hear of it, and do not have to look."""

from pathlib import Path
from typing import Any

import psycopg

from tabellion.features.delivery import Pace
from tabellion.platform import secrets
from tests.contract.test_sending import outbox, until
from tests.support.mailing import sending
from tests.support.tenant import Tenant

MAIL = "/v4/entity/hotels/mail"
# Longer than the tests wait.
DEAF = Pace(look_every_s=60.0, beat_every_s=0.2)


def _contact(name: str) -> dict[str, Any]:
    attributes = [{"name": "emailAddress", "value": f"{name}@example.com"}, {"name": "lastName", "value": name}]
    return {"profile": {"attributes": attributes}}


def test_triggered_mails_do_not_wait_for_the_next_look(
    tenant: Tenant, database: psycopg.Connection[Any], worker_database_url: str, tmp_path: Path
) -> None:
    secrets.use_key("of the tests", tmp_path)
    number = tenant.campaign("Invoice", "TRANSACTIONAL")
    assert tenant.json("POST", f"{MAIL}/{number}/launch").json()["state"] == "ACTIVE"
    path = f"/v4/entity/hotels/transactionalmail/{number}/contact"

    with sending(worker_database_url, pace=DEAF):
        for count, name in enumerate(("ann", "bob", "cem", "dan"), start=1):
            # The first may be found by the look with which the worker begins; those after it by nothing but the announcement.
            headers = {"Idempotency-Key": f"key-{count}"} if count % 2 else {}
            assert tenant.json("POST", path, _contact(name), **headers).status_code == 200
            until(lambda wanted=count: len(outbox(tenant, database)) == wanted)


def test_many_at_once_are_all_heard(
    tenant: Tenant, database: psycopg.Connection[Any], worker_database_url: str, tmp_path: Path
) -> None:
    secrets.use_key("of the tests", tmp_path)
    campaigns = [tenant.campaign(f"Invoice {count}", "TRANSACTIONAL") for count in range(3)]
    for number in campaigns:
        assert tenant.json("POST", f"{MAIL}/{number}/launch").json()["state"] == "ACTIVE"

    with sending(worker_database_url, pace=DEAF):
        # Some come while the worker is busy with those before them, or about to go; the look with which it began is over by then.
        for count in range(60):
            number = campaigns[count % 3]
            answer = tenant.json("POST", f"/v4/entity/hotels/transactionalmail/{number}/contact", _contact(f"n{count}"))
            assert answer.status_code == 200
            if count in {0, 20, 40}:
                until(lambda wanted=count + 1: len(outbox(tenant, database)) == wanted)
        until(lambda: len(outbox(tenant, database)) == 60)
