"""A database with fewer connections than a server would open."""

import pytest

from tabellion.server.connections import TooFewConnections, fit, places_of, wanted
from tabellion.settings import Settings


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
@pytest.mark.parametrize("places", [46, 97, 197])
def test_what_is_opened_fits_and_leaves_room_for_verbs(workers: int, places: int) -> None:
    asked = Settings(workers=workers)
    settings, told = fit(asked, places)
    assert 2 <= settings.connections <= asked.connections
    assert wanted(settings) <= places - 3
    assert bool(told) == (settings != asked) == (wanted(asked) > places - 3)


def test_the_warning_says_what_is_there_what_is_done_and_what_to_do() -> None:
    """Four API processes on a PostgreSQL as it comes."""
    settings, told = fit(Settings(workers=4), 97)
    assert settings.connections == 17
    assert told.startswith("the database has 97 connections (max_connections), and this server wants 119: ")
    assert "opens 17 instead of 24; raise max_connections, or lower TABELLION_CONNECTIONS" in told


def test_api_processes_alone_have_what_workers_would_take() -> None:
    assert fit(Settings(workers=2), 60, whole=False) == (Settings(workers=2), "")
    assert fit(Settings(workers=2), 60)[1]


def test_a_database_with_far_too_few_is_refused() -> None:
    with pytest.raises(TooFewConnections, match=r"has 17 connections .* wants 119: raise max_connections"):
        fit(Settings(workers=4), 17)


def test_places_are_those_of_normal_users(database_url: str) -> None:
    assert 5 < places_of(database_url) < 1000
