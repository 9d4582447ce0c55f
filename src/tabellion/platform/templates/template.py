"""What is rendered, and what comes of it for each recipient."""

import hashlib
from enum import StrEnum
from functools import cached_property
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

_encode = msgspec.msgpack.Encoder().encode
# Of a mail, in characters of a part and in bytes of all.
MAX_OUTPUT = 2_000_000


class PartKind(StrEnum):
    """How a part is printed."""

    HTML = "html"
    TEXT = "text"
    # One line for a header: whatever breaks lines becomes a blank, and other control characters are left out.
    LINE = "line"


class Part(msgspec.Struct, frozen=True):
    """One part of a mail: `subject`, `html`, `text` or another name of the caller's."""

    name: str
    kind: PartKind
    source: str


class Template(msgspec.Struct, frozen=True, dict=True):
    """The parts of a mail in one language. `time_zone` is an IANA name; moments are printed in it."""

    parts: tuple[Part, ...]
    language: str = "en"
    time_zone: str = "UTC"

    @cached_property
    def key(self) -> bytes:
        """The same for the same content: what a cage keeps it by."""
        return hashlib.sha256(_encode(self)).digest()


class Reason(StrEnum):
    """Why nothing was rendered."""

    # More CPU time than a recipient may take.
    TIME = "time"
    MEMORY = "memory"
    OUTPUT = "output"
    LOOPS = "loops"
    # The template and the data do not go together: a name without a value, a calculation without a result.
    ERROR = "error"
    # The process ended or was silent for another reason, twice.
    DIED = "died"


class Rendered(msgspec.Struct, frozen=True, gc=False):
    """The parts of one mail in UTF-8, in the template's order."""

    parts: tuple[bytes, ...]


class Failed(msgspec.Struct, frozen=True, tag="failed", gc=False):
    """A recipient without a mail. Part, line and column (from 1) say where, if that is known."""

    reason: Reason
    message: str
    part: str = ""
    line: int = 0
    column: int = 0


Outcome = Rendered | Failed


class SettingUnknown(ValueError):
    """A language or a time zone that does not exist; the message says which."""


def zone(name: str) -> ZoneInfo:
    """A time zone by its IANA name. Raises `SettingUnknown`."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingUnknown(f"{name[:60]!r} is no time zone such as Europe/Brussels") from None
