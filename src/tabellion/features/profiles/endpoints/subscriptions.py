"""The v4 calls on the subscriptions and segmentations of a profile: JSON and XML."""

from tabellion.features.profiles import service
from tabellion.features.profiles.endpoints import examples
from tabellion.features.profiles.endpoints.v4 import ONE
from tabellion.features.profiles.model import Collection
from tabellion.features.profiles.parameters import PROFILE
from tabellion.features.profiles.reading import Reader
from tabellion.features.profiles.wire import answers, bodies
from tabellion.features.tables import ENTITY, TABLE, ProfileTable
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_SUBSCRIPTION = Parameter("s", "name of the subscription", "Newsletter")
_SEGMENTATION = Parameter("s", "name of the segmentation; `;category=Gold` names the category of an exclusive one", "Vip")


@service.on_table
async def list_subscriptions(call: Incoming, table: ProfileTable) -> Answer:
    """Read the profile's choices for all subscriptions of the table."""
    profile = await service.get(call, table)
    return Answer(200, answers.SubscriptionsOut(answers.subscriptions_out(table, profile)))


@service.on_table
async def post_subscription(call: Incoming, table: ProfileTable) -> Answer:
    """Subscribe."""
    reader = bodies.read_collection(Reader(table, call.caller.time_zone), call.body)
    subscription, choice = await service.subscribe(call, table, subscribed=True, collection=reader.collected_from())
    return Answer(200, answers.subscription_out(subscription, choice))


@service.on_table
async def delete_subscription(call: Incoming, table: ProfileTable) -> Answer:
    """Unsubscribe."""
    await service.subscribe(call, table, subscribed=False, collection=Collection())
    return Answer(204)


@service.on_table
async def list_segmentations(call: Incoming, table: ProfileTable) -> Answer:
    """Read the profile's memberships."""
    items = answers.segmentations_out(table, await service.get(call, table))
    return Answer(200, answers.SegmentationsOut(items, items))


@service.on_table
async def put_segmentation(call: Incoming, table: ProfileTable) -> Answer:
    """Put the profile into a segmentation, or give it a category."""
    segmentation, value = await service.belong(call, table, belongs=True)
    return Answer(200, answers.segmentation_out(segmentation, value))


@service.on_table
async def delete_segmentation(call: Incoming, table: ProfileTable) -> Answer:
    """Take the profile out of a segmentation."""
    await service.belong(call, table, belongs=False)
    return Answer(204)


CALLS = (
    Call(
        id="profiles.v4.subscriptions",
        method="GET",
        path=ONE + "/subscription",
        category="profiles",
        module="profiles",
        summary="Read the subscriptions of a profile",
        handler=list_subscriptions,
        parameters=(ENTITY, TABLE, PROFILE),
        statuses={200: "All subscriptions of the table; `subscribe` is null where no choice is recorded."},
        answer=answers.SubscriptionsOut,
        answer_root="subscriptions",
        answer_example={"subscriptions": examples.SUBSCRIPTIONS},
    ),
    Call(
        id="profiles.v4.subscribe",
        method="POST",
        path=ONE + "/subscription/{s}",
        category="profiles",
        module="profiles",
        summary="Subscribe a profile",
        description="Repeating the call changes nothing and keeps the first moment.",
        handler=post_subscription,
        parameters=(ENTITY, TABLE, PROFILE, _SUBSCRIPTION),
        statuses={200: "The profile is subscribed."},
        body=bodies.CollectionBody,
        body_root="subscription",
        body_optional=True,
        echoed=answers.SubscriptionWithoutSource,
        body_example={"dataCollectionInformation": examples.COLLECTION},
        answer=answers.SubscriptionOut,
        answer_root="subscription",
        answer_example=examples.SUBSCRIPTIONS[0],
    ),
    Call(
        id="profiles.v4.unsubscribe",
        method="DELETE",
        path=ONE + "/subscription/{s}",
        category="profiles",
        module="profiles",
        summary="Unsubscribe a profile",
        description="Records the choice 'unsubscribed', also when no choice was recorded before.",
        handler=delete_subscription,
        parameters=(ENTITY, TABLE, PROFILE, _SUBSCRIPTION),
        statuses={204: "The profile is unsubscribed."},
    ),
    Call(
        id="profiles.v4.segmentations",
        method="GET",
        path=ONE + "/segmentation",
        category="profiles",
        module="profiles",
        summary="Read the segmentations of a profile",
        description="In JSON the list stands under both names, `segmentation` and `segmentations`.",
        handler=list_segmentations,
        parameters=(ENTITY, TABLE, PROFILE),
        statuses={200: "All segmentations of the table."},
        answer=answers.SegmentationsOut,
        answer_root="segmentations",
        answer_example={"segmentation": examples.SEGMENTATIONS, "segmentations": examples.SEGMENTATIONS},
    ),
    Call(
        id="profiles.v4.segment",
        method="PUT",
        path=ONE + "/segmentation/{s}",
        category="profiles",
        module="profiles",
        summary="Put a profile into a segmentation",
        description="An exclusive segmentation needs a category: `Loyalty;category=Gold` or `?category=Gold`.",
        handler=put_segmentation,
        parameters=(
            ENTITY,
            TABLE,
            PROFILE,
            _SEGMENTATION,
            Parameter("category", "the category of an exclusive segmentation", "Gold"),
        ),
        statuses={200: "The profile belongs to it."},
        answer=answers.SegmentationOut,
        answer_root="segmentation",
        answer_example=examples.SEGMENTATIONS[1],
    ),
    Call(
        id="profiles.v4.unsegment",
        method="DELETE",
        path=ONE + "/segmentation/{s}",
        category="profiles",
        module="profiles",
        summary="Take a profile out of a segmentation",
        handler=delete_segmentation,
        parameters=(ENTITY, TABLE, PROFILE, _SEGMENTATION),
        statuses={204: "The profile is out of it; a category is cleared."},
    ),
)
