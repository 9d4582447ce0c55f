"""The database of a verb: the embedded one or an own one, with a schema that this program knows."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from tabellion.platform import jobs
from tabellion.platform.database import migrate as migrations
from tabellion.platform.database import schema
from tabellion.server import unfinished
from tabellion.server.claim import is_served
from tabellion.server.embedded import EmbeddedPostgres
from tabellion.settings import Settings

STARTING = "the server is just starting, and brings the database's schema up to date: wait until it serves"


def open_database(
    settings: Settings, stack: ExitStack, *, beginning: bool = False, restoring: bool = False
) -> tuple[Settings, EmbeddedPostgres | None]:
    """Start or adopt the embedded database unless an own one is set; the settings with the URL.

    Only when `beginning` is one made where there is none: a mistyped data directory must not look like an empty server.
    What a restore has left that was killed is for the next one (`restoring`). Raises `EmbeddedPostgresError`.
    """
    if settings.database_url:
        return settings, None
    if not restoring:
        unfinished.refuse(settings.data_dir)
    embedded = stack.enter_context(EmbeddedPostgres(settings.data_dir, existing=not beginning))
    return msgspec.structs.replace(settings, database_url=embedded.url), embedded


def migrate(url: str, *, tell: Callable[[str], object] = lambda _: None, step_minutes: int | None = None) -> list[str]:
    """Bring the schemas up to date, the server's and the jobs'; what was done now. `tell` hears of each step before it.

    `step_minutes`: how long a statement of a step may take, in the place of the usual time.

    Raises `MigrationError`.
    """
    return [step.label for step in migrations.migrate(url, tell=tell, step_minutes=step_minutes)] + jobs.install(url)


def refuse_under_server(settings: Settings) -> None:
    """Raise `MigrationError` when a server runs on an embedded database whose schema is behind this program.

    It is of an earlier version, and would meet tables that it does not know; or it starts, and is just applying them.
    """
    if not schema.state(settings.database_url).pending:
        return
    if is_starting(settings.database_url, settings.data_dir):
        raise schema.MigrationError(STARTING)
    # The first releases have no claim.
    if is_served(settings.data_dir) or schema.is_served(settings.database_url):
        raise schema.MigrationError(
            "the database's schema is behind this program, and a server of an earlier version runs on it: stop that one and "
            f"start it anew, which brings the schema up to date ({settings.data_dir.absolute()})"
        )


def is_starting(url: str, data_dir: Path) -> bool:
    """Whether a server of this version has claimed the data directory and serves nothing yet.

    First of all it applies what is pending. One of an earlier version that serves nothing is stopping, or its API processes
    are of this program by now, and end at once.
    """
    return is_served(data_dir, by_this_version=True) and not schema.is_served(url)


def prepare_database(
    settings: Settings,
    stack: ExitStack,
    *,
    migrating: bool = False,
    beginning: bool = False,
    tell: Callable[[str], object],
) -> tuple[Settings, EmbeddedPostgres | None]:
    """A database that can be worked with; the settings with its URL.

    The embedded one is brought up to date without asking, and made when `beginning`; an own one only when `migrating`.
    `tell` hears of each step of that before it. Raises `EmbeddedPostgresError`, `MigrationError`, `JobsMissing`.
    """
    settings, embedded = open_database(settings, stack, beginning=beginning)
    if migrating or embedded is not None:
        if embedded is not None and not beginning:  # who begins has claimed the data directory
            refuse_under_server(settings)
        migrate(settings.database_url, tell=lambda step: tell(f"the database's schema is brought up to date: {step}"))
    else:
        schema.require_current(settings.database_url)
        jobs.require_installed(settings.database_url)
    return settings, embedded
