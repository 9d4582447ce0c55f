"""Waiting for what others do, and for calls that wait for a lock of the test's: so something happens between what they read and
what they write.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")


def until(look: Callable[[], T | None], within_s: float = 20) -> T:
    """What `look` gives as soon as it gives something; fails the test after `within_s` seconds."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return found


def until_they_wait(database: psycopg.Connection[Any], *applications: str) -> None:
    """Until these connections (by `application_name`, in alphabetical order), and no others, wait for locks."""
    query = (
        "SELECT array_agg(application_name ORDER BY application_name) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    until(lambda: database.execute(query).fetchone() == (list(applications),))
