"""Whom a campaign is for."""

from typing import Any

from tabellion.features.audiences import (
    SAMPLE_EXAMPLE,
    SAMPLE_LIMIT,
    ProfileSample,
    audiences_of,
    read_sample_size,
    resolve,
    sample_out,
)
from tabellion.features.campaigns import aiming, service
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, MODULE, ONE_V4, ONE_V5, WRITE, written
from tabellion.features.campaigns.wire import targets as wire
from tabellion.features.tables import ENTITY
from tabellion.kit.problem import FieldError, gathered
from tabellion.platform.http.call import Answer, Call, Incoming


async def get_target(call: Incoming) -> Answer:
    """Read whom a campaign is for."""
    found = await service.get(call)
    names = await audiences_of(call.db, found.licence_id, found.target)
    return Answer(200, wire.target_out(found.target, await aiming.estimate(call, found), names))


async def put_target(call: Incoming) -> Answer:
    """Say whom a campaign is for."""
    body: wire.TargetIn = call.body
    rest = "the whole table" if body == wire.TargetIn() else "all whom the rest of it means"
    call.refuse_ignored(wire.TargetOut, f"the target is {rest}")
    audience: tuple[int, ...] = ()
    excluded: tuple[int, ...] = ()
    faults: list[FieldError] = []
    with gathered(faults):
        audience = await resolve(call, [] if body.audience is None else [("audience", body.audience)])
    with gathered(faults):
        excluded = await resolve(call, [(f"excludeAudiences[{i}]", each) for i, each in enumerate(body.exclude_audiences)])
    target = wire.read_target(body, next(iter(audience), None), excluded)
    return written(await aiming.set_target(call, target, faults))


async def sample(call: Incoming) -> Answer:
    """How many profiles the target means, and some of them."""
    most = read_sample_size(call.query.first("limit"))
    return Answer(200, sample_out(*await aiming.sample(call, await service.get(call), most)))


_TARGET: dict[str, Any] = {
    "subscription": "Newsletter",
    "filter": 'addressCountry = "BE"',
    "exclude": None,
    "keys": None,
    "maxProfiles": None,
    "segmentations": [{"name": "Loyalty", "category": "Gold"}],
    "audience": "Belgians",
    "excludeAudiences": [],
    "oncePerAddress": True,
}

CALLS = (
    Call(
        id="campaigns.v4.target.get",
        method="GET",
        path=ONE_V4 + "/target",
        category=CATEGORY,
        module=MODULE,
        summary="Read whom an e-mail campaign is for",
        handler=get_target,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The target, and how many profiles it means at the moment."},
        answer=wire.TargetOut,
        answer_root="mailTarget",
        answer_example={**_TARGET, "estimatedCount": 1840},
    ),
    Call(
        id="campaigns.v4.target.put",
        method="PUT",
        path=ONE_V4 + "/target",
        summary="Say whom an e-mail campaign is for",
        description="All that is said must hold; nothing said: the whole table. Filters are those of the v5 lists.",
        handler=put_target,
        parameters=(ENTITY, CAMPAIGN),
        body=wire.TargetIn,
        body_root="mailTarget",
        body_example=_TARGET,
        **WRITE,
    ),
    Call(
        id="campaigns.v5.target.sample",
        method="GET",
        path=f"{ONE_V5}/target/sample",
        category=CATEGORY,
        module=MODULE,
        summary="Read some of the profiles that an e-mail campaign is for",
        description="The same ones each time, spread over the table, before suppression and languages are looked at.",
        handler=sample,
        parameters=(ENTITY, CAMPAIGN, SAMPLE_LIMIT),
        statuses={200: "How many profiles are meant at the moment, and some of them."},
        conflicts=("campaign.incomplete",),
        answer=ProfileSample,
        answer_example=SAMPLE_EXAMPLE,
    ),
)
