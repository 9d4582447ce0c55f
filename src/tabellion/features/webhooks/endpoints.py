"""The webhook calls, and the replay of what could not be delivered."""

from msgspec import UNSET, UnsetType

from tabellion.features.tables import ENTITY, TABLE
from tabellion.features.webhooks import examples, service, signing, subjects, wire
from tabellion.features.webhooks.model import Subscription
from tabellion.features.webhooks.subjects import Subject
from tabellion.kit.digits import number_of
from tabellion.kit.problem import invalid
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_PATH = "/v4/entity/{e}/webhookSubscription"
_ONE = _PATH + "/{w}"
_CATEGORY = _MODULE = "webhooks"
_W = Parameter("w", "id of the webhook subscription", "123")
_DAY = Parameter("day", "a day of the licence's time zone, yyyy-MM-dd", "2027-03-01")
_PAGING = (
    Parameter("page", "number of the page, from 0", "0", schema={"type": "integer", "default": 0}),
    Parameter("pageSize", "subscriptions of a page: default 100, at most 1000", "100", schema={"type": "integer"}),
)
_MAX_PAGE_SIZE = 1000
_MAX_PAGE = 1_000_000


async def list_all(call: Incoming) -> Answer:
    """A page of the subscriptions."""
    number = _number(call, "page", 0, 0, _MAX_PAGE)
    size = _number(call, "pageSize", 100, 1, _MAX_PAGE_SIZE)
    found = await service.page(call, number=number, size=size)
    return Answer(200, wire.WebhooksOut([wire.webhook_out(s) for s in found]))


async def create(call: Incoming) -> Answer:
    """Make a subscription."""
    body: wire.WebhookIn = call.body
    return await _created(call, await subjects.in_body(call, body.on, body.on_element_id))


async def create_on_table(call: Incoming) -> Answer:
    """Make a subscription to the events of a profile table."""
    return await _created(call, await subjects.in_path(call, subjects.PROFILE_TABLE))


async def create_on_custom_table(call: Incoming) -> Answer:
    """Make a subscription to the events of a custom table."""
    return await _created(call, await subjects.in_path(call, subjects.CUSTOM_TABLE))


async def _created(call: Incoming, subject: Subject) -> Answer:
    made = await service.create(call, wire.blank(subject, call.body))
    location = f"/v4/entity/{call.path['e']}/webhookSubscription/{made.id}"
    return Answer(201, wire.WebhookId(made.id, signing.shown(made.secret)), location=location)


async def get(call: Incoming) -> Answer:
    """One subscription."""
    found = await service.get(call)
    return Answer(200, wire.webhook_out(found), etag=service.etag(found))


async def change(call: Incoming) -> Answer:
    """Change a subscription, or replace its secret."""
    body: wire.WebhookChange = call.body

    async def alter(before: Subscription) -> Subscription:
        kind = before.subject_kind if isinstance(body.on, UnsetType) else body.on
        reference = before.subject_id if isinstance(body.on_element_id, UnsetType) else body.on_element_id
        return wire.changed(before, await _subject(call, body, before, kind, reference), body)

    after, rotated = await service.change(call, alter, rotate=body.rotate_secret)
    secret = signing.shown(after.secret) if rotated else UNSET
    return Answer(200, wire.WebhookId(after.id, secret), etag=service.etag(after))


async def _subject(call: Incoming, body: wire.WebhookChange, before: Subscription, kind: str, reference: str) -> Subject:
    """The subject as it will be; one that is gone need not be found again, unless the change is about it."""
    about_it = any(
        not isinstance(part, UnsetType) for part in (body.on, body.on_element_id, body.on_fields, body.event_type)
    )
    if about_it:
        return await subjects.in_body(call, kind, reference)
    names = before.on_fields or ()
    return Subject(before.subject_kind, before.subject_id, known=tuple(names))


async def delete(call: Incoming) -> Answer:
    """Delete a subscription."""
    await service.delete(call)
    return Answer(204)


async def failures(call: Incoming) -> Answer:
    """The failures of a day."""
    return Answer(200, wire.failures_out(await service.failures(call, wire.read_day(call.path["day"], "day"))))


async def replay(call: Incoming) -> Answer:
    """Deliver dead events anew."""
    event_id, day = wire.read_replay(call.body)
    return Answer(200, wire.ReplayOut(await service.replay(call, event_id=event_id, day=day)))


def _number(call: Incoming, name: str, default: int, low: int, high: int) -> int:
    text = call.query.first(name)
    if text is None or not text.strip():
        return default
    if (found := number_of(text, high)) is not None and found >= low:
        return found
    raise invalid(name, "parameter.invalid", f"'{name}' expects a whole number from {low} to {high}")


_TARGETS = "The target begins with https:// and leads to a public address, unless the operator allows others."

