"""A call of the webservices, described once: routing, rights, formats, OpenAPI, the checker and the tests read it here."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec

from tabellion.kit.near import MOST_LOOKED_FOR, meant_or_known
from tabellion.kit.problem import FieldError, Invalid
from tabellion.platform.database.connection import Database
from tabellion.platform.http.caller import Caller
from tabellion.platform.http.query import Query

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Version = Literal["v1", "v4", "v5"]


class Parameter(msgspec.Struct, frozen=True):
    """A query parameter or a path placeholder, for the documentation. `example` must be a valid value.

    `most`: a larger number is taken for this one, and the answer says so.
    """

    name: str
    description: str
    example: str = ""
    repeatable: bool = False
    schema: Mapping[str, Any] = msgspec.field(default_factory=lambda: {"type": "string"})
    most: int | None = None


class Form(msgspec.Struct, frozen=True):
    """A body of multipart/form-data: the field of the file, and that of a document with it, if any.

    `file_example` is what a file may be called: what stands in one is no text that a document of JSON can hold.
    `optional`: the call may come without a body. `raw_types`: bodies of these media types are taken as they are
    (`Incoming.raw_body`), in the place of a form. `total_bytes`: the form takes any number of files, or none, which have no
    more than so many bytes together (413); their names matter.
    """

    file: str
    file_example: str = ""
    document: str = ""
    document_type: type[msgspec.Struct] | None = None
    optional: bool = False
    raw_types: Sequence[str] = ()
    raw_example: str = ""
    total_bytes: int = 0


class Answer(msgspec.Struct):
    """What a handler returns. `body` is a Struct (rendered in the caller's format) or None for 204.

    `file` is sent as it is, in pieces, by a call that is a download; it stays in its place. `content` is the same in memory.
    `name`: what either is called where it is saved; none: browsers show it.

    `later` makes the body after the call has given its database connection back: for calls that wait for other servers.

    `location` is relative to the call's family (`/v4/entity/...`); the pipeline puts the family in front.
    `etag` is the bare tag, without quotes.
    """

    status: int = 200
    body: msgspec.Struct | None = None
    location: str | None = None
    etag: str | None = None
    headers: Mapping[str, str] = {}
    file: Path | None = None
    content: bytes | None = None
    name: str = ""
    later: Callable[[], Awaitable[msgspec.Struct]] | None = None


class Incoming(msgspec.Struct):
    """One admitted call on its way through a handler.

    `path` holds the placeholders, decoded once; `matrix` the matrix parameters of the last segment (`category`).
    `body` is an instance of the call's `body` type, or None where the body is optional and was empty.
    `db` is a connection in autocommit mode: one statement is one transaction, several need `db.transaction()`.
    `now` is the moment of admission, aware, UTC. `limits` is what the gate said about the licence's usage.
    `raw_body` is what was sent, for the few calls that read it themselves; of a form its fingerprint. `upload` is the form
    (`platform.files.Upload`) of a call that takes one; its files are deleted after the call, unless they were moved away.
    `ignored`: members of the body that the call does not know; calls that read the body themselves add to it.
    `afterwards`: what is to be done with the connection once the call's changes are committed, such as to tell others of
    them; it does not run when the call fails, and the call does not fail with it.
    `credential` is what the caller authenticated with, for the audit trail: `key`, `token` or `password`.
    """

    call: "Call"
    caller: Caller
    path: Mapping[str, str]
    matrix: Mapping[str, str]
    query: Query
    headers: Mapping[str, str]
    body: Any
    db: Database
    now: datetime
    request_id: str
    limits: Any = None
    raw_body: bytes = b""
    upload: Any = None
    ignored: Sequence[str] = ()
    afterwards: list[Callable[[Database], Awaitable[None]]] = []
    credential: str | None = None

    @property
    def is_strict(self) -> bool:
        """Whether what the body has besides is refused, for handlers that read it themselves. Parts of forms are taken."""
        return self.call.form is None and self.call.is_strict(self.headers.get("prefer", ""))

    def refuse_ignored(self, answered: type[msgspec.Struct] | None, otherwise: str) -> None:
        """For a body that means another thing without what was ignored, which may be misspelt. Raises `Invalid`.

        `answered`: members of such documents may be sent back. `otherwise`: what the body means without it.
        """
        known = {field.encode_name for field in msgspec.structs.fields(answered)} if answered else set[str]()
        strange = [name for name in self.ignored if name not in known]
        if not strange:
            return
        own = [field.encode_name for field in msgspec.structs.fields(self.body)]
        faults: list[FieldError] = []
        for name in strange[:MOST_LOOKED_FOR]:
            said = f"the call knows no member '{name[:100]}', and without it {otherwise}{meant_or_known(name, own)}"
            faults.append(FieldError(name, "member.unknown", said))
        raise Invalid(faults)


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One method on one path.

    `path` is the family-free path with placeholders in braces (`/v4/entity/{e}/table/{t}`); `category` the folder of
    the documentation and the canonical prefix. `module` is the right needed (None: any authenticated user).
    `body`/`answer` are Struct types; `body_root`/`answer_root` their XML roots (v4 only). `statuses` are the success
    statuses. Examples are builtins, shown as JSON (and turned into XML for v4). `counted` is False where the call does
    not count against the calls per minute. `xml_decode(body, charset)` and `xml_encode(body, root)` replace the common XML
    mapping where a call has one of its own (v1). `conflicts` lists the 409 codes the call may answer. `download` is the
    media type of a call that answers a file, whatever `Accept` says; `form` is said of a call that takes a file. `raw`: the
    handler reads the body itself, whatever its type; `body` is for the documentation. `free_query`: callers add query
    parameters as they like, and even one that is nearly a known one is only told of. `echoed`: the document that is read of
    what the body is about, if it is not the answer; its members may be sent back. `lenient`: a v5 call that integrations
    made before there was this server; members that it does not know are told of, as in v4. `secret`: the answer may hold
    one, and is kept sealed where it is kept. `etag`: the call heeds tags, and one that reads answers one; `tagged`: a call
    that writes answers that of what is there now.
    """

    id: str
    method: Method
    path: str
    category: str
    summary: str
    handler: Callable[[Incoming], Awaitable[Answer]]
    module: str | None
    statuses: Mapping[int, str]
    description: str = ""
    parameters: Sequence[Parameter] = ()
    body: type[msgspec.Struct] | None = None
    body_root: str = ""
    body_optional: bool = False
    body_types: Sequence[str] = ()
    body_example: Any = None
    answer: type[msgspec.Struct] | None = None
    answer_root: str = ""
    answer_example: Any = None
    xml_decode: Callable[[bytes, str | None], object] | None = None
    xml_encode: Callable[[msgspec.Struct, str], bytes] | None = None
    etag: bool = False
    tagged: bool = False
    counted: bool = True
    conflicts: Sequence[str] = ()
    download: str = ""
    form: Form | None = None
    raw: bool = False
    free_query: bool = False
    echoed: type[msgspec.Struct] | None = None
    lenient: bool = False
    secret: bool = False

    @property
    def version(self) -> Version:
        """`v1`, `v4` or `v5`, read off the path."""
        if self.path.startswith("/v4/"):
            return "v4"
        return "v1" if "/v1/" in self.path else "v5"

    def is_strict(self, prefer: str) -> bool:
        """Whether members that the body does not know are refused: in v5 calls of our own, and where callers ask for it.

        `prefer` is their header (RFC 7240, section 4.4: `handling=strict`). The other calls ignore them and tell of them.
        """
        if self.version == "v5" and not self.lenient:
            return True
        return "handling=strict" in (each.strip().lower() for each in prefer.replace(";", ",").split(","))

    @property
    def sent_back(self) -> type[msgspec.Struct] | None:
        """Whose members a strict call takes though it ignores them: clients change what they have read, and send it all."""
        return self.echoed or self.answer

    @property
    def json_types(self) -> tuple[str, ...]:
        """Other names that the body's JSON may go by: a partial change is a merge patch (RFC 7396)."""
        return ("application/merge-patch+json",) if self.merges else ()

    @property
    def merges(self) -> bool:
        """Whether the body is a merge patch, where null takes a member away instead of saying nothing."""
        return self.method == "PATCH"

    @property
    def writes(self) -> bool:
        """Whether the call needs read-write rights (every method but GET)."""
        return self.method != "GET"

    @property
    def right(self) -> Literal["r", "rw"]:
        """What the caller needs of the module at least."""
        return "rw" if self.writes else "r"
