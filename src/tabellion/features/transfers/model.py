"""Servers of files and folders on them."""

from typing import Any, Literal

import msgspec

AfterRead = Literal["KEEP", "DELETE", "MOVE"]
MAX_PATH = 1000


class Secrets(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is never told again."""

    password: str = ""
    private_key: str | None = None


class FileServer(msgspec.Struct, frozen=True):
    """A server of an entity. `definition` is its document without id, name and secrets."""

    id: int
    name: str
    definition: dict[str, Any]
    secrets: Secrets
    # The secrets as they are stored, where they were sealed with another key: kept until there are new ones.
    unreadable: str = ""


class Location(msgspec.Struct, frozen=True):
    """A folder on a server. `after_read`: what becomes of a file that an ETL has loaded; `move_to`: the folder for MOVE."""

    id: int
    name: str
    server_id: int
    path: str
    after_read: AfterRead
    move_to: str | None


class Step(msgspec.Struct, omit_defaults=True):
    """A step of a test: CONNECT, LOGIN, LIST, MOVE (looks into the folder of `moveTo`), WRITE."""

    step: str
    ok: bool
    message: str | None = None


def steps(path: str) -> list[str]:
    """The folders on the way to one, the same however its path is written."""
    return [part for part in path.split("/") if part not in {"", "."}]


def path_fault(path: str) -> str | None:
    """What is wrong with a folder's path, or None: absolute, with `/`, without steps upwards."""
    parts = path.split("/")
    if not 1 <= len(path) <= MAX_PATH or not path.isprintable() or not path.startswith("/") or ".." in parts:
        return f"expects a path from the root, such as /in/daily, of at most {MAX_PATH} characters and without '..'"
    return None
