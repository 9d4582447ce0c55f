"""The suppression list, and bounces that providers tell of (v5)."""

from datetime import datetime
from typing import Any

from tabellion.features.bounces import reporting, suppression, table, wire
from tabellion.features.bounces.model import Wanted
from tabellion.features.delivery import REASONS
from tabellion.features.tables.filters import query_moment, row_limit, row_parameter
from tabellion.kit.domain import domain_name, is_domain
from tabellion.kit.problem import Invalid, Problem, invalid
from tabellion.platform.http import json_codec, negotiation, shapes
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_CATEGORY, _MODULE = "email-campaigns", "campaigns"
_LIST = "/v5/suppressions"
_ONE = _LIST + "/{a}"
_ADDRESS = Parameter("a", "an e-mail address", "ann@example.com")
_FILTERS = (
    Parameter("reason", f"only those for this reason: {', '.join(REASONS)}", "HARD_BOUNCE"),
    Parameter("domain", "only addresses of this domain", "example.com"),
    Parameter("from", "not before this moment", "2027-03-01"),
    Parameter("to", "before this moment", "2027-04-01"),
)
_PAGING = (
    row_parameter("limit", "rows to answer"),
    Parameter("cursor", "`nextCursor` of the page before", ""),
)
_CSV = "text/csv"
_MOST_ROWS, _MOST_BOUNCES = 50_000, 1000


async def list_all(call: Incoming) -> Answer:
    """A page of the list."""
    limit = row_limit(call.query.first("limit"), "limit")
    found, cursor = await suppression.page(call, _wanted(call), call.query.first("cursor"), limit)
    return Answer(200, wire.SuppressionsOut([wire.suppression_out(each) for each in found], cursor))


async def get(call: Incoming) -> Answer:
    """One address."""
    return Answer(200, wire.suppression_out(await suppression.get(call)))


async def put(call: Incoming) -> Answer:
    """Have an address get nothing more."""
    body: wire.SuppressionChange = call.body or wire.SuppressionChange()
    given = wire.SuppressionIn(call.path["a"], body.reason, body.since, body.detail)
    try:
        rows = table.read_all(wire.rows_of([given]), call.caller.time_zone, call.now)
    except Invalid as error:
        (fault,) = error.errors
        raise invalid(fault.field.rpartition(".")[2], fault.code, fault.message) from None
    await suppression.add(call, rows)
    call.path = {"a": rows[0].address}
    return Answer(200, wire.suppression_out(await suppression.get(call)))


async def delete(call: Incoming) -> Answer:
    """Let an address get mails again."""
    await suppression.remove(call)
    return Answer(204)


async def add(call: Incoming) -> Answer:
    """Have many addresses get nothing more, all or none."""
    rows = table.read_all(_rows(call), call.caller.time_zone, call.now)
    new = await suppression.add(call, rows)
    return Answer(200, wire.SuppressionsAdded(new, len(rows) - new))


async def export(call: Incoming) -> Answer:
    """The list as CSV."""
    pieces = [piece async for piece in suppression.as_csv(call.db, call.caller.licence_id, _wanted(call))]
    return Answer(200, content=b"".join(pieces), name="suppressions.csv")


async def bounces(call: Incoming) -> Answer:
    """Take what a provider tells; each is accepted or rejected by itself."""
    given: list[wire.BounceIn] = call.body.bounces
    if len(given) > _MOST_BOUNCES:
        raise invalid("bounces", "structure.tooMany", f"'bounces' expects at most {_MOST_BOUNCES}")
    results: list[wire.BounceResult] = []
    for index, each in enumerate(given):
        try:
            number, kind = await reporting.take(call, wire.told(each, call.caller.time_zone))
        except Problem as error:
            code = error.errors[0].code if isinstance(error, Invalid) else error.code
            results.append(wire.BounceResult(index, code=code, message=error.message))
        else:
            results.append(wire.BounceResult(index, number, wire.taken_for(kind)))
    accepted = sum(result.code is None for result in results)
    await reporting.record(call, accepted)
    return Answer(200, wire.BouncesOut(accepted, len(results) - accepted, results))


def _rows(call: Incoming) -> list[dict[str, Any]]:
    content_type = call.headers.get("content-type")
    if negotiation.media_type(content_type) == _CSV:
        rows = table.read_csv(call.raw_body)
    else:
        negotiation.request_format(content_type, has_body=True, version="v5")
        read: Any = shapes.reader(wire.SuppressionsIn).read(
            json_codec.decode(call.raw_body), strict=True, echoed=wire.SuppressionsOut
        )[0]
        rows = wire.rows_of(read.suppressions)
    if len(rows) > _MOST_ROWS:
        raise invalid("suppressions", "structure.tooMany", f"at most {_MOST_ROWS:,} addresses at once")
    return rows


def _wanted(call: Incoming) -> Wanted:
    reason, domain = call.query.first("reason"), call.query.first("domain")
    if reason and reason.upper() not in REASONS:
        raise invalid("reason", "parameter.invalid", f"'reason' expects {', '.join(REASONS)}")
    if domain:
        domain = domain_name(domain)
        if not is_domain(domain):
            raise invalid("domain", "parameter.invalid", "'domain' expects a domain such as example.com")
    return Wanted(reason.upper() if reason else None, domain or None, _moment(call, "from"), _moment(call, "to"))


