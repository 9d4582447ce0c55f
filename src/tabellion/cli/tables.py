"""`table`: a look at profile tables and the columns behind them."""

from typing import Annotated, Any

import typer

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, LicenceName, fail, on_database, show
from tabellion.features import licences as use
from tabellion.features.tables import ProfileTable, profile_tables
from tabellion.features.tables.wire import table_v5
from tabellion.platform.database.connection import Database

table = typer.Typer(no_args_is_help=True, help="Profile tables, for inspection; the API creates and changes them.")


@table.command("list")
def list_tables(
    licence_name: LicenceName,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the profile tables of a licence."""

    async def work(db: Database) -> list[dict[str, Any]]:
        found = await use.get_licence(db, licence_name)
        names = {e.id: e.name for e in await use.list_entities(db, licence_name)}
        return [
            {
                "id": str(t.id),
                "name": t.name,
                "entity": names[t.entity_id],
                "attributes": len(t.definition.attributes),
                "relation": f"{t.schema}.{t.relation}",
            }
            for t in await profile_tables.load(db, found.id)
        ]

    show(on_database(data_dir, database_url, work), as_json=as_json, title="profile tables")


@table.command("show")
def show_table(
    licence_name: LicenceName,
    name: Annotated[str, typer.Argument(help="Name or id of the table.")],
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Show the structure of a profile table, with the columns behind it."""

    async def work(db: Database) -> ProfileTable | None:
        found = await use.get_licence(db, licence_name)
        for t in await profile_tables.load(db, found.id):
            if t.name.lower() == name.lower() or str(t.id) == name:
                return t
        return None

    found = on_database(data_dir, database_url, work)
    if found is None:
        fail(f"the licence '{licence_name}' has no profile table '{name}'; tabellion table list {licence_name} shows them")
    if as_json:
        show(table_v5(found), as_json=True)
        return
    show([{"attribute": a.name, "type": a.type, "valueType": a.value_type, "column": a.column, "unique": a.unique,
           "mandatory": a.mandatory} for a in found.definition.attributes], as_json=False, title=found.name)  # fmt: skip
