"""Use cases of file transfers: keep servers and locations, try them, and open them for bulk calls."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path

from psycopg import errors

from tabellion.features.licences import Owner, owner_of
from tabellion.features.transfers import store
from tabellion.features.transfers.errors import LocationUnknown, ServerUnknown, TransferInUse, TransferNameUsed
from tabellion.features.transfers.model import FileServer, Location, Step
from tabellion.kit.digits import INTEGER, number_of
from tabellion.kit.problem import invalid
from tabellion.platform import audit
from tabellion.platform.database.connection import Database
from tabellion.platform.egress import Policy
from tabellion.platform.http.call import Incoming
from tabellion.platform.secrets import SecretUnreadable
from tabellion.platform.transfer import Folder, Opening, Server, TooManyEntries, TransferError, open_folder

_TEST_S = 60
_TEST_FILE = "tabellion-test.txt"
_STEPS = ("CONNECT", "LOGIN", "LIST")


class Places:
    """What the operator allows: where servers may be, and the folder below which those of protocol FOLDER are."""

    def __init__(self) -> None:
        self.policy = Policy()
        self.folder: Path | None = None


_places = Places()


def allow(policy: Policy, folder: Path | None) -> None:
    """Say what the operator allows; once per process."""
    _places.policy, _places.folder = policy, folder


def policy() -> Policy:
    """Where servers may be."""
    return _places.policy


async def list_servers(call: Incoming) -> list[FileServer]:
    """The servers of the entity of the path, by name."""
    return await store.servers(call.db, owner_of(call))


async def get_server(call: Incoming, *, lock: bool = False) -> FileServer:
    """The server of the path. Raises `ServerUnknown`."""
    number = number_of(call.path["id"], INTEGER)
    found = None if number is None else await store.server(call.db, owner_of(call), number, lock=lock)
    if found is None:
        raise _unknown_server(call)
    return found


async def create_server(call: Incoming, new: FileServer) -> int:
    """Keep a server; its id. Raises `TransferNameUsed`."""
    async with call.db.transaction():
        number = await store.insert_server(call.db, owner_of(call), new, call.now)
        if number is None:
            raise _name_used(call, "server", new.name)
        await audit.record(call.db, call, f"transfer-server/{number}")
    return number


async def change_server(call: Incoming, changed: Callable[[FileServer], Awaitable[FileServer]]) -> FileServer:
    """Change the server of the path. Raises `ServerUnknown`, `Invalid`, `TransferNameUsed`."""
    while True:
        before = await get_server(call)
        # It may take seconds, in which nobody waits for the row; if that was changed meanwhile, it is done anew.
        after = await changed(before)
        async with call.db.transaction():
            if await get_server(call, lock=True) != before:
                continue
            await _kept(call, "server", after.name, partial(store.update_server, call.db, owner_of(call), after))
            await audit.record(call.db, call, f"transfer-server/{after.id}")
        return after


async def delete_server(call: Incoming) -> None:
    """Delete the server of the path. Raises `ServerUnknown`, `TransferInUse`."""
    # Without a look at it: one whose secrets cannot be read any more can be deleted.
    number = number_of(call.path["id"], INTEGER)
    if number is None or not await _deleted(
        call, f"transfer-server/{number}", lambda: store.delete_server(call.db, owner_of(call), number)
    ):
        raise _unknown_server(call)


async def list_locations(call: Incoming) -> list[Location]:
    """The locations of the entity of the path, by name."""
    return await store.locations(call.db, owner_of(call))


async def get_location(call: Incoming, *, lock: bool = False) -> Location:
    """The location of the path. Raises `LocationUnknown`."""
    number = number_of(call.path["id"], INTEGER)
    found = None if number is None else await store.location(call.db, owner_of(call), number, lock=lock)
    if found is None:
        raise LocationUnknown(f"the entity '{call.path['e']}' has no location '{call.path['id'][:30]}'")
    return found


async def create_location(call: Incoming, new: Location) -> int:
    """Keep a location; its id. Raises `Invalid`, `TransferNameUsed`."""
    async with call.db.transaction():
        await _server_of(call, new)
        number = await store.insert_location(call.db, owner_of(call), new, call.now)
        if number is None:
            raise _name_used(call, "location", new.name)
        await audit.record(call.db, call, f"transfer-location/{number}")
    return number


async def change_location(call: Incoming, changed: Callable[[Location], Location]) -> Location:
    """Change the location of the path. Raises `LocationUnknown`, `Invalid`, `TransferNameUsed`."""
    async with call.db.transaction():
        after = changed(await get_location(call, lock=True))
        await _server_of(call, after)
        await _kept(call, "location", after.name, lambda: store.update_location(call.db, after))
        await audit.record(call.db, call, f"transfer-location/{after.id}")
    return after


async def delete_location(call: Incoming) -> None:
    """Delete the location of the path. Raises `LocationUnknown`, `TransferInUse`."""
    found = await get_location(call)
    await _deleted(call, f"transfer-location/{found.id}", lambda: store.delete_location(call.db, owner_of(call), found.id))


async def find_location(call: Incoming, reference: str) -> Location | None:
    """The location of the entity of the path by its id, which stays for the transaction; None: there is none."""
    number = number_of(reference, INTEGER)
    return None if number is None else await store.location(call.db, owner_of(call), number, keep=True)


async def prepare_test(call: Incoming, *, write: bool) -> Callable[[], Awaitable[list[Step]]]:
    """What tries the location of the path, step by step; it needs the database no more. Raises `LocationUnknown`."""
    found = await get_location(call)
    kept = await store.server(call.db, owner_of(call), found.server_id)
    if kept is None:
        raise LocationUnknown("the server of the location has just been deleted")
    server = await _platform_server(call.db, call.caller.licence_id, kept)
    await audit.record(call.db, call, f"transfer-location/{found.id}")
    return lambda: _test(server, found, write=write)


async def open_location(
    db: Database, licence_id: int, entity_id: int, location_id: int
) -> tuple[Location, AbstractAsyncContextManager[Folder]]:
    """A location with what opens it. A host key that an SFTP server shows for the first time is insisted on from then on.

    Raises `TransferError` when the location is gone, `SecretUnreadable`.
    """
    owner = Owner(licence_id, entity_id)
    found = await store.location(db, owner, location_id)
    kept = None if found is None else await store.server(db, owner, found.server_id)
    if found is None or kept is None:
        raise TransferError("CONNECT", "the location was deleted")
    server = await _platform_server(db, licence_id, kept)
    return found, _opened(db, kept, open_folder(server, found.path, _places.policy))


@asynccontextmanager
async def _opened(db: Database, server: FileServer, opening: Opening) -> AsyncGenerator[Folder]:
    async with opening as opened:
        yield opened.folder
    if opened.host_key is not None and server.definition["hostKey"] is None:
        await store.keep_host_key(db, server, opened.host_key)


async def _test(server: Server, location: Location, *, write: bool) -> list[Step]:
    """Each step up to the first that fails."""
    steps = [*_STEPS, *(["MOVE"] if location.move_to else []), *(["WRITE"] if write else [])]
    at = "LOGIN"
    try:
        async with asyncio.timeout(_TEST_S), open_folder(server, location.path, _places.policy) as opened:
            at = "LIST"
            await opened.folder.files()
            if location.move_to:
                at = "MOVE"
                await _list_elsewhere(server, location.move_to)
            if write:
                at = "WRITE"
                with tempfile.NamedTemporaryFile() as file:
                    file.write(b"Tabellion was here to try whether it may write; this file can be deleted.\n")
                    file.flush()
                    await opened.folder.store(Path(file.name), _TEST_FILE)
                await opened.folder.remove(_TEST_FILE)
    except TransferError as error:
        return _until(steps, error.step, error.message)
    except TimeoutError:
        return _until(steps, at, f"no answer within {_TEST_S} seconds")
    return [Step(step, ok=True) for step in steps]


async def _list_elsewhere(server: Server, path: str) -> None:
    """Whether there is a folder that files can be moved to. Raises `TransferError` (MOVE)."""
    try:
        async with open_folder(server, path, _places.policy) as opened:
            await opened.folder.files()
    except TooManyEntries:
        return  # what was moved gathers there
    except TransferError as error:
        raise TransferError("MOVE", error.message) from None


def _until(steps: list[str], failed: str, message: str) -> list[Step]:
    place = steps.index(failed) if failed in steps else len(steps) - 1
    return [*(Step(step, ok=True) for step in steps[:place]), Step(steps[place], ok=False, message=message)]


async def _platform_server(db: Database, licence_id: int, kept: FileServer) -> Server:
    if kept.unreadable:
        raise SecretUnreadable(
            f"the password or the private key of the server '{kept.name}' was sealed with another key than there is now: "
            "give them to it anew, or have the operator restore that key (TABELLION_SECRET_KEY, or the file secret.key)"
        )
    definition = kept.definition
    root = None
    if definition["protocol"] == "FOLDER" and _places.folder is not None:
        # Each licence has a folder of its own. Names of licences have no slashes; '..' is one all the same.
        name = await store.licence_name(db, licence_id)
        root = _places.folder / (name if name.strip(".") else f"licence-{licence_id}")
    return Server(
        protocol=definition["protocol"],
        host=definition["host"],
        port=definition["port"],
        user=definition["user"],
        password=kept.secrets.password,
        private_key=kept.secrets.private_key,
        host_key=definition["hostKey"],
        certificate=definition["certificate"],
        region=definition["region"],
        secure=definition["secure"],
        root=root,
    )


async def _server_of(call: Incoming, location: Location) -> None:
    if await store.server(call.db, owner_of(call), location.server_id, lock=True) is None:
        raise invalid("serverId", "server.unknown", f"the entity '{call.path['e']}' has no server '{location.server_id}'")


async def _kept(call: Incoming, kind: str, name: str, update: Callable[[], Awaitable[None]]) -> None:
    try:
        async with call.db.transaction():
            await update()
    except errors.UniqueViolation:
        raise _name_used(call, kind, name) from None


async def _deleted(call: Incoming, subject: str, delete: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with call.db.transaction():
            deleted = await delete()
            if deleted:
                await audit.record(call.db, call, subject)
            return deleted
    except errors.ForeignKeyViolation:
        user = "a location" if subject.startswith("transfer-server") else "an ETL or an export"
        raise TransferInUse(f"{user} uses it; change that first") from None


def _unknown_server(call: Incoming) -> ServerUnknown:
    return ServerUnknown(f"the entity '{call.path['e']}' has no server '{call.path['id'][:30]}'")


def _name_used(call: Incoming, kind: str, name: str) -> TransferNameUsed:
    return TransferNameUsed(f"the entity '{call.path['e']}' has a {kind} '{name}' already")
