"""Migrations: order, transactions, locks, and the refusal of schemas that this program does not know."""

import hashlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tabellion.platform.database.migrate import migrate
from tabellion.platform.database.schema import (
    Migration,
    MigrationError,
    SchemaMismatch,
    load_migrations,
    require_current,
    state,
)


def _migration(version: int, text: str) -> Migration:
    return Migration(version, f"m{version}", text, hashlib.sha256(text.encode()).hexdigest())


def _execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as db:
        cursor = db.execute(statement.encode())
        return cursor.fetchall() if cursor.description is not None else []


FIRST = _migration(1, "CREATE TABLE tabellion.one (n integer); INSERT INTO tabellion.one VALUES (1);")
SECOND = _migration(2, "INSERT INTO tabellion.one VALUES (2) -- 100 % plain SQL")
BROKEN = _migration(2, "INSERT INTO tabellion.one VALUES (2); SELECT no_such_function();")


def test_the_shipped_migrations_make_a_current_schema(empty_database_url: str) -> None:
    with pytest.raises(SchemaMismatch, match="run: tabellion migrate"):
        require_current(empty_database_url)

    applied = migrate(empty_database_url)

    assert [row.version for row in applied] == [migration.version for migration in load_migrations()]
    require_current(empty_database_url)
    assert migrate(empty_database_url) == []
    assert not state(empty_database_url).pending


def test_what_was_applied_is_recorded(empty_database_url: str) -> None:
    (applied,) = migrate(empty_database_url, migrations=[FIRST])

    found = state(empty_database_url, migrations=[FIRST, SECOND])

    assert found.applied == (applied,)
    assert applied.checksum == FIRST.checksum
    assert found.pending == (SECOND,)


def test_each_file_is_told_of_before_it_where_there_is_a_schema_already(empty_database_url: str) -> None:
    told: list[str] = []
    migrate(empty_database_url, migrations=[FIRST, SECOND], tell=told.append)
    assert told == [], "a new one has no past"
    with pytest.raises(MigrationError):
        migrate(empty_database_url, migrations=[FIRST, SECOND, _migration(3, "SELECT no_such()")], tell=told.append)
    assert told == ["0003_m3"]


def test_a_failing_file_is_rolled_back_whole_and_the_ones_before_it_stay(empty_database_url: str) -> None:
    with pytest.raises(MigrationError, match=r"0002_m2 failed and was rolled back: .*no_such_function"):
        migrate(empty_database_url, migrations=[FIRST, BROKEN])

    assert _execute(empty_database_url, "SELECT n FROM tabellion.one") == [(1,)]
    assert [row.version for row in migrate(empty_database_url, migrations=[FIRST, SECOND])] == [2]
    assert _execute(empty_database_url, "SELECT n FROM tabellion.one ORDER BY n") == [(1,), (2,)]


def test_runs_at_the_same_moment_apply_each_file_once(empty_database_url: str) -> None:
    ready = threading.Barrier(4)

    def run() -> list[int]:
        ready.wait()
        return [row.version for row in migrate(empty_database_url, migrations=[FIRST, SECOND])]

    with ThreadPoolExecutor(4) as threads:
        runs = [future.result() for future in [threads.submit(run) for _ in range(4)]]

    assert sorted(version for run in runs for version in run) == [1, 2]
    assert _execute(empty_database_url, "SELECT n FROM tabellion.one ORDER BY n") == [(1,), (2,)]


def test_a_newer_schema_is_refused_and_left_alone(empty_database_url: str) -> None:
    migrate(empty_database_url, migrations=[FIRST, SECOND])

    with pytest.raises(
        SchemaMismatch,
        match=r"newer Tabellion than this one, which is [0-9.]+ \(unknown here: 0002_m2\); upgrade .*, or restore the backup",
    ):
        migrate(empty_database_url, migrations=[FIRST, _migration(3, "SELECT 1")])

    assert state(empty_database_url, migrations=[FIRST]).unknown[0].version == 2


def test_an_altered_file_is_refused(empty_database_url: str) -> None:
    migrate(empty_database_url, migrations=[FIRST])

    with pytest.raises(SchemaMismatch, match=r"differ from those that made this database .*0001_m1"):
        migrate(empty_database_url, migrations=[_migration(1, "SELECT 1"), SECOND])


def test_a_lock_held_by_others_ends_the_run_with_advice(empty_database_url: str) -> None:
    migrate(empty_database_url, migrations=[FIRST])
    alter = _migration(2, "-- lock_timeout: 50ms\nALTER TABLE tabellion.one ADD COLUMN m integer")
    with psycopg.connect(empty_database_url, application_name="a notebook") as reader:
        reader.execute("SELECT n FROM tabellion.one")

        who = rf"process {reader.info.backend_pid} of the database user \S+ \(a notebook\)"
        with pytest.raises(MigrationError, match=f"could not get a lock in time .* held by {who}"):
            migrate(empty_database_url, migrations=[FIRST, alter])

    assert [row.version for row in migrate(empty_database_url, migrations=[FIRST, alter])] == [2]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("", ("4s", "1min")),
        ("-- lock_timeout: 9s\n-- a reason\n-- statement_timeout: 10min\n", ("9s", "10min")),
        ("-- Backfill.\nSELECT 1;\n-- statement_timeout: 2s\n", ("4s", "1min")),
    ],
)
def test_time_outs_come_from_the_head_of_the_file(empty_database_url: str, head: str, expected: tuple[str, str]) -> None:
    text = f"""{head}
        CREATE TABLE tabellion.seen AS
        SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement"""
    migrate(empty_database_url, migrations=[_migration(1, text)])

    assert _execute(empty_database_url, "SELECT lock, statement FROM tabellion.seen") == [expected]


