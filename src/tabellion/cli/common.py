"""What the verbs share: options, output, a database to work on, and errors in one clear line."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import msgspec
import psycopg
import typer

from tabellion.cli.refusals import told_of_database, told_of_system
from tabellion.features.licences import AdminError
from tabellion.kit.newfile import NotWritten
from tabellion.kit.problem import Problem
from tabellion.platform import secrets
from tabellion.platform.database.connection import Database
from tabellion.platform.database.schema import MigrationError
from tabellion.platform.jobs import JobsMissing
from tabellion.server.backup.errors import BackupError
from tabellion.server.claim import AlreadyServed
from tabellion.server.connections import TooFewConnections
from tabellion.server.database import prepare_database
from tabellion.server.embedded import EmbeddedPostgresError
from tabellion.server.port import CannotListen
from tabellion.settings import Settings, SettingsError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

T = TypeVar("T")
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Folder of the server's data (TABELLION_DATA_DIR).")]
DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", help="An own PostgreSQL instead of the embedded one (TABELLION_DATABASE_URL)."),
]
Entity = Annotated[str, typer.Argument(metavar="ENTITY", help="Name of the entity.")]
Name = Annotated[str, typer.Argument(help="Name of the licence.")]
LicenceName = Annotated[str, typer.Argument(metavar="LICENCE", help="Name of the licence.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_EXPECTED = (
    AdminError,
    Problem,
    SettingsError,
    MigrationError,
    JobsMissing,
    EmbeddedPostgresError,
    CannotListen,
    AlreadyServed,
    TooFewConnections,
    BackupError,
    NotWritten,
    secrets.KeyUnusable,
)
# A moment in UTC or with another offset, whose fraction of a second nobody reads.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_UTC = ("Z", "+00:00")
# Wide enough for every table where there is no terminal that says how wide it is.
_WIDTH_OF_FILES = 120


@contextmanager
def clear_errors() -> Generator[None]:
    """Turn what can be expected to fail into one line on the standard error stream and exit status 1."""
    try:
        yield
    except _EXPECTED as error:
        fail(str(error))
    except psycopg.Error as error:
        fail(told_of_database(error))
    except BrokenPipeError:
        # Whoever reads the output has enough of it, as `head` does; what is left of it goes nowhere, without a word.
        drop_output()
        raise typer.Exit(1) from None
    except UnicodeError:
        # Octets of arguments and of the standard input, which by the locale fail here or there. They may be a password.
        fail("what was given is not in UTF-8: arguments and the standard input are read as that")
    except OSError as error:
        fail(told_of_system(error))


def drop_output() -> None:
    """Let what is still to be written to the standard output go nowhere: nobody reads it any more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(message: str) -> None:
    """Print one line beside the output."""
    print(f"tabellion: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201 - the command line speaks


def fail(message: str) -> NoReturn:
    """Print one line and leave with status 1."""
    tell(message)
    raise typer.Exit(1)


def confirm(question: str) -> None:
    """Ask, for verbs with `--yes`; ends the program unless the answer is yes."""
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        if sys.stdin.isatty():
            raise
        print(file=sys.stderr)  # noqa: T201 - the question has no end of its line
        fail("nothing was changed, for nobody has answered: scripts say --yes")
    if not agreed:
        raise typer.Abort


def password_of_stdin() -> str:
    """The line on the standard input, for `--password-stdin`; ends the program where there is none."""
    with clear_errors():
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        fail("there is no password on the standard input: --password-stdin reads a line of it")
    return password


def settings_of(data_dir: Path | None, database_url: str | None, **overrides: Any) -> Settings:
    """The settings of the environment and the options."""
    return Settings.load(data_dir=data_dir, database_url=database_url, **overrides)


def on_database(data_dir: Path | None, database_url: str | None, work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` on the database, whether or not a server is running on it."""
    with _prepared(data_dir, database_url) as (url, _):
        return run_on(url, work)
    raise AssertionError


def on_server(data_dir: Path | None, database_url: str | None, work: Callable[[Database, Database], Awaitable[T]]) -> T:
    """The same with a second connection that may make roles: the embedded server's superuser, or else the same role."""

    async def connected(url: str, admin_url: str) -> T:
        async with await connect(url) as db, await connect(admin_url) as admin:
            return await work(db, admin)

    with _prepared(data_dir, database_url) as (url, admin_url):
        return asyncio.run(connected(url, admin_url))
    raise AssertionError


@contextmanager
def _prepared(data_dir: Path | None, database_url: str | None) -> Generator[tuple[str, str]]:
    """The URL of the database, and one of the same server for its administration."""
    with clear_errors(), ExitStack() as stack:
        settings, embedded = prepare_database(settings_of(data_dir, database_url), stack, tell=tell)
        url = settings.database_url
        secrets.use_key(settings.secret_key, settings.data_dir, settings.former_secret_keys, at_once=False)
        yield url, embedded.url_of("postgres") if embedded else url


def run_on(url: str, work: Callable[[Database], Awaitable[T]]) -> T:
    """Run `work` on a connection of its own to a database that is there."""

    async def connected() -> T:
        async with await connect(url) as db:
            return await work(db)

    return asyncio.run(connected())


def connect(url: str) -> Awaitable[Database]:
    """A connection in autocommit mode."""
    return psycopg.AsyncConnection.connect(url, autocommit=True, application_name="tabellion cli")


@cache
def console() -> "Console":
    """Where people are shown things. What does it takes as long to load as a verb to do; JSON and servers go without it."""
    from rich.console import Console  # noqa: PLC0415 - see above

    return Console(width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)


def show(value: Any, *, as_json: bool, title: str = "") -> None:
    """Print a record or a list of them, as JSON or for people."""
    plain = msgspec.to_builtins(value)
    if as_json:
        print(json.dumps(plain, ensure_ascii=False))  # noqa: T201 - the command line speaks
        return
    rows: Sequence[dict[str, Any]] = plain if isinstance(plain, list) else [plain]
    if not rows:
        console().print(f"no {title}" if title else "nothing", style="dim")
        return
    if isinstance(plain, list):
        from tabellion.cli.rows import print_rows  # noqa: PLC0415 - see `console`

        print_rows(console(), [{name: harmless(_text(cell)) for name, cell in row.items()} for row in rows], title)
        return
    width = max(map(len, rows[0]))
    for name, cell in rows[0].items():
        # As long as it is: keys and records for DNS are copied from here.
        console().print(f"{name:<{width}}   {harmless(_text(cell))}", markup=False, highlight=False, soft_wrap=True)


def harmless(text: str) -> "Text":
    """What others wrote (names, logins, reasons) for a table: it says nothing to the terminal, and is no markup."""
    from rich.text import Text  # noqa: PLC0415 - see `console`

    return Text("".join(each if each.isprintable() else ascii(each)[1:-1] for each in text))


def _text(cell: Any) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, dict):
        return ", ".join(f"{name}={_text(value)}" for name, value in cell.items())  # pyright: ignore[reportUnknownVariableType] - plain values
    if isinstance(cell, list):
        return ", ".join(_text(value) for value in cell)  # pyright: ignore[reportUnknownVariableType] - plain values
    text = str(cell)
    if (moment := _MOMENT.fullmatch(text)) is not None:
        return moment[1] + ("Z" if moment[2] in _UTC else moment[2])
    return text
