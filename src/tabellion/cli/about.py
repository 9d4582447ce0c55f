"""`openapi`, `settings`, `version`: what Tabellion says of itself."""

from tabellion import __version__
from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, clear_errors, settings_of, show


def print_openapi() -> None:
    """Print the OpenAPI document."""
    from tabellion.platform.http import json_codec, openapi  # noqa: PLC0415 - the other verbs know nothing of calls
    from tabellion.server.calls import CALLS  # noqa: PLC0415 - as above

    print(json_codec.encode(openapi.document(CALLS, version=__version__)).decode())  # noqa: T201 - the command line speaks


def list_settings(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """List the settings with their units, defaults and present values."""
    with clear_errors():
        show(settings_of(data_dir, database_url).described(), as_json=as_json, title="settings")


def version(as_json: AsJson = False) -> None:
    """Print the version."""
    show({"version": __version__}, as_json=as_json)
