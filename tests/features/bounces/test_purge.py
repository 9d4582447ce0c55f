"""Soft bounces that are too old to count are forgotten."""

from datetime import UTC, datetime, timedelta

import psycopg

from tabellion.features.bounces import Rules, purge
from tabellion.features.licences import create_licence

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)


async def test_old_soft_bounces_are_forgotten(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db:
        made = [await create_licence(db, name, NOW) for name in ("harbour", "hills", "gone")]
        for licence in made:
            for age in (1, 20, 40):
                await db.execute(
                    f"INSERT INTO l{licence.id}.soft_bounce VALUES ('a@example.com', %s, %s)",
                    (str(age), NOW - timedelta(days=age)),
                )
        # As if it were deleted between the list of licences and the look at it.
        await db.execute(f"DROP TABLE l{made[0].id}.soft_bounce")
        assert await purge(db, Rules.of(5, 30), NOW) == 2
        assert await purge(db, Rules.of(5, 10), NOW) == 2
        left = await (await db.execute(f"SELECT mark FROM l{made[1].id}.soft_bounce")).fetchall()
        assert left == [("1",)]
