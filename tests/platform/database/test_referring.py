"""What is deleted with something else is found by an index, not by reading everything of its kind."""

from tests.support.structure import connect

# A licence or an entity goes once, and one reading of a table is no matter then. The others have few rows at any time.
_SELDOM = {"licence", "entity"}
_SMALL = {"mail_trouble", "usage_slot"}
_WITHOUT = """
SELECT c.conrelid::regclass::text, a.attname, f.relname
FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_class f ON f.oid = c.confrelid
JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
WHERE c.contype = 'f' AND c.connamespace = 'tabellion'::regnamespace
  AND f.relname <> ALL (%s) AND r.relname <> ALL (%s) AND NOT EXISTS (
    SELECT FROM pg_index i WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1]
      AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = format('(%%I IS NOT NULL)', a.attname)))
ORDER BY 1, 2
"""


async def test_foreign_keys_have_indexes(worker_database_url: str) -> None:
    async with await connect(worker_database_url) as db:
        assert await (await db.execute(_WITHOUT, (list(_SELDOM), list(_SMALL)))).fetchall() == []
