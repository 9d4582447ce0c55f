"""The calls of file transfers."""

from typing import Any

import msgspec

from tabellion.features.tables import ENTITY
from tabellion.features.transfers import service, wire
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_SERVERS = "/v5/entities/{e}/servers"
_LOCATIONS = "/v5/entities/{e}/locations"
_CATEGORY, _MODULE = "file-transfers", "bulk"
_SERVER_ID = Parameter("id", "id of the server", "2")
_LOCATION_ID = Parameter("id", "id of the location", "3")


async def list_servers(call: Incoming) -> Answer:
    """The servers of an entity."""
    return Answer(200, wire.ServersOut([wire.server_out(s) for s in await service.list_servers(call)]))


async def create_server(call: Incoming) -> Answer:
    """Keep a server."""
    number = await service.create_server(call, await wire.read_server(call.body, service.policy()))
    return Answer(201, wire.Id(str(number)), location=f"/v5/entities/{call.path['e']}/servers/{number}")


async def get_server(call: Incoming) -> Answer:
    """One server."""
    return Answer(200, wire.server_out(await service.get_server(call)))


async def change_server(call: Incoming) -> Answer:
    """Change a server."""
    changed = await service.change_server(call, lambda before: wire.read_changed_server(before, call.body, service.policy()))
    return Answer(200, wire.server_out(changed))


async def delete_server(call: Incoming) -> Answer:
    """Delete a server."""
    await service.delete_server(call)
    return Answer(204)


async def list_locations(call: Incoming) -> Answer:
    """The locations of an entity."""
    return Answer(200, wire.LocationsOut([wire.location_out(found) for found in await service.list_locations(call)]))


async def create_location(call: Incoming) -> Answer:
    """Keep a location."""
    number = await service.create_location(call, wire.read_location(call.body))
    return Answer(201, wire.Id(str(number)), location=f"/v5/entities/{call.path['e']}/locations/{number}")


async def get_location(call: Incoming) -> Answer:
    """One location."""
    return Answer(200, wire.location_out(await service.get_location(call)))


async def change_location(call: Incoming) -> Answer:
    """Change a location."""
    changed = await service.change_location(call, lambda before: wire.read_changed_location(before, call.body))
    return Answer(200, wire.location_out(changed))


async def delete_location(call: Incoming) -> Answer:
    """Delete a location."""
    await service.delete_location(call)
    return Answer(204)


async def test_location(call: Incoming) -> Answer:
    """Try a location."""
    test = await service.prepare_test(call, write=call.body is not None and call.body.write)

    async def later() -> msgspec.Struct:
        steps = await test()
        return wire.TestOut(all(step.ok for step in steps), steps)

    return Answer(200, later=later)


_SERVER_IN: dict[str, Any] = {
    "name": "erp",
    "protocol": "SFTP",
    "host": "files.example.com",
    "port": 22,
    "user": "erp",
    "password": "2 little boats",
}
_SERVER_OUT: dict[str, Any] = {
    "id": "2",
    "name": "erp",
    "protocol": "SFTP",
    "host": "files.example.com",
    "port": 22,
    "user": "erp",
    "hasPassword": True,
    "hasPrivateKey": False,
    "hostKey": None,
    "certificate": None,
    "region": "us-east-1",
    "secure": True,
}
_LOCATION_IN: dict[str, Any] = {"name": "in", "serverId": "2", "path": "/in", "afterRead": "MOVE", "moveTo": "/in/done"}

