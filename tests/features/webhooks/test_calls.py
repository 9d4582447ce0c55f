"""The calls of subscriptions: what they take, refuse and answer; what they make the writers listen for."""

from base64 import b64decode
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tabellion.features.webhooks import purge_dead
from tabellion.kit.problem import Invalid, Problem
from tabellion.platform import egress
from tabellion.platform.egress import Policy
from tabellion.platform.http.json_codec import decode, encode
from tabellion.platform.http.query import Query
from tests.features.webhooks.conftest import Hooks
from tests.support.custom import LOGS, create
from tests.support.postgres import Cluster, database_name

TARGET = "https://8.8.8.8/hook"


@pytest.fixture(scope="module")
def database_url(cluster: Cluster, template_database: str) -> Iterator[str]:
    """One database for all of these tests, which make and refuse subscriptions; `hooks` leaves nothing in it."""
    name = database_name("calls")
    yield cluster.create(name, template=template_database)
    cluster.drop(name)


def hook(**members: Any) -> dict[str, Any]:
    return {"on": "PROFILE_TABLE", "onElementId": "Guests", "eventType": "CREATE", "targetUrl": TARGET} | members


async def refused(hooks: Hooks, body: dict[str, Any], call_id: str = "webhooks.v4.create", **options: Any) -> Problem:
    before = await hooks.physical()
    with pytest.raises(Problem) as refusal:
        await hooks.call(call_id, body, **options)
    assert await hooks.physical() == before
    return refusal.value


async def interests(hooks: Hooks) -> set[tuple[str, str]]:
    cursor = await hooks.db.execute(
        "SELECT subject_kind, event_type FROM tabellion.outbox_interest WHERE licence_id = %s", (hooks.licence_id,)
    )
    return {(row[0], row[1]) for row in await cursor.fetchall()}


async def get(hooks: Hooks, id_: int) -> dict[str, Any]:
    return await hooks.read("webhooks.v4.get", w=str(id_))


async def test_what_is_made_is_read_as_it_was_defined(hooks: Hooks) -> None:
    made = await hooks.call("webhooks.v4.create", hook(onFields=["LASTNAME"], headers={"X-Authorization": "secret"}))
    found = await get(hooks, made.body.id)
    table_id = (await hooks.row("SELECT id FROM tabellion.profile_table"))[0]
    assert found == {
        "id": made.body.id,
        "on": "PROFILE_TABLE",
        "onElementId": str(table_id),
        "eventType": "CREATE",
        "onFields": ["lastName"],
        "targetUrl": TARGET,
        "webhookPushType": "ONE_BY_ONE",
        "maxBlockSize": 100,
        "headers": {"X-Authorization": "secret"},
        "isActive": True,
        "inactiveReason": None,
        "secretsUnreadable": False,
    }
    assert made.location == f"/v4/entity/hotels/webhookSubscription/{made.body.id}"


@pytest.mark.parametrize("reference", ["guests", "number", "text"])
async def test_a_table_is_named_by_name_or_id(reference: str, hooks: Hooks) -> None:
    table_id = (await hooks.row("SELECT id FROM tabellion.profile_table"))[0]
    element = {"guests": "guests", "number": table_id, "text": str(table_id)}[reference]
    made = await hooks.call("webhooks.v4.create", hook(onElementId=element))
    assert (await get(hooks, made.body.id))["onElementId"] == str(table_id)


async def test_a_custom_table_is_named_by_name_or_id(hooks: Hooks) -> None:
    id_ = await create(hooks, LOGS)
    for reference in ("LOGS", id_, id_.upper()):
        made = await hooks.call("webhooks.v4.create", hook(on="CUSTOM_TABLE", onElementId=reference, onFields=["TEXT"]))
        found = await get(hooks, made.body.id)
        assert (found["on"], found["onElementId"], found["onFields"]) == ("CUSTOM_TABLE", id_, ["text"])
    body = {"eventType": "DELETE", "targetUrl": TARGET}
    made = await hooks.call("webhooks.v4.createOnCustomTable", body, t=id_)
    assert (await get(hooks, made.body.id))["onElementId"] == id_


