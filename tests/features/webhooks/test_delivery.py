"""Events reach their receiver as the contract has them; what fails is repeated on schedule, and dies with a reason."""

import asyncio
import json
from datetime import timedelta
from email.utils import format_datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from standardwebhooks import Webhook

from tabellion.features.webhooks import Dispatcher, queue
from tabellion.platform import outbox
from tabellion.platform.outbox import Interest
from tests.features.tables.test_structure_races import until_waiting
from tests.features.webhooks.conftest import Hooks
from tests.support.custom import STAYS, create, put
from tests.support.receiver import Received, status

HOURS = [0, 5 / 3600, 300 / 3600, 0.5, 2, 5, 10, 16, 24]


def verify(received: Received, secret: str) -> Any:
    """As a receiver would, with the reference library."""
    return Webhook(secret).verify(received.body, received.headers)


async def test_a_creation_is_told_in_texts(hooks: Hooks) -> None:
    id_ = await hooks.subscribe()
    made = await hooks.profile(
        "ann@example.com",
        points=3,
        spent=249.5,
        member=False,
        birthDate="1984-05-12",
        lastSeen="2027-03-01T09:15:00+01:00",
        interests=["SPA", "GOLF"],
        gsmNumber=None,
        subscriptions={"Newsletter": True},
        segmentations={"Loyalty": "Gold", "Vip": True},
    )
    await hooks.deliver()

    (received,) = hooks.receiver.requests
    document = verify(received, hooks.secrets[id_])
    assert isinstance(document.pop("id"), int)
    table_id = (await hooks.row("SELECT id FROM tabellion.profile_table"))[0]
    assert document == {
        "tableType": "PROFILE_TABLE",
        "tableId": str(table_id),
        "fields": None,
        "eventType": "CREATE",
        "data": {
            "profileId": str(made.body.profile_id),
            "emailAddress": "ann@example.com",
            "lastName": "Vos",
            "points": "3",
            "spent": "249.5",
            "member": "false",
            "birthDate": "1984-05-12",
            "lastSeen": "2027-03-01T08:15:00.000Z",
            "interests": "SPA|GOLF",
            "gsmNumber": None,
            "Newsletter": "1",
            "Loyalty": "Gold",
            "Vip": "1",
        },
    }
    assert received.headers["content-type"] == "application/json"
    assert await hooks.deliveries() == []


async def test_records_of_custom_tables_are_told_in_texts(hooks: Hooks) -> None:
    table_id = await create(hooks, {**STAYS, "foreignKeys": []})
    hook = {"targetUrl": hooks.receiver.url, "onFields": ["price", "stayRef"]}
    for event_type in ("CREATE", "UPDATE", "DELETE"):
        await hooks.call("webhooks.v4.createOnCustomTable", {**hook, "eventType": event_type}, t="Stays")
    await put(hooks, "ST-1", price=249.5, breakfast=False, bookedAt="2027-03-01T09:15:00Z", voucher=7)
    await put(hooks, "ST-1", state="PAID")
    await put(hooks, "ST-1", price=None)
    await hooks.call("records.v4.delete", t="Stays", r="ST-1")
    await hooks.deliver()

    found = [json.loads(received.body) for received in hooks.receiver.requests]
    identifiers = {"id": "1000000000001", "stayRef": "ST-1", "voucher": "7"}
    told = {"price": "249.5", "breakfast": "false", "bookedAt": "2027-03-01T09:15:00.000Z"}
    expected = [("CREATE", identifiers | told), ("UPDATE", identifiers | {"price": None}), ("DELETE", identifiers)]
    assert sorted((d["eventType"], sorted(d["data"].items())) for d in found) == sorted(
        (event_type, sorted(data.items())) for event_type, data in expected
    )
    assert {(d["tableType"], d["tableId"]) for d in found} == {("CUSTOM_TABLE", table_id)}


