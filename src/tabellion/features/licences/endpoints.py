"""The entity calls, and the access token."""

import uuid

from tabellion.features.licences import service, wire
from tabellion.platform.http.call import Answer, Call, Incoming


async def entities(call: Incoming) -> Answer:
    """The entities that the API user may use."""
    listed = [wire.EntityOut(entity.id, entity.name, entity.comment) for entity in call.caller.entities]
    return Answer(200, wire.EntitiesOut(listed))


async def token(call: Incoming) -> Answer:
    """An access token for the API key."""
    secret = await service.issue_token(call.db, call.caller.user_id, call.now)
    lifetime = f"{int(service.TOKEN_LIFETIME.total_seconds())}s"
    document = wire.TokenOut(secret, "bearer", lifetime, "read write", str(uuid.uuid4()))
    return Answer(200, document, headers={"Cache-Control": "no-store"})


_EXAMPLE = {"entities": [{"id": 1, "name": "hotels", "comment": None}]}
TOKEN_CALL = "auth.token"  # noqa: S105 - the name of a call

CALLS = (
    Call(
        id=TOKEN_CALL,
        method="GET",
        path="/auth/token",
        category="authentication",
        module=None,
        summary="Get an access token",
        description=(
            "Send the API key as `Authorization: <api key>`. The token is good for 15 minutes, as `Authorization: Bearer "
            "<access token>`; several tokens of one key are good together. The call is not counted."
        ),
        handler=token,
        statuses={200: "An access token."},
        counted=False,
        answer=wire.TokenOut,
        answer_example={
            "accessToken": "tat_...",
            "tokenType": "bearer",
            "expiresIn": "900s",
            "scope": "read write",
            "jti": "0b8e0c6e-2f5c-4a39-9f0a-6d1d3a3c55aa",
        },
    ),
    Call(
        id="entities.v4.list",
        method="GET",
        path="/v4/entity",
        category="entities",
        module=None,
        summary="List the entities",
        description="The entities that the API user may use: its default entity first, then by name.",
        handler=entities,
        statuses={200: "The entities."},
        answer=wire.EntitiesOut,
        answer_root="entities",
        answer_example=_EXAMPLE,
    ),
    Call(
        id="entities.v5.list",
        method="GET",
        path="/v5/entities",
        category="entities",
        module=None,
        summary="List the entities",
        description="The entities that the API user may use: its default entity first, then by name.",
        handler=entities,
        statuses={200: "The entities."},
        answer=wire.EntitiesOut,
        answer_example=_EXAMPLE,
    ),
)
