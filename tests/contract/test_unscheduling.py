"""A scheduled campaign goes back into definition, or begins: one of the two."""

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.contract.test_ab_tests import TEST
from tests.contract.test_sending import MAIL, outbox, state
from tests.support.mailing import begin_now
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

MAILS = "/v5/entities/hotels/mails"
LATER = {"scheduledAt": "2090-03-05T07:00:00Z"}


def unschedule(tenant: Tenant, number: int) -> httpx.Response:
    return tenant.json("POST", f"{MAILS}/{number}/unschedule")


def scheduled(tenant: Tenant, name: str = "Spring") -> int:
    number = tenant.campaign(name)
    assert tenant.json("POST", f"{MAIL}/{number}/launch", LATER).status_code == 200
    return number


def test_what_was_taken_back_is_changed_and_launched_again(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = scheduled(tenant)
    answer = unschedule(tenant, number)
    assert (answer.status_code, answer.json()) == (200, {"campaignId": number, "state": "IN_DEFINITION"})
    read = tenant.json("GET", f"{MAIL}/{number}").json()
    assert (read["scheduledAt"], read["startedAt"], read["endedAt"]) == (None, None, None)
    assert database.execute("SELECT 1 FROM tabellion.sending WHERE campaign_id = %s", (number,)).fetchone() is None
    changed = tenant.call("PUT", f"{MAIL}/{number}/content/subject", content="Changed, {{ lastName }}")
    assert changed.status_code == 200, changed.text
    # Twice more, since what is launched after it is a sending of its own.
    for _ in range(2):
        assert tenant.json("POST", f"{MAIL}/{number}/launch", LATER).json()["state"] == "SCHEDULED"
        assert unschedule(tenant, number).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").json()["state"] == "IN_PROGRESS"
    until(lambda: state(tenant, number) == "FINISHED")
    assert [mail["Subject"] for _, mail in outbox(tenant, database)] == ["Changed, Vos"]
    report = tenant.json("GET", f"{MAIL}/{number}/report").json()
    assert (report["targeted"], report["sent"]) == (1, 1)


def test_what_was_taken_back_can_be_deleted_and_its_table_too(tenant: Tenant) -> None:
    number = scheduled(tenant)
    assert unschedule(tenant, number).status_code == 200
    assert tenant.json("DELETE", f"{MAIL}/{number}").status_code == 204


def test_what_a_launched_campaign_refuses_says_the_way_to_it(tenant: Tenant) -> None:
    """`unschedule` while it is scheduled; later a copy is what is left."""

    def refusals(number: int) -> dict[str, str]:
        """What is refused by the state, and the advice."""
        answers = {
            "changed": tenant.call("PUT", f"{MAIL}/{number}/content/subject", content="Changed"),
            "tested": tenant.json("PUT", f"{MAILS}/{number}/ab-test", TEST),
            "untested": tenant.json("DELETE", f"{MAILS}/{number}/ab-test"),
            "deleted": tenant.json("DELETE", f"{MAIL}/{number}"),
        }
        return {what: answer.json()["message"] for what, answer in answers.items() if answer.status_code == 409}

    number = scheduled(tenant)
    back = "take it back into definition first ('unschedule')"
    change = f"the campaign 'Spring' is SCHEDULED and cannot be changed: {back}"
    delete = f"the campaign 'Spring' is SCHEDULED and cannot be deleted: {back}"
    assert refusals(number) == {"changed": change, "tested": change, "untested": change, "deleted": delete}
    assert unschedule(tenant, number).status_code == 200
    assert refusals(number) == {}

    number = tenant.campaign("Bon voyage", "CONTINUOUS")
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/pause").status_code == 200
    target = tenant.json("PUT", f"{MAIL}/{number}/target", {"filter": "points = 77"})
    copied = (
        "is PAUSED and cannot be changed: what was launched stays as it is. Make a copy of it ('copies'), and change that"
    )
    assert (target.status_code, target.json()["message"]) == (409, f"the campaign 'Bon voyage' {copied}")
    assert tenant.json("DELETE", f"{MAIL}/{number}").json()["message"] == (
        "the campaign 'Bon voyage' is PAUSED and cannot be deleted: what was launched stays, with its reports"
    )


def test_only_a_scheduled_campaign_is_taken_back(tenant: Tenant) -> None:
    fresh, cancelled, active = tenant.campaign("a"), scheduled(tenant, "b"), tenant.campaign("c", "CONTINUOUS")
    assert tenant.json("POST", f"{MAIL}/{cancelled}/cancel").status_code == 200
    assert tenant.json("POST", f"{MAIL}/{active}/launch").status_code == 200
    begun = tenant.campaign("d")
    assert tenant.json("POST", f"{MAIL}/{begun}/launch").status_code == 200
    until(lambda: state(tenant, begun) == "FINISHED")
    for number in (fresh, cancelled, active, begun):
        before = state(tenant, number)
        refused = unschedule(tenant, number)
        assert (refused.status_code, refused.json()["code"]) == (409, "campaign.state")
        assert before in refused.json()["message"]
        assert state(tenant, number) == before


def test_others_and_readers_take_nothing_back(tenant: Tenant, other_tenant: Tenant, tenants: Tenants) -> None:
    number = scheduled(tenant)
    assert unschedule(other_tenant, number).json()["code"] == "campaign.unknown"
    assert tenant.json("POST", f"/v5/entities/spas/mails/{number}/unschedule").status_code == 404
    reader = tenants.user(tenant.licence, "reader", rights={"campaigns": "r"})
    headers = {"Authorization": f"Bearer {reader.api_key}"}
    assert tenant.client.post(f"{MAILS}/{number}/unschedule", headers=headers).status_code == 403
    assert state(tenant, number) == "SCHEDULED"


def test_either_it_begins_or_it_is_taken_back(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    """The moment comes while several take it back: whoever is first, nobody else, and what is told is what happens."""
    rng, back, begun = random.Random(5), 0, 0
    numbers = [scheduled(tenant, f"c{i}") for i in range(24)]
    with ThreadPoolExecutor(3) as threads:
        for number in numbers:
            begin_now(database, number, in_ms=rng.randint(0, 30))
            database.execute("SELECT pg_sleep(%s)", (rng.random() * 0.06,))
            codes = sorted(each.status_code for each in threads.map(lambda n: unschedule(tenant, n), [number] * 2))
            assert codes in ([200, 409], [409, 409])
            if codes[0] == 200:
                back += 1
                assert state(tenant, number) == "IN_DEFINITION"
            else:
                begun += 1
    assert back > 0
    assert begun > 0
    taken_back = [number for number in numbers if state(tenant, number) == "IN_DEFINITION"]
    assert len(taken_back) == back
    for number in set(numbers) - set(taken_back):
        until(lambda number=number: state(tenant, number) == "FINISHED")
    assert len(outbox(tenant, database)) == begun
    for number in taken_back:
        assert tenant.json("GET", f"{MAIL}/{number}/report").json()["targeted"] == 0
        assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    for number in taken_back:
        until(lambda number=number: state(tenant, number) == "FINISHED")
    assert len(outbox(tenant, database)) == len(numbers)
