"""The database of a verb: the embedded one or an own one, with a schema that this program knows."""

from contextlib import ExitStack

import msgspec

from tabellion.platform import jobs
from tabellion.platform.database import migrate as migrations
from tabellion.server.embedded import EmbeddedPostgres
from tabellion.settings import Settings


def open_database(
    settings: Settings, stack: ExitStack, *, beginning: bool = False
) -> tuple[Settings, EmbeddedPostgres | None]:
    """Start or adopt the embedded database unless an own one is set; the settings with the URL.

    Only when `beginning` is one made where there is none: a mistyped data directory must not look like an empty server.
    Raises `EmbeddedPostgresError`.
    """
    if settings.database_url:
        return settings, None
    embedded = stack.enter_context(EmbeddedPostgres(settings.data_dir, existing=not beginning))
    return msgspec.structs.replace(settings, database_url=embedded.url), embedded


def migrate(url: str) -> list[str]:
    """Bring the schemas up to date, the server's and the jobs'; what was done now. Raises `MigrationError`."""
    return [step.label for step in migrations.migrate(url)] + jobs.install(url)


def prepare_database(
    settings: Settings, stack: ExitStack, *, migrating: bool = False, beginning: bool = False
) -> tuple[Settings, EmbeddedPostgres | None]:
    """A database that can be worked with; the settings with its URL.

    The embedded one is brought up to date without asking, and made when `beginning`; an own one only when `migrating`.
    Raises `EmbeddedPostgresError`, `MigrationError`, `JobsMissing`.
    """
    settings, embedded = open_database(settings, stack, beginning=beginning)
    if migrating or embedded is not None:
        migrate(settings.database_url)
    else:
        migrations.require_current(settings.database_url)
        jobs.require_installed(settings.database_url)
    return settings, embedded
