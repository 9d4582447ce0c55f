"""The v4 profile calls (contract, section 11): JSON and XML, attributes as lists of names and values."""

from tabellion.features.profiles import service, wire
from tabellion.features.profiles.endpoints import examples
from tabellion.features.profiles.model import Collection, Written
from tabellion.features.profiles.reading import Reader
from tabellion.features.tables import ENTITY, TABLE, ProfileTable
from tabellion.features.tables.filters import Condition, compile_v4_search, row_limit
from tabellion.kit.problem import invalid
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

PROFILE = Parameter("p", "id of the profile, or `attribute=value` of a unique attribute", "emailAddress=ann@example.com")
SUBSCRIPTION = Parameter("s", "name of the subscription", "Newsletter")
SEGMENTATION = Parameter("s", "name of the segmentation; `;category=Gold` names the category of an exclusive one", "Vip")
SEARCH = (
    Parameter(
        "search",
        "`attribute OP value`; OP is one of = != > >= < <= ~ (contains); repeated: all must hold",
        "lastName=Vos",
        repeatable=True,
    ),
    Parameter(
        "dateFilter",
        "`creationMoment` or `updateMoment`, a comparison, a moment; repeated: all must hold",
        "updateMoment>=2027-03-01",
        repeatable=True,
    ),
)
NUMBER = Parameter("number", "most rows to answer: default 100, at most 1000", "10", schema={"type": "integer"})
_PATH = "/v4/entity/{e}/table/{t}/profile"
_ONE = _PATH + "/{p}"


def _reader(call: Incoming, table: ProfileTable) -> Reader:
    return wire.read_profile(Reader(table, call.caller.time_zone), call.body)


def _written(call: Incoming, table: ProfileTable, written: Written) -> Answer:
    body = wire.ProfileId(written.id)
    if written.outcome != "CREATED":
        return Answer(200, body)
    return Answer(201, body, location=f"/v4/entity/{call.path['e']}/table/{call.path['t']}/profile/{written.id}")


@service.on_table
async def post_profile(call: Incoming, table: ProfileTable) -> Answer:
    """Create a profile, or update the one that owns the unique attributes of the body."""
    may_update = _allow_update(call)
    return _written(call, table, await service.save(call, table, _reader(call, table), may_update=may_update))


def _allow_update(call: Incoming) -> bool:
    text = (call.query.first("allowUpdate") or "true").lower()
    if text not in {"true", "false"}:
        raise invalid("allowUpdate", "parameter.invalid", "'allowUpdate' expects true or false")
    return text == "true"


@service.on_table
async def get_profile(call: Incoming, table: ProfileTable) -> Answer:
    """Read one profile."""
    profile = await service.get(call, table)
    return Answer(200, wire.profile_out(table, profile), etag=service.etag(table, profile))


@service.on_table
async def put_profile(call: Incoming, table: ProfileTable) -> Answer:
    """Change a profile; one addressed by `attribute=value` is created when it does not exist."""
    return _written(call, table, await service.put(call, table, _reader(call, table)))


@service.on_table
async def delete_profile(call: Incoming, table: ProfileTable) -> Answer:
    """Delete a profile."""
    await service.delete(call, table)
    return Answer(204)


@service.on_table
async def list_profiles(call: Incoming, table: ProfileTable) -> Answer:
    """Search profiles."""
    limit = row_limit(call.query.first("number"), "number")
    profiles = await service.search(call, table, _condition(call, table), limit)
    return Answer(200, wire.ProfilesOut([wire.profile_out(table, profile) for profile in profiles]))


@service.on_table
async def count_profiles(call: Incoming, table: ProfileTable) -> Answer:
    """Count the profiles that a search would find."""
    return Answer(200, wire.CountOut(await service.count(call, table, _condition(call, table))))


def _condition(call: Incoming, table: ProfileTable) -> Condition:
    query = call.query
    return compile_v4_search(table, query.all("search"), query.all("dateFilter"), call.caller.time_zone)


@service.on_table
async def list_subscriptions(call: Incoming, table: ProfileTable) -> Answer:
    """Read the profile's choices for all subscriptions of the table."""
    profile = await service.get(call, table)
    return Answer(200, wire.SubscriptionsOut(wire.subscriptions_out(table, profile)))


