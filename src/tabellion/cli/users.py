"""`user`: the applications that call the API, and what they may do."""

from typing import Annotated

import typer

from tabellion.cli.common import (
    AsJson,
    DatabaseUrl,
    DataDir,
    LicenceName,
    Yes,
    confirm,
    fail,
    on_database,
    password_of_stdin,
    show,
)
from tabellion.features import licences as use
from tabellion.kit.clock import utc_now
from tabellion.platform.database.connection import Database

user = typer.Typer(no_args_is_help=True, help="API users: the applications that call the API.")

_RIGHTS_HELP = f"MODULE=r or MODULE=rw; repeat. Modules: {', '.join(use.MODULES)}."
Login = Annotated[str, typer.Argument(help="Login of the API user.")]


@user.command("create")
def create_user(
    licence_name: LicenceName,
    login: Login,
    rights: Annotated[list[str] | None, typer.Option(help=f"{_RIGHTS_HELP} Default: all rights.")] = None,
    entities: Annotated[list[str] | None, typer.Option("--entity", help="May use this entity only; repeat.")] = None,
    default_entity: Annotated[str | None, typer.Option(help="Its default entity; else the licence's first.")] = None,
    application: Annotated[str | None, typer.Option(help="Name of the application.")] = None,
    email: Annotated[str | None, typer.Option(help="Whom to tell.")] = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Create an API user and print its credentials, this once and never again."""
    chosen = None if not rights else dict(_right(text) for text in rights)
    password = password_of_stdin() if password_stdin else None

    async def work(db: Database) -> use.Credentials:
        return await use.create_user(
            db,
            licence_name,
            login,
            utc_now(),
            rights=chosen,
            entities=entities or None,
            default_entity=default_entity,
            password=password,
            application=application,
            email=email,
        )

    show(on_database(data_dir, database_url, work), as_json=as_json)


@user.command("list")
def list_users(
    licence_name: LicenceName,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """List the API users of a licence."""
    found = on_database(data_dir, database_url, lambda db: use.list_users(db, licence_name))
    show(found, as_json=as_json, title="API users")


@user.command("rotate")
def rotate_user(
    licence_name: LicenceName,
    login: Login,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Give an API user a new key and password; the old ones and its tokens end at once."""
    found = on_database(data_dir, database_url, lambda db: use.rotate_user(db, licence_name, login, utc_now()))
    show(found, as_json=as_json)


@user.command("rights")
def change_rights(
    licence_name: LicenceName,
    login: Login,
    rights: Annotated[list[str] | None, typer.Option(help=f"{_RIGHTS_HELP} These are all that it has then.")] = None,
    entities: Annotated[list[str] | None, typer.Option("--entity", help="May use this entity only; repeat.")] = None,
    every_entity: Annotated[bool, typer.Option("--every-entity", help="May use all entities, those to come too.")] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Change what an API user may do and which entities it may use, at once; what is not named stays."""
    if not rights and not entities and not every_entity:
        fail("nothing is to be changed: name --rights, --entity or --every-entity")
    if entities and every_entity:
        fail("--entity and --every-entity contradict each other")
    chosen = None if not rights else dict(_right(text) for text in rights)

    async def work(db: Database) -> use.ApiUser:
        await use.change_access(
            db, licence_name, login, utc_now(), rights=chosen, entities=entities or None, every_entity=every_entity
        )
        return next(one for one in await use.list_users(db, licence_name) if one.login.lower() == login.lower())

    show(on_database(data_dir, database_url, work), as_json=as_json)


@user.command("revoke")
def revoke_user(
    licence_name: LicenceName,
    login: Login,
    yes: Yes = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """End an API user with its key, password and tokens, at once. There is no way back."""
    if not yes:
        # Nobody is asked about who is not there.
        on_database(data_dir, database_url, lambda db: use.get_user(db, licence_name, login))
        confirm(f"End the API user '{login}' of '{licence_name}', its key, password and tokens?")
    on_database(data_dir, database_url, lambda db: use.revoke_user(db, licence_name, login, utc_now()))
    show({"revoked": login}, as_json=as_json)


def _right(text: str) -> tuple[str, str]:
    module, separator, level = text.partition("=")
    if not separator:
        fail(f"--rights expects MODULE=r or MODULE=rw, not '{text}'")
    return module, level
