"""The e-mail campaign calls of v4 from the test on: control, triggers, report."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from tabellion.features.campaigns import control, languages, recipients, service, testing, triggering
from tabellion.features.campaigns.endpoints.definition import CAMPAIGN, CATEGORY, MODULE, ONE
from tabellion.features.campaigns.model import Campaign
from tabellion.features.campaigns.wire import sending as wire
from tabellion.features.campaigns.wire.definition import MailOut
from tabellion.features.delivery import WantedInteractions
from tabellion.features.profiles import Profile, ProfileIn, Reader, read_profile, save_profile
from tabellion.features.tables import (
    ENTITY,
    TABLE,
    BadValue,
    ProfileTable,
    find_table,
    moment_or_null,
    parse_moment,
)
from tabellion.features.tables.filters import query_moment, row_limit
from tabellion.kit.digits import number_of
from tabellion.kit.problem import FieldError, Invalid, Problem, invalid
from tabellion.platform.http import json_codec, negotiation, shapes, xml_codec
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_PROFILE = Parameter("p", "id of the profile, or `attribute=value` of a unique attribute", "emailAddress=ann@example.com")
_MAX_TESTS, _MAX_CONTACTS, _MAX_REASON = 10, 1000, 500


async def test(call: Incoming) -> Answer:
    """Send a campaign to a few addresses and profiles, to see what it looks like."""
    body: wire.TestIn = call.body
    campaign = await service.get(call)
    wanted = len(body.recipients) + len(body.profiles)
    if not 1 <= wanted <= _MAX_TESTS:
        message = f"'recipients' expects 1 to {_MAX_TESTS} addresses, together with the profiles of 'profiles'"
        raise invalid("recipients", "structure.tooMany" if wanted else "member.mandatory", message)
    language = languages.known_language(campaign, body.language or "")
    # What is missing prints nothing: it is a test.
    parameters = wire.read_parameters(body.parameters, campaign.content.personalisations, [])
    order = testing.Test(body.recipients, body.profile, body.profiles, language, parameters, body.variant)
    campaign, sent = await testing.test(call, order)
    return Answer(200, wire.TestOut(campaign.id, sent))


async def launch(call: Incoming) -> Answer:
    """Launch a campaign, now or at a moment."""
    body: wire.LaunchIn = call.body or wire.LaunchIn()
    if body.scheduled_at is None:
        call.refuse_ignored(MailOut, "the campaign begins at once")
    override = None if body.override_sender_check is None else body.override_sender_check.strip()
    if override is not None and not (1 <= len(override) <= _MAX_REASON and override.isprintable()):
        message = f"'overrideSenderCheck' expects the reason, in one line of at most {_MAX_REASON} characters"
        raise invalid("overrideSenderCheck", "structure.invalid", message)
    try:
        at = parse_moment(body.scheduled_at, call.caller.time_zone)
    except BadValue as error:
        raise invalid("scheduledAt", error.code, f"'scheduledAt' {error}") from None
    campaign, notice = await control.launch(call, at, override)
    begins = moment_or_null(campaign.scheduled_at)
    return Answer(200, wire.LaunchOut(campaign.id, campaign.state.value, begins, notice))


async def pause(call: Incoming) -> Answer:
    """Hold a campaign."""
    return _state(await control.pause(call))


async def resume(call: Incoming) -> Answer:
    """Let a campaign go on."""
    return _state(await control.resume(call))


async def cancel(call: Incoming) -> Answer:
    """Stop a campaign for good."""
    return _state(await control.cancel(call))


async def report(call: Incoming) -> Answer:
    """What became of a campaign."""
    return Answer(200, wire.report(*await control.report(call)))


async def trigger(call: Incoming) -> Answer:
    """Send a triggered campaign to one profile."""
    given = _trigger_body(call)
    ready = await triggering.triggered(call)
    parameters = parameters_of(given.parameters, ready[0])
    profile = await recipients.profile_of(call, ready[1], call.path["p"])
    async with call.db.transaction():
        done = await triggering.trigger(call, ready, profile, parameters)
    return Answer(200, wire.InteractionId(done.interaction_id))


async def contact(call: Incoming) -> Answer:
    """Create or update a profile, and send it a transactional mail."""
    ready = await triggering.triggered(call, transactional=True)
    parameters = parameters_of(call.body.parameters, ready[0])
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
                parameters = parameters_of(each.parameters, ready[0])
                async with call.db.transaction():
                    profile = await _found_or_saved(call, ready[1], each.profile, f"contacts[{index}].profile")
                    done = await triggering.trigger(call, ready, profile, parameters)
            except Problem as error:
                results.append(wire.ContactResult(index, code=_code(error), message=error.message))
            else:
                results.append(wire.ContactResult(index, done.profile_id, done.interaction_id))
    accepted = sum(result.interaction_id is not None for result in results)
    return Answer(200, wire.ContactsOut(accepted, len(results) - accepted, results))


async def interactions_of_campaign(call: Incoming) -> Answer:
    """What a profile got of one campaign."""
    campaign = await service.get(call)
    table = await service.table_of(call, campaign)
    return await _interactions(call, table, campaign.id)


async def interactions(call: Incoming) -> Answer:
    """What a profile received and did."""
    table = await find_table(call, call.path["e"], call.path["t"])
    reference = call.query.first("campaign") or None
    if reference is not None and not reference.isprintable():
        raise invalid("campaign", "parameter.invalid", "'campaign' expects the id or the name of a campaign")
    return await _interactions(call, table, None if reference is None else number_of(reference), reference)


async def _interactions(
    call: Incoming, table: ProfileTable, campaign_id: int | None, campaign_name: str | None = None
) -> Answer:
    limit = row_limit(call.query.first("number"), "number")
    profile = await recipients.profile_of(call, table, call.path["p"])
    channel = (call.query.first("channel") or "EMAIL").upper()
    if channel not in {"EMAIL", "SMS", "PUSH"}:
        raise invalid("channel", "parameter.invalid", "'channel' expects EMAIL, SMS or PUSH")
    begin, end = (query_moment(call.query.first(name), name, call.caller.time_zone) for name in ("from", "to"))
    if channel != "EMAIL":
        return Answer(200, wire.InteractionsOut([]))
    wanted = WantedInteractions(table.id, profile.id, campaign_id, begin, end, limit, campaign_name)
    return Answer(200, wire.interactions_out(*await control.interactions(call, wanted)))


def _state(campaign: Campaign) -> Answer:
    return Answer(200, wire.StateOut(campaign.id, campaign.state.value))


def _trigger_body(call: Incoming) -> wire.Parameters:
    """The list alone, the object with it, or nothing; XML when it says so."""
    content_type = call.headers.get("content-type")
    if not call.raw_body.strip():
        return wire.Parameters()
    from_xml = _is_xml(call)
    if from_xml:
        document = xml_codec.decode(call.raw_body, wire.Parameters, "parameters", negotiation.charset(content_type))
    else:
        negotiation.request_format(content_type, has_body=True, version="v4")
        document = json_codec.decode(call.raw_body)
        if document is None or isinstance(document, list):
            document = {"parameters": document}
    read: Any
    read, call.ignored = shapes.reader(wire.Parameters).read(document, from_xml=from_xml)
    return read


def _is_xml(call: Incoming) -> bool:
    media_type = (call.headers.get("content-type") or "").partition(";")[0].strip().lower()
    return media_type in {"application/xml", "text/xml"}


def parameters_of(given: list[wire.ParameterIn], campaign: Campaign) -> dict[str, Any]:
    """The values of the campaign's parameters. Raises `Invalid`."""
    faults: list[FieldError] = []
    found = wire.read_parameters(given, campaign.content.personalisations, faults)
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
    body, ignored = shapes.reader(ProfileIn).read(given, from_xml=_is_xml(call))
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


