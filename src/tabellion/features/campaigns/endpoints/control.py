"""The calls from the test on, version 4: launch, pause, resume, cancel, report."""

from collections.abc import Awaitable, Callable
from typing import Any

from tabellion.features.campaigns import control, languages, service, testing
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, ID, MODULE, ONE_V4
from tabellion.features.campaigns.model import Campaign
from tabellion.features.campaigns.wire import control as wire
from tabellion.features.campaigns.wire.definition import MailOut
from tabellion.features.campaigns.wire.pending import EXAMPLE as PENDING
from tabellion.features.campaigns.wire.pending import delays_out
from tabellion.features.campaigns.wire.report import Report, report_out
from tabellion.features.campaigns.wire.triggering import read_parameters, unknown_parameters
from tabellion.features.tables import ENTITY, BadValue, moment_or_null, parse_moment
from tabellion.kit.problem import invalid
from tabellion.platform.http.call import Answer, Call, Incoming

_MAX_TESTS, _MAX_REASON = 10, 500


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
    announced = campaign.content.personalisations
    call.ignored = [*call.ignored, *unknown_parameters(body.parameters, announced)]
    parameters = read_parameters(body.parameters, announced, [])
    order = testing.Test(body.recipients, body.profile, body.profiles, language, parameters, body.variant)
    campaign, sent, delays = await testing.test(call, order)
    return Answer(200, wire.TestOut(campaign.id, sent, delays_out(delays)))


async def launch(call: Incoming) -> Answer:
    """Launch a campaign, now or at a moment."""
    body: wire.LaunchIn = call.body or wire.LaunchIn()
    if body.scheduled_at is None:
        call.refuse_ignored(MailOut, "the campaign begins at once")
    elif not body.scheduled_at.strip():
        # A field that somebody's program found empty is not to send to everybody now.
        message = "'scheduledAt' is empty; without it, or with null, the campaign begins at once"
        raise invalid("scheduledAt", "attribute.value", message)
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
    return Answer(200, report_out(*await control.report(call)))


def _state(campaign: Campaign) -> Answer:
    return Answer(200, wire.StateOut(campaign.id, campaign.state.value))


_REPORT: dict[str, Any] = {
    "campaignId": 4711,
    "state": "IN_PROGRESS",
    "targeted": 1430,
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
    **PENDING,
    "failures": [{"reason": "html: this is not a number", "count": 2}],
}  # fmt: skip
_COMMON: dict[str, Any] = {"category": CATEGORY, "module": MODULE}


def _control(
    action: str, summary: str, description: str, handler: Callable[[Incoming], Awaitable[Answer]], *conflicts: str
) -> Call:  # fmt: skip
    return Call(
        id=f"campaigns.v4.{action}",
        method="POST",
        path=f"{ONE_V4}/{action}",
        summary=summary,
        description=description,
        handler=handler,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The state now."},
        conflicts=("campaign.state", *conflicts),
        answer=wire.StateOut,
        answer_root="mail",
        answer_example=ID | {"state": "PAUSED" if action == "pause" else "IN_PROGRESS"},
        **_COMMON,
    )


CALLS = (
    Call(
        id="campaigns.v4.test",
        method="POST",
        path=f"{ONE_V4}/test",
        summary="Send a test",
        description=(
            "To at most 10 addresses, with `[TEST]` before the subject, whatever the state. `profile` says whose data stand "
            "in the mails to `recipients`; without, they are empty. Each of `profiles` gets it at its own address, in its "
            "language, with its data. Tests appear in no report. What is known to hold them is told in `delays`, as in one."
        ),
        handler=test,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The tests are on their way, or wait for what `delays` says."},
        conflicts=("campaign.incomplete",),
        body=wire.TestIn,
        body_root="mailTest",
        body_example={"recipients": ["me@example.com"], "profile": "emailAddress=ann@example.com", "parameters": []},
        answer=wire.TestOut,
        answer_root="mail",
        answer_example=ID | {"sent": 1},
        **_COMMON,
    ),
    Call(
        id="campaigns.v4.launch",
        method="POST",
        path=f"{ONE_V4}/launch",
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
        answer_example=ID | {"state": "SCHEDULED"},
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
        path=f"{ONE_V4}/report",
        summary="Read what became of a campaign",
        description=(
            "At its end `targeted` is the sum of `excluded`, `sent` and `uncertain`; before, `pending` makes it up. `waits` "
            "says what the pending ones wait for, `delays` what holds or slows all of them."
        ),
        handler=report,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The report, as it is now."},
        answer=Report,
        answer_root="mailReport",
        answer_example=_REPORT,
        **_COMMON,
    ),
)