CALLS = (
    Call(
        id="transfers.v5.servers.list",
        method="GET",
        path=_SERVERS,
        category=_CATEGORY,
        module=_MODULE,
        summary="List the file servers of an entity",
        handler=list_servers,
        parameters=(ENTITY,),
        statuses={200: "The servers, by name."},
        answer=wire.ServersOut,
        answer_example={"servers": [_SERVER_OUT]},
    ),
    Call(
        id="transfers.v5.servers.create",
        method="POST",
        path=_SERVERS,
        category=_CATEGORY,
        module=_MODULE,
        summary="Keep a file server",
        description="Password and private key are stored sealed and never answered. Try it with the test of a location.",
        handler=create_server,
        parameters=(ENTITY,),
        statuses={201: "The server is kept."},
        conflicts=("name.used",),
        body=wire.ServerIn,
        body_example=_SERVER_IN,
        answer=wire.Id,
        echoed=wire.ServerOut,
        answer_example={"id": "2"},
    ),
    Call(
        id="transfers.v5.servers.get",
        method="GET",
        path=_SERVERS + "/{id}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Read a file server",
        handler=get_server,
        parameters=(ENTITY, _SERVER_ID),
        statuses={200: "The server."},
        answer=wire.ServerOut,
        answer_example=_SERVER_OUT,
    ),
    Call(
        id="transfers.v5.servers.change",
        method="PATCH",
        path=_SERVERS + "/{id}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Change a file server",
        description="Only what is sent changes. Another host, port or protocol forgets the host key and needs the password.",
        handler=change_server,
        parameters=(ENTITY, _SERVER_ID),
        statuses={200: "The server as it is now."},
        conflicts=("name.used",),
        body=wire.ServerPatch,
        body_example={"host": "sftp.example.com", "password": "2 little boats"},
        answer=wire.ServerOut,
        answer_example={**_SERVER_OUT, "host": "sftp.example.com"},
    ),
    Call(
        id="transfers.v5.servers.delete",
        method="DELETE",
        path=_SERVERS + "/{id}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Delete a file server",
        handler=delete_server,
        parameters=(ENTITY, _SERVER_ID),
        statuses={204: "The server is deleted."},
        conflicts=("transfer.inUse",),
    ),
    Call(
        id="transfers.v5.locations.list",
        method="GET",
        path=_LOCATIONS,
        category=_CATEGORY,
        module=_MODULE,
        summary="List the locations of an entity",
        handler=list_locations,
        parameters=(ENTITY,),
        statuses={200: "The locations, by name."},
        answer=wire.LocationsOut,
        answer_example={"locations": [{"id": "3", **_LOCATION_IN}]},
    ),
    Call(
        id="transfers.v5.locations.create",
        method="POST",
        path=_LOCATIONS,
        category=_CATEGORY,
        module=_MODULE,
        summary="Keep a location",
        description="A location is a folder on a server, for ETLs to read from and exports to write to.",
        handler=create_location,
        parameters=(ENTITY,),
        statuses={201: "The location is kept."},
        conflicts=("name.used",),
        body=wire.LocationIn,
        body_example=_LOCATION_IN,
        answer=wire.Id,
        echoed=wire.LocationOut,
        answer_example={"id": "3"},
    ),
    Call(
        id="transfers.v5.locations.get",
        method="GET",
        path=_LOCATIONS + "/{id}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Read a location",
        handler=get_location,
        parameters=(ENTITY, _LOCATION_ID),
        statuses={200: "The location."},
        answer=wire.LocationOut,
        answer_example={"id": "3", **_LOCATION_IN},
    ),
    Call(
        id="transfers.v5.locations.change",
        method="PATCH",
        path=_LOCATIONS + "/{id}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Change a location",
        handler=change_location,
        parameters=(ENTITY, _LOCATION_ID),
        statuses={200: "The location as it is now."},
        conflicts=("name.used",),
        body=wire.LocationPatch,
        body_example={"path": "/in/daily"},
        answer=wire.LocationOut,
        answer_example={"id": "3", **_LOCATION_IN, "path": "/in/daily"},
    ),
    Call(
        id="transfers.v5.locations.delete",
        method="DELETE",
        path=_LOCATIONS + "/{id}",
        category=_CATEGORY,
        module=_MODULE,
        summary="Delete a location",
        handler=delete_location,
        parameters=(ENTITY, _LOCATION_ID),
        statuses={204: "The location is deleted."},
        conflicts=("transfer.inUse",),
    ),
    Call(
        id="transfers.v5.locations.test",
        method="POST",
        path=_LOCATIONS + "/{id}/test",
        category=_CATEGORY,
        module=_MODULE,
        summary="Try a location",
        description=(
            "Connects, logs in and lists the folder, and that of `moveTo`; with `write` a small file is written and "
            "deleted, too."
        ),
        handler=test_location,
        parameters=(ENTITY, _LOCATION_ID),
        statuses={200: "What worked, and what did not."},
        body=wire.TestIn,
        body_optional=True,
        body_example={"write": True},
        answer=wire.TestOut,
        answer_example={
            "ok": False,
            "steps": [
                {"step": "CONNECT", "ok": True},
                {"step": "LOGIN", "ok": True},
                {"step": "LIST", "ok": False, "message": "the folder '/in' cannot be listed: no such file"},
            ],
        },
    ),
)