async def test_changes_of_choices_and_memberships_are_bits(hooks: Hooks) -> None:
    await hooks.profile("ann@example.com", subscriptions={"Newsletter": True}, segmentations={"Vip": True})
    await hooks.subscribe("UPDATED_SUBSCRIPTION", onFields=["newsletter"])
    await hooks.subscribe("UPDATED_SEGMENT")
    await hooks.profile(
        "ann@example.com", subscriptions={"Newsletter": False, "Weekly offers": True}, segmentations={"Vip": False}
    )
    await hooks.profile("ann@example.com", subscriptions={"Weekly offers": False})
    await hooks.deliver()

    told = {r.json["eventType"]: r.json for r in hooks.receiver.requests}
    assert len(hooks.receiver.requests) == 2
    assert told["UPDATED_SUBSCRIPTION"]["fields"] == ["Newsletter"]
    data = {"profileId": "1", "emailAddress": "ann@example.com", "Newsletter": "0", "Weekly offers": "1"}
    assert told["UPDATED_SUBSCRIPTION"]["data"] == data
    assert told["UPDATED_SEGMENT"]["data"] == {"profileId": "1", "emailAddress": "ann@example.com", "Vip": "0"}


async def test_on_fields_lets_only_those_through(hooks: Hooks) -> None:
    await hooks.profile("ann@example.com", points=1)
    await hooks.subscribe("UPDATE", onFields=["POINTS"])
    await hooks.profile("ann@example.com", points=1, lastName="Bos")
    await hooks.profile("ann@example.com", points=2, lastName="Bos")
    await hooks.deliver()
    (received,) = hooks.receiver.requests
    assert received.json["fields"] == ["points"]
    assert received.json["data"]["lastName"] == "Bos"


async def test_a_deletion_tells_the_identifiers_only(hooks: Hooks) -> None:
    await hooks.profile("ann@example.com", points=1)
    await hooks.subscribe("DELETE")
    await hooks.call("profiles.v4.delete", p="1")
    await hooks.deliver()
    assert hooks.receiver.requests[0].json["data"] == {"profileId": "1", "emailAddress": "ann@example.com"}


async def test_each_subscription_gets_the_event_and_its_own_headers(hooks: Hooks) -> None:
    headers = {
        "X-Authorization": "secret",
        "Host": "evil",
        "Content-Type": "text/plain",
        "webhook-id": "mine",
        "Content-Length": "1",
        "User-Agent": "mine",
        "PROXY-Authorization": "mine",
    }
    await hooks.subscribe(headers=headers)
    await hooks.subscribe(url=hooks.receiver.url + "2")
    await hooks.profile("ann@example.com")
    await hooks.deliver()

    first, second = sorted(hooks.receiver.requests, key=lambda r: r.path)
    assert (first.path, second.path) == ("/hook", "/hook2")
    assert first.json["id"] == second.json["id"]
    assert first.headers["webhook-id"] != second.headers["webhook-id"]
    assert first.headers["x-authorization"] == "secret"
    assert first.headers["host"] == f"127.0.0.1:{hooks.receiver.port}"
    assert first.headers["content-type"] == "application/json"
    assert first.headers["user-agent"] == "Tabellion"
    assert "mine" not in first.headers.values()


async def test_a_block_holds_what_came_within_some_seconds(hooks: Hooks) -> None:
    id_ = await hooks.subscribe(webhookPushType="BULK", maxBlockSize=3)
    for n in range(7):
        await hooks.profile(f"p{n}@example.com")
        if n in {0, 2, 4}:
            await hooks.deliver()
            # A block is full with as many as it may hold.
            assert len(hooks.receiver.requests) == (n > 0)
    await hooks.deliver()
    assert [len(r.json) for r in hooks.receiver.requests] == [3, 3]

    hooks.clock.forward(seconds=5)
    await hooks.deliver()
    assert [len(r.json) for r in hooks.receiver.requests] == [3, 3, 1]
    told = [event["data"]["emailAddress"] for r in hooks.receiver.requests for event in verify(r, hooks.secrets[id_])]
    assert told == [f"p{n}@example.com" for n in range(7)]
    assert await hooks.deliveries() == []


