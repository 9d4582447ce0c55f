"""pg_dump and pg_restore: those that come with Tabellion, or newer ones of the machine."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tabellion.server.postgres.errors import EmbeddedPostgresError
from tabellion.server.postgres.programs import client_programs

_VERSION = re.compile(r"(\d+)(?:\.\d+)*")


class Client(NamedTuple):
    """A program. `version` is as it says it, such as `18.4`."""

    path: Path
    version: str

    @property
    def major(self) -> int:
        """The major version."""
        return int(self.version.split(".")[0])


def find_client(name: str, least: int) -> Client:
    """The oldest program that goes with a server of the major version `least`. Raises `EmbeddedPostgresError`.

    Programs work with servers as old as themselves or older, and what an old one writes more servers read.
    """
    found = list(_found(name))
    fitting = [client for client in found if client.major >= least]
    if not fitting:
        known = ", ".join(f"{client.version} ({client.path})" for client in found) or "none"
        raise EmbeddedPostgresError(
            f"the server is PostgreSQL {least}, which needs a {name} of version {least} or later; there is {known}. Install "
            f"the client programs of PostgreSQL {least} (postgresql-client-{least} on Debian), so that {name} is in the PATH"
        )
    return min(fitting, key=lambda client: client.major)


def environment(client: Client, url: str, application: str) -> tuple[str, dict[str, str]]:
    """What a program gets to connect: a connection string without the password, and variables with it.

    Others on the machine see the arguments of programs, and not their variables. Programs of the wheel know no TLS by
    themselves: they connect through the library of the driver, as all others do.
    """
    values = conninfo_to_dict(url)
    password = values.pop("password", None)
    values["application_name"] = application
    own = {"PGPASSWORD": str(password)} if password else {}
    if client.path in client_programs(client.path.name) and (library := _library(client.major)):
        own["LD_PRELOAD"] = " ".join(filter(None, [library, os.environ.get("LD_PRELOAD")]))
    return make_conninfo("", **values), {**os.environ, **own}


def _library(least: int) -> str | None:
    """The libpq that this process has loaded; None: it is older than the program, or not told by this system."""
    maps = Path("/proc/self/maps")
    if pq.version() < least * 10_000 or not maps.exists():
        return None
    paths = (line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines())
    return next((path for path in paths if Path(path).name.startswith("libpq") and " " not in path), None)


def _found(name: str) -> Iterator[Client]:
    paths = [*client_programs(name), *([Path(own)] if (own := shutil.which(name)) else [])]
    for path in paths:
        try:
            told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=30)  # noqa: S603 - ours
        except (OSError, subprocess.SubprocessError):
            continue
        if match := _VERSION.search(told.stdout):
            yield Client(path, match[0])
