"""A table of profiles with rows of each kind, as its definition and in the database."""

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tabellion.features.tables.model import Attribute, Category, Definition, ProfileTable, Segmentation, Subscription

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
TABLE = ProfileTable(
    1,
    9,
    1,
    "Guests",
    1,
    Definition(
        20,
        (
            Attribute(1, "emailAddress", "EMAIL_ADDRESS", "STRING", unique=True),
            Attribute(2, "lastName", "CUSTOM", "STRING"),
            Attribute(3, "points", "CUSTOM", "INTEGER", indexed=True),
            Attribute(4, "member", "CUSTOM", "BOOLEAN"),
            Attribute(5, "born", "CUSTOM", "DATE"),
            Attribute(6, "interests", "CUSTOM", "STRING", multi_valued=True),
        ),
        (Subscription(7, "Weekly offers", "Weekly offers"),),
        (
            Segmentation(8, "Vip", "SIMPLE"),
            Segmentation(9, "Loyalty", "EXCLUSIVE", (Category(10, "Silver"), Category(11, "Gold"))),
        ),
    ),
)

NAMES = [
    None,
    "",
    "Vos",
    "vos",
    "De Vos",
    "50%_off",
    'a"b% \\c',
    "Éric ÅSTRÖM",
    "éric åström",
    "Strauß",
    "Μεγάλη οδος",
    "ΟΔΟΣ",
    "Σεισμος",
]
ROWS: list[dict[str, Any]] = [
    {
        "id": i + 1,
        "a1": f"{'ÉRIC' if i == 4 else 'user'}{i}@Example.com",
        "a2": name,
        "a3": points,
        "a4": flag,
        "a5": born,
        "a6": many,
        "s7": flag,
        "g8": True if points else None,
        "g9": 10 + (i % 2) if i % 3 else None,
    }
    for i, (name, points, flag, born, many) in enumerate(
        itertools.product(
            NAMES, [None, -1, 5], [None, True, False], [None, date(1984, 5, 12)], [None, ["SPA"], ["SPA", "GOLF"]]
        )
    )
]


@pytest.fixture
async def rows(db):
    await db.execute("CREATE SCHEMA l900900")
    await db.execute(
        'CREATE TABLE l900900.p1 (id bigint PRIMARY KEY, created_at timestamptz, updated_at timestamptz, a1 text COLLATE "C", '
        'a2 text COLLATE "C", a3 integer, a4 boolean, a5 date, a6 text[], s7 boolean, g8 boolean, g9 integer)'
    )
    async with db.cursor() as cursor:
        await cursor.executemany(
            "INSERT INTO l900900.p1 VALUES (%(id)s, %(at)s, %(at)s, %(a1)s, %(a2)s, %(a3)s, %(a4)s, %(a5)s, %(a6)s, "
            "%(s7)s, %(g8)s, %(g9)s)",
            [{**row, "at": NOW - timedelta(days=row["id"])} for row in ROWS],
        )
    return db


def expected(test) -> set[int]:
    return {row["id"] for row in ROWS if test(row)}