@service.on_table
async def post_subscription(call: Incoming, table: ProfileTable) -> Answer:
    """Subscribe."""
    reader = wire.read_collection(Reader(table, call.caller.time_zone), call.body)
    subscription, choice = await service.subscribe(call, table, subscribed=True, collection=reader.collected_from())
    return Answer(200, wire.subscription_out(subscription, choice))


@service.on_table
async def delete_subscription(call: Incoming, table: ProfileTable) -> Answer:
    """Unsubscribe."""
    await service.subscribe(call, table, subscribed=False, collection=Collection())
    return Answer(204)


@service.on_table
async def list_segmentations(call: Incoming, table: ProfileTable) -> Answer:
    """Read the profile's memberships."""
    items = wire.segmentations_out(table, await service.get(call, table))
    return Answer(200, wire.SegmentationsOut(items, items))


@service.on_table
async def put_segmentation(call: Incoming, table: ProfileTable) -> Answer:
    """Put the profile into a segmentation, or give it a category."""
    segmentation, value = await service.belong(call, table, belongs=True)
    return Answer(200, wire.segmentation_out(segmentation, value))


@service.on_table
async def delete_segmentation(call: Incoming, table: ProfileTable) -> Answer:
    """Take the profile out of a segmentation."""
    await service.belong(call, table, belongs=False)
    return Answer(204)


_UPDATED = "The profile was updated, or was already as asked."
_CREATED = "The profile was created."

