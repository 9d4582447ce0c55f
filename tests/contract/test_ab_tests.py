"""A/B tests: a part of the audience gets the variants, the others the winner, nobody two mails."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tabellion.platform import secrets
from tests.contract.conftest import TRANSFERS
from tests.contract.test_sending import MAIL, guests, outbox, state
from tests.support.mailing import sending
from tests.support.tenant import Tenant
from tests.support.waiting import until

VARIANTS: list[Any] = [
    {"name": "A"},
    {"name": "B", "contents": [{"subject": "B for {{ profile.lastName }}", "html": "<p>Only for you</p>"}]},
]
TEST: dict[str, Any] = {"share": 40, "variants": VARIANTS, "criterion": "CLICKS", "decideAfterMinutes": 30}


@pytest.fixture(scope="module", autouse=True)
def worker(worker_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two senders beside the API."""
    secrets.use_key(TRANSFERS["TABELLION_SECRET_KEY"], tmp_path_factory.mktemp("key"))
    with sending(worker_database_url), sending(worker_database_url):
        yield


def place(number: int) -> str:
    return f"/v5/entities/hotels/mails/{number}/ab-test"


def launched(tenant: Tenant, test: Any = TEST) -> int:
    """A campaign on its way, with its test."""
    number = tenant.campaign()
    assert tenant.json("PUT", place(number), test).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    return number


def subjects(tenant: Tenant, database: psycopg.Connection[Any]) -> Counter[str]:
    """How many mails there are of which variant."""
    return Counter("B" if mail["Subject"].startswith("B for") else "A" for _, mail in outbox(tenant, database))