_ID = {"campaignId": 4711}
_KEY = {"key": "stayRef", "values": ["ST-00017"]}
_CONTACT = {"attributes": [{"name": "emailAddress", "value": "ann@example.com"}]}
CONTACT_EXAMPLE: dict[str, Any] = {"profile": _CONTACT, "parameters": [_KEY]}
CONTACT_ANSWER = {"profileId": 1042, "interactionId": 988}
_REPORT: dict[str, Any] = {
    "campaignId": 4711,
    "state": "FINISHED",
    "targeted": 1000,
    "excluded": {
        "noAddress": 3, "unsubscribed": 12, "suppressed": 5, "language": 0, "deleted": 0, "cancelled": 0, "failed": 0,
        "pressure": 0, "duplicateAddress": 0,
    },
    "sent": 980,
    "delivered": 971,
    "softBounces": 6,
    "hardBounces": 3,
    "opens": 620,
    "uniqueOpens": 410,
    "clicks": 130,
    "uniqueClicks": 95,
    "unsubscribes": 4,
    "complaints": 0,
    "uncertain": 0,
    "pending": 0,
    "failures": [{"reason": "html: this is not a number", "count": 2}],
}  # fmt: skip
_INTERACTIONS: dict[str, Any] = {
    "interactions": [
        {
            "interactionId": 987,
            "channel": "EMAIL",
            "campaignId": 4711,
            "campaignName": "SpringOffer",
            "sentAt": "2027-03-02T09:00:00.000Z",
            "outcome": "DELIVERED",
            "events": [
                {"type": "OPEN", "moment": "2027-03-02T10:11:00.000Z"},
                {"type": "CLICK", "moment": "2027-03-02T10:12:00.000Z", "url": "https://www.example.com/spring"},
            ],
        }
    ]
}
_INTERACTION_FILTERS = (
    Parameter("channel", "EMAIL, SMS or PUSH", "EMAIL"),
    Parameter("from", "sent not before this moment", "2027-03-01"),
    Parameter("to", "sent before this moment", "2027-04-01"),
    Parameter("number", "most rows to answer: default 100, at most 1000", "10", schema={"type": "integer"}),
)
_COMMON: dict[str, Any] = {"category": CATEGORY, "module": MODULE}