def test_a_step_that_takes_too_long_says_how_it_is_given_more(empty_database_url: str) -> None:
    slow = _migration(1, "-- statement_timeout: 10ms\nCREATE TABLE tabellion.one AS SELECT 1 AS n FROM pg_sleep(0.1)")
    with pytest.raises(MigrationError, match=r"0001_m1 was stopped .* 10ms\. .*tabellion migrate --minutes-per-step 60"):
        migrate(empty_database_url, migrations=[slow])

    assert [row.version for row in migrate(empty_database_url, migrations=[slow], step_minutes=1)] == [1]


def test_two_files_with_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("0001_a.sql", "0001_b.sql", "README.md"):
        (tmp_path / name).write_text("SELECT 1")

    with pytest.raises(MigrationError, match="have the same number"):
        load_migrations(tmp_path)


def test_what_deletions_left_behind_goes_and_nothing_else(empty_database_url: str) -> None:
    """0083: choices of profiles that are no more, and mails of campaigns that are no more which dead workers held."""
    migrate(empty_database_url, migrations=[migration for migration in load_migrations() if migration.version < 83])
    _execute(
        empty_database_url,
        """
        CREATE SCHEMA l7;
        CREATE TABLE l7.p3 (id bigint);
        CREATE TABLE l7.p4 (id bigint);
        CREATE TABLE l7.consent (table_id integer, profile_id bigint);
        CREATE TABLE l7.recipient (id bigint, sending_id bigint, state text, worker integer);
        INSERT INTO l7.p3 VALUES (1);
        INSERT INTO l7.p4 VALUES (2);
        INSERT INTO l7.consent VALUES (3, 1), (3, 2), (3, 2), (4, 1), (4, 2);
        INSERT INTO tabellion.mail_worker (id, seen_at) OVERRIDING SYSTEM VALUE VALUES (8, now());
        INSERT INTO l7.recipient VALUES (1, 5, 'CLAIMED', 7), (2, 5, 'SENDING', 7), (3, 5, 'CLAIMED', 8), (4, 5, 'ACCEPTED', 7);
        """,
    )
    migrate(empty_database_url)
    assert _execute(empty_database_url, "SELECT * FROM l7.consent ORDER BY 1") == [(3, 1), (4, 2)]
    assert _execute(empty_database_url, "SELECT state FROM l7.recipient ORDER BY id") == [
        ("PLANNED",), ("UNCERTAIN",), ("CLAIMED",), ("ACCEPTED",),
    ]  # fmt: skip


def test_choices_made_before_are_kept_once_each(empty_database_url: str) -> None:
    """0016: of what `consent` held, the present choices go to their profiles, and what they replaced stays."""
    before = [migration for migration in load_migrations() if migration.version < 16]
    migrate(empty_database_url, migrations=before)
    _execute(
        empty_database_url,
        """
        CREATE SCHEMA l7;
        CREATE TABLE l7.p3 (id bigint, s4 boolean, s4_at timestamptz, s4_source text, s5 boolean, s5_at timestamptz,
            s5_source text);
        CREATE TABLE l7.consent (table_id integer, profile_id bigint, subscription integer, subscribed boolean,
            moment timestamptz, source text, way text, collected_at timestamptz, user_id integer);
        INSERT INTO l7.p3 VALUES (1, false, '2026-02-02Z', 'shop', true, '2026-01-01Z', 'web');
        INSERT INTO l7.p3 VALUES (2);
        INSERT INTO l7.consent VALUES (3, 1, 4, true, '2026-01-01Z', 'web', 'CALL', NULL, 8),
            (3, 1, 4, false, '2026-02-02Z', 'shop', 'FORM', '2026-02-01 10:00Z', 9),
            (3, 1, 5, true, '2026-01-01Z', 'web', NULL, NULL, 8), (2, 1, 4, true, '2026-02-02Z', 'other', NULL, NULL, 8);
        """,
    )

    migrate(empty_database_url)

    assert _execute(empty_database_url, "SELECT table_id, subscription, source, details FROM l7.consent ORDER BY 1") == [
        (2, 4, "other", None),
        (3, 4, "web", {"way": "CALL"}),
    ]
    details = {"way": "FORM", "collectedAt": "2026-02-01T10:00:00.000000Z"}
    assert _execute(empty_database_url, "SELECT id, s4_details, s5_details FROM l7.p3 ORDER BY 1") == [
        (1, details, None),
        (2, None, None),
    ]
