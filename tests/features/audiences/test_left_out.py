"""Who is on a list that is left out is found in one pass, however little memory there is for the list."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from psycopg.sql import SQL, Identifier

from tabellion.features.audiences.conditions import condition_of
from tabellion.features.audiences.model import Audience, Target
from tabellion.features.tables import profile_tables
from tabellion.kit.clock import utc_now
from tests.support.structure import Bench

_PEOPLE: dict[str, Any] = {
    "name": "People",
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress", "unique": True},
        {"type": "CUSTOM", "name": "number", "valueType": "INTEGER", "unique": True},
    ],
}


@pytest.mark.parametrize("attribute", [None, "emailAddress", "number"])
async def test_a_list_that_is_left_out(bench: Bench, attribute: str | None) -> None:
    await bench.create(_PEOPLE)
    (table,) = await profile_tables.load(bench.db, bench.licence_id)
    relation, keys = Identifier(table.schema, table.relation), Identifier(table.schema, "audience_key")
    column = "id" if attribute is None else table.attributes_by_name[attribute.lower()].column
    made = "SELECT now(), now(), CASE WHEN n <= 2000 THEN 'a' || n || '@example.com' END, n FROM generate_series(1, 3000) n"
    await bench.db.execute(SQL("INSERT INTO {} (created_at, updated_at, a1, a2) " + made).format(relation))
    listed = SQL("INSERT INTO {} SELECT 1, {}::text FROM {} WHERE id % 2 = 0 AND a1 IS NOT NULL")
    await bench.db.execute(listed.format(keys, Identifier(column), relation))
    await bench.db.execute(SQL("INSERT INTO {} VALUES (2, 'no number')").format(keys))
    await bench.db.execute(SQL("ANALYZE {}").format(keys))
    await bench.db.execute(SQL("ANALYZE {}").format(relation))
    now = utc_now()
    for own, named, left in ((Target(), 1000, 2000), (Target(filter="number <= 1000"), 500, 2500)):
        audience = Audience(1, bench.licence_id, 1, table.id, "Listed", own, attribute, 1000, 1, now, now)
        query = f"SELECT count(*) FROM {table.schema}.{table.relation} t WHERE "
        condition = condition_of(table, Target(audience=1), ZoneInfo("UTC"), now, {1: audience})
        row = await (await bench.db.execute((query + condition.sql).encode(), condition.params)).fetchone()
        assert row == (named,)
        condition = condition_of(table, Target(exclude_audiences=(1,)), ZoneInfo("UTC"), now, {1: audience})
        query += condition.sql
        async with bench.db.transaction():
            await bench.db.execute("SET LOCAL work_mem = '64kB'")
            row = await (await bench.db.execute(query.encode(), condition.params)).fetchone()
            assert row == (left,)
            plan = await (await bench.db.execute(f"EXPLAIN {query}".encode(), condition.params)).fetchall()
            assert not [line for (line,) in plan if "SubPlan" in line]
