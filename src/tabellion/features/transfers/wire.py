"""The documents of the calls of file transfers."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType
from msgspec.structs import replace

from tabellion.features.transfers.model import AfterRead, FileServer, Location, Secrets, Step, path_fault, steps
from tabellion.kit.digits import INTEGER, number_of
from tabellion.kit.names import name_fault
from tabellion.kit.problem import FieldError, Invalid
from tabellion.platform.egress import Policy, TargetRefused, parse_host
from tabellion.platform.http.shapes import Flag, Text
from tabellion.platform.transfer import PORTS, ProtocolName, is_certificate, is_public_key, opened

_INVALID, _MANDATORY = "structure.invalid", "member.mandatory"
_KEPT = ("protocol", "host", "port", "user", "hostKey", "certificate", "region", "secure")
_HIGHEST_PORT, _MAX_TEXT, _MAX_KEY = 65535, 255, 20_000


class ServerIn(msgspec.Struct, rename="camel"):
    """A server to be kept. Which members it needs depends on the protocol."""

    name: str
    protocol: ProtocolName
    host: Annotated[str, Meta(description="name or address; none for FOLDER")] = ""
    port: Annotated[int | None, Meta(description="null: the protocol's own; FTPS on 990 begins with TLS")] = None
    user: Annotated[str, Meta(description="S3: the access key")] = ""
    password: Annotated[str, Meta(description="S3: the secret key; with 'privateKey' what opens it")] = ""
    private_key: Annotated[str | None, Meta(description="SFTP: in OpenSSH's or PEM form")] = None
    host_key: Annotated[
        str | None, Meta(description="SFTP: 'ssh-ed25519 AAAA...'; null: the first one that the server shows is kept")
    ] = None
    certificate: Annotated[str | None, Meta(description="PEM of a certificate to be trusted beside the usual ones")] = None
    region: Annotated[str, Meta(description="S3")] = "us-east-1"
    secure: Annotated[Flag, Meta(description="S3: over https; false only where the operator allows it")] = True


class ServerPatch(msgspec.Struct, rename="camel"):
    """What is to be changed."""

    name: str | UnsetType = UNSET
    protocol: ProtocolName | UnsetType = UNSET
    host: str | UnsetType = UNSET
    port: int | None | UnsetType = UNSET
    user: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    private_key: str | None | UnsetType = UNSET
    host_key: str | None | UnsetType = UNSET
    certificate: str | None | UnsetType = UNSET
    region: str | UnsetType = UNSET
    secure: Flag | UnsetType = UNSET


class ServerOut(msgspec.Struct, rename="camel", omit_defaults=True):
    """A server; password and private key are not told again."""

    id: str
    name: str
    protocol: str
    host: str
    port: int
    user: str
    has_password: bool
    has_private_key: bool
    host_key: str | None
    certificate: str | None
    region: str
    secure: bool
    secrets_unreadable: Annotated[
        bool,
        Meta(description="password and private key were sealed with a key that the server has no more: give them anew"),
    ] = False


class ServersOut(msgspec.Struct):
    """The servers of an entity, by name."""

    servers: list[ServerOut]


class LocationIn(msgspec.Struct, rename="camel"):
    """A location to be kept. S3: the path is /bucket or /bucket/folder."""

    name: str
    server_id: Text
    path: str
    after_read: Annotated[AfterRead, Meta(description="what becomes of a file that an ETL has loaded")] = "KEEP"
    move_to: Annotated[str | None, Meta(description="the folder for MOVE")] = None


class LocationPatch(msgspec.Struct, rename="camel"):
    """What is to be changed."""

    name: str | UnsetType = UNSET
    server_id: Text | UnsetType = UNSET
    path: str | UnsetType = UNSET
    after_read: AfterRead | UnsetType = UNSET
    move_to: str | None | UnsetType = UNSET


class LocationOut(LocationIn, rename="camel", kw_only=True):
    """A location."""

    id: str


class LocationsOut(msgspec.Struct):
    """The locations of an entity, by name."""

    locations: list[LocationOut]


class Id(msgspec.Struct):
    """The answer to a creation."""

    id: str


class TestIn(msgspec.Struct):
    """How a location is to be tried; `write`: by writing a small file and deleting it, too."""

    write: Flag = False


class TestOut(msgspec.Struct):
    """The steps up to the first that failed."""

    ok: bool
    steps: list[Step]


async def read_server(body: ServerIn, policy: Policy) -> FileServer:
    """The server to be kept. Raises `Invalid`."""
    return await _server(0, msgspec.to_builtins(body), policy)


async def read_changed_server(before: FileServer, body: ServerPatch, policy: Policy) -> FileServer:
    """The server with what a body changes; another host has another host key, and is told its password. Raises `Invalid`."""
    secrets = {"password": before.secrets.password, "privateKey": before.secrets.private_key}
    changes: dict[str, Any] = msgspec.to_builtins(body)
    document = before.definition | {"name": before.name} | secrets | changes
    moved = any(
        changes.get(name, before.definition[name]) != before.definition[name] for name in ("host", "port", "protocol")
    )
    if moved and "hostKey" not in changes:
        document["hostKey"] = None
    kept = before.secrets.password or (before.unreadable and "privateKey" not in changes)
    if moved and kept and "password" not in changes:
        # Else whoever may change the server would read the password at one of their own; also one that cannot be read now,
        # once its key is there again.
        message = "is needed again: another host, port or protocol is another server, which the one that is kept is not for"
        raise Invalid([_fault("password", message, _MANDATORY)])
    if "protocol" in changes and "port" not in changes:
        document["port"] = None
    entered = bool({"protocol", "privateKey", "password"} & set(changes))
    after = await _server(before.id, document, policy, entered=entered)
    if not before.unreadable or after.definition["protocol"] == "FOLDER" or {"password", "privateKey"} & set(changes):
        return after
    return replace(after, unreadable=before.unreadable)


def server_out(server: FileServer) -> ServerOut:
    """One server as it is answered."""
    own = {
        "id": str(server.id),
        "name": server.name,
        "hasPassword": bool(server.secrets.password),
        "hasPrivateKey": server.secrets.private_key is not None,
        "secretsUnreadable": bool(server.unreadable),
    }
    return msgspec.convert(server.definition | own, ServerOut)


def read_location(body: LocationIn) -> Location:
    """The location to be kept. Raises `Invalid`."""
    return _location(Location(0, body.name, 0, body.path, body.after_read, body.move_to), body.server_id)


def read_changed_location(before: Location, body: LocationPatch) -> Location:
    """The location with what a body changes. Raises `Invalid`."""
    members = {name: getattr(body, name) for name in body.__struct_fields__ if name != "server_id"}
    changes = {name: value for name, value in members.items() if value is not UNSET}
    reference = str(before.server_id) if body.server_id is UNSET else body.server_id
    return _location(replace(before, **changes), reference)


def location_out(location: Location) -> LocationOut:
    """One location as it is answered."""
    return LocationOut(
        id=str(location.id),
        name=location.name,
        server_id=str(location.server_id),
        path=location.path,
        after_read=location.after_read,
        move_to=location.move_to,
    )


async def _server(number: int, document: dict[str, Any], policy: Policy, *, entered: bool = True) -> FileServer:
    """A server. A private key that is `entered` is kept without its password."""
    protocol: str = document["protocol"]
    if document["port"] is None:
        document["port"] = PORTS[protocol]
    faults: list[FieldError] = []
    if fault := name_fault(document["name"]):
        faults.append(_fault("name", f"expects {fault}", "structure.nameInvalid"))
    faults += _no_host_faults(document) if protocol == "FOLDER" else _host_faults(document, policy)
    faults += _text_faults(document)
    if not document["secure"] and not policy.allow_http:
        faults.append(_fault("secure", "may be false only where the operator allows http"))
    if protocol == "SFTP":
        faults += await _key_faults(document, entered=entered)
    if faults:
        raise Invalid(faults)
    secrets = Secrets(document["password"], document["privateKey"])
    return FileServer(number, document["name"], {name: document[name] for name in _KEPT}, secrets)


def _fault(member: str, message: str, code: str = _INVALID) -> FieldError:
    return FieldError(member, code, f"'{member}' {message}")


def _no_host_faults(document: dict[str, Any]) -> list[FieldError]:
    members = ("host", "user", "password", "privateKey", "hostKey", "certificate")
    message = "has no meaning for FOLDER, whose files are on the machine of this server"
    return [_fault(member, message) for member in members if document[member]]


def _host_faults(document: dict[str, Any], policy: Policy) -> list[FieldError]:
    faults: list[FieldError] = []
    if not document["host"]:
        faults.append(_fault("host", "is needed: name or address of the server", _MANDATORY))
    else:
        try:
            document["host"] = parse_host(document["host"], policy)
        except TargetRefused as error:
            faults.append(_fault("host", str(error), "transfer.host"))
    if not 1 <= document["port"] <= _HIGHEST_PORT:
        faults.append(_fault("port", f"expects a number from 1 to {_HIGHEST_PORT}"))
    if not document["user"]:
        faults.append(_fault("user", "is needed", _MANDATORY))
    return faults


def _text_faults(document: dict[str, Any]) -> list[FieldError]:
    texts = [
        _fault(member, f"expects at most {_MAX_TEXT} printable characters")
        for member in ("user", "password", "region")
        if len(document[member]) > _MAX_TEXT or not document[member].isprintable()
    ]
    keys = [
        _fault(member, f"expects at most {_MAX_KEY:,} characters")
        for member in ("privateKey", "certificate", "hostKey")
        if document[member] is not None and len(document[member]) > _MAX_KEY
    ]
    private = [
        _fault(member, "holds a private key, and is told to whoever reads the server: leave that out")
        for member in ("certificate", "hostKey")
        if "PRIVATE KEY" in (document[member] or "")
    ]
    certificate = document["certificate"]
    if certificate and not (keys or private or is_certificate(certificate)):
        return [*texts, _fault("certificate", "expects certificates in PEM (-----BEGIN CERTIFICATE-----)")]
    return texts + keys + private


async def _key_faults(document: dict[str, Any], *, entered: bool) -> list[FieldError]:
    faults: list[FieldError] = []
    if document["hostKey"] is not None and not is_public_key(document["hostKey"]):
        faults.append(_fault("hostKey", "expects an OpenSSH public key such as 'ssh-ed25519 AAAA...'"))
    key = document["privateKey"]
    if key is not None and entered and len(key) <= _MAX_KEY:
        document["privateKey"] = await opened(key, document["password"])
        if document["privateKey"] is None:
            message = "expects a private key in OpenSSH's or PEM form, and 'password' what opens it, within seconds"
            faults.append(_fault("privateKey", message))
    return faults


def _location(location: Location, server: str) -> Location:
    faults: list[FieldError] = []
    if fault := name_fault(location.name):
        faults.append(FieldError("name", "structure.nameInvalid", f"'name' expects {fault}"))
    if fault := path_fault(location.path):
        faults.append(FieldError("path", _INVALID, f"'path' {fault}"))
    if location.after_read == "MOVE" and location.move_to is None:
        faults.append(FieldError("moveTo", "member.mandatory", "'moveTo' is needed for MOVE: the folder to move files to"))
    elif location.after_read != "MOVE" and location.move_to is not None:
        faults.append(FieldError("moveTo", _INVALID, "'moveTo' is for afterRead MOVE"))
    elif location.move_to is not None:
        if fault := path_fault(location.move_to):
            faults.append(FieldError("moveTo", _INVALID, f"'moveTo' {fault}"))
        elif steps(location.move_to) == steps(location.path):
            faults.append(FieldError("moveTo", _INVALID, "'moveTo' is the folder itself"))
    number = number_of(server, INTEGER)
    if number is None:
        faults.append(FieldError("serverId", "server.unknown", f"there is no server '{server[:30]}'"))
    if faults or number is None:
        raise Invalid(faults)
    return replace(location, server_id=number)
