"""The tables that definitions and jobs name: profile tables or custom tables."""

from collections.abc import Sequence

from tabellion.features.customdata import CUSTOM_TABLES, custom_tables_of_licence, find_custom_table
from tabellion.features.tables import Table, find_table, tables_of_licence
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Incoming


async def find(call: Incoming, table_type: str, reference: str) -> Table:
    """The table of the entity of the path, by its name or public id. Raises `TableUnknown`."""
    if table_type == CUSTOM_TABLES.subject:
        return await find_custom_table(call, call.path["e"], reference)
    return await find_table(call, call.path["e"], reference)


async def of_licence(db: Database, licence_id: int, table_type: str, version: int) -> Sequence[Table]:
    """All of a kind, as they were when the licence's catalogue had this version, or later."""
    load = custom_tables_of_licence if table_type == CUSTOM_TABLES.subject else tables_of_licence
    return await load(db, licence_id, version)
