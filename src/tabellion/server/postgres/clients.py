"""pg_dump and pg_restore: those that come with Tabellion, or newer ones of the machine."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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


def environment(url: str, application: str) -> tuple[str, dict[str, str]]:
    """What a program gets to connect: a connection string without the password, and variables with it.

    Others on the machine see the arguments of programs, and not their variables.
    """
    values = conninfo_to_dict(url)
    password = values.pop("password", None)
    values["application_name"] = application
    own = {"PGPASSWORD": str(password)} if password else {}
    return make_conninfo("", **values), {**os.environ, **own}


def _found(name: str) -> Iterator[Client]:
    paths = [*client_programs(name), *([Path(own)] if (own := shutil.which(name)) else [])]
    for path in paths:
        try:
            told = subprocess.run([path, "--version"], capture_output=True, text=True, check=True, timeout=30)  # noqa: S603 - ours
        except (OSError, subprocess.SubprocessError):
            continue
        if match := _VERSION.search(told.stdout):
            yield Client(path, match[0])