def test_the_others_get_what_was_clicked_most(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    guests(tenant, 19)
    number = launched(tenant)
    until(lambda: (read := tenant.json("GET", place(number)).json())["decideAt"] and read)
    assert subjects(tenant, database) == {"A": 4, "B": 4}
    assert tenant.json("GET", f"{MAIL}/{number}/report").json()["pending"] == 12
    tested = {address for address, _ in outbox(tenant, database)}
    (licence,) = database.execute("SELECT id FROM tabellion.licence WHERE name = %s", (tenant.licence,)).fetchone() or (0,)
    # Everybody opens A; some click in B, and scanners in A.
    for variant, kind, actor, most in ((1, "OPEN", "human", 4), (2, "CLICK", "human", 2), (1, "CLICK", "scanner", 4)):
        database.execute(
            f"INSERT INTO l{licence}.mail_event (recipient_id, campaign_id, type, moment, actor) "
            f"SELECT id, campaign_id, %s, now(), %s FROM l{licence}.recipient WHERE variant = %s ORDER BY id LIMIT %s",
            (kind, actor, variant, most),
        )
    assert state(tenant, number) == "IN_PROGRESS"
    database.execute(
        "UPDATE tabellion.campaign_ab_test SET decide_at = now() - interval '1 second' WHERE campaign_id = %s", (number,)
    )
    until(lambda: state(tenant, number) == "FINISHED")
    assert subjects(tenant, database) == {"A": 4, "B": 16}
    got = Counter(address for address, _ in outbox(tenant, database))
    assert set(got.values()) == {1}
    assert tested < set(got)
    read = tenant.json("GET", place(number)).json()
    assert (read["state"], read["winner"]) == ("DECIDED", "B")
    assert [(each["name"], each["sent"], each["opened"], each["clicked"]) for each in read["results"]] == [
        ("A", 4, 4, 0),
        ("B", 16, 0, 2),
    ]
    # What it was decided by is not mixed with what came after.
    test = [(each["name"], each["targeted"], each["sent"], each["opened"], each["clicked"]) for each in read["testResults"]]
    assert test == [("A", 4, 4, 4, 0), ("B", 4, 4, 0, 2)]
    assert read["decidedAt"] is not None
    whole = tenant.json("GET", f"/v5/entities/hotels/mails/{number}/report").json()
    assert [(each["variant"], each["name"], each["sent"]) for each in whole["variants"]] == [(1, "A", 4), (2, "B", 16)]
    assert whole["abTest"] == {
        "criterion": "CLICKS", "winner": "B", "decidedAt": read["decidedAt"], "results": read["testResults"],
    }  # fmt: skip
    page = tenant.call("GET", f"/v5/entities/hotels/mails/{number}/report/page").text
    assert "B was chosen on " in page
    assert ", by clicks. These are the figures of the test at that moment." in page
    table = tenant.call("GET", f"/v5/entities/hotels/mails/{number}/report/csv").text
    assert [line for line in table.splitlines() if line.startswith("abTest,B")] == ["abTest,B,winner,4,,,,,0,,2,0,,4"]
    assert [line.split(",")[:4] for line in table.splitlines() if line.startswith("variant,B")] == [
        ["variant", "B", "", "16"]
    ]
    report = tenant.json("GET", f"{MAIL}/{number}/report").json()
    assert report["targeted"] == sum(report["excluded"].values()) + report["sent"] + report["uncertain"] == 20


def test_a_winner_is_chosen_by_hand_once_and_the_audience_may_be_smaller_than_the_test(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    guests(tenant, 4)
    number = launched(tenant, TEST | {"criterion": "MANUAL", "share": 1})
    until(lambda: len(outbox(tenant, database)) == 2)
    assert subjects(tenant, database) == {"A": 1, "B": 1}
    assert tenant.json("POST", f"{MAIL}/{number}/pause").json()["state"] == "PAUSED"
    wrong = tenant.json("POST", f"{place(number)}/winner", {"variant": "C"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "variant")
    chosen = tenant.json("POST", f"{place(number)}/winner", {"variant": "b"}).json()
    assert (chosen["winner"], [each["sent"] for each in chosen["testResults"]]) == ("B", [1, 1])
    again = tenant.json("POST", f"{place(number)}/winner", {"variant": "A"})
    assert (again.status_code, again.json()["code"]) == (409, "campaign.state")
    assert tenant.json("POST", f"{MAIL}/{number}/resume").json()["state"] == "IN_PROGRESS"
    until(lambda: state(tenant, number) == "FINISHED")
    assert subjects(tenant, database) == {"A": 1, "B": 4}


def test_a_test_that_is_cancelled_leaves_nobody_waiting(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    guests(tenant, 9)
    number = launched(tenant)
    until(lambda: len(outbox(tenant, database)) == 4)
    assert tenant.json("POST", f"{MAIL}/{number}/cancel").json()["state"] == "CANCELLED"
    report = until(lambda: (r := tenant.json("GET", f"{MAIL}/{number}/report").json())["pending"] == 0 and r)
    assert (report["sent"], report["excluded"]["cancelled"]) == (4, 6)
    assert tenant.json("GET", place(number)).json()["state"] == "UNDECIDED"


def test_a_test_of_nobody_ends_with_its_campaign(tenant: Tenant) -> None:
    number = tenant.campaign()
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {"filter": "points = 77"}).status_code == 200
    assert tenant.json("PUT", place(number), TEST).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: state(tenant, number) == "FINISHED")
    read = tenant.json("GET", place(number)).json()
    assert (read["state"], read["decideAt"], read["winner"], read["results"]) == ("UNDECIDED", None, None, [])


def test_a_variant_is_seen_as_a_test_mail_and_online(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign()
    assert tenant.json("PUT", place(number), TEST).status_code == 200
    body = {"recipients": ["me@example.com"], "profile": "emailAddress=ann@example.com", "variant": "B"}
    assert tenant.json("POST", f"{MAIL}/{number}/test", body).status_code == 200
    ((_, mail),) = until(lambda: outbox(tenant, database))
    assert mail["Subject"] == "[TEST] B for Vos"
    assert "Only for you" in mail.get_body(("html",)).get_content()
    ghost = tenant.json("POST", f"{MAIL}/{number}/test", body | {"variant": "Z"})
    assert (ghost.status_code, ghost.json()["errors"][0]["field"]) == (400, "variant")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"share": 0}, "share"),
        ({"share": 101}, "share"),
        ({"decideAfterMinutes": -1}, "decideAfterMinutes"),
        ({"decideAfterMinute": 60}, "decideAfterMinute"),
        ({"variants": VARIANTS[:1]}, "variants"),
        ({"variants": [{"name": "A"}, {"name": "a", "contents": VARIANTS[1]["contents"]}]}, "variants[1].name"),
        ({"variants": [{"name": "A"}, {"name": "B"}]}, "variants[1].contents"),
        ({"variants": [{"name": ""}, VARIANTS[1]]}, "variants[0].name"),
        ({"variants": [*VARIANTS, {"name": "C", "contents": [{}]}]}, "variants[2].contents[0]"),
        (
            {"variants": [*VARIANTS, {"name": "C", "contents": [{"language": "NL", "subject": "x"}]}]},
            "variants[2].contents[0].language",
        ),
        (
            {"variants": [*VARIANTS, {"name": "C", "contents": [{"subject": "{{ profile.ghost }}"}]}]},
            "variants[2].contents[0].subject",
        ),
        ({"variants": [*VARIANTS, {"name": "C", "contents": [{"subject": " "}]}]}, "variants[2].contents[0].subject"),
        ({"variants": [*VARIANTS, {"name": "C", "contents": [{"subject": "a\x0bb"}]}]}, "variants[2].contents[0].subject"),
        ({"variants": [*VARIANTS, {"name": "C", "contents": [{"html": " "}]}]}, "variants[2].contents[0].html"),
        ({"variants": [*VARIANTS, {"name": "C", "contents": [{"html": "{% if %}"}]}]}, "variants[2].contents[0].html"),
    ],
)
def test_tests_that_cannot_be_are_refused_with_their_place(tenant: Tenant, wrong: Any, field: str) -> None:
    number = tenant.campaign()
    answer = tenant.json("PUT", place(number), TEST | wrong)
    assert answer.status_code == 400, answer.text
    assert {error["field"] for error in answer.json()["errors"]} == {field}
    assert tenant.json("GET", place(number)).json()["code"] == "abTest.unknown"


def test_only_mass_campaigns_in_definition_have_tests(tenant: Tenant) -> None:
    continuous = tenant.campaign("c", "CONTINUOUS")
    answer = tenant.json("PUT", place(continuous), TEST)
    assert (answer.status_code, answer.json()["code"]) == (409, "campaign.kind")
    number = launched(tenant)
    for method, body in (("PUT", TEST), ("DELETE", None)):
        answer = tenant.json(method, place(number), body)
        assert (answer.status_code, answer.json()["code"]) == (409, "campaign.state")
    other = tenant.campaign("other")
    assert tenant.json("PUT", place(other), TEST).status_code == 200
    early = tenant.json("POST", f"{place(other)}/winner", {"variant": "A"})
    assert (early.status_code, early.json()["code"]) == (409, "campaign.state")
    assert tenant.json("DELETE", place(other)).status_code == 204
    for method in ("GET", "DELETE"):
        assert tenant.json(method, place(other)).json()["code"] == "abTest.unknown"
