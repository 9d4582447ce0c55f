"""From an event of the outbox to what a receiver gets: names instead of columns, texts instead of values."""

from decimal import Decimal
from typing import Any

import msgspec

from tabellion.features.tables import Segmentation, Table, text_value
from tabellion.features.webhooks.model import TABLES, Claimed, Subscription
from tabellion.platform.outbox import Event


class News(msgspec.Struct, frozen=True):
    """An event in the receiver's words. `fields`: what it involves, None where that cannot be said (a deletion)."""

    event: Event
    fields: frozenset[str] | None
    data: dict[str, Any]


def named(event: Event, table: Table) -> News:
    """An event of a table; what has left the structure since is left out."""
    words: dict[str, str] = {"id": table.kind.id_name}
    texts: dict[str, Any] = {}
    for attribute in table.attributes:
        words[attribute.column] = attribute.name
        if attribute.column in event.data:
            texts[attribute.column] = text_value(attribute, event.data[attribute.column])
    for subscription in table.subscriptions:
        words[subscription.column] = subscription.name
        texts[subscription.column] = _bit(event.data.get(subscription.column))
    for segmentation in table.segmentations:
        words[segmentation.column] = segmentation.name
        texts[segmentation.column] = _membership(segmentation, event.data.get(segmentation.column))
    data = {words[key]: texts[key] if key in texts else str(value) for key, value in event.data.items() if key in words}
    fields = None if event.fields is None else frozenset(words[f].lower() for f in event.fields if f in words)
    return News(event, fields, data)


def plain(event: Event) -> News:
    """An event whose writer has used the receiver's names already."""
    fields = None if event.fields is None else frozenset(f.lower() for f in event.fields)
    return News(event, fields, {name: text(value) for name, value in event.data.items()})


def text(value: Any) -> Any:
    """A JSON value as the text that receivers expect; null and objects (`_links`) stay."""
    match value:
        case None | str() | dict():
            return value
        case bool():
            return "true" if value else "false"
        case list():
            return "|".join(str(text(item)) for item in value)
        case Decimal():
            return format(value, "f")
        case _:
            return str(value)


def concerns(news: News, subscription: Subscription) -> bool:
    """Whether a subscription's `onFields` let the event through."""
    if subscription.on_fields is None or news.fields is None:
        return True
    return any(name.lower() in news.fields for name in subscription.on_fields)


def payload(news: News, subscription: Subscription) -> dict[str, Any]:
    """What the delivery holds of the event: the whole object (tables), or the `data` of a trigger."""
    event = news.event
    if event.subject_kind not in TABLES:
        return news.data
    return {
        "id": event.id,
        "tableType": event.subject_kind,
        "tableId": event.subject_id,
        "fields": subscription.on_fields,
        "eventType": event.event_type,
        "data": news.data,
    }


def body(claimed: Claimed) -> bytes:
    """The body of a delivery: the same on every attempt."""
    subscription = claimed.subscription
    payloads = [item.payload for item in claimed.items]
    content: Any = payloads if subscription.push_type == "BULK" else payloads[0]
    if subscription.subject_kind in TABLES:
        return msgspec.json.encode(content)
    href = f"/webhooks/v4/entity/{claimed.entity}/webhookSubscription/{subscription.id}"
    document: dict[str, Any] = {"id": claimed.id, "data": content, "_links": {"webhook": {"href": href}}}
    return msgspec.json.encode(document)


def _bit(value: Any) -> str | None:
    return None if value is None else ("1" if value else "0")


def _membership(segmentation: Segmentation, value: Any) -> str | None:
    if segmentation.type == "SIMPLE":
        return "1" if value else "0"
    return next((c.name for c in segmentation.categories if c.number == value), None)