async def test_blocks_for_who_wants_events_one_by_one_by_now_are_taken_apart(hooks: Hooks) -> None:
    id_ = await hooks.subscribe(webhookPushType="BULK", maxBlockSize=2)
    hooks.receiver.answers(status(500))
    for n in range(5):
        await hooks.profile(f"p{n}@example.com")
    await hooks.deliver()
    assert len(hooks.receiver.requests[0].json) == 2
    assert sorted(state for state, _, _ in await hooks.deliveries()) == ["GATHERING", "PENDING", "PENDING"]
    before = len(hooks.receiver.requests)

    await hooks.call("webhooks.v4.change", {"webhookPushType": "ONE_BY_ONE"}, w=str(id_))
    hooks.receiver.answers(status(200))
    hooks.clock.forward(seconds=30)
    for _ in range(3):  # a round that takes a block apart sends nothing
        await hooks.deliver()

    told = [verify(received, hooks.secrets[id_])["data"]["emailAddress"] for received in hooks.receiver.requests[before:]]
    assert sorted(told) == [f"p{n}@example.com" for n in range(5)]
    assert await hooks.deliveries() == []


async def test_a_trigger_has_the_second_shape(hooks: Hooks) -> None:
    made = await hooks.call("customActions.v5.create", {"name": "print-voucher"})
    body = {"on": "CUSTOM_ACTION", "onElementId": "Print-Voucher", "eventType": "TRIGGER", "targetUrl": hooks.receiver.url}
    one = (await hooks.call("webhooks.v4.create", body)).body
    await hooks.call("webhooks.v4.create", {**body, "webhookPushType": "BULK"})
    data = {
        "customAction.id": made.body.id,
        "profileId": 1042,
        "actionParameters.amount": 25,
        "profileAttributes.member": True,
    }
    interest = Interest("CUSTOM_ACTION", made.body.id, "TRIGGER")
    await outbox.emit(hooks.db, hooks.licence_id, interest, data, hooks.clock())
    await hooks.deliver()
    hooks.clock.forward(seconds=5)
    await hooks.deliver()

    single, block = hooks.receiver.requests
    texts = {
        "customAction.id": made.body.id,
        "profileId": "1042",
        "actionParameters.amount": "25",
        "profileAttributes.member": "true",
    }
    document = verify(single, one.signing_secret)
    assert document["id"] == single.headers["webhook-id"]
    assert document["data"] == texts
    assert document["_links"] == {"webhook": {"href": f"/webhooks/v4/entity/hotels/webhookSubscription/{one.id}"}}
    assert block.json["data"] == [texts]


@pytest.mark.parametrize(
    "answer", [status(500), status(302, Location="/elsewhere"), status(300), "reset", "hang", b"no HTTP\r\n\r\n"]
)
async def test_what_fails_is_repeated_under_the_same_id_on_schedule_and_dies(answer: bytes | str, hooks: Hooks) -> None:
    hooks.receiver.answers(answer)
    id_ = await hooks.subscribe()
    await hooks.profile("ann@example.com")
    begin = hooks.clock()
    quick = answer != "hang"
    for attempt in range(1, 10 if quick else 4):
        await hooks.deliver()
        assert len(hooks.receiver.requests) == attempt
        if attempt < 9:
            due = hooks.clock() + await hooks.due_in() - begin
            gap = HOURS[attempt] - HOURS[attempt - 1]
            latest = min(HOURS[attempt] + 0.2 * gap, 24)
            slack = 10 / 3600  # what the test itself takes
            assert HOURS[attempt] - 0.2 * gap <= due / timedelta(hours=1) <= latest + slack, f"attempt {attempt + 1}"
            hooks.clock.forward(seconds=(await hooks.due_in()).total_seconds() + 0.01)
    assert len({r.headers["webhook-id"] for r in hooks.receiver.requests}) == 1
    assert len({r.body for r in hooks.receiver.requests}) == 1
    assert all(path == "/hook" for path in hooks.receiver.paths)
    if not quick:
        return
    hooks.clock.forward(hours=48)
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 9
    ((state, attempts, error),) = await hooks.deliveries()
    assert (state, attempts) == ("DEAD", 9)
    assert error

    # An event that died is delivered anew when somebody asks for it, still under its id.
    hooks.receiver.answers(status(204))
    event_id = str(hooks.receiver.requests[0].json["id"])
    assert (await hooks.call("webhooks.v5.replay", {"eventId": event_id}, w=str(id_))).body.replayed == 1
    await hooks.deliver()
    assert len({r.headers["webhook-id"] for r in hooks.receiver.requests}) == 1
    assert await hooks.deliveries() == []


