"""What a receiver is told of an event: its document, its headers, its blocks."""

import json

from tabellion.platform import outbox
from tabellion.platform.outbox import Interest
from tests.features.webhooks.conftest import Hooks, verify
from tests.support.custom import STAYS, create, put
from tests.support.receiver import status


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


async def test_an_event_that_cannot_be_told_is_dead_and_stands_in_nobodys_way(hooks: Hooks) -> None:
    await hooks.subscribe()
    await hooks.profile("ann@example.com", birthDate="1984-05-12")
    await hooks.db.execute('UPDATE tabellion.outbox_event SET data = data || \'{"a4": "no date"}\'')
    await hooks.profile("bob@example.com")
    await hooks.deliver()
    assert [r.json["data"]["emailAddress"] for r in hooks.receiver.requests] == ["bob@example.com"]
    assert await hooks.deliveries() == [("DEAD", 0, "the event could not be put into words: an error of the server")]