CALLS = (
    Call(
        id="profiles.v4.save",
        method="POST",
        path=_PATH,
        category="profiles",
        module="profiles",
        summary="Create or update a profile",
        description=(
            "Every unique attribute of the body is looked up: none found creates the profile, one profile found is "
            "updated (only what is sent changes; null clears), two different ones are refused. Mandatory attributes "
            "are required on creation only."
        ),
        handler=post_profile,
        parameters=(
            ENTITY,
            TABLE,
            Parameter(
                "allowUpdate",
                "false: refuse when the profile exists",
                "true",
                schema={"type": "boolean", "default": True},
            ),
        ),
        statuses={201: _CREATED, 200: _UPDATED},
        conflicts=("attribute.ambiguous", "profile.exists", "attribute.notUnique"),
        body=wire.ProfileIn,
        body_root="profile",
        body_example=examples.PROFILE_IN,
        answer=wire.ProfileId,
        answer_root="profile",
        answer_example=examples.PROFILE_ID,
    ),
    Call(
        id="profiles.v4.search",
        method="GET",
        path=_PATH,
        category="profiles",
        module="profiles",
        summary="Search profiles",
        description="Profiles in ascending order of their ids. Nothing found is an empty list.",
        handler=list_profiles,
        parameters=(ENTITY, TABLE, *SEARCH, NUMBER),
        statuses={200: "The profiles found."},
        answer=wire.ProfilesOut,
        answer_root="profiles",
        answer_example={"profiles": [examples.PROFILE_OUT]},
    ),
    Call(
        id="profiles.v4.count",
        method="GET",
        path=_PATH + "/count",
        category="profiles",
        module="profiles",
        summary="Count profiles",
        handler=count_profiles,
        parameters=(ENTITY, TABLE, *SEARCH),
        statuses={200: "How many profiles a search would find."},
        answer=wire.CountOut,
        answer_root="profileCount",
        answer_example={"count": 12},
    ),
    Call(
        id="profiles.v4.get",
        method="GET",
        path=_ONE,
        category="profiles",
        module="profiles",
        summary="Read a profile",
        description="All attributes, subscriptions and segmentations; what has no value is there with null.",
        handler=get_profile,
        parameters=(ENTITY, TABLE, PROFILE),
        statuses={200: "The profile."},
        etag=True,
        answer=wire.ProfileOut,
        answer_root="profile",
        answer_example=examples.PROFILE_OUT,
    ),
    Call(
        id="profiles.v4.put",
        method="PUT",
        path=_ONE,
        category="profiles",
        module="profiles",
        summary="Change a profile, or create it",
        description=(
            "Only what is sent changes; one attribute is enough. A profile addressed by `attribute=value` that does "
            "not exist is created; one addressed by its id is not."
        ),
        handler=put_profile,
        parameters=(ENTITY, TABLE, PROFILE),
        statuses={200: _UPDATED, 201: _CREATED},
        conflicts=("attribute.notUnique",),
        etag=True,
        body=wire.ProfileIn,
        body_root="profile",
        body_example={"attributes": [{"name": "lastName", "value": "Vos"}]},
        answer=wire.ProfileId,
        answer_root="profile",
        answer_example=examples.PROFILE_ID,
    ),
    Call(
        id="profiles.v4.delete",
        method="DELETE",
        path=_ONE,
        category="profiles",
        module="profiles",
        summary="Delete a profile",
        description="The profile, its choices and their history are erased.",
        handler=delete_profile,
        parameters=(ENTITY, TABLE, PROFILE),
        statuses={204: "The profile is deleted."},
        etag=True,
    ),
    Call(
        id="profiles.v4.subscriptions",
        method="GET",
        path=_ONE + "/subscription",
        category="profiles",
        module="profiles",
        summary="Read the subscriptions of a profile",
        handler=list_subscriptions,
        parameters=(ENTITY, TABLE, PROFILE),
        statuses={200: "All subscriptions of the table; `subscribe` is null where no choice is recorded."},
        answer=wire.SubscriptionsOut,
        answer_root="subscriptions",
        answer_example={"subscriptions": examples.SUBSCRIPTIONS},
    ),
    Call(
        id="profiles.v4.subscribe",
        method="POST",
        path=_ONE + "/subscription/{s}",
        category="profiles",
        module="profiles",
        summary="Subscribe a profile",
        description="Repeating the call changes nothing and keeps the first moment.",
        handler=post_subscription,
        parameters=(ENTITY, TABLE, PROFILE, SUBSCRIPTION),
        statuses={200: "The profile is subscribed."},
        body=wire.CollectionBody,
        body_root="subscription",
        body_optional=True,
        body_example={"dataCollectionInformation": examples.COLLECTION},
        answer=wire.SubscriptionOut,
        answer_root="subscription",
        answer_example=examples.SUBSCRIPTIONS[0],
    ),
    Call(
        id="profiles.v4.unsubscribe",
        method="DELETE",
        path=_ONE + "/subscription/{s}",
        category="profiles",
        module="profiles",
        summary="Unsubscribe a profile",
        description="Records the choice 'unsubscribed', also when no choice was recorded before.",
        handler=delete_subscription,
        parameters=(ENTITY, TABLE, PROFILE, SUBSCRIPTION),
        statuses={204: "The profile is unsubscribed."},
    ),
    Call(
        id="profiles.v4.segmentations",
        method="GET",
        path=_ONE + "/segmentation",
        category="profiles",
        module="profiles",
        summary="Read the segmentations of a profile",
        description="In JSON the list stands under both names, `segmentation` and `segmentations`.",
        handler=list_segmentations,
        parameters=(ENTITY, TABLE, PROFILE),
        statuses={200: "All segmentations of the table."},
        answer=wire.SegmentationsOut,
        answer_root="segmentations",
        answer_example={"segmentation": examples.SEGMENTATIONS, "segmentations": examples.SEGMENTATIONS},
    ),
    Call(
        id="profiles.v4.segment",
        method="PUT",
        path=_ONE + "/segmentation/{s}",
        category="profiles",
        module="profiles",
        summary="Put a profile into a segmentation",
        description="An exclusive segmentation needs a category: `Loyalty;category=Gold` or `?category=Gold`.",
        handler=put_segmentation,
        parameters=(
            ENTITY,
            TABLE,
            PROFILE,
            SEGMENTATION,
            Parameter("category", "the category of an exclusive segmentation", "Gold"),
        ),
        statuses={200: "The profile belongs to it."},
        answer=wire.SegmentationOut,
        answer_root="segmentation",
        answer_example=examples.SEGMENTATIONS[1],
    ),
    Call(
        id="profiles.v4.unsegment",
        method="DELETE",
        path=_ONE + "/segmentation/{s}",
        category="profiles",
        module="profiles",
        summary="Take a profile out of a segmentation",
        handler=delete_segmentation,
        parameters=(ENTITY, TABLE, PROFILE, SEGMENTATION),
        statuses={204: "The profile is out of it; a category is cleared."},
    ),
)