@pytest.mark.parametrize(("code", "dated", "honoured"), [(429, False, True), (503, True, True), (500, False, False)])
async def test_retry_after_is_honoured(code: int, dated: bool, honoured: bool, hooks: Hooks) -> None:
    wish = format_datetime(hooks.clock() + timedelta(seconds=600), usegmt=True) if dated else "600"
    hooks.receiver.answers(status(code, Retry_After=wish))
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    due = await hooks.due_in()
    assert (timedelta(seconds=590) < due <= timedelta(seconds=600)) == honoured


@pytest.mark.parametrize(
    "text", ["soon", "-5", "Wed, 99 Foo 2026 00:00:00 GMT", "9" * 50, "Mon, 01 Jan 2001 00:00:00 GMT", ""]
)
async def test_a_strange_retry_after_does_no_harm(text: str, hooks: Hooks) -> None:
    hooks.receiver.answers(status(503, Retry_After=text))
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    assert timedelta(0) < await hooks.due_in() <= timedelta(hours=24)


async def test_410_switches_off_and_says_so(hooks: Hooks) -> None:
    hooks.receiver.answers(status(500), status(410))
    id_ = await hooks.subscribe()
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    await hooks.profile("bob@example.com")
    await hooks.deliver()
    await hooks.profile("cis@example.com")
    hooks.clock.forward(hours=1)
    await hooks.deliver()

    assert len(hooks.receiver.requests) == 2
    found = await hooks.read("webhooks.v4.get", w=str(id_))
    assert found["isActive"] is False
    assert found["inactiveReason"] == "the target answered 410 (gone)"
    assert [d[0] for d in await hooks.deliveries()] == ["DEAD", "DEAD"]


async def test_five_days_of_failures_switch_off(hooks: Hooks) -> None:
    hooks.receiver.answers(status(500))
    id_ = await hooks.subscribe()
    for _ in range(5):
        await hooks.profile(f"{len(hooks.receiver.requests)}@example.com")
        await hooks.deliver()
        hooks.clock.forward(days=1, hours=1)
        await hooks.deliver()
    found = await hooks.read("webhooks.v4.get", w=str(id_))
    assert found["isActive"] is False
    assert found["inactiveReason"] == "the target has failed for 5 days"


async def test_a_success_begins_the_count_of_days_anew(hooks: Hooks) -> None:
    id_ = await hooks.subscribe()
    for day in range(6):
        hooks.receiver.answers(status(299 if day == 3 else 500))
        await hooks.profile(f"{day}@example.com")
        await hooks.deliver()
        hooks.clock.forward(days=1, hours=1)
    assert (await hooks.read("webhooks.v4.get", w=str(id_)))["isActive"] is True


async def test_a_new_secret_signs_beside_the_old_one_for_a_day(hooks: Hooks) -> None:
    id_ = await hooks.subscribe()
    old = hooks.secrets[id_]
    new = (await hooks.call("webhooks.v4.change", {"rotateSecret": True}, w=str(id_))).body.signing_secret
    assert new.startswith("whsec_")
    assert new != old
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    (received,) = hooks.receiver.requests
    assert len(received.headers["webhook-signature"].split(" ")) == 2
    assert verify(received, old) == verify(received, new)

    for hours, signatures in ((23.99, 2), (0.02, 1)):
        hooks.clock.forward(hours=hours)
        await hooks.profile(f"after-{hours}@example.com")
        await hooks.deliver()
        assert len(hooks.receiver.requests[-1].headers["webhook-signature"].split(" ")) == signatures


