"""The documents of the webhook calls."""

import re
from datetime import date
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from tabellion.features.tables import moment_or_null, render_moment
from tabellion.features.webhooks.errors import WebhookUnreadable
from tabellion.features.webhooks.model import (
    DEFAULT_BLOCK_SIZE,
    EVENT_TYPES,
    MAX_BLOCK_SIZE,
    MAX_HEADERS,
    Failure,
    Kind,
    PushType,
    Subscription,
)
from tabellion.features.webhooks.subjects import Subject, event_type_fault
from tabellion.kit.digits import number_of
from tabellion.kit.problem import FieldError, Invalid, invalid
from tabellion.platform.http.shapes import Flag, Text

ElementId = Annotated[
    str,
    Meta(
        extra={"coerce": "text"}, description="id or name of the table, ETL, export, action or campaign; `*`: all campaigns"
    ),
]
# Which of the words it may be is up to the subject: `event_type_fault`.
EventName = Annotated[
    str, Meta(extra_json_schema={"enum": sorted({each for types in EVENT_TYPES.values() for each in types})})
]
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,2000}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class TableWebhookIn(msgspec.Struct, rename="camel"):
    """A subscription to the events of the table of the path."""

    event_type: EventName
    target_url: str
    on_fields: list[str] | None = None
    webhook_push_type: PushType = "ONE_BY_ONE"
    max_block_size: int = DEFAULT_BLOCK_SIZE
    headers: dict[str, str] | None = None
    is_active: Flag = True


class WebhookIn(msgspec.Struct, rename="camel"):
    """A subscription to be made."""

    on: Kind
    on_element_id: ElementId
    event_type: EventName
    target_url: str
    on_fields: list[str] | None = None
    webhook_push_type: PushType = "ONE_BY_ONE"
    max_block_size: int = DEFAULT_BLOCK_SIZE
    headers: dict[str, str] | None = None
    is_active: Flag = True


class WebhookChange(msgspec.Struct, rename="camel"):
    """What is to be changed; only what is sent changes."""

    on: Kind | UnsetType = UNSET
    on_element_id: ElementId | UnsetType = UNSET
    event_type: EventName | UnsetType = UNSET
    target_url: str | UnsetType = UNSET
    on_fields: list[str] | None | UnsetType = UNSET
    webhook_push_type: PushType | UnsetType = UNSET
    max_block_size: int | UnsetType = UNSET
    headers: dict[str, str] | None | UnsetType = UNSET
    is_active: Flag | UnsetType = UNSET
    rotate_secret: Annotated[bool, Meta(extra={"coerce": "flag"}, description="true: answer a new signing secret")] = False


class WebhookId(msgspec.Struct, rename="camel", omit_defaults=True):
    """The answer to a write; the secret is shown when it is made, and never again."""

    id: int
    signing_secret: str | UnsetType = UNSET


class WebhookOut(msgspec.Struct, rename="camel"):
    """One subscription, without its secret. `inactiveReason` says why it is switched off."""

    id: int
    on: str
    on_element_id: str
    event_type: str
    on_fields: list[str] | None
    target_url: str
    webhook_push_type: str
    max_block_size: int
    headers: dict[str, str]
    is_active: bool
    inactive_reason: str | None
    secrets_unreadable: Annotated[
        bool,
        Meta(description="the secret and the headers were sealed with another key than the server's: nothing is delivered"),
    ]


class WebhooksOut(msgspec.Struct, rename="camel"):
    """A page of subscriptions, by id."""

    webhook_subscriptions: list[WebhookOut]


class FailureOut(msgspec.Struct, rename="camel"):
    """One event that could not be delivered (DEAD), or not yet (RETRYING)."""

    event_id: str
    event_type: str
    occurred_at: str
    attempts: int
    last_attempt_at: str | None
    last_status_code: int | None
    last_error: str | None
    state: str
    next_attempt_at: str | None
    payload: dict[str, Any]


class FailuresOut(msgspec.Struct):
    """The failures of a day."""

    errors: list[FailureOut]


class ReplayIn(msgspec.Struct, rename="camel"):
    """Which dead events are to be delivered anew: one by its number, or those of a day."""

    event_id: Text | UnsetType = UNSET
    day: Annotated[str, Meta(description="yyyy-MM-dd, in the licence's time zone")] | UnsetType = UNSET


class ReplayOut(msgspec.Struct):
    """How many events are delivered anew."""

    replayed: int


def blank(subject: Subject, body: TableWebhookIn | WebhookIn) -> Subscription:
    """A subscription of a body, not yet anybody's. Raises `Invalid`."""
    new = Subscription(
        id=0,
        licence_id=0,
        entity_id=0,
        version=1,
        subject_kind=subject.kind,
        subject_id=subject.id,
        event_type=body.event_type,
        on_fields=_names(body.on_fields),
        target_url=body.target_url,
        push_type=body.webhook_push_type,
        max_block_size=body.max_block_size,
        headers=body.headers or {},
        is_active=body.is_active,
        inactive_since=None,
        inactive_reason=None,
        failing_since=None,
        secret=b"",
        previous_secret=None,
        previous_until=None,
    )
    return checked(new, subject)


