"""The v4 profile calls: JSON and XML, attributes as lists of names and values."""

from tabellion.features.profiles import service
from tabellion.features.profiles.endpoints import examples
from tabellion.features.profiles.model import Written
from tabellion.features.profiles.parameters import PROFILE
from tabellion.features.profiles.reading import Reader
from tabellion.features.profiles.wire import answers, bodies
from tabellion.features.tables import ENTITY, TABLE, ProfileTable
from tabellion.features.tables.filters import Condition, compile_v4_search, row_limit, row_parameter
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

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
NUMBER = row_parameter("number", "rows to answer")
_PATH = "/v4/entity/{e}/table/{t}/profile"
ONE = _PATH + "/{p}"


def _reader(call: Incoming, table: ProfileTable) -> Reader:
    return bodies.read_profile(Reader(table, call.caller.time_zone), call.body)


def _written(call: Incoming, table: ProfileTable, written: Written) -> Answer:
    body = answers.ProfileId(written.id)
    if written.outcome != "CREATED":
        return Answer(200, body)
    return Answer(201, body, location=f"/v4/entity/{call.path['e']}/table/{call.path['t']}/profile/{written.id}")


@service.on_table
async def post_profile(call: Incoming, table: ProfileTable) -> Answer:
    """Create a profile, or update the one that owns the unique attributes of the body."""
    may_update = call.query.flag("allowUpdate", default=True)
    return _written(call, table, await service.save(call, table, _reader(call, table), may_update=may_update))


@service.on_table
async def get_profile(call: Incoming, table: ProfileTable) -> Answer:
    """Read one profile."""
    profile = await service.get(call, table)
    return Answer(200, answers.profile_out(table, profile), etag=service.etag(table, profile))


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
    return Answer(200, answers.ProfilesOut([answers.profile_out(table, profile) for profile in profiles]))


@service.on_table
async def count_profiles(call: Incoming, table: ProfileTable) -> Answer:
    """Count the profiles that a search would find."""
    return Answer(200, answers.CountOut(await service.count(call, table, _condition(call, table))))


def _condition(call: Incoming, table: ProfileTable) -> Condition:
    query = call.query
    return compile_v4_search(table, query.all("search"), query.all("dateFilter"), call.caller.time_zone)


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
        conflicts=("attribute.ambiguous", "profile.exists", "attribute.notUnique", "profile.inUse"),
        body=bodies.ProfileIn,
        body_root="profile",
        body_example=examples.PROFILE_IN,
        answer=answers.ProfileId,
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
        answer=answers.ProfilesOut,
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
        answer=answers.CountOut,
        answer_root="profileCount",
        answer_example={"count": 12},
    ),
    Call(
        id="profiles.v4.get",
        method="GET",
        path=ONE,
        category="profiles",
        module="profiles",
        summary="Read a profile",
        description="All attributes, subscriptions and segmentations; what has no value is there with null.",
        handler=get_profile,
        parameters=(ENTITY, TABLE, PROFILE),
        statuses={200: "The profile."},
        etag=True,
        answer=answers.ProfileOut,
        answer_root="profile",
        answer_example=examples.PROFILE_OUT,
    ),
    Call(
        id="profiles.v4.put",
        method="PUT",
        path=ONE,
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
        conflicts=("attribute.notUnique", "profile.inUse"),
        etag=True,
        body=bodies.ProfileIn,
        body_root="profile",
        body_example={"attributes": [{"name": "lastName", "value": "Vos"}]},
        answer=answers.ProfileId,
        answer_root="profile",
        answer_example=examples.PROFILE_ID,
    ),
    Call(
        id="profiles.v4.delete",
        method="DELETE",
        path=ONE,
        category="profiles",
        module="profiles",
        summary="Delete a profile",
        description="The profile, its choices and their history are erased.",
        handler=delete_profile,
        parameters=(ENTITY, TABLE, PROFILE),
        statuses={204: "The profile is deleted."},
        etag=True,
    ),
)
