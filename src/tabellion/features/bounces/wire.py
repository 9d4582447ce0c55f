"""The documents of the suppression list, and of bounces that providers tell of."""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Any

import msgspec

from tabellion.features.bounces.model import Kind
from tabellion.features.bounces.reporting import Told
from tabellion.features.delivery import Suppression
from tabellion.features.tables import BadValue, moment_or_null, parse_moment, render_moment
from tabellion.kit.problem import invalid
from tabellion.platform.http.shapes import Text


class SuppressionIn(msgspec.Struct):
    """An address that is to get nothing more. `reason` is MANUAL when it is not said, `since` now.

    `unsubscribed`: since when its owner wants no mails, where another reason goes before that.
    """

    address: Text
    reason: Text | None = None
    since: Text | None = None
    detail: Text | None = None
    unsubscribed: Text | None = None


class SuppressionChange(msgspec.Struct):
    """Why the address of the path is to get nothing more."""

    reason: Text | None = None
    since: Text | None = None
    detail: Text | None = None


class SuppressionsIn(msgspec.Struct):
    """Many addresses at once."""

    suppressions: list[SuppressionIn]


class SuppressionOut(msgspec.Struct):
    """An address that gets nothing more. `unsubscribed`: since when its owner wants no mails, beside the reason."""

    address: str
    reason: str
    since: str
    detail: str | None
    unsubscribed: str | None


class SuppressionsOut(msgspec.Struct, rename="camel"):
    """A page of the list, by address."""

    suppressions: list[SuppressionOut]
    next_cursor: str | None


class SuppressionsAdded(msgspec.Struct):
    """How many addresses are new on the list, and how many were on it."""

    added: int
    known: int


class BounceIn(msgspec.Struct, rename="camel"):
    """What a provider tells of one mail, or of an address.

    `type`: HARD_BOUNCE, SOFT_BOUNCE, BLOCK, COMPLAINT, ACCEPTED, or BOUNCE, when `status` and `reason` are to say which.
    """

    type: Text
    address: Text | None = None
    interaction_id: Text | None = None
    message_id: Text | None = None
    moment: Text | None = None
    status: Text | None = None
    reason: Text | None = None


class BouncesIn(msgspec.Struct):
    """What a provider tells of many."""

    bounces: list[BounceIn]


class BounceResult(msgspec.Struct, rename="camel", omit_defaults=True):
    """What came of one of them."""

    index: int
    interaction_id: int | None = None
    taken_for: str | None = None
    code: str | None = None
    message: str | None = None


class BouncesOut(msgspec.Struct):
    """What came of all of them."""

    accepted: int
    rejected: int
    bounces: list[BounceResult]


_TAKEN_FOR = {
    Kind.HARD: "HARD_BOUNCE", Kind.SOFT: "SOFT_BOUNCE", Kind.BLOCK: "BLOCK", Kind.COMPLAINT: "COMPLAINT",
    Kind.ACCEPTED: "ACCEPTED",
}  # fmt: skip


def rows_of(given: Sequence[SuppressionIn]) -> list[dict[str, Any]]:
    """Suppressions as rows, like those of a CSV file."""
    return [msgspec.structs.asdict(each) for each in given]


def suppression_out(found: Suppression) -> SuppressionOut:
    """A suppression as it is answered."""
    unsubscribed = moment_or_null(found.unsubscribed)
    return SuppressionOut(found.address, found.reason, render_moment(found.since), found.detail, unsubscribed)


def told(given: BounceIn, zone: tzinfo) -> Told:
    """What is told. Raises `Invalid`."""
    try:
        moment = parse_moment(given.moment, zone)
    except BadValue as error:
        raise invalid("moment", error.code, f"'moment' {error}") from None
    return Told(
        given.type, given.address, given.interaction_id, given.message_id, moment, given.status or "", given.reason or ""
    )


def taken_for(kind: Kind) -> str:
    """What a bounce was taken for, as it is answered."""
    return _TAKEN_FOR.get(kind, kind.value)
