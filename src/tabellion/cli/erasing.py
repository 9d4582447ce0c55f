"""`erase`: a person, whole."""

from typing import Annotated

import msgspec
import typer

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, Name, Yes, confirm, console, fail, harmless, on_database, show
from tabellion.features.erasure import admin, object_of
from tabellion.kit.clock import utc_now
from tabellion.kit.counted import counted
from tabellion.kit.problem import Problem


def erase(
    name: Name,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="E-mail address of the person.")],
    suppress: Annotated[
        bool,
        typer.Option("--suppress", help="Have the address get no mails either if it comes back, but transactional ones."),
    ] = False,
    yes: Yes = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Erase a person from a licence: profiles, what is personal in mails and their events, news, answers; then files.

    There is no way back. Reports stay as they are. A worker searches the files of bulk calls; the audit trail tells when it
    has ended.
    """
    try:
        if not yes:
            # Nobody is asked about what cannot be.
            found = on_database(data_dir, database_url, lambda db: admin.profiles_of(db, name, address))
            of_it = f"{counted(found, 'profile')} with this address, and all else that there is of it"
            confirm(f"Erase {address.strip()} from the licence '{name}' for good: {of_it}?")
        done = on_database(data_dir, database_url, lambda db: admin.erase(db, name, address, utc_now(), suppress=suppress))
    except Problem as error:
        fail(error.message)
    counts = msgspec.to_builtins(done.counts)
    files = {} if as_json else {"files": f"a worker searches them: tabellion audit {name} --object {object_of(done)}"}
    told = {"erasure": done.id, "endedAt": done.ended_at, "suppressed": done.suppressed}
    show(told | counts | files, as_json=as_json)
    if not as_json and not any(counts.values()):
        console().print(
            f"the database had nothing of {harmless(address.strip())} in the licence '{name}': is it the right address?"
        )
