"""Names are one whatever the case, in the database as in the program; and an upgrade does not fail on names that were two."""

import unicodedata

import psycopg

from tabellion.platform.database.migrate import migrate
from tabellion.platform.database.schema import load_migrations

_LETTERS = [
    chr(code)
    for start, end in ((0x41, 0x5A), (0xC0, 0x24F), (0x370, 0x3FF), (0x400, 0x52F), (0x531, 0x556), (0x1E00, 0x1EFF))
    for code in range(start, end + 1)
    if unicodedata.category(chr(code)).startswith("L") and len(chr(code).lower()) == 1
]


def test_letters_fold_as_they_do_in_the_program(worker_database_url: str) -> None:
    with psycopg.connect(worker_database_url) as db:
        rows = db.execute("SELECT l, tabellion.folded(l) FROM unnest(%s::text[]) l", (_LETTERS,)).fetchall()
    assert len(rows) > 1000
    assert [row[1] for row in rows] == [row[0].lower() for row in rows]


def test_names_that_were_two_before_get_their_number(empty_database_url: str) -> None:
    migrate(empty_database_url, migrations=[each for each in load_migrations() if each.version < 28])
    with psycopg.connect(empty_database_url, autocommit=True) as db:
        licence = db.execute(
            "INSERT INTO tabellion.licence (name, time_zone, created_at) VALUES ('l', 'UTC', now()) RETURNING id"
        ).fetchone()
        for name in ("Été", "ÉTÉ", "Shop"):
            db.execute(
                "INSERT INTO tabellion.entity (licence_id, name, created_at) VALUES (%s, %s, now())",
                (*(licence or ()), name),
            )
        # The later ones look for the schema of the licence, which was not made here.
        migrate(empty_database_url, migrations=[each for each in load_migrations() if each.version <= 28])
        rows = db.execute("SELECT id, name FROM tabellion.entity ORDER BY id").fetchall()
    assert [row[1] for row in rows] == ["Été", f"ÉTÉ {rows[1][0]}", "Shop"]
