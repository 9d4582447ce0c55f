"""The calls by which mails are triggered, version 4: to one profile, to many, to one that is saved by the same call."""

from typing import Any

from msgspec.structs import replace

from tabellion.features.campaigns import recipients, triggering
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, MODULE, ONE_V4
from tabellion.features.campaigns.model import Campaign
from tabellion.features.campaigns.wire import triggering as wire
from tabellion.features.profiles import PROFILE, Profile, ProfileIn, Reader, read_profile, save_profile
from tabellion.features.tables import ENTITY, ProfileTable
from tabellion.kit.problem import FieldError, Invalid, Problem, invalid
from tabellion.platform.http import json_codec, negotiation, shapes, xml_codec
from tabellion.platform.http.call import Answer, Call, Incoming

_MAX_CONTACTS = 1000


async def trigger(call: Incoming) -> Answer:
    """Send a triggered campaign to one profile."""
    given = _trigger_body(call)
    ready = await triggering.triggered(call)
    parameters = parameters_of(call, given.parameters, ready[0])
    profile = await recipients.profile_of(call, ready[1], call.path["p"])
    async with call.db.transaction():
        done = await triggering.trigger(call, ready, profile, parameters)
    return Answer(200, wire.InteractionId(done.interaction_id))


async def contact(call: Incoming) -> Answer:
    """Create or update a profile, and send it a transactional mail."""
    ready = await triggering.triggered(call, transactional=True)
    parameters = parameters_of(call, call.body.parameters, ready[0])
    async with call.db.transaction():
        profile = await saved(call, ready[1], call.body.profile)
        done = await triggering.trigger(call, ready, profile, parameters)
    return Answer(200, wire.ContactOut(done.profile_id, done.interaction_id))


async def contacts(call: Incoming) -> Answer:
    """Send a triggered campaign to many profiles; each is accepted or rejected by itself."""
    body: wire.ContactsIn = wire.ContactsIn([]) if call.body is None else call.body
    if len(body.contacts) > _MAX_CONTACTS:
        raise invalid("contacts", "structure.tooMany", f"'contacts' expects at most {_MAX_CONTACTS} contacts")
    ready = await triggering.triggered(call)
    results: list[wire.ContactResult] = []
    async with call.db.transaction():
        for index, each in enumerate(body.contacts):
            try:
                parameters = parameters_of(call, each.parameters, ready[0], f"contacts[{index}].")
                async with call.db.transaction():
                    profile = await _found_or_saved(call, ready[1], each.profile, f"contacts[{index}].profile")
                    done = await triggering.one_of_many(call, ready, profile, parameters)
            except Problem as error:
                results.append(wire.ContactResult(index, code=_code(error), message=error.message))
            else:
                results.append(wire.ContactResult(index, done.profile_id, done.interaction_id))
        accepted = sum(result.interaction_id is not None for result in results)
        if accepted:
            await triggering.look_soon(call, ready)
    return Answer(200, wire.ContactsOut(accepted, len(results) - accepted, results))


def _trigger_body(call: Incoming) -> wire.Parameters:
    """The list alone, the object with it, or nothing; XML when it says so."""
    content_type = call.headers.get("content-type")
    if not call.raw_body.removeprefix(json_codec.BOM).strip():
        return wire.Parameters()
    from_xml = negotiation.is_xml(content_type)
    if from_xml:
        document = xml_codec.decode(call.raw_body, wire.Parameters, "parameters", negotiation.charset(content_type))
    else:
        negotiation.request_format(content_type, has_body=True, version="v4")
        document = json_codec.decode(call.raw_body)
        if isinstance(document, list):
            document = {"parameters": document}
        elif document in (None, ""):
            document = {}
    read: Any
    read, call.ignored = shapes.reader(wire.Parameters).read(document, from_xml=from_xml, strict=call.is_strict)
    return read


def parameters_of(call: Incoming, given: list[wire.ParameterIn], campaign: Campaign, place: str = "") -> dict[str, Any]:
    """The values of the campaign's parameters. What it does not know is ignored, or refused by who prefers so.

    Raises `Invalid`.
    """
    faults: list[FieldError] = []
    announced = campaign.content.personalisations
    if call.is_strict:
        faults += wire.unknown_faults(given, announced)
    else:
        call.ignored = [*call.ignored, *wire.unknown_parameters(given, announced, place)]
    found = wire.read_parameters(given, announced, faults)
    if faults:
        raise Invalid(faults)
    return found


