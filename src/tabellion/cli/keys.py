"""`key`: what secrets of other systems are sealed with."""

from typing import Annotated

import typer

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, Yes, confirm, on_database, settings_of, show
from tabellion.cli.unreadable import ADVICE
from tabellion.server import keys

app = typer.Typer(no_args_is_help=True, help="The keys that secrets are sealed with: list, exchange, take away.")


@app.command("list")
def list_keys(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """List the keys by their fingerprints: what they are used for, and how many stored secrets are sealed with each."""
    found = on_database(data_dir, database_url, lambda db: keys.listed(db, settings_of(data_dir, database_url)))
    show(found, as_json=as_json, title="keys")


@app.command("rotate")
def rotate(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Make a new key, and seal everything that is stored with it; servers go on, and take it within a second.

    The former key stays, and opens links in mails that have left. One that was interrupted is brought to its end by the
    same command, and makes no further key. Where TABELLION_SECRET_KEY gives the key it makes none, and says what to set.
    """
    done = on_database(data_dir, database_url, lambda db: keys.rotate(db, settings_of(data_dir, database_url)))
    show(done, as_json=as_json)
    if as_json:
        return
    if done.unreadable:
        show({"unreadable": ADVICE}, as_json=False)
    if not done.made:
        told = "none was made: this has sealed with the present key what another one had sealed"
        show({"new key": told}, as_json=False)


@app.command("drop")
def drop(
    key: Annotated[str, typer.Argument(metavar="FINGERPRINT", help="Fingerprint of a former key, as key list shows it.")],
    yes: Yes = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Take a former key away: links in mails that left under it lead nowhere, and nobody who has it can make any.

    Bounces of these mails are not recognised, and calls of the last day are not repeated safely. Erased people still are
    recognised. It is refused while anything that is stored is sealed with it.
    """
    if not yes:
        # Nobody is asked about what is not there.
        on_database(data_dir, database_url, lambda db: keys.check_drop(db, settings_of(data_dir, database_url), key))
        confirm(f"Take the key {key} away? Links in mails that left under it lead nowhere then.")
    left = on_database(data_dir, database_url, lambda db: keys.drop(db, settings_of(data_dir, database_url), key))
    show(left, as_json=as_json, title="keys")
