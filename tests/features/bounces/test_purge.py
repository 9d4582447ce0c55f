"""Soft bounces count for as long as it is said, and are forgotten."""

from datetime import UTC, datetime, timedelta

import psycopg

from tabellion.features.bounces import Rules, purge
from tabellion.features.bounces.model import Finding, Kind
from tabellion.features.bounces.service import Desk, note_address
from tabellion.features.licences import create_licence

NOW = datetime(2027, 3, 1, 9, tzinfo=UTC)


async def test_soft_bounces_count_for_as_long_as_it_is_said_and_are_forgotten(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as db:
        made = [await create_licence(db, name, NOW) for name in ("harbour", "hills", "gone")]
        for licence in made:
            for age in (1, 10, 20, 40):
                await db.execute(
                    f"INSERT INTO l{licence.id}.soft_bounce VALUES ('a@example.com', %s, %s)",
                    (str(age), NOW - timedelta(days=age)),
                )
        hills, rules = made[1].id, Rules.of(3, 10)

        async def soft(days: int, address: str) -> None:
            desk = Desk(db, rules, NOW, NOW - timedelta(days=days))
            await note_address(desk, hills, address, Finding(Kind.SOFT, "4.2.2", "full"))

        # One is too old, and one is told twice.
        for days in (11, 10, 1, 1):
            await soft(days, "B@example.com")
        await soft(0, "c@example.com")
        suppressed = f"SELECT address, reason, since, detail FROM l{hills}.suppression"
        assert await (await db.execute(suppressed)).fetchall() == []
        await soft(0, "b@EXAMPLE.com")
        detail = "3 soft bounces within 10 days, the last: full"
        assert await (await db.execute(suppressed)).fetchall() == [("b@example.com", "SOFT_BOUNCE", NOW, detail)]
        await db.execute(f"DELETE FROM l{hills}.soft_bounce WHERE address <> 'a@example.com'")

        # As if it were deleted between the list of licences and the look at it.
        await db.execute(f"DROP TABLE l{made[0].id}.soft_bounce")
        assert await purge(db, Rules.of(5, 30), NOW) == 2
        assert await purge(db, Rules.of(5, 10), NOW) == 2
        left = await (await db.execute(f"SELECT mark FROM l{made[1].id}.soft_bounce")).fetchall()
        assert left == [("1",), ("10",)]