async def test_switched_off_and_deleted_subscriptions_get_nothing(hooks: Hooks) -> None:
    off, gone = await hooks.subscribe(), await hooks.subscribe()
    hooks.receiver.answers(status(500))
    await hooks.profile("ann@example.com")
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 2
    await hooks.call("webhooks.v4.change", {"isActive": False}, w=str(off))
    await hooks.call("webhooks.v4.delete", w=str(gone))
    await hooks.profile("bob@example.com")
    hooks.clock.forward(hours=1)
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 2
    assert await hooks.deliveries() == [("DEAD", 1, "HTTP 500; then switched off by a call")]

    await hooks.call("webhooks.v4.change", {"isActive": True}, w=str(off))
    hooks.receiver.answers(status(200))
    day = hooks.clock().date().isoformat()
    await hooks.call("webhooks.v5.replay", {"day": day}, w=str(off))
    await hooks.profile("cis@example.com")
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 4


async def test_what_happened_before_a_subscription_was_switched_off_is_kept_for_it(hooks: Hooks) -> None:
    off, _ = await hooks.subscribe(), await hooks.subscribe()
    await hooks.profile("before@example.com")
    await hooks.call("webhooks.v4.change", {"isActive": False}, w=str(off))
    await hooks.profile("after@example.com")
    await hooks.deliver()
    told = [received.json["data"]["emailAddress"] for received in hooks.receiver.requests]
    assert sorted(told) == ["after@example.com", "before@example.com"]
    assert await hooks.deliveries() == [("DEAD", 0, "switched off by a call")]

    await hooks.call("webhooks.v4.change", {"isActive": True}, w=str(off))
    day = hooks.clock().astimezone(ZoneInfo("Europe/Brussels")).date().isoformat()
    assert (await hooks.call("webhooks.v5.replay", {"day": day}, w=str(off))).body.replayed == 1
    await hooks.deliver()
    assert [received.json["data"]["emailAddress"] for received in hooks.receiver.requests[2:]] == ["before@example.com"]


@pytest.mark.parametrize("push", ["ONE_BY_ONE", "BULK"])
async def test_a_subscription_that_is_switched_off_and_its_deliveries_do_not_wait_for_each_other(
    push: str, hooks: Hooks
) -> None:
    id_ = await hooks.subscribe(webhookPushType=push)
    await hooks.profile("ann@example.com")
    hooks.receiver.answers(status(500))
    async with hooks.connection() as works, hooks.connection() as changes:
        await hooks.dispatcher.step(works)
        await hooks.dispatcher.idle()
        # A failure is to be written down; or what was gathered has waited long enough, and is to be sent.
        hooks.clock.forward(seconds=5)
        async with changes.transaction():
            await changes.execute("SELECT FROM tabellion.webhook_subscription WHERE id = %s FOR UPDATE", (id_,))
            working = asyncio.ensure_future(hooks.dispatcher.step(works))
            await until_waiting(hooks, "%tabellion.webhook_%")
            await queue.kill(changes, id_, "switched off")
        await working
        await hooks.dispatcher.idle()
    assert [state for state, _, _ in await hooks.deliveries()] == ["DEAD"]


async def test_a_target_that_hangs_or_fails_is_asked_one_at_a_time_and_others_do_not_wait(hooks: Hooks) -> None:
    hooks.receiver.answer = lambda r: "hang" if r.path == "/slow" else status(200)
    await hooks.subscribe(url=hooks.receiver.url.replace("hook", "slow"))
    await hooks.subscribe()
    for n in range(40):
        await hooks.profile(f"p{n}@example.com")
    async with hooks.connection() as db:
        await hooks.dispatcher.step(db)
        loop = asyncio.get_running_loop()
        begin = loop.time()
        while hooks.receiver.paths.count("/hook") < 40:
            assert loop.time() - begin < 0.9, hooks.receiver.paths
            await asyncio.sleep(0.005)
            await hooks.dispatcher.step(db)
        assert hooks.receiver.paths.count("/slow") == 8
        await hooks.dispatcher.idle()
        for _ in range(3):
            await hooks.dispatcher.step(db)
            await asyncio.sleep(0.05)
        assert hooks.receiver.paths.count("/slow") == 9
        await hooks.dispatcher.idle()


async def test_a_delivery_of_a_dead_worker_is_sent_again_under_its_id_once_its_lease_has_ended(hooks: Hooks) -> None:
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    async with hooks.connection() as db:
        await hooks.dispatcher.step(db)
        await hooks.dispatcher.idle()
    # It dies here: the target has the event, the database does not know.
    hooks.dispatcher._outcomes.clear()
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 1
    hooks.clock.forward(seconds=16)
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 2
    assert len({r.headers["webhook-id"] for r in hooks.receiver.requests}) == 1
    assert await hooks.deliveries() == []


