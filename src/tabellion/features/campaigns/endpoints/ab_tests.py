"""A/B tests of mass campaigns (our own calls, v5)."""

from typing import Any

from tabellion.features.campaigns import ab_tests, service
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, MODULE
from tabellion.features.campaigns.wire import ab_tests as wire
from tabellion.features.tables import ENTITY
from tabellion.platform.http.call import Answer, Call, Incoming

_PATH = "/v5/entities/{e}/mails/{c}/ab-test"


async def get(call: Incoming) -> Answer:
    """Read an A/B test."""
    return _answer(await ab_tests.get(call))


async def put(call: Incoming) -> Answer:
    """Set an A/B test."""
    campaign = await service.get(call)
    return _answer(await ab_tests.put(call, campaign, wire.read(call.body, campaign)))


async def delete(call: Incoming) -> Answer:
    """Delete an A/B test."""
    await ab_tests.delete(call)
    return Answer(204)


async def choose(call: Incoming) -> Answer:
    """Choose the winner."""
    return _answer(await ab_tests.choose(call, call.body.variant))


def _answer(found: ab_tests.Found) -> Answer:
    return Answer(200, wire.out(found.plan, found.decision, found.results, launched=found.launched, over=found.over))


_IN: dict[str, Any] = {
    "share": 20,
    "variants": [
        {"name": "A", "contents": []},
        {"name": "B", "contents": [{"language": None, "subject": "Only until Sunday, {{ firstName }}", "html": None}]},
    ],
    "criterion": "OPENS",
    "decideAfterMinutes": 240,
}
_RESULT = {"targeted": 100, "sent": 100, "clicked": 7, "unsubscribed": 0}
_OUT: dict[str, Any] = _IN | {
    "state": "TESTING",
    "decideAt": "2027-03-02T13:00:00.000Z",
    "winner": None,
    "results": [{"name": "A", "opened": 31, **_RESULT}, {"name": "B", "opened": 40, **_RESULT}],
    "decidedAt": None,
    "testResults": [{"name": "A", "opened": 31, **_RESULT}, {"name": "B", "opened": 40, **_RESULT}],
}
_PLACE: dict[str, Any] = {"category": CATEGORY, "module": MODULE, "parameters": (ENTITY, CAMPAIGN)}
_COMMON: dict[str, Any] = {**_PLACE, "answer": wire.ABTestOut, "answer_example": _OUT}

CALLS = (
    Call(
        id="campaigns.v5.abTest.get",
        method="GET",
        path=_PATH,
        summary="Read an A/B test and its results",
        handler=get,
        statuses={200: "The test."},
        **_COMMON,
    ),
    Call(
        id="campaigns.v5.abTest.put",
        method="PUT",
        path=_PATH,
        summary="Test contents on a part of the audience",
        description=(
            "For mass campaigns in definition. `share` percent of the audience get the variants, in equal parts chosen at "
            "random; the others wait, and get the one whose mails were opened (or clicked) most, or that is chosen by hand. "
            "A variant says what differs from the campaign's content; one without contents is that content."
        ),
        handler=put,
        statuses={200: "The test as it is now."},
        conflicts=("campaign.state", "campaign.kind"),
        body=wire.ABTestIn,
        body_example=_IN,
        **_COMMON,
    ),
    Call(
        id="campaigns.v5.abTest.delete",
        method="DELETE",
        path=_PATH,
        summary="Take an A/B test away",
        handler=delete,
        statuses={204: "There is no test any more."},
        conflicts=("campaign.state",),
        **_PLACE,
    ),
    Call(
        id="campaigns.v5.abTest.winner",
        method="POST",
        path=f"{_PATH}/winner",
        summary="Choose the winner of an A/B test",
        description="Also before its time, and whatever the criterion. Those who wait get it within seconds.",
        handler=choose,
        statuses={200: "The winner is chosen."},
        conflicts=("campaign.state",),
        body=wire.WinnerIn,
        body_example={"variant": "B"},
        **_COMMON,
    ),
)