def _moment(call: Incoming, name: str) -> datetime | None:
    return query_moment(call.query.first(name), name, call.caller.time_zone)


_OUT = {
    "address": "ann@example.com",
    "reason": "HARD_BOUNCE",
    "since": "2027-03-02T09:00:07.000Z",
    "detail": "550 5.1.1 <ann@example.com>: Recipient address rejected: User unknown",
    "unsubscribed": None,
}
_COMMON: dict[str, Any] = {"category": _CATEGORY, "module": _MODULE}

CALLS = (
    Call(
        id="suppressions.v5.list",
        method="GET",
        path=_LIST,
        summary="List the addresses that get nothing more",
        handler=list_all,
        parameters=(*_FILTERS, *_PAGING),
        statuses={200: "A page of the licence's list, by address."},
        answer=wire.SuppressionsOut,
        answer_example={"suppressions": [_OUT], "nextCursor": None},
        **_COMMON,
    ),
    Call(
        id="suppressions.v5.add",
        method="POST",
        path=_LIST,
        summary="Have many addresses get nothing more",
        description=(
            f"At most {_MOST_ROWS:,}, all or none. Those on the list already get the new reason and detail; the earlier "
            "`since` stays. UNSUBSCRIBE takes the place of no other reason, and is not forgotten for one: it is noted in "
            "`unsubscribed`. With `Content-Type: text/csv` the body is a CSV file with the columns `address`, `reason`, "
            "`since`, `detail`, `unsubscribed` (or addresses alone), such as the export answers."
        ),
        handler=add,
        statuses={200: "How many were new, and how many were on the list."},
        body=wire.SuppressionsIn,
        body_types=(_CSV,),
        body_example={"suppressions": [{"address": "ann@example.com", "reason": "MANUAL", "detail": "asked by phone"}]},
        raw=True,
        answer=wire.SuppressionsAdded,
        answer_example={"added": 1, "known": 0},
        **_COMMON,
    ),
    Call(
        id="suppressions.v5.export",
        method="GET",
        path="/v5/suppression-export",
        summary="Export the addresses that get nothing more",
        handler=export,
        parameters=_FILTERS,
        statuses={200: "CSV with a header, in UTF-8, by address."},
        download=f"{_CSV};charset=UTF-8",
        **_COMMON,
    ),
    Call(
        id="suppressions.v5.get",
        method="GET",
        path=_ONE,
        summary="Read why an address gets nothing more",
        handler=get,
        parameters=(_ADDRESS,),
        statuses={200: "Why, and since when."},
        answer=wire.SuppressionOut,
        answer_example=_OUT,
        **_COMMON,
    ),
    Call(
        id="suppressions.v5.put",
        method="PUT",
        path=_ONE,
        summary="Have an address get nothing more",
        description=(
            "Mails that have not left do not leave any more. `reason` is MANUAL when it is not said. UNSUBSCRIBE keeps "
            "transactional mails from nobody; where there is another reason, it stays, and `unsubscribed` says since when."
        ),
        handler=put,
        parameters=(_ADDRESS,),
        statuses={200: "It is on the list."},
        body=wire.SuppressionChange,
        body_optional=True,
        body_example={"reason": "MANUAL", "detail": "asked by phone"},
        answer=wire.SuppressionOut,
        answer_example=_OUT,
        **_COMMON,
    ),
    Call(
        id="suppressions.v5.delete",
        method="DELETE",
        path=_ONE,
        summary="Let an address get mails again",
        description=(
            "The reason is taken away, and its soft bounces are forgotten. Where `unsubscribed` says that the owner of the "
            "address wants no mails, that is the reason from then on; a second DELETE takes it away, too."
        ),
        handler=delete,
        parameters=(_ADDRESS,),
        statuses={204: "The reason is gone."},
        **_COMMON,
    ),
    Call(
        id="bounces.v5.add",
        method="POST",
        path="/v5/bounces",
        summary="Tell of bounces and complaints",
        description=(
            f"For providers that do not send them as mails; at most {_MOST_BOUNCES} at once, each accepted or rejected by "
            "itself. A mail is named by its `interactionId`, or by the Message-ID that it left with; an `address` beside it "
            "is compared with the mail's. An address alone is suppressed, or its soft bounce counted; no report changes. "
            "`type` is HARD_BOUNCE, SOFT_BOUNCE, BLOCK or COMPLAINT; BOUNCE when `status` and `reason` are to say which. "
            "ACCEPTED says that the relay has a mail: one of which nobody knew that counts as sent, and is not sent again. "
            "What is told twice counts once."
        ),
        handler=bounces,
        statuses={200: "What came of each."},
        body=wire.BouncesIn,
        lenient=True,
        body_example={
            "bounces": [
                {
                    "type": "BOUNCE",
                    "interactionId": "987",
                    "address": "ann@example.com",
                    "moment": "2027-03-02T09:00:07Z",
                    "status": "5.1.1",
                    "reason": "550 5.1.1 User unknown",
                }
            ]
        },
        answer=wire.BouncesOut,
        answer_example={
            "accepted": 1,
            "rejected": 0,
            "bounces": [{"index": 0, "interactionId": 987, "takenFor": "HARD_BOUNCE"}],
        },
        **_COMMON,
    ),
)