CALLS = (
    Call(
        id="webhooks.v4.list",
        method="GET",
        path=_PATH,
        category=_CATEGORY,
        module=_MODULE,
        summary="List webhook subscriptions",
        handler=list_all,
        parameters=(ENTITY, *_PAGING),
        statuses={200: "The subscriptions, by id."},
        answer=wire.WebhooksOut,
        answer_root="webhookSubscriptions",
        answer_example={"webhookSubscriptions": [examples.WEBHOOK_OUT]},
    ),
    Call(
        id="webhooks.v4.create",
        method="POST",
        path=_PATH,
        category=_CATEGORY,
        module=_MODULE,
        summary="Subscribe to events",
        description=f"{_TARGETS} The signing secret is answered here and never again.",
        handler=create,
        parameters=(ENTITY,),
        statuses={201: "The subscription was made."},
        body=wire.WebhookIn,
        body_root="webhookSubscription",
        body_example=examples.WEBHOOK,
        answer=wire.WebhookId,
        secret=True,
        answer_root="webhookSubscription",
        answer_example=examples.CREATED,
    ),
    *(
        Call(
            id=f"webhooks.v4.createOn{what}",
            method="POST",
            path=f"/v4/entity/{{e}}/{segment}/{{t}}/webhookSubscription",
            category=_CATEGORY,
            module=_MODULE,
            summary=f"Subscribe to the events of a {words}",
            description=f"{_TARGETS} The signing secret is answered here and never again.",
            handler=handler,
            parameters=(ENTITY, parameter),
            statuses={201: "The subscription was made."},
            body=wire.TableWebhookIn,
            body_root="webhookSubscription",
            body_example=example,
            answer=wire.WebhookId,
            secret=True,
            answer_root="webhookSubscription",
            answer_example=examples.CREATED,
        )
        for what, segment, words, handler, parameter, example in (
            ("Table", "table", "profile table", create_on_table, TABLE, examples.TABLE_WEBHOOK),
            (
                "CustomTable",
                "customTable",
                "custom table",
                create_on_custom_table,
                Parameter("t", "name or id of the custom table", "Stays"),
                {"eventType": "CREATE", "targetUrl": "https://hooks.example.com/tabellion"},
            ),
        )
    ),
    Call(
        id="webhooks.v4.get",
        method="GET",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Read a webhook subscription",
        handler=get,
        parameters=(ENTITY, _W),
        statuses={200: "The subscription, without its secret."},
        etag=True,
        answer=wire.WebhookOut,
        answer_root="webhookSubscription",
        answer_example=examples.WEBHOOK_OUT,
    ),
    Call(
        id="webhooks.v4.change",
        method="PUT",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Change a webhook subscription",
        description=(
            "Only what is sent changes. `rotateSecret` answers a new signing secret; for a day the old one signs as well. "
            "Switching off ends the deliveries that wait; they can be replayed."
        ),
        handler=change,
        parameters=(ENTITY, _W),
        statuses={200: "The subscription was changed."},
        conflicts=("webhook.unreadable",),
        etag=True,
        tagged=True,
        body=wire.WebhookChange,
        body_root="webhookSubscription",
        body_example={"isActive": False},
        answer=wire.WebhookId,
        secret=True,
        answer_root="webhookSubscription",
        answer_example={"id": 123},
    ),
    Call(
        id="webhooks.v4.delete",
        method="DELETE",
        path=_ONE,
        category=_CATEGORY,
        module=_MODULE,
        summary="Delete a webhook subscription",
        description="Deliveries that wait are dropped.",
        handler=delete,
        parameters=(ENTITY, _W),
        statuses={204: "The subscription is deleted."},
        etag=True,
    ),
    Call(
        id="webhooks.v4.failures",
        method="GET",
        path=_ONE + "/{day}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Read the failures of a day",
        description=(
            "The events of the day that could not be delivered yet (RETRYING) or at all (DEAD), 1,000 deliveries at most. "
            "Dead events are kept for 30 days."
        ),
        handler=failures,
        parameters=(ENTITY, _W, _DAY),
        statuses={200: "The failures, oldest first."},
        answer=wire.FailuresOut,
        answer_root="webhookErrors",
        answer_example=examples.FAILURES,
    ),
    Call(
        id="webhooks.v5.replay",
        method="POST",
        path="/v5/entities/{e}/webhook-subscriptions/{w}/replays",
        category=_CATEGORY,
        module=_MODULE,
        summary="Deliver dead events anew",
        description="One event by its number (its whole block, where it was sent in one), or those of a day.",
        handler=replay,
        parameters=(ENTITY, _W),
        statuses={200: "How many events are delivered anew; 0 when the day has no dead ones."},
        conflicts=("webhook.inactive",),
        body=wire.ReplayIn,
        body_example={"eventId": "55012"},
        answer=wire.ReplayOut,
        answer_example={"replayed": 1},
    ),
)
