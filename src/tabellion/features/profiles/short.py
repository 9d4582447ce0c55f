"""The short way of a write: what most calls want, a known row changed and nothing else, is a smaller statement.

The statement of `sql.py` finds, locks, changes or creates and says which; a good part of its time, and half of the room that
it takes prepared, is for what mostly does not happen.
"""
# ruff: noqa: S608 - every identifier here is composed of integers of our own

from collections.abc import Mapping

from tabellion.features.tables import Table


def change_known(table: Table, key: str, new: Mapping[str, str], audit: str) -> str:
    """Change the row that a key leads to: `key` is the condition for it, `new` the columns with their values.

    `audit` is the part that adds to the audit trail for the rows of `changed`. Parameters: `now` and those of the parts.

    Row: the row's id, the same if it was changed, whether it differs from what is wanted. A row that did not differ was as
    wanted when the statement began, whatever becomes of it. Of no row, and of one that differs and was not changed, nothing
    is said: the structure is another one, or another call was faster; the whole statement finds out.
    """
    relation = f"{table.schema}.{table.relation}"
    catalogue = f"tabellion.{table.kind.catalogue}"
    current = f"guard.id = {table.id:d} AND guard.version = {table.version:d}"
    differs = " OR ".join(f"t.{column} IS DISTINCT FROM {value}" for column, value in new.items())
    sets = "".join(f", {column} = {value}" for column, value in new.items())
    return f"""
WITH changed AS (
    UPDATE {relation} t
    SET updated_at = greatest(%(now)s::timestamptz, t.updated_at + interval '1 microsecond'){sets}
    FROM {catalogue} guard WHERE {current} AND {key} AND ({differs})
    RETURNING t.id),
{audit}
SELECT t.id, changed.id, ({differs}) FROM {catalogue} guard CROSS JOIN {relation} t LEFT JOIN changed ON true
WHERE {current} AND {key}"""
