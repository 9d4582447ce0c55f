"""What one request and its answer carry through the server, from the first byte read to the log line."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tabellion.platform.http.caller import Caller


class Limits(Protocol):
    """The licence's usage limits as they are after this call was counted."""

    @property
    def reset_s(self) -> int:
        """Whole seconds until one more call is let in without waiting."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """RateLimit-Policy, RateLimit and the X-RateLimit trio."""
        ...

    def raw_headers(self, *, bulk: bool) -> list[tuple[bytes, bytes]]:
        """The same in bytes, names in lower case; with `bulk` the bulk calls per day are among them."""
        ...


class Admission(Protocol):
    """A call that was let in: who is calling and what is left of the limits."""

    @property
    def caller(self) -> Caller:
        """Who is calling."""
        ...

    @property
    def limits(self) -> Limits:
        """What is left of the limits."""
        ...

    @property
    def credential(self) -> str:
        """What the caller authenticated with: `key`, `token` or `password`."""
        ...

    def release(self, error_code: str) -> None:
        """Free the concurrency slot; called once, after the answer has left. `error_code`: why it was refused."""
        ...


class Exchange(msgspec.Struct):
    """One request and its answer; the front makes it, the pipeline fills it in, the log reads it.

    `hint`: what may be the cause of a refusal of the body's content, though it is no error by itself.
    """

    request_id: str
    method: str
    family: str
    path: str
    address: str
    headers: dict[str, str]
    query: bytes
    call_id: str = ""
    is_bulk: bool = False
    admission: Any = None
    status: int = 0
    error_code: str = ""
    error: BaseException | None = None
    body_read: bool = False
    hint: str = ""
    answer_headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])

    @property
    def has_body(self) -> bool:
        """Whether the request announces a body; without these headers there is none (RFC 9112, section 6.3)."""
        return self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers


class Rendered(msgspec.Struct):
    """An answer in bytes, ready to be sent, stored for a repetition, or compressed; or in a file."""

    status: int
    headers: dict[str, str]
    body: bytes
    file: Path | None = None
