"""`serve`, `api`, `worker`, `intake`, `migrate`: the server as a whole and in parts.

Each part is imported where it is run: a process carries what it does, and no more.
"""

import logging
from contextlib import ExitStack
from typing import Annotated

import typer

from tabellion import __version__
from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, clear_errors, console, settings_of, show
from tabellion.cli.news import teller
from tabellion.kit.loading import loading
from tabellion.platform import secrets
from tabellion.platform.database.schema import load_migrations
from tabellion.server.connections import fit, places_of
from tabellion.server.database import migrate as migrate_schema
from tabellion.server.database import open_database, prepare_database, refuse_under_server
from tabellion.server.port import check_port
from tabellion.settings import SettingsError

Host = Annotated[str | None, typer.Option(help="Address to listen on (TABELLION_HOST).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (TABELLION_PORT).")]
Workers = Annotated[int | None, typer.Option(help="API processes (TABELLION_WORKERS).")]


def serve(
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    migrate: Annotated[bool, typer.Option(help="Bring the schema of an own database up to date first.")] = False,
) -> None:
    """Run the API and the job worker, with the embedded database unless an own one is set."""
    with clear_errors():
        with loading():
            from tabellion.server.supervisor import serve as serve_everything  # noqa: PLC0415 - see above

        settings = settings_of(data_dir, database_url, host=host, port=port, workers=workers)
        say = teller(settings.log_level)
        settings.check_folders()
        secrets.check_key(settings.secret_key, settings.data_dir)
        say(f"Tabellion {__version__} starts; data in {settings.data_dir.absolute()}")
        serve_everything(settings, say, migrating=migrate)


def api(
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Run API processes only, on a database whose schema is current."""
    with clear_errors(), ExitStack() as stack:
        with loading():
            from tabellion.server.api import run_api  # noqa: PLC0415 - see above

        settings = settings_of(data_dir, database_url, host=host, port=port, workers=workers)
        check_port(settings)
        secrets.check_key(settings.secret_key, settings.data_dir)
        settings, _ = prepare_database(settings, stack, tell=teller(settings.log_level))
        settings, told = fit(settings, places_of(settings.database_url), whole=False)
        if told:
            teller(settings.log_level)(told, logging.WARNING)
        run_api(settings)


def worker(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Run the job worker only, on a database whose schema is current."""
    with clear_errors(), ExitStack() as stack:
        with loading():
            from tabellion.server.worker import run_worker  # noqa: PLC0415 - see above

        settings = settings_of(data_dir, database_url)
        secrets.check_key(settings.secret_key, settings.data_dir)
        settings, _ = prepare_database(settings, stack, tell=teller(settings.log_level))
        run_worker(settings)


def intake(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Take bounces and complaints only (TABELLION_INTAKE_PORT), on a database whose schema is current."""
    with clear_errors(), ExitStack() as stack:
        with loading():
            from tabellion.server.intake import run_intake  # noqa: PLC0415 - see above

        settings = settings_of(data_dir, database_url)
        if not settings.intake_port:
            raise SettingsError("TABELLION_INTAKE_PORT says where bounces are taken; it is not set")
        secrets.check_key(settings.secret_key, settings.data_dir)
        settings, _ = prepare_database(settings, stack, tell=teller(settings.log_level))
        run_intake(settings)


def migrate(
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    minutes_per_step: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="How long each statement of a step may take, for large tables.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the database's schema up to date."""
    with clear_errors(), ExitStack() as stack:
        settings, embedded = open_database(settings_of(data_dir, database_url), stack)
        if embedded is not None:
            refuse_under_server(settings)
        applied = migrate_schema(settings.database_url, step_minutes=minutes_per_step)
        if applied or as_json:
            show({"applied": applied}, as_json=as_json)
        else:
            console().print(f"the schema is up to date ({load_migrations()[-1].version:04d})", highlight=False)