@pytest.mark.parametrize(
    ("members", "code", "field"),
    [
        ({"on": "TABLE"}, "member.type", "on"),
        ({"eventType": "TRIGGER"}, "member.type", "eventType"),
        ({"eventType": "created"}, "member.type", "eventType"),
        ({"on": "CUSTOM_TABLE", "eventType": "UPDATED_SEGMENT"}, "table.unknown", "onElementId"),
        ({"onElementId": "None"}, "table.unknown", "onElementId"),
        ({"on": "ETL", "eventType": "FINISHED"}, "etl.unknown", "onElementId"),
        ({"on": "EXPORT", "eventType": "FINISHED"}, "export.unknown", "onElementId"),
        ({"on": "CUSTOM_ACTION", "eventType": "TRIGGER"}, "action.unknown", "onElementId"),
        ({"onFields": ["lastName", "shoeSize"]}, "attribute.unknown", "onFields[1]"),
        ({"eventType": "UPDATED_SUBSCRIPTION", "onFields": ["lastName"]}, "subscription.unknown", "onFields[0]"),
        ({"eventType": "UPDATED_SEGMENT", "onFields": ["Newsletter"]}, "segmentation.unknown", "onFields[0]"),
        ({"webhookPushType": "SOMETIMES"}, "member.type", "webhookPushType"),
        ({"maxBlockSize": 0}, "member.type", "maxBlockSize"),
        ({"maxBlockSize": 1001}, "member.type", "maxBlockSize"),
        ({"headers": {"X Y": "1"}}, "text.control", "headers"),
        ({"headers": {"X-Y": "1\r\nZ: 2"}}, "text.control", "headers.X-Y"),
        ({"headers": {"X-Y": "é"}}, "text.control", "headers.X-Y"),
        ({"headers": {f"X-{n}": "1" for n in range(51)}}, "member.type", "headers"),
        ({"isActive": "perhaps"}, "member.type", "isActive"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_place(
    members: dict[str, Any], code: str, field: str, hooks: Hooks
) -> None:
    error = await refused(hooks, hook(**members))
    assert isinstance(error, Invalid)
    assert (error.code, error.errors[0].field) == (code, field)


@pytest.mark.parametrize(
    ("members", "advice"),
    [
        (
            {"eventType": "CREATED"},
            "for PROFILE_TABLE, one of CREATE, UPDATE, DELETE, UPDATED_SUBSCRIPTION, UPDATED_SEGMENT; did you mean 'CREATE'?",
        ),
        ({"onFields": ["lastNam"]}, "the table has no attribute 'lastNam'; did you mean 'lastName'?"),
        ({"onFields": ["Newsletter"]}, "it has a subscription of this name (CREATE takes names of attributes)"),
        ({"eventType": "UPDATED_SEGMENT", "onFields": ["Loyalti"]}, "did you mean 'Loyalty'?"),
        ({"on": "CUSTOM_ACTION", "onElementId": "print", "eventType": "TRIGGER", "onFields": ["x"]}, "leave 'onFields' out"),
    ],
)
async def test_what_may_be_meant_is_said(members: dict[str, Any], advice: str, hooks: Hooks) -> None:
    await hooks.call("customActions.v5.create", {"name": "print"})
    assert advice in (await refused(hooks, hook(**members))).message


@pytest.mark.parametrize(
    "url", ["http://8.8.8.8/", "https://127.0.0.1/", "https://localhost/", "https://[::ffff:10.0.0.1]/", "no url", ""]
)
async def test_a_target_that_may_not_be_called_is_refused_at_registration(url: str, hooks: Hooks) -> None:
    egress.allow(Policy())
    assert (await refused(hooks, hook(targetUrl=url))).code == "webhook.target"
    made = await hooks.call("webhooks.v4.create", hook())
    error = await refused(hooks, {"targetUrl": url}, "webhooks.v4.change", w=str(made.body.id))
    assert error.code == "webhook.target"


async def test_only_what_is_sent_changes(hooks: Hooks) -> None:
    id_ = (await hooks.call("webhooks.v4.create", hook(onFields=["lastName"], headers={"X-Key": "1"}))).body.id
    before = await get(hooks, id_)
    changed = await hooks.call("webhooks.v4.change", {"isActive": 0}, w=str(id_))
    assert decode(encode(changed.body)) == {"id": id_}
    assert await get(hooks, id_) == before | {"isActive": False, "inactiveReason": "switched off by a call"}
    await hooks.call("webhooks.v4.change", {"isActive": True, "onFields": [], "headers": None}, w=str(id_))
    assert await get(hooks, id_) == before | {"onFields": None, "headers": {}}
    await hooks.call("webhooks.v4.change", {"eventType": "UPDATED_SEGMENT", "onFields": ["vip"]}, w=str(id_))
    assert (await get(hooks, id_))["onFields"] == ["Vip"]
    error = await refused(hooks, {"eventType": "CREATE"}, "webhooks.v4.change", w=str(id_))
    assert error.code == "attribute.unknown"


async def test_a_change_that_changes_nothing_is_none(hooks: Hooks) -> None:
    id_ = (await hooks.call("webhooks.v4.create", hook())).body.id
    tag = (await hooks.call("webhooks.v4.get", w=str(id_))).etag
    assert (await hooks.call("webhooks.v4.change", {"isActive": True, "targetUrl": TARGET}, w=str(id_))).etag == tag


async def test_if_match_guards_a_change(hooks: Hooks) -> None:
    id_ = (await hooks.call("webhooks.v4.create", hook())).body.id
    tag = (await hooks.call("webhooks.v4.get", w=str(id_))).etag
    await hooks.call("webhooks.v4.change", {"isActive": False}, w=str(id_), if_match=f'"{tag}"')
    assert (await refused(hooks, {"isActive": True}, "webhooks.v4.change", w=str(id_), if_match=f'"{tag}"')).status == 412
    with pytest.raises(Problem) as refusal:
        await hooks.call("webhooks.v4.delete", w=str(id_), if_match=f'"{tag}"')
    assert refusal.value.status == 412


async def test_writers_listen_for_what_active_subscriptions_want(hooks: Hooks) -> None:
    one = (await hooks.call("webhooks.v4.create", hook())).body.id
    two = (await hooks.call("webhooks.v4.create", hook(eventType="UPDATE"))).body.id
    assert await interests(hooks) == {("PROFILE_TABLE", "CREATE"), ("PROFILE_TABLE", "UPDATE")}
    await hooks.call("webhooks.v4.change", {"isActive": False}, w=str(one))
    assert await interests(hooks) == {("PROFILE_TABLE", "UPDATE")}
    await hooks.call("webhooks.v4.delete", w=str(two))
    assert await interests(hooks) == set()


async def test_the_list_is_paged(hooks: Hooks) -> None:
    ids = [(await hooks.call("webhooks.v4.create", hook())).body.id for _ in range(5)]

    async def page(**query: str) -> list[int]:
        incoming = await hooks.incoming("webhooks.v4.list")
        incoming.query = Query(list(query.items()))
        answer = await incoming.call.handler(incoming)
        return [s.id for s in answer.body.webhook_subscriptions]

    assert await page() == ids
    assert await page(page="1", pageSize="2") == ids[2:4]
    assert await page(page="3", pageSize="2") == []
    for query in ({"page": "-1"}, {"pageSize": "0"}, {"pageSize": "1001"}, {"page": "x"}, {"page": "٣"}):
        with pytest.raises(Invalid, match="whole number"):
            await page(**query)


@pytest.mark.parametrize("reference", ["0", "x", "999999999", "9" * 30, "-1", "1.0", "٣"])
async def test_an_unknown_subscription_is_a_404(reference: str, hooks: Hooks) -> None:
    with pytest.raises(Problem) as refusal:
        await hooks.call("webhooks.v4.get", w=reference)
    assert (refusal.value.status, refusal.value.code) == (404, "webhook.unknown")


async def test_another_entity_does_not_have_it(hooks: Hooks) -> None:
    id_ = (await hooks.call("webhooks.v4.create", hook())).body.id
    with pytest.raises(Problem) as refusal:
        await hooks.call("webhooks.v4.get", e="spas", w=str(id_))
    assert refusal.value.code == "webhook.unknown"


async def test_the_failures_of_a_day_are_those_of_the_licences_day(hooks: Hooks) -> None:
    id_ = await hooks.subscribe()
    hooks.receiver.answers("reset")
    # 23:00 of the day before in UTC is midnight in Brussels.
    for name, moment in (
        ("late", "2027-01-31T23:30:00Z"),
        ("first", "2027-01-31T23:00:00Z"),
        ("next", "2027-02-01T23:00:00Z"),
    ):
        await hooks.profile(f"{name}@example.com")
        await hooks.deliver()
        query = "UPDATE tabellion.webhook_delivery SET occurred_at = %s WHERE position(%s IN events::text) > 0"
        await hooks.db.execute(query, (moment, f"{name}@example.com"))

    async def told(day: str) -> list[dict[str, Any]]:
        return (await hooks.read("webhooks.v4.failures", w=str(id_), day=day))["errors"]

    assert await told("2027-01-31") == []
    names = [each["payload"]["data"]["emailAddress"].partition("@")[0] for each in await told("2027-02-01")]
    assert names == ["first", "late"]
    (error,) = await told("2027-02-02")
    assert error["state"] == "RETRYING"
    assert error["attempts"] == 1
    assert error["nextAttemptAt"] > error["lastAttemptAt"]
    assert error["lastStatusCode"] is None
    assert error["lastError"]
    assert error["payload"]["eventType"] == error["eventType"] == "CREATE"
    assert error["payload"]["id"] == int(error["eventId"])

    # Those of the day that are dead are delivered anew; what is tried still goes on as it was.
    await hooks.db.execute(
        "UPDATE tabellion.webhook_delivery SET state = 'DEAD' WHERE occurred_at <> '2027-01-31T23:30:00Z'"
    )
    assert (await hooks.call("webhooks.v5.replay", {"day": "2027-02-01"}, w=str(id_))).body.replayed == 1
    states = await hooks.db.execute("SELECT state, attempts FROM tabellion.webhook_delivery ORDER BY occurred_at")
    assert await states.fetchall() == [("PENDING", 0), ("PENDING", 1), ("DEAD", 1)]


async def test_what_died_a_month_ago_is_forgotten(hooks: Hooks) -> None:
    await hooks.subscribe()
    hooks.receiver.answers("reset")
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    now = hooks.clock()
    month, second = timedelta(days=30), timedelta(seconds=1)
    for state, occurred_at, attempted_at, kept in (
        ("DEAD", now - 2 * month, now - month, True),
        ("DEAD", now - month, None, True),
        ("PENDING", now - 2 * month, now - 2 * month, True),
        ("DEAD", now - month - second, None, False),
        ("DEAD", now - 2 * month, now - month - second, False),
    ):
        async with hooks.db.transaction(force_rollback=True):
            query = "UPDATE tabellion.webhook_delivery SET state = %s, occurred_at = %s, last_attempt_at = %s"
            await hooks.db.execute(query, (state, occurred_at, attempted_at))
            assert (await purge_dead(hooks.db, now), len(await hooks.deliveries())) == ((0, 1) if kept else (1, 0))


@pytest.mark.parametrize("day", ["2027-02-30", "20270201", "2027-2-1", "today", "9999-12-31", "0001-01-01"])
async def test_a_strange_day_is_no_fault_of_ours(day: str, hooks: Hooks) -> None:
    id_ = await hooks.subscribe()
    try:
        await hooks.call("webhooks.v4.failures", w=str(id_), day=day)
    except Invalid as error:
        assert error.code == "parameter.invalid"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "member.mandatory"),
        ({"eventId": "1", "day": "2027-01-01"}, "member.mandatory"),
        ({"eventId": "x"}, "member.type"),
        ({"eventId": "9" * 30}, "member.type"),
        ({"day": "soon"}, "parameter.invalid"),
        ({"eventId": 1}, "event.unknown"),
    ],
)
async def test_a_replay_says_what_it_lacks(body: dict[str, Any], code: str, hooks: Hooks) -> None:
    id_ = await hooks.subscribe()
    assert (await refused(hooks, body, "webhooks.v5.replay", w=str(id_))).code == code


async def test_a_replay_needs_an_active_subscription(hooks: Hooks) -> None:
    id_ = await hooks.subscribe(isActive=False)
    error = await refused(hooks, {"day": "2027-01-01"}, "webhooks.v5.replay", w=str(id_))
    assert (error.status, error.code) == (409, "webhook.inactive")


async def test_the_secret_is_shown_once_and_stored_nowhere_else(hooks: Hooks) -> None:
    made = (await hooks.call("webhooks.v4.create", hook())).body
    shown = encode((await hooks.call("webhooks.v4.get", w=str(made.id))).body)
    assert made.signing_secret.encode() not in shown
    audit = await hooks.row("SELECT array_agg(a::text) FROM tabellion.audit a WHERE licence_id = %s", hooks.licence_id)
    assert any(f"webhook/{made.id}" in entry for entry in audit[0])
    assert made.signing_secret not in str(audit)
    assert len(b64decode(made.signing_secret.removeprefix("whsec_"), validate=True)) == 32
