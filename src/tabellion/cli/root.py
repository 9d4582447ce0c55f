"""The verbs of `tabellion`."""

from contextlib import ExitStack
from typing import Annotated

import typer

from tabellion import __version__
from tabellion.cli import admin, analyst, bulk, demo, doctor, jobs, mail, pacing
from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, clear_errors, settings_of, show
from tabellion.cli.news import teller
from tabellion.platform.http import json_codec, openapi
from tabellion.server.api import check_port, run_api
from tabellion.server.calls import CALLS
from tabellion.server.database import migrate as migrate_schema
from tabellion.server.database import open_database, prepare_database
from tabellion.server.intake import run_intake
from tabellion.server.supervisor import serve as serve_everything
from tabellion.server.worker import run_worker
from tabellion.settings import SettingsError

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Tabellion: a marketing-data and campaign server."
)
admin.licence.command("analyst")(analyst.give_access)
app.add_typer(admin.licence, name="licence")
app.add_typer(admin.entity, name="entity")
app.add_typer(admin.user, name="user")
app.add_typer(admin.table, name="table")
app.add_typer(mail.relay, name="relay")
app.add_typer(mail.sender, name="sender")
app.add_typer(mail.suppression, name="suppression")
app.add_typer(mail.tracking, name="tracking")
app.add_typer(pacing.pacing, name="pacing")
app.command("import")(bulk.import_file)
app.command("export")(bulk.export_table)
app.add_typer(jobs.app, name="jobs")
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)

Host = Annotated[str | None, typer.Option(help="Address to listen on (TABELLION_HOST).")]
Port = Annotated[int | None, typer.Option(help="Port to listen on (TABELLION_PORT).")]
Workers = Annotated[int | None, typer.Option(help="API processes (TABELLION_WORKERS).")]


@app.command()
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
        settings = settings_of(data_dir, database_url, host=host, port=port, workers=workers)
        say = teller(settings.log_level)
        say(f"Tabellion {__version__} starts; data in {settings.data_dir.absolute()}")
        serve_everything(settings, say, migrating=migrate)


@app.command()
def api(
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Run API processes only, on a database whose schema is current."""
    with clear_errors(), ExitStack() as stack:
        settings = settings_of(data_dir, database_url, host=host, port=port, workers=workers)
        check_port(settings)
        settings, _ = prepare_database(settings, stack)
        run_api(settings)


@app.command()
def worker(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Run the job worker only, on a database whose schema is current."""
    with clear_errors(), ExitStack() as stack:
        settings, _ = prepare_database(settings_of(data_dir, database_url), stack)
        run_worker(settings)


@app.command()
def intake(data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Take bounces and complaints only (TABELLION_INTAKE_PORT), on a database whose schema is current."""
    with clear_errors(), ExitStack() as stack:
        settings = settings_of(data_dir, database_url)
        if not settings.intake_port:
            raise SettingsError("TABELLION_INTAKE_PORT says where bounces are taken; it is not set")
        settings, _ = prepare_database(settings, stack)
        run_intake(settings)


@app.command()
def migrate(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Bring the database's schema up to date."""
    with clear_errors(), ExitStack() as stack:
        settings, _ = open_database(settings_of(data_dir, database_url), stack)
        show({"applied": migrate_schema(settings.database_url)}, as_json=as_json)


@app.command("openapi")
def print_openapi() -> None:
    """Print the OpenAPI document."""
    print(json_codec.encode(openapi.document(CALLS, version=__version__)).decode())  # noqa: T201 - the command line speaks


@app.command("settings")
def list_settings(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """List the settings with their units, defaults and present values."""
    with clear_errors():
        show(settings_of(data_dir, database_url).described(), as_json=as_json, title="settings")


@app.command()
def version(as_json: AsJson = False) -> None:
    """Print the version."""
    show({"version": __version__}, as_json=as_json)


def main() -> None:
    """Run the command line."""
    app()
