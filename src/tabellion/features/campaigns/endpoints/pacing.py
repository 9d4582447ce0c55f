"""When and how fast mails leave: the limits of a licence, the settings of a campaign (our own calls, v5)."""

from typing import Any

from tabellion.features.campaigns import service
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, MODULE
from tabellion.features.campaigns.model import Kind, is_over
from tabellion.features.campaigns.wire import pacing as wire
from tabellion.features.delivery import Limits, pacing_admin
from tabellion.features.tables import ENTITY
from tabellion.platform import audit
from tabellion.platform.http.call import Answer, Call, Incoming
from tabellion.platform.http.etag import require_match

_LIMITS = "/v5/delivery-limits"
_SETTINGS = "/v5/entities/{e}/mails/{c}/delivery-settings"


async def get_limits(call: Incoming) -> Answer:
    """Read the delivery limits."""
    limits, version = await pacing_admin.limits_of(call.db, call.caller.licence_id)
    return await _limits(call, limits, version)


async def put_limits(call: Incoming) -> Answer:
    """Set the delivery limits."""
    own = {entity.name.lower(): entity.id for entity in call.caller.entities}
    wanted = wire.read_limits(call.body, own)

    def change(before: Limits, version: int) -> Limits:
        require_match(call.headers.get("if-match"), _etag(version))
        # Those of entities that the caller may not use stay.
        foreign = [each for each in before.senders if each.entity_id not in own.values()]
        return Limits(wanted.contact, wanted.domains, (*foreign, *wanted.senders))

    async with call.db.transaction():
        limits, version = await pacing_admin.change_limits(call.db, call.caller.licence_id, change, call.now)
        await audit.record(call.db, call, f"delivery-limits/{call.caller.licence_id}")
    return await _limits(call, limits, version)


async def get_settings(call: Incoming) -> Answer:
    """Read the delivery settings of a campaign."""
    campaign = await service.get(call)
    return Answer(200, wire.delivery_out(await pacing_admin.delivery_of(call.db, campaign.id)))


async def put_settings(call: Incoming) -> Answer:
    """Set the delivery settings of a campaign."""
    async with call.db.transaction():
        campaign = await service.get(call, lock=True)
        if is_over(campaign.state):
            raise service.wrong_state(campaign, "be changed")
        table = await service.table_of(call, campaign)
        delivery = wire.read_delivery(call.body, table, transactional=campaign.kind is Kind.TRANSACTIONAL)
        await pacing_admin.set_delivery(call.db, campaign.licence_id, campaign.id, delivery, call.now)
        await audit.record(call.db, call, f"campaign/{campaign.id}")
    return Answer(200, wire.delivery_out(delivery))


async def _limits(call: Incoming, limits: Limits, version: int) -> Answer:
    held = await pacing_admin.held_domains(call.db, call.caller.licence_id, call.now)
    return Answer(200, wire.limits_out(limits, held, call.caller.entities), etag=_etag(version))


def _etag(version: int) -> str:
    return f"l{version:x}"


_LIMITS_IN: dict[str, Any] = {
    "contactPressure": {"mails": 3, "days": 7},
    "domains": [
        {"domain": "*", "mailsPerMinute": 600, "connections": 10},
        {"domain": "example.com", "mailsPerMinute": 60, "connections": 2},
    ],
    "senders": [{"entity": "hotels", "mailsPerHour": 20000}],
}
_LIMITS_OUT: dict[str, Any] = _LIMITS_IN | {
    "heldDomains": [
        {"domain": "example.org", "until": "2027-03-02T09:01:00.000Z", "reply": "421 4.7.0 too many mails from you"}
    ]
}
_WEEK = ["MON", "TUE", "WED", "THU", "FRI"]
_SETTINGS_EXAMPLE: dict[str, Any] = {
    "mailsPerMinute": 1000,
    "sendingHours": {
        "windows": [{"days": _WEEK, "from": "08:00", "to": "20:00"}, {"days": ["SAT"], "from": "10:00", "to": "16:00"}],
        "timeZone": "RECIPIENT",
        "attribute": None,
    },
}

CALLS = (
    Call(
        id="campaigns.v5.limits.get",
        method="GET",
        path=_LIMITS,
        category=CATEGORY,
        module="administration",
        summary="Read the delivery limits",
        description="How many mails profiles, domains and senders get or send, and which domains get nothing at the moment.",
        handler=get_limits,
        statuses={200: "The limits."},
        answer=wire.LimitsOut,
        answer_example=_LIMITS_OUT,
        etag=True,
    ),
    Call(
        id="campaigns.v5.limits.put",
        method="PUT",
        path=_LIMITS,
        category=CATEGORY,
        module="administration",
        summary="Set the delivery limits",
        description=(
            "What is left out has no limit any more. `contactPressure` holds for mass and continuous campaigns: who has had "
            "so many mails in so many days gets none, with the reason `pressure`. Transactional mails are neither counted "
            "nor held by it, and wait for no pace. Workers see it within 2 seconds."
        ),
        handler=put_limits,
        statuses={200: "The limits as they are now."},
        body=wire.LimitsIn,
        body_example=_LIMITS_IN,
        answer=wire.LimitsOut,
        answer_example=_LIMITS_OUT,
        etag=True,
        tagged=True,
    ),
    Call(
        id="campaigns.v5.settings.get",
        method="GET",
        path=_SETTINGS,
        category=CATEGORY,
        module=MODULE,
        summary="Read when and how fast a campaign's mails leave",
        handler=get_settings,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The settings."},
        answer=wire.DeliverySettings,
        answer_example=_SETTINGS_EXAMPLE,
    ),
    Call(
        id="campaigns.v5.settings.put",
        method="PUT",
        path=_SETTINGS,
        category=CATEGORY,
        module=MODULE,
        summary="Set when and how fast a campaign's mails leave",
        description=(
            "In any state but the last; a running campaign goes on with them within 2 seconds. What is left out has no "
            "limit. Outside the sending hours mails wait. With RECIPIENT, each goes by the clocks of its recipient, where "
            "`attribute` tells a time zone, or a country that has one; by those of the licence otherwise."
        ),
        handler=put_settings,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The settings as they are now."},
        conflicts=("campaign.state",),
        body=wire.DeliverySettings,
        body_example=_SETTINGS_EXAMPLE,
        answer=wire.DeliverySettings,
        answer_example=_SETTINGS_EXAMPLE,
    ),
)