async def _found_or_saved(call: Incoming, table: ProfileTable, given: Any, place: str) -> Profile:
    if isinstance(given, str | int) and not isinstance(given, bool):
        return await recipients.profile_of(call, table, str(given), place)
    if not isinstance(given, dict):
        code = "member.mandatory" if given is None else "member.type"
        raise invalid(place, code, f"'{place}' expects an id, attribute=value, or an object with 'attributes'")
    body: Any
    from_xml = negotiation.is_xml(call.headers.get("content-type"))
    body, ignored = shapes.reader(ProfileIn).read(given, from_xml=from_xml, strict=call.is_strict)
    call.ignored = [*call.ignored, *(f"{place}.{name}" for name in ignored)]
    return await saved(call, table, body)


async def saved(call: Incoming, table: ProfileTable, body: ProfileIn) -> Profile:
    """The profile of the member `profile`, created or updated. Raises `Invalid` and the refusals of saving profiles."""
    try:
        read = read_profile(Reader(table, call.caller.time_zone), body)
        written = await save_profile(call, table, read, may_update=True)
    except Invalid as error:
        raise Invalid([replace(fault, field=f"profile.{fault.field}") for fault in error.errors]) from None
    return await recipients.profile_of(call, table, str(written.id))


def _code(error: Problem) -> str:
    return error.errors[0].code if isinstance(error, Invalid) else error.code


_KEY = {"key": "stayRef", "values": ["ST-00017"]}
_CONTACT = {"attributes": [{"name": "emailAddress", "value": "ann@example.com"}]}
CONTACT_EXAMPLE: dict[str, Any] = {"profile": _CONTACT, "parameters": [_KEY]}
CONTACT_ANSWER = {"profileId": 1042, "interactionId": 988}

CALLS = (
    Call(
        id="campaigns.v4.trigger",
        method="POST",
        path=f"{ONE_V4}/profile/{{p}}",
        summary="Send a triggered campaign to a profile",
        description=(
            "For CONTINUOUS and TRANSACTIONAL campaigns that are ACTIVE. The body is the list of parameters alone, `[]`, "
            "or nothing; keys that the campaign does not know are ignored, and named in `X-Ignored-Members`. Repeating the "
            "call sends again, unless an `Idempotency-Key` says otherwise."
        ),
        handler=trigger,
        parameters=(ENTITY, CAMPAIGN, PROFILE),
        statuses={200: "The mail is on its way, or the interaction tells why not."},
        conflicts=("campaign.state", "campaign.kind", "campaign.incomplete"),
        body=wire.Parameters,
        body_root="parameters",
        body_optional=True,
        body_example={"parameters": [_KEY]},
        raw=True,
        answer=wire.InteractionId,
        answer_root="interaction",
        answer_example={"interactionId": 987},
        category=CATEGORY,
        module=MODULE,
    ),
    Call(
        id="campaigns.v4.contact",
        method="POST",
        path="/v4/entity/{e}/transactionalmail/{c}/contact",
        summary="Save a profile and send it a transactional mail",
        description="The profile is created or updated as by `POST /profile`; both happen, or nothing does.",
        handler=contact,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The profile is saved, and the mail is on its way."},
        conflicts=("campaign.state", "campaign.kind", "attribute.ambiguous", "attribute.notUnique", "profile.inUse"),
        body=wire.ContactIn,
        body_root="contact",
        body_example=CONTACT_EXAMPLE,
        answer=wire.ContactOut,
        answer_root="contact",
        answer_example=CONTACT_ANSWER,
        category=CATEGORY,
        module=MODULE,
    ),
    Call(
        id="campaigns.v4.contacts",
        method="POST",
        path=f"{ONE_V4}/contact",
        summary="Send a triggered campaign to many profiles",
        description=(
            "Up to 1000; each is accepted or rejected by itself. `profile` is an id, `attribute=value`, or an object as in "
            "`POST /profile`: then the profile is created or updated. Without a body, or with `[]`, there are none."
        ),
        handler=contacts,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "What came of each."},
        conflicts=("campaign.state", "campaign.kind", "campaign.incomplete"),
        body=wire.ContactsIn,
        body_optional=True,
        body_root="contacts",
        body_example={"contacts": [{"profile": "emailAddress=ann@example.com", "parameters": [_KEY]}, {"profile": "1042"}]},
        answer=wire.ContactsOut,
        answer_root="contactResults",
        answer_example={
            "accepted": 1,
            "rejected": 1,
            "contacts": [
                {"index": 0, "profileId": 1042, "interactionId": 989},
                {"index": 1, "code": "profile.unknown", "message": "no such profile"},
            ],
        },
        category=CATEGORY,
        module=MODULE,
    ),
)
