"""What the server and a caged process say to each other: frames of msgpack, each after its length in four bytes."""

from typing import Final

import msgspec

from tabellion.platform.templates.documents import Content, Prepared, Report
from tabellion.platform.templates.template import Failed, Template
from tabellion.platform.templates.vocabulary import Vocabulary

LENGTH: Final = 4
# Of the templates that a cage holds; one more, and it forgets all of them.
MAX_HELD: Final = 16


class Load(msgspec.Struct, frozen=True, tag="load"):
    """Compile a template and hold it. Answered by `Loaded` or `Failed`."""

    template: Template
    forget_others: bool


class Render(msgspec.Struct, frozen=True, tag="render"):
    """Render a held template for many recipients, each a JSON document. Answered by as many `Printed` or `Failed`."""

    key: bytes
    contexts: list[bytes]


class Check(msgspec.Struct, frozen=True, tag="check"):
    """Check a source. Answered by `Checked` or `Failed`."""

    source: str
    allowed: Vocabulary


class Prepare(msgspec.Struct, frozen=True, tag="prepare"):
    """Prepare an author's content. Answered by `Finished` or `Failed`."""

    content: Content


class Done(msgspec.Struct, frozen=True, tag="done"):
    """What a cage says first."""


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """A template is held. `literals`, by part: what of it is printed as it stands, and travels only here."""

    literals: tuple[tuple[bytes, ...], ...]


class Printed(msgspec.Struct, frozen=True, tag="printed", gc=False):
    """The parts of one mail in UTF-8, in pieces. A number stands for a literal of the part."""

    parts: list[list[int | bytes]]


class Checked(msgspec.Struct, frozen=True, tag="checked"):
    """The result of a check."""

    report: Report


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """The result of a preparation."""

    prepared: Prepared


Request = Load | Render | Check | Prepare
Answer = Printed | Failed | Done | Loaded | Checked | Finished

encode_request = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


def frame(encoded: bytes) -> bytes:
    """A frame."""
    return len(encoded).to_bytes(LENGTH, "big") + encoded
