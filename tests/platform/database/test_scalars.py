from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars


async def test_a_statement_of_one_column_answers_its_value(db: Database) -> None:
    assert await scalar(db, "SELECT n, 'aside' FROM generate_series(%s, 5) n ORDER BY n", (3,)) == 3
    assert await scalar(db, "SELECT 1 WHERE false") is None
    assert await scalar(db, "SELECT EXISTS (SELECT 1 WHERE false)") is False


async def test_or_all_of_its_values_in_their_order(db: Database) -> None:
    assert await scalars(db, "SELECT n FROM generate_series(1, %(most)s) n ORDER BY n DESC", {"most": 3}) == [3, 2, 1]
    assert await scalars(db, "SELECT 1 WHERE false") == []
