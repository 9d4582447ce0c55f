"""`erase`: a person, whole."""

from typing import Annotated

import msgspec
import typer

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, Name, fail, on_database, show
from tabellion.features.erasure import admin, object_of
from tabellion.kit.clock import utc_now
from tabellion.kit.problem import Problem


def erase(
    name: Name,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="E-mail address of the person.")],
    suppress: Annotated[
        bool,
        typer.Option("--suppress", help="Have the address get no mails either if it comes back, but transactional ones."),
    ] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Erase a person from a licence: profiles, what is personal in mails and their events, news, answers; then files.

    Reports stay as they are. A worker searches the files of bulk calls; the audit trail tells when it has ended.
    """
    try:
        done = on_database(data_dir, database_url, lambda db: admin.erase(db, name, address, utc_now(), suppress=suppress))
    except Problem as error:
        fail(error.message)
    counts = msgspec.to_builtins(done.counts)
    files = {} if as_json else {"files": f"a worker searches them: tabellion audit {name} --object {object_of(done)}"}
    told = {"erasure": done.id, "endedAt": done.ended_at, "suppressed": done.suppressed}
    show(told | counts | files, as_json=as_json)
