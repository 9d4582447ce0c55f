"""`licence analyst`: let people who analyse data read a licence's tables with SQL."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from tabellion.cli.common import AsJson, DatabaseUrl, DataDir, Name, on_server, password_of_stdin, show
from tabellion.features import licences as use
from tabellion.features.customdata import custom_tables
from tabellion.features.tables import profile_tables
from tabellion.kit import keys
from tabellion.kit.clock import utc_now
from tabellion.platform.database.connection import Database


def give_access(
    name: Name,
    off: Annotated[bool, typer.Option("--off", help="Take the access away again, with the views.")] = False,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Let analysts read the licence's tables with SQL, through views, and print how to connect.

    The password is printed this once; the verb gives a new one each time.
    """
    password = password_of_stdin() if password_stdin else keys.new_password()

    async def work(db: Database, admin: Database) -> dict[str, Any]:
        if off:
            await use.end_analysts_access(db, admin, name, utc_now())
            return {"licence": name, "analysts": "off"}
        role = await use.give_analysts_access(db, admin, name, password, utc_now())
        async with db.transaction():
            found = await use.get_licence(db, name)
            for structures in (profile_tables, custom_tables):
                await structures.make_views(db, found.id)
        schemas = [use.views_schema(name, e.name, e.id) for e in await use.list_entities(db, name)]
        return {"licence": name, "role": role, "password": password, "schemas": schemas, "connection": _address(db, role)}

    show(on_server(data_dir, database_url, work), as_json=as_json)


def _address(db: Database, role: str) -> str:
    """The URL to connect to, without the password."""
    info = db.info
    if info.host.startswith("/"):
        return f"postgresql://{quote(role)}@/{quote(info.dbname)}?host={quote(info.host, safe='')}"
    host = f"[{info.host}]" if ":" in info.host else info.host
    return f"postgresql://{quote(role)}@{host}:{info.port}/{quote(info.dbname)}"
