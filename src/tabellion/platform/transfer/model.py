"""What a server and a file on it are, and how a transfer fails."""

from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

import msgspec

ProtocolName = Literal["SFTP", "FTP", "FTPS", "S3", "FOLDER"]
PORTS: dict[str, int] = {"SFTP": 22, "FTP": 21, "FTPS": 21, "S3": 443, "FOLDER": 0}
IMPLICIT_TLS_PORT = 990
_MAX_NAME, _MAX_MESSAGE = 255, 2000
MAX_LISTED = 100_000
# Several times of what so many entries need.
_MAX_CHARACTERS = 500 * MAX_LISTED


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """Where files are. `host_key`: an OpenSSH public key (SFTP); `certificate`: PEM of what is trusted beside the usual.

    `root` is where a FOLDER begins.
    """

    protocol: ProtocolName
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    private_key: str | None = None
    host_key: str | None = None
    certificate: str | None = None
    region: str = "us-east-1"
    secure: bool = True
    root: Path | None = None


class RemoteFile(NamedTuple):
    """A file as a listing shows it. `stamp` changes when it does: a moment, or a hash of its content."""

    name: str
    size: int
    stamp: str


class TransferError(OSError):
    """A server does not do what it is asked. `step`: CONNECT, LOGIN, LIST, READ, MOVE, WRITE; the message is for people.

    It may have what the server says: databases and terminals take neither all of its characters nor all of its length.
    """

    def __init__(self, step: str, message: str) -> None:
        self.step = step
        self.message = "".join(c if c.isprintable() else " " for c in message[:_MAX_MESSAGE])
        super().__init__(self.message)


class TooManyEntries(TransferError):
    """A folder that is there has more entries than are listed."""


def is_plain_name(name: str) -> bool:
    """Whether a name of a listing is a file's name and nothing else: no path, no control characters."""
    return 1 <= len(name) <= _MAX_NAME and name not in {".", ".."} and name.isprintable() and not set(name) & {"/", "\\"}


class Tally:
    """Counts what a server lists, who may go on for ever."""

    def __init__(self) -> None:
        self._entries = self._characters = 0

    def take(self, entry: str = "") -> None:
        """Count an entry, of whatever kind. Raises `TooManyEntries` (LIST) when there are too many to be kept in memory."""
        self._entries += 1
        self._characters += len(entry)
        if self._entries > MAX_LISTED or self._characters > _MAX_CHARACTERS:
            raise TooManyEntries(
                "LIST",
                f"the folder has over {MAX_LISTED:,} entries, the most that are listed: move files that are done away",
            )


def inside(path: str, name: str) -> str:
    """The path of a file in a folder."""
    return str(PurePosixPath(path) / name)


def partial_name(name: str) -> str:
    """What a file is called until it is whole; patterns of names do not match it by accident."""
    return f".{name}.part"[:_MAX_NAME]


def aside_of(path: str) -> str:
    """The path that a file has while another one takes its own."""
    whole = PurePosixPath(path)
    return str(whole.with_name(f".replaced.{whole.name}"[:_MAX_NAME]))


def too_large(name: str, max_bytes: int) -> TransferError:
    """The error for a file over the limit."""
    return TransferError("READ", f"the file '{name}' is over {max_bytes:,} bytes")
