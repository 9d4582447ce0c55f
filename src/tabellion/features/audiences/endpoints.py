"""The calls of saved audiences, version 5."""

import asyncio
import re
from typing import Any

from tabellion.features.audiences import service, wire
from tabellion.features.audiences.examples import LIMIT, SAMPLE
from tabellion.features.audiences.model import Audience
from tabellion.features.tables import ENTITY
from tabellion.kit.problem import Malformed
from tabellion.platform.http.call import Answer, Call, Form, Incoming, Parameter
from tabellion.platform.http.problems import BodyTooLarge

_PATH = "/v5/entities/{e}/audiences"
_ONE = _PATH + "/{audience}"
_AUDIENCE = Parameter("audience", "id or name of the audience", "Belgians")
_FILE = "inputFile"
_TEXT = "text/plain"
_MAX_BYTES = 64 * 1024 * 1024
# RFC 4180, section 2: a quote within is doubled.
_QUOTED = re.compile(r'"((?:[^"]|"")*)')


async def search(call: Incoming) -> Answer:
    """List audiences."""
    return Answer(200, wire.audiences_out(await service.search(call), await service.tables_by_id(call)))


async def create(call: Incoming) -> Answer:
    """Save an audience."""
    body: wire.AudienceIn = call.body
    keys = None if body.keys is None else body.keys.values
    made = await service.create(call, wire.read_new(body, call.now), body.entity_of_target, body.target_table, keys)
    return Answer(201, await _out(call, made), location=f"/v5/entities/{call.path['e']}/audiences/{made.id}")


async def get(call: Incoming) -> Answer:
    """Read an audience."""
    found = await service.get(call)
    return Answer(200, await _out(call, found), etag=service.etag(found))


async def change(call: Incoming) -> Answer:
    """Change an audience."""
    body: wire.AudienceChange = call.body
    keys = body.keys.values if isinstance(body.keys, wire.AudienceKeys) else None
    after = await service.change(call, lambda before: wire.read_changed(before, body), keys)
    return Answer(200, await _out(call, after))


async def put_keys(call: Incoming) -> Answer:
    """Set the keys of an audience from a file."""
    upload = None if call.upload is None else call.upload.wanted(_FILE)
    if upload is not None and upload.size > _MAX_BYTES:
        raise BodyTooLarge(f"the file is over {_MAX_BYTES:,} bytes, the most for a list of keys")
    raw = call.raw_body if upload is None else await asyncio.to_thread(upload.path.read_bytes)
    attribute = call.query.first("attribute") or None
    after = await service.import_keys(call, attribute, await asyncio.to_thread(_lines, raw))
    return Answer(200, await _out(call, after))


async def delete(call: Incoming) -> Answer:
    """Delete an audience."""
    await service.delete(call)
    return Answer(204)


async def sample(call: Incoming) -> Answer:
    """How many profiles an audience means, and some of them."""
    most = wire.read_sample_size(call.query.first("limit"))
    found = await service.get(call)
    table = await service.table_of(call, found)
    return Answer(200, wire.sample_out(table, await service.sample(call, found, table, most)))


async def _out(call: Incoming, audience: Audience) -> wire.AudienceOut:
    return wire.audience_out(audience, await service.table_of(call, audience))