def changed(before: Subscription, subject: Subject, body: WebhookChange) -> Subscription:
    """A subscription with what a body changes. Raises `Invalid`, `WebhookUnreadable`."""
    members: dict[str, Any] = {
        "event_type": body.event_type,
        "target_url": body.target_url,
        "push_type": body.webhook_push_type,
        "max_block_size": body.max_block_size,
        "is_active": body.is_active,
    }
    members = {name: value for name, value in members.items() if value is not UNSET}
    if not isinstance(body.on_fields, UnsetType):
        members["on_fields"] = _names(body.on_fields)
    if not isinstance(body.headers, UnsetType):
        members["headers"] = body.headers or {}
    if before.unreadable and body.rotate_secret != ("headers" in members):
        raise WebhookUnreadable(
            "secret and headers of this subscription were sealed with another key than this server's: send 'rotateSecret' "
            "and 'headers' (those that it had, or {}) together, or have the operator restore the key"
        )
    if body.rotate_secret:
        members["unreadable"] = b""
    after = replace(before, subject_kind=subject.kind, subject_id=subject.id, **members)
    return checked(after, subject)


def checked(new: Subscription, subject: Subject) -> Subscription:
    """The subscription with its fields spelt as they were defined. Raises `Invalid` with every error."""
    faults: list[FieldError] = []
    if fault := event_type_fault(new.subject_kind, new.event_type):
        raise Invalid([fault])
    if new.on_fields is not None:
        allowed = subject.fields(new.event_type)
        for i, name in enumerate(new.on_fields):
            if name.lower() not in allowed:
                faults.append(subject.field_fault(f"onFields[{i}]", new.event_type, name))
        new = replace(new, on_fields=tuple(allowed.get(name.lower(), name) for name in new.on_fields))
    if not 1 <= new.max_block_size <= MAX_BLOCK_SIZE:
        message = f"'maxBlockSize' expects a whole number from 1 to {MAX_BLOCK_SIZE}"
        faults.append(FieldError("maxBlockSize", "member.type", message))
    if len(new.headers) > MAX_HEADERS:
        faults.append(FieldError("headers", "member.type", f"'headers' expects at most {MAX_HEADERS} headers"))
    for name, value in new.headers.items():
        if not _TOKEN.fullmatch(name):
            faults.append(FieldError("headers", "text.control", f"'{name[:100]}' cannot be the name of a header"))
        elif not _HEADER_VALUE.fullmatch(value):
            message = f"the value of the header '{name}' takes printable ASCII characters, at most 2000"
            faults.append(FieldError(f"headers.{name}", "text.control", message))
    if faults:
        raise Invalid(faults)
    return new


def webhook_out(s: Subscription) -> WebhookOut:
    """One subscription as it is answered."""
    fields = None if s.on_fields is None else list(s.on_fields)
    return WebhookOut(
        s.id,
        s.subject_kind,
        "*" if s.subject_id.startswith("*") else s.subject_id,
        s.event_type,
        fields,
        s.target_url,
        s.push_type,
        s.max_block_size,
        dict(s.headers),
        s.is_active,
        s.inactive_reason,
        bool(s.unreadable),
    )


def failures_out(failures: list[Failure]) -> FailuresOut:
    """The failed events, one entry each, also where a block of them failed."""
    return FailuresOut(
        [
            FailureOut(
                str(item.id),
                item.type,
                render_moment(item.at),
                failure.attempts,
                moment_or_null(failure.last_attempt_at),
                failure.last_status,
                failure.last_error,
                "DEAD" if failure.state == "DEAD" else "RETRYING",
                None if failure.state == "DEAD" else render_moment(failure.due_at),
                msgspec.json.decode(item.payload),
            )
            for failure in failures
            for item in failure.items
        ]
    )


def read_day(text: str, field: str) -> date:
    """A day `yyyy-MM-dd`. Raises `Invalid` (parameter.invalid)."""
    try:
        # Python also reads other forms of ISO 8601.
        return date.fromisoformat(text if _DAY.fullmatch(text) else "")
    except ValueError:
        raise invalid(field, "parameter.invalid", f"'{text[:30]}' is no day yyyy-MM-dd") from None


def read_replay(body: ReplayIn) -> tuple[int | None, date | None]:
    """Number or day. Raises `Invalid`."""
    if isinstance(body.event_id, UnsetType) == isinstance(body.day, UnsetType):
        raise invalid("", "member.mandatory", "send either 'eventId' or 'day'")
    if not isinstance(body.day, UnsetType):
        return None, read_day(body.day, "day")
    number = number_of(str(body.event_id))
    if number is None:
        raise invalid("eventId", "member.type", "'eventId' expects the number of an event")
    return number, None


def _names(names: list[str] | None) -> tuple[str, ...] | None:
    """No names are all names."""
    return tuple(names) if names else None
