"""`licence` and `entity`: whom a server is for, and how much of it they may use."""

from typing import Annotated, Any

import typer

from tabellion.cli.analyst import give_access
from tabellion.cli.common import (
    AsJson,
    DatabaseUrl,
    DataDir,
    LicenceName,
    Name,
    Yes,
    confirm,
    fail,
    on_database,
    on_server,
    show,
)
from tabellion.features import licences as use
from tabellion.features.bulk import erasing
from tabellion.features.licences import Licence
from tabellion.kit.clock import utc_now
from tabellion.kit.digits import BIGINT, INTEGER
from tabellion.platform.database.connection import Database
from tabellion.platform.database.errors import retrying

licence = typer.Typer(no_args_is_help=True, help="Licences: the customers of this server, and their limits.")
entity = typer.Typer(no_args_is_help=True, help="Entities: the brands or departments of a licence.")


@licence.command("create")
def create_licence(
    name: Name,
    limits: Annotated[str, typer.Option("--limits", "--preset", help="Preset: classic, current or unlimited.")] = "classic",
    time_zone: Annotated[str, typer.Option(help="Time zone of its days and of moments without offset.")] = "UTC",
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Create a licence."""

    async def work(db: Database) -> Licence:
        return await use.create_licence(db, name, utc_now(), preset=limits, time_zone=time_zone)

    show(_flat(on_database(data_dir, database_url, work)), as_json=as_json)


@licence.command("list")
def list_licences(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """List the licences."""
    found = on_database(data_dir, database_url, use.list_licences)
    show([{"id": one.id, "name": one.name, "preset": one.preset, "timeZone": one.time_zone} for one in found],
         as_json=as_json, title="licences")  # fmt: skip


@licence.command("show")
def show_licence(name: Name, data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Show a licence and its limits."""
    show(_flat(on_database(data_dir, database_url, lambda db: use.get_licence(db, name))), as_json=as_json)


@licence.command("limits")
def change_limits(
    name: Name,
    preset: Annotated[
        str | None, typer.Option("--preset", "--limits", help="Start from a preset: classic, current or unlimited.")
    ] = None,
    users: Annotated[int | None, typer.Option(min=0, max=INTEGER, help="API users at most.")] = None,
    calls_per_minute: Annotated[int | None, typer.Option(min=1, max=INTEGER, help="Calls per minute.")] = None,
    window_seconds: Annotated[
        int | None, typer.Option(min=1, max=3600, help="Length of the 'minute', in seconds (for tests).")
    ] = None,
    on_excess: Annotated[str | None, typer.Option(help="slow-down or reject.")] = None,
    max_wait_seconds: Annotated[
        int | None, typer.Option(min=0, max=60, help="Longest wait of a slowed-down call, in seconds.")
    ] = None,
    concurrent: Annotated[int | None, typer.Option(min=1, max=INTEGER, help="Calls at the same time.")] = None,
    bulk_per_day: Annotated[int | None, typer.Option(min=0, max=INTEGER, help="Bulk calls per day.")] = None,
    bulk_scope: Annotated[str | None, typer.Option(help="licence or table.")] = None,
    max_bulk_file_bytes: Annotated[
        int | None, typer.Option(min=1, max=BIGINT, help="Largest file of a bulk call, in bytes.")
    ] = None,
    time_zone: Annotated[str | None, typer.Option(help="Time zone of its days.")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Change a licence's limits; what is not named stays."""
    modes = {"slow-down": "SLOW_DOWN", "reject": "REJECT"}
    scopes = {"licence": "LICENCE", "table": "TABLE"}
    if on_excess is not None and on_excess not in modes:
        fail(f"--on-excess is slow-down or reject, not '{on_excess}'")
    if bulk_scope is not None and bulk_scope not in scopes:
        fail(f"--bulk-scope is licence or table, not '{bulk_scope}'")
    given: dict[str, Any] = {
        "max_users": users,
        "calls_per_minute": calls_per_minute,
        "window_seconds": window_seconds,
        "on_excess": modes.get(on_excess or ""),
        "max_wait_seconds": max_wait_seconds,
        "max_concurrent": concurrent,
        "bulk_per_day": bulk_per_day,
        "bulk_scope": scopes.get(bulk_scope or ""),
        "max_bulk_file_bytes": max_bulk_file_bytes,
    }
    changes = {field: value for field, value in given.items() if value is not None}

    async def work(db: Database) -> Licence:
        return await use.change_limits(db, name, changes, utc_now(), preset=preset, time_zone=time_zone)

    show(_flat(on_database(data_dir, database_url, work)), as_json=as_json)


@licence.command("delete")
def delete_licence(
    name: Name,
    yes: Yes = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Erase a licence with its users, tables, profiles and files. There is no way back.

    Its audit trail stays until it is too old, under the id that is printed: `tabellion audit licence/ID`.
    """
    if not yes:
        # Nobody is asked about what is not there.
        on_database(data_dir, database_url, lambda db: use.get_licence(db, name))
        confirm(f"Erase the licence '{name}' with all its profiles?")

    async def work(db: Database, admin: Database) -> int:
        await use.revoke_users(db, name, utc_now())
        await use.end_analysts_access(db, admin, name, utc_now())
        # Imports and mails that are at work hold rows in an order of their own.
        return await retrying(lambda: erase(db))

    async def erase(db: Database) -> int:
        async with db.transaction():
            await erasing.order(db, (await use.get_licence(db, name)).id)
            return await use.delete_licence(db, name, utc_now())

    show({"deleted": name, "id": on_server(data_dir, database_url, work)}, as_json=as_json)


licence.command("analyst")(give_access)


@entity.command("create")
def create_entity(
    licence_name: LicenceName,
    name: Annotated[str, typer.Argument(help="Name of the entity.")],
    comment: Annotated[str | None, typer.Option(help="A remark.")] = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Create an entity."""

    async def work(db: Database) -> use.Entity:
        return await use.create_entity(db, licence_name, name, utc_now(), comment=comment)

    show(on_database(data_dir, database_url, work), as_json=as_json)


@entity.command("list")
def list_entities(
    licence_name: LicenceName,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the entities of a licence."""
    found = on_database(data_dir, database_url, lambda db: use.list_entities(db, licence_name))
    show(found, as_json=as_json, title="entities")


def _flat(found: Licence) -> dict[str, Any]:
    limits = found.limits
    return {
        "id": found.id,
        "name": found.name,
        "timeZone": found.time_zone,
        "preset": found.preset,
        "users": limits.max_users,
        "callsPerMinute": limits.calls_per_minute,
        "windowSeconds": limits.window_seconds,
        "onExcess": limits.on_excess.lower().replace("_", "-"),
        "maxWaitSeconds": limits.max_wait_seconds,
        "concurrent": limits.max_concurrent,
        "bulkPerDay": limits.bulk_per_day,
        "bulkScope": limits.bulk_scope.lower(),
        "maxBulkFileBytes": limits.max_bulk_file_bytes,
    }
