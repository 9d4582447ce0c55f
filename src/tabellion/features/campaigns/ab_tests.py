"""Use cases of A/B tests: say one, look at it, choose its winner."""

from typing import NamedTuple

from tabellion.features import delivery
from tabellion.features.campaigns import service, store
from tabellion.features.campaigns.content import mistakes
from tabellion.features.campaigns.errors import ABTestUnknown, CampaignKind
from tabellion.features.campaigns.model import ABTestPlan, Campaign, Kind, State, is_over, may_change
from tabellion.features.delivery import ab_tests
from tabellion.kit.problem import FieldError, Invalid, invalid
from tabellion.platform import audit
from tabellion.platform.http.call import Incoming


class Found(NamedTuple):
    """A test, how far it is, and what came of it. `launched`: its campaign has been; `over`: that has ended."""

    plan: ABTestPlan
    decision: ab_tests.Decision
    results: list[ab_tests.Result]
    launched: bool
    over: bool = False


async def get(call: Incoming) -> Found:
    """The A/B test of the campaign of the path. Raises `CampaignUnknown`, `ABTestUnknown`."""
    return await _found(call, await service.get(call))


async def put(call: Incoming, campaign: Campaign, plan: ABTestPlan) -> Found:
    """Say the A/B test of a campaign. Raises `CampaignState`, `CampaignKind`, `Invalid`."""
    async with call.db.transaction():
        locked = await service.get(call, lock=True)
        if not may_change(locked.state):
            raise service.unchangeable(locked)
        if locked.kind is not Kind.MASS:
            raise CampaignKind(f"the campaign '{locked.name}' is {locked.kind.value}; A/B tests are for MASS ones")
        await _check(call, campaign, plan)
        await store.set_ab_test(call.db, locked.id, plan, call.now)
        await audit.record(call.db, call, f"campaign/{locked.id}")
    return Found(plan, ab_tests.Decision(), [], launched=False)


async def delete(call: Incoming) -> None:
    """Take the A/B test away. Raises `CampaignUnknown`, `CampaignState`, `ABTestUnknown`."""
    async with call.db.transaction():
        campaign = await service.get(call, lock=True)
        if not may_change(campaign.state):
            raise service.unchangeable(campaign)
        await _plan(call, campaign)
        await store.set_ab_test(call.db, campaign.id, None, call.now)
        await audit.record(call.db, call, f"campaign/{campaign.id}")


async def choose(call: Incoming, name: str) -> Found:
    """Choose the winner by hand. Raises `CampaignUnknown`, `CampaignState`, `ABTestUnknown`, `Invalid`."""
    async with call.db.transaction():
        campaign = await service.get(call, lock=True)
        plan = await _plan(call, campaign)
        number = next((i for i, each in enumerate(plan.variants, 1) if each.name.lower() == name.strip().lower()), None)
        if number is None:
            listed = ", ".join(each.name for each in plan.variants)
            raise invalid("variant", "structure.invalid", f"the variants are {listed}, not '{name[:100]}'")
        if campaign.state not in {State.IN_PROGRESS, State.PAUSED}:
            raise service.wrong_state(campaign, "have a winner chosen")
        results = await ab_tests.results_of(call.db, campaign.licence_id, campaign.id)
        if not await ab_tests.choose(call.db, campaign.id, number, results, call.now):
            raise service.wrong_state(campaign, "have another winner: one has been chosen")
        await audit.record(call.db, call, f"campaign/{campaign.id}")
    return await _found(call, campaign)


async def _found(call: Incoming, campaign: Campaign) -> Found:
    plan = await _plan(call, campaign)
    decision = await ab_tests.decision_of(call.db, campaign.id)
    results = await ab_tests.results_of(call.db, campaign.licence_id, campaign.id)
    launched = await delivery.sending_of(call.db, campaign.id) is not None
    return Found(plan, decision, results, launched, is_over(campaign.state))


async def _plan(call: Incoming, campaign: Campaign) -> ABTestPlan:
    plan = await store.ab_test(call.db, campaign.id)
    if plan is None:
        raise ABTestUnknown(f"the campaign '{campaign.name}' has no A/B test")
    return plan


async def _check(call: Incoming, campaign: Campaign, plan: ABTestPlan) -> None:
    names = await service.names_in(call, campaign)
    faults: list[FieldError] = []
    for i, variant in enumerate(plan.variants):
        for j, part in enumerate(variant.parts.values()):
            place = f"variants[{i}].contents[{j}]"
            if part.subject is not None:
                faults += await mistakes(part.subject, names, f"{place}.subject")
            if part.html is not None:
                faults += await mistakes(part.html, names, f"{place}.html")
    if faults:
        raise Invalid(faults)
