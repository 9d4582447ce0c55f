"""New rows in bulk: a block whose rows are all new is copied straight into its table.

Nothing is staged and nothing looked up: unique indexes find what is there already, and then the block goes the long way.
"""

from datetime import datetime
from io import BytesIO

import polars as pl
from psycopg import sql

from tabellion.features.bulk.imports.columns import Column, Plan
from tabellion.features.tables import Attribute, Subscription, Table
from tabellion.platform.database.connection import Database

_ID = "id"
# What is known of where a choice in a file comes from.
_KNOWN = ("at", "source")


class Creator:
    """Makes rows of one table; `source` tells where choices come from."""

    def __init__(self, table: Table, plan: Plan, source: str) -> None:
        self._plan = plan
        self._choices = [c for c in plan.columns if isinstance(c.target, Subscription)]
        self._source = source
        self._sequence = f"{table.schema}.{table.relation}_id_seq"
        names = [_ID, "created_at", "updated_at", *(c.name for c in plan.columns)]
        for choice in self._choices:
            names += [f"{choice.name}_{part}" for part in _KNOWN]
        columns = sql.SQL(", ").join(map(sql.Identifier, names))
        relation = sql.Identifier(table.schema, table.relation)
        self._copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(relation, columns)

    async def create(self, db: Database, frame: pl.DataFrame, now: datetime) -> list[int]:
        """Make a row of each of the frame's, and return their ids. Raises IntegrityError where one is in the way."""
        cursor = db.cursor(binary=True)
        drawn = "SELECT array_agg(nextval(%s::regclass)) FROM generate_series(1, %s)"
        await cursor.execute(drawn, (self._sequence, frame.height))
        row = await cursor.fetchone()
        ids: list[int] = row[0] if row else []
        frame = frame.with_columns(pl.Series(_ID, ids, dtype=pl.Int64))
        text = BytesIO()
        self._rows(frame, now).write_csv(text, include_header=False)
        async with db.cursor() as writer, writer.copy(self._copy) as copy:
            await copy.write(text.getvalue())
        return ids

    def _rows(self, frame: pl.DataFrame, now: datetime) -> pl.DataFrame:
        moment = pl.lit(now.isoformat())
        wanted = [pl.col(_ID), moment.alias("created_at"), moment.alias("updated_at")]
        wanted += [_value(column) for column in self._plan.columns]
        for choice in self._choices:
            given = pl.when(pl.col(choice.name).is_not_null())
            origin = (moment, pl.lit(self._source))
            wanted += [given.then(value).alias(f"{choice.name}_{part}") for part, value in zip(_KNOWN, origin, strict=True)]
        return frame.select(wanted)


def _value(column: Column) -> pl.Expr:
    """What a new row gets; a simple segmentation is true or nothing."""
    value = pl.col(column.name)
    if column.cast != "boolean" or isinstance(column.target, (Attribute, Subscription)):
        return value
    return pl.when(value.is_in(["true", "1"])).then(pl.lit("true")).alias(column.name)
