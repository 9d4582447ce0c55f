"""The v5 profile calls: JSON, attributes as one flat object."""

from tabellion.features.profiles import service
from tabellion.features.profiles.endpoints import examples
from tabellion.features.profiles.model import Written
from tabellion.features.profiles.parameters import PROFILE
from tabellion.features.profiles.reading import Reader
from tabellion.features.profiles.wire import answers, bodies
from tabellion.features.tables import ENTITY, TABLE, ProfileTable
from tabellion.features.tables.filters import row_parameter
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_PATH = "/v5/entities/{e}/profile-tables/{t}/profiles"
_ONE = _PATH + "/{p}"
FILTER = (
    Parameter("filter", "a condition, see the guide to the filter language", 'lastName = "Vos"'),
    Parameter("sort", "attributes, `-` in front for descending; nulls last", "lastName,-updateMoment"),
    row_parameter("limit", "profiles of a page"),
    Parameter("cursor", "`nextCursor` of the page before", ""),
)


def _reader(call: Incoming, table: ProfileTable) -> Reader:
    if not (call.body.attributes or call.body.subscriptions or call.body.segmentations):
        call.refuse_ignored(answers.Profile5Out, "the profile stays as it is")
    return bodies.read_profile5(Reader(table, call.caller.time_zone), call.body)


@service.on_table
async def put_profile(call: Incoming, table: ProfileTable) -> Answer:
    """Create or update the profile that owns the key."""
    reader = _reader(call, table)
    written = await service.put_by_body_key(call, table, reader, call.body.key)
    return _written(call, written)


@service.on_table
async def get_profile(call: Incoming, table: ProfileTable) -> Answer:
    """Read one profile."""
    profile = await service.get(call, table)
    return Answer(200, answers.profile5_out(table, profile), etag=service.etag(table, profile))


@service.on_table
async def list_profiles(call: Incoming, table: ProfileTable) -> Answer:
    """One page of the profiles that satisfy a filter."""
    profiles, cursor = await service.page(call, table)
    return Answer(200, answers.Profiles5Out([answers.profile5_out(table, p) for p in profiles], cursor))


@service.on_table
async def count_profiles(call: Incoming, table: ProfileTable) -> Answer:
    """How many profiles satisfy a filter."""
    return Answer(200, answers.CountOut(await service.count_listed(call, table)))


@service.on_table
async def patch_profile(call: Incoming, table: ProfileTable) -> Answer:
    """Change a profile."""
    reader = _reader(call, table)
    return _written(call, await service.patch(call, table, reader))


@service.on_table
async def delete_profile(call: Incoming, table: ProfileTable) -> Answer:
    """Delete a profile."""
    await service.delete(call, table)
    return Answer(204)


@service.on_table
async def list_consents(call: Incoming, table: ProfileTable) -> Answer:
    """Read the consent history of a profile."""
    return Answer(200, answers.consents_out(*await service.consents(call, table)))


def _written(call: Incoming, written: Written) -> Answer:
    body = answers.ProfileId(written.id)
    if written.outcome != "CREATED":
        return Answer(200, body)
    path = call.path
    return Answer(201, body, location=f"/v5/entities/{path['e']}/profile-tables/{path['t']}/profiles/{written.id}")


CALLS = (
    Call(
        id="profiles.v5.put",
        method="PUT",
        path=_PATH,
        category="profiles",
        module="profiles",
        summary="Create or update a profile by key",
        description=(
            "`key` names exactly one unique attribute, or `profileId`, and alone identifies the profile; an id that no "
            "profile has is a 404. Attributes that are not sent stay, null clears. A different value of the key's attribute "
            "in `attributes` changes the key on update."
        ),
        handler=put_profile,
        parameters=(ENTITY, TABLE),
        statuses={201: "The profile was created.", 200: "The profile was updated, or was already as asked."},
        conflicts=("attribute.notUnique", "profile.inUse"),
        etag=True,
        body=bodies.ProfileKeyIn,
        lenient=True,
        echoed=answers.Profile5Out,
        body_example=examples.PROFILE5_IN,
        answer=answers.ProfileId,
        answer_example=examples.PROFILE_ID,
    ),
    Call(
        id="profiles.v5.list",
        method="GET",
        path=_PATH,
        category="profiles",
        module="profiles",
        summary="List profiles",
        description=(
            "A page of the profiles that satisfy the filter. Any other query parameter is an equality on an attribute "
            "(`lastName=Vos`), all must hold. The last page has `nextCursor` null."
        ),
        handler=list_profiles,
        parameters=(ENTITY, TABLE, *FILTER),
        statuses={200: "A page of profiles."},
        answer=answers.Profiles5Out,
        answer_example={"profiles": [examples.PROFILE5_OUT], "nextCursor": None},
    ),
    Call(
        id="profiles.v5.count",
        method="GET",
        path=_PATH + "/count",
        category="profiles",
        module="profiles",
        summary="Count profiles",
        description="Filter and equalities are those of the list.",
        handler=count_profiles,
        parameters=(ENTITY, TABLE, FILTER[0]),
        statuses={200: "How many profiles satisfy the filter."},
        answer=answers.CountOut,
        answer_example={"count": 12},
    ),
    Call(
        id="profiles.v5.get",
        method="GET",
        path=_ONE,
        category="profiles",
        module="profiles",
        summary="Read a profile",
        handler=get_profile,
        parameters=(ENTITY, TABLE, PROFILE),
        statuses={200: "The profile."},
        etag=True,
        answer=answers.Profile5Out,
        answer_example=examples.PROFILE5_OUT,
    ),
    Call(
        id="profiles.v5.patch",
        method="PATCH",
        path=_ONE,
        category="profiles",
        module="profiles",
        summary="Change a profile",
        description="Only what is sent changes; null clears an attribute. The profile must exist.",
        handler=patch_profile,
        parameters=(ENTITY, TABLE, PROFILE),
        statuses={200: "The profile was updated, or was already as asked."},
        conflicts=("attribute.notUnique", "profile.inUse"),
        etag=True,
        body=bodies.ProfilePatchIn,
        lenient=True,
        echoed=answers.Profile5Out,
        body_example=examples.PROFILE5_PATCH,
        answer=answers.ProfileId,
        answer_example=examples.PROFILE_ID,
    ),
    Call(
        id="profiles.v5.delete",
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
        id="profiles.v5.consents",
        method="GET",
        path=_ONE + "/consents",
        category="profiles",
        module="profiles",
        summary="Read the consent history of a profile",
        description=(
            "Every recorded change of a subscription, newest first, with its source, way and date (at most 1000). Those of "
            "a subscription that the table has no longer have `subscriptionRemovedAt`."
        ),
        handler=list_consents,
        parameters=(ENTITY, TABLE, PROFILE),
        statuses={200: "The changes of consent."},
        answer=answers.ConsentsOut,
        answer_example={
            "consents": [
                {
                    "subscription": "Newsletter",
                    "subscribe": True,
                    "moment": "2027-03-01T08:15:00.000Z",
                    "source": "webshop",
                    "way": "api",
                    "date": "2027-03-01T08:15:00.000Z",
                }
            ]
        },
    ),
)