def _control(
    action: str, summary: str, description: str, handler: Callable[[Incoming], Awaitable[Answer]], *conflicts: str
) -> Call:  # fmt: skip
    return Call(
        id=f"campaigns.v4.{action}",
        method="POST",
        path=f"{ONE}/{action}",
        summary=summary,
        description=description,
        handler=handler,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The state now."},
        conflicts=("campaign.state", *conflicts),
        answer=wire.StateOut,
        answer_root="mail",
        answer_example=_ID | {"state": "PAUSED" if action == "pause" else "IN_PROGRESS"},
        **_COMMON,
    )


CALLS = (
    Call(
        id="campaigns.v4.test",
        method="POST",
        path=f"{ONE}/test",
        summary="Send a test",
        description=(
            "To at most 10 addresses, with `[TEST]` before the subject, whatever the state. `profile` says whose data stand "
            "in the mails to `recipients`; without, they are empty. Each of `profiles` gets it at its own address, in its "
            "language, with its data. Tests appear in no report."
        ),
        handler=test,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The tests are on their way."},
        conflicts=("campaign.incomplete",),
        body=wire.TestIn,
        body_root="mailTest",
        body_example={"recipients": ["me@example.com"], "profile": "emailAddress=ann@example.com", "parameters": []},
        answer=wire.TestOut,
        answer_root="mail",
        answer_example=_ID | {"sent": 1},
        **_COMMON,
    ),
    Call(
        id="campaigns.v4.launch",
        method="POST",
        path=f"{ONE}/launch",
        summary="Launch a campaign",
        description=(
            "Every supported language needs a subject and a body, a mass campaign a target. With `scheduledAt` (mass only) "
            "it begins at that moment, and until then another moment can be set; one "
            "that has passed means now. Triggered campaigns become ACTIVE. A mass campaign to more than 5,000 over a relay "
            "is refused (409 `campaign.senderCheck`) while SPF, DKIM or DMARC of the sender's domain fail, unless "
            "`overrideSenderCheck` gives the reason, which the audit trail keeps. When no name server answers it is "
            "launched, and `notice` says so."
        ),
        handler=launch,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "It was launched, or scheduled."},
        conflicts=("campaign.state", "campaign.incomplete", "campaign.senderCheck"),
        body=wire.LaunchIn,
        body_root="mailLaunch",
        body_optional=True,
        body_example={"scheduledAt": "2027-03-05T07:00:00Z"},
        answer=wire.LaunchOut,
        answer_root="mail",
        answer_example=_ID | {"state": "SCHEDULED"},
        **_COMMON,
    ),
    _control("pause", "Hold a campaign", "Nothing leaves any more, within 2 seconds or one batch.", pause),
    _control(
        "resume",
        "Let a campaign go on",
        "Where it stopped: nobody gets a mail twice. Triggered campaigns go on with the contents as they are now.",
        resume,
        "campaign.incomplete",
    ),
    _control("cancel", "Stop a campaign for good", "Who has not got a mail yet gets none.", cancel),
    Call(
        id="campaigns.v4.report",
        method="GET",
        path=f"{ONE}/report",
        summary="Read what became of a campaign",
        description="At its end `targeted` is the sum of `excluded`, `sent` and `uncertain`; before, `pending` makes it up.",
        handler=report,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The report, as it is now."},
        answer=wire.Report,
        answer_root="mailReport",
        answer_example=_REPORT,
        **_COMMON,
    ),
    Call(
        id="campaigns.v4.trigger",
        method="POST",
        path=f"{ONE}/profile/{{p}}",
        summary="Send a triggered campaign to a profile",
        description=(
            "For CONTINUOUS and TRANSACTIONAL campaigns that are ACTIVE. The body is the list of parameters alone, `[]`, or "
            "nothing; keys that the campaign does not know are ignored. Repeating the call sends again, unless an "
            "`Idempotency-Key` says otherwise."
        ),
        handler=trigger,
        parameters=(ENTITY, CAMPAIGN, _PROFILE),
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
        **_COMMON,
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
        **_COMMON,
    ),
    Call(
        id="campaigns.v4.contacts",
        method="POST",
        path=f"{ONE}/contact",
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
        **_COMMON,
    ),
    Call(
        id="campaigns.v4.interactions",
        method="GET",
        path=f"{ONE}/profile/{{p}}/interaction",
        summary="Read what a profile got of a campaign",
        handler=interactions_of_campaign,
        parameters=(ENTITY, CAMPAIGN, _PROFILE, *_INTERACTION_FILTERS),
        statuses={200: "The mails, newest first."},
        answer=wire.InteractionsOut,
        answer_root="interactions",
        answer_example=_INTERACTIONS,
        **_COMMON,
    ),
    Call(
        id="profiles.v4.interactions",
        method="GET",
        path="/v4/entity/{e}/table/{t}/profile/{p}/interaction",
        category="profiles",
        module="profiles",
        summary="Read what a profile received and did",
        handler=interactions,
        parameters=(
            ENTITY,
            TABLE,
            _PROFILE,
            Parameter("campaign", "of this campaign only: its id or name", "4711"),
            *_INTERACTION_FILTERS,
        ),
        statuses={200: "The mails, newest first."},
        answer=wire.InteractionsOut,
        answer_root="interactions",
        answer_example=_INTERACTIONS,
    ),
)