def _lines(raw: bytes) -> list[tuple[int, str]]:
    """The first cell of each line that is not empty, with the line's number. Raises `Malformed`."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(f"the file is not in UTF-8: byte {error.start}") from None
    if "\0" in text:
        raise Malformed("the file holds a character NUL, which no key may have")
    cells = enumerate(map(_first_cell, text.splitlines()), start=1)
    return [(number, cell) for number, cell in cells if cell]


def _first_cell(line: str) -> str:
    line = line.strip()
    if quoted := _QUOTED.match(line):
        return quoted[1].replace('""', '"').strip()
    for separator in (";", "\t", ","):
        line = line.partition(separator)[0]
    return line.strip()


_IN: dict[str, Any] = {
    "name": "Belgians",
    "targetTable": "Guests",
    "entityOfTarget": None,
    "subscription": "Newsletter",
    "segmentations": [{"name": "Loyalty", "category": "Gold"}],
    "filter": 'addressCountry = "BE"',
    "exclude": "points < 10",
    "keys": {"attribute": "cardNumber", "values": ["A1", "A2"]},
}
_OUT: dict[str, Any] = {
    "id": 1001,
    **{name: value for name, value in _IN.items() if name != "entityOfTarget"},
    "keys": {"attribute": "cardNumber", "count": 2},
    "creationMoment": "2027-03-01T08:15:00.000Z",
    "updateMoment": "2027-03-01T08:15:00.000Z",
}
_COMMON: dict[str, Any] = {"category": "email-campaigns", "module": "campaigns"}

CALLS = (
    Call(
        id="audiences.v5.list",
        method="GET",
        path=_PATH,
        summary="List saved audiences",
        handler=search,
        parameters=(ENTITY,),
        statuses={200: "The audiences, by name."},
        answer=wire.AudiencesOut,
        answer_example={
            "audiences": [
                {name: _OUT[name] for name in ("id", "name", "targetTable", "creationMoment", "updateMoment")},
            ]
        },
        **_COMMON,
    ),
    Call(
        id="audiences.v5.create",
        method="POST",
        path=_PATH,
        summary="Save an audience",
        description="What a target says, under a name that the targets of campaigns take. `keys` here: up to 100,000.",
        handler=create,
        parameters=(ENTITY,),
        statuses={201: "The audience is saved."},
        conflicts=("name.used",),
        body=wire.AudienceIn,
        body_example=_IN,
        answer=wire.AudienceOut,
        answer_example=_OUT,
        **_COMMON,
    ),
    Call(
        id="audiences.v5.get",
        method="GET",
        path=_ONE,
        summary="Read a saved audience",
        description="Of its keys it says how many there are.",
        handler=get,
        parameters=(ENTITY, _AUDIENCE),
        statuses={200: "The audience."},
        answer=wire.AudienceOut,
        answer_example=_OUT,
        etag=True,
        **_COMMON,
    ),
    Call(
        id="audiences.v5.change",
        method="PATCH",
        path=_ONE,
        summary="Change a saved audience",
        description=(
            "Campaigns that have not begun, and continuous ones, follow; those that have begun stay with whom they went to."
        ),
        handler=change,
        parameters=(ENTITY, _AUDIENCE),
        statuses={200: "The audience as it is now."},
        conflicts=("name.used",),
        body=wire.AudienceChange,
        body_example={"filter": 'addressCountry in ("BE", "LU")', "exclude": None},
        answer=wire.AudienceOut,
        answer_example=_OUT,
        etag=True,
        tagged=True,
        **_COMMON,
    ),
    Call(
        id="audiences.v5.keys",
        method="PUT",
        path=f"{_ONE}/keys",
        summary="Set the keys of a saved audience from a file",
        description=(
            "One key on each line, up to 1,000,000; of a CSV file the first column. A first line with the attribute's name "
            "(`profileId` for ids) is left out. As a form's `inputFile`, or the text as `text/plain`, in UTF-8. They take "
            "the place of the keys before. Keys that nobody has mean nobody; what cannot be one is told of with its line."
        ),
        handler=put_keys,
        parameters=(
            ENTITY,
            _AUDIENCE,
            Parameter("attribute", "the unique attribute that the keys are values of; without: ids", "emailAddress"),
        ),
        statuses={200: "The audience as it is now."},
        form=Form(_FILE, "keys.csv", raw_types=(_TEXT,), raw_example="1042\n1043\n"),
        answer=wire.AudienceOut,
        answer_example=_OUT,
        etag=True,
        tagged=True,
        **_COMMON,
    ),
    Call(
        id="audiences.v5.delete",
        method="DELETE",
        path=_ONE,
        summary="Delete a saved audience",
        handler=delete,
        parameters=(ENTITY, _AUDIENCE),
        statuses={204: "The audience is deleted."},
        conflicts=("audience.inUse",),
        etag=True,
        **_COMMON,
    ),
    Call(
        id="audiences.v5.sample",
        method="GET",
        path=f"{_ONE}/sample",
        summary="Read some of the profiles that a saved audience means",
        description="The same ones each time, spread over the table.",
        handler=sample,
        parameters=(ENTITY, _AUDIENCE, LIMIT),
        statuses={200: "How many profiles are meant at the moment, and some of them."},
        answer=wire.ProfileSample,
        answer_example=SAMPLE,
        **_COMMON,
    ),
)
