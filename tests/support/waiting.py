"""Calls and work that wait for a lock of the test's, so that something happens between what they read and what they write."""

from typing import Any

import psycopg

from tests.support.processes import wait_until


def until_they_wait(database: psycopg.Connection[Any], *applications: str) -> None:
    """Until these connections (by `application_name`, in alphabetical order), and no others, wait for locks."""
    query = (
        "SELECT array_agg(application_name ORDER BY application_name) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    wait_until(lambda: database.execute(query).fetchone() == (list(applications),))
