"""How many database connections a server opens, and what it does where the database has fewer."""

import msgspec
import psycopg

from tabellion.settings import Settings

# Of an API process: the gate's connection. Of the job worker: its pool of four and its listener, one that shows that it is
# alive, one for each of four jobs; of mails a pool of six and the one that holds the worker's number; those of webhooks and
# of reports.
_BESIDE_THE_POOL = 1
_OF_WORKER = 19
_OF_INTAKE = 4
# For verbs, the doctor and whoever has to look what is the matter.
_SPARE = 3
_LEAST = 2
_PLACES = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true)::int, 0)
"""


class TooFewConnections(Exception):
    """The database has too few connections for these processes; the message says how many, and what to do."""


def wanted(settings: Settings, *, whole: bool = True) -> int:
    """How many connections a server opens at most; only those of its API processes, unless it is a `whole` one."""
    return settings.workers * (settings.connections + _BESIDE_THE_POOL) + (_others(settings) if whole else 0)


def places_of(url: str) -> int:
    """How many connections the database lets normal users have."""
    with psycopg.connect(url, autocommit=True, connect_timeout=10) as db:
        found = db.execute(_PLACES).fetchone()
    return int(found[0]) if found else 0


def fit(settings: Settings, places: int, *, whole: bool = True) -> tuple[Settings, str]:
    """The settings with as many connections for each API process as there is room for, and a warning where that is less.

    An API process opens all of its connections when it starts, and ends without them: asked for too many, a server would
    never serve. Other users of the database are not known here. Raises `TooFewConnections`.
    """
    others = _others(settings) if whole else 0
    each = (places - others - _SPARE) // settings.workers - _BESIDE_THE_POOL
    if each >= settings.connections:
        return settings, ""
    asked = f"the database has {places} connections (max_connections), and this server wants {wanted(settings, whole=whole)}"
    if each < _LEAST:
        raise TooFewConnections(f"{asked}: raise max_connections, or lower TABELLION_WORKERS or TABELLION_JOB_WORKERS")
    told = (
        f"{asked}: each API process opens {each} instead of {settings.connections}; raise max_connections, or lower "
        "TABELLION_CONNECTIONS or TABELLION_WORKERS"
    )
    return msgspec.structs.replace(settings, connections=each), told


def _others(settings: Settings) -> int:
    return settings.job_workers * _OF_WORKER + (_OF_INTAKE if settings.intake_port else 0)