@pytest.mark.parametrize("put_back_s", [0, 3600])
async def test_an_attempt_that_outlasts_the_lease_is_nobody_elses(hooks: Hooks, put_back_s: int) -> None:
    hooks.clock.forward(seconds=-put_back_s)
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    answering = asyncio.Event()
    hooks.receiver.hold = answering.wait
    other = Dispatcher(hooks._url, hooks.dispatcher._client, hooks.clock)
    async with hooks.connection() as db:
        await hooks.dispatcher.step(db)
        for _ in range(4):
            hooks.clock.forward(seconds=6)
            await hooks.dispatcher.step(db)
            await other.step(db)
        answering.set()
        await hooks.dispatcher.idle()
        await other.idle()
        await hooks.dispatcher.step(db)
    assert len(hooks.receiver.requests) == 1
    assert await hooks.deliveries() == []


async def test_what_a_worker_says_after_its_lease_is_not_believed(hooks: Hooks) -> None:
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    hooks.receiver.answers(status(500))
    async with hooks.connection() as db:
        await hooks.dispatcher.step(db)
        await hooks.dispatcher.idle()
        late = list(hooks.dispatcher._outcomes)
        hooks.dispatcher._outcomes.clear()
        hooks.clock.forward(seconds=16)
        hooks.receiver.answers(status(500))
        await hooks.dispatcher.step(db)
        await hooks.dispatcher.idle()
        hooks.dispatcher._outcomes[:0] = [msgspec.structs.replace(late[0], status=200, error=None, due_at=None)]
        await hooks.dispatcher.step(db)
    assert await hooks.deliveries() == [("PENDING", 2, "HTTP 500")]


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (None, "the worker ended during the attempts"),
        ("HTTP 500", "HTTP 500; then the worker ended during the attempts"),
        # Replayed after that.
        ("HTTP 500; then the worker ended during the attempts", "HTTP 500; then the worker ended during the attempts"),
        ("the worker ended during the attempts", "the worker ended during the attempts"),
    ],
)
async def test_an_attempt_that_always_ends_its_worker_is_given_up(hooks: Hooks, told: str | None, reason: str) -> None:
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    async with hooks.connection() as db:
        await hooks.dispatcher.step(db)
        await hooks.dispatcher.idle()
        hooks.dispatcher._outcomes.clear()
        await db.execute("UPDATE tabellion.webhook_delivery SET attempts = 9, last_error = %s", (told,))
    hooks.clock.forward(seconds=16)
    await hooks.deliver()
    assert len(hooks.receiver.requests) == 1
    assert await hooks.deliveries() == [("DEAD", 10, reason)]


async def test_an_event_that_cannot_be_told_is_dead_and_stands_in_nobodys_way(hooks: Hooks) -> None:
    await hooks.subscribe()
    await hooks.profile("ann@example.com", birthDate="1984-05-12")
    await hooks.db.execute('UPDATE tabellion.outbox_event SET data = data || \'{"a4": "no date"}\'')
    await hooks.profile("bob@example.com")
    await hooks.deliver()
    assert [r.json["data"]["emailAddress"] for r in hooks.receiver.requests] == ["bob@example.com"]
    assert await hooks.deliveries() == [("DEAD", 0, "the event could not be put into words: an error of the server")]


async def test_a_forbidden_target_is_never_called(hooks: Hooks) -> None:
    """Registered while it was allowed, or whose name leads elsewhere now."""
    await hooks.subscribe()
    await hooks.profile("ann@example.com")
    await hooks.db.execute(
        "UPDATE tabellion.webhook_subscription SET target_url = 'http://169.254.169.254/latest/meta-data'"
    )
    await hooks.deliver()
    ((state, attempts, error),) = await hooks.deliveries()
    assert (state, attempts, error) == ("PENDING", 1, "the target is an address that is not public")
    assert hooks.receiver.connections == 0
