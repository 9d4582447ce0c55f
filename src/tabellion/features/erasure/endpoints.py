"""Erasing a person (v5)."""

from typing import Any

from tabellion.features.erasure import service, wire
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_PATH = "/v5/erasures"
_COMMON: dict[str, Any] = {"category": "profiles", "module": "profiles"}
_OUT = {
    "id": 12,
    "askedAt": "2027-03-02T09:00:07.000Z",
    "endedAt": None,
    "suppressed": True,
    "erased": {
        "profiles": 1, "records": 2, "mails": 17, "withdrawn": 1, "events": 31, "outboxMails": 0, "news": 1, "answers": 0,
        "keys": 0, "files": 0,
    },
    "failure": None,
}  # fmt: skip


async def erase(call: Incoming) -> Answer:
    """Erase a person."""
    body: wire.ErasureIn = call.body
    return Answer(200, wire.erasure_out(await service.ask(call, body.address, suppress=body.suppress)))


async def get(call: Incoming) -> Answer:
    """How far an erasure is."""
    return Answer(200, wire.erasure_out(await service.get(call)))


CALLS = (
    Call(
        id="erasures.v5.add",
        method="POST",
        path=_PATH,
        summary="Erase a person",
        description=(
            "Erases who has an address, in all tables of the licence: profiles with choices, history and the records that "
            "go with them, and what is personal in their mails and in what they did with them; reports stay the same. Mails "
            "that have not left are withdrawn. Events that wait for webhooks, kept answers and keys of lists go as well: "
            "all of it, or nothing where records keep a profile from being deleted (`profile.inUse`). Files of bulk calls "
            "are searched after that, and exports that may show the person without the address deleted: `endedAt` says when "
            "nothing was left, and `failure` why something was. Who had objected to mails stays suppressed, by a keyed hash "
            "of the address; with `suppress` whoever had not, too. For API users who may use all entities."
        ),
        handler=erase,
        statuses={200: "What was erased."},
        conflicts=("profile.inUse", "erasure.tooMany"),
        body=wire.ErasureIn,
        body_example={"address": "ann@example.com", "suppress": True},
        answer=wire.ErasureOut,
        answer_example=_OUT,
        **_COMMON,
    ),
    Call(
        id="erasures.v5.get",
        method="GET",
        path=_PATH + "/{i}",
        summary="Read what an erasure has erased",
        handler=get,
        parameters=(Parameter("i", "id of the erasure", "12"),),
        statuses={200: "What was erased, and whether that was all."},
        answer=wire.ErasureOut,
        answer_example=_OUT | {"endedAt": "2027-03-02T09:00:09.000Z"},
        **_COMMON,
    ),
)
