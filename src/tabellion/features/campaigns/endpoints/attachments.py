"""Transactional mails with files."""

import asyncio
import mimetypes
import re
from pathlib import Path
from typing import Any

from tabellion.features.campaigns import triggering
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, MODULE
from tabellion.features.campaigns.endpoints.triggering import CONTACT_ANSWER, CONTACT_EXAMPLE, parameters_of, saved
from tabellion.features.campaigns.wire import triggering as wire
from tabellion.features.tables import ENTITY
from tabellion.kit.problem import Malformed, invalid
from tabellion.platform.files import Upload, UploadedFile
from tabellion.platform.http import json_codec, negotiation, shapes, xml_codec
from tabellion.platform.http.call import Answer, Call, Form, Incoming
from tabellion.platform.http.problems import BodyTooLarge
from tabellion.platform.mail import Attachment

MAX_FILES, MAX_BYTES = 10, 10 * 1024 * 1024
_CONTACT, _FILE = "contact", "attachment"
_MAX_NAME = 120
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,63}")
# Mails inside mails have encodings of their own (RFC 2046, section 5.2.1); they go as files.
_NOT_IN_BASE64 = ("message/", "multipart/")
_UNKNOWN_TYPE = "application/octet-stream"


async def contact(call: Incoming) -> Answer:
    """Create or update a profile, and send it a transactional mail with files."""
    upload: Upload = call.upload
    body, call.ignored = _contact(upload)
    # A form in a browser in which no file was chosen sends one without name and content.
    files = [file for file in upload.files if file.field == _FILE and (file.client_name or file.size)]
    attachments = await asyncio.to_thread(_attachments, files)
    ready = await triggering.triggered(call, transactional=True)
    parameters = parameters_of(call, body.parameters, ready[0])
    async with call.db.transaction():
        profile = await saved(call, ready[1], body.profile)
        done = await triggering.trigger(call, ready, profile, parameters, attachments)
    return Answer(200, wire.ContactOut(done.profile_id, done.interaction_id))


def name_of(client_name: str, number: int) -> str:
    """What a file is called in the mail: without folders, control characters and signs that turn the text around."""
    name = _CONTROL.sub("", re.split(r"[\\/]", client_name)[-1]).strip(" .")
    if len(name) > _MAX_NAME:
        stem, dot, ending = name.rpartition(".")
        short = dot and len(ending) < 10  # noqa: PLR2004 - an ending, and no sentence
        name = f"{stem[: _MAX_NAME - 1 - len(ending)]}.{ending}" if short else name[:_MAX_NAME]
    return name or f"attachment-{number}"


def media_type_of(said: str, name: str) -> str:
    """The type that the client says, if it is one; otherwise what the name stands for."""
    given = negotiation.media_type(said)
    if given == _UNKNOWN_TYPE or not _MEDIA_TYPE.fullmatch(given):
        given = mimetypes.guess_type(name)[0] or _UNKNOWN_TYPE
    return _UNKNOWN_TYPE if given.startswith(_NOT_IN_BASE64) else given


def _attachments(files: list[UploadedFile]) -> tuple[Attachment, ...]:
    if len(files) > MAX_FILES:
        raise BodyTooLarge(f"a mail has at most {MAX_FILES} attachments, not {len(files)}")
    if (size := sum(file.size for file in files)) > MAX_BYTES:
        raise BodyTooLarge(f"the attachments have {size:,} bytes together; {MAX_BYTES:,} is the most")
    made: list[Attachment] = []
    for number, file in enumerate(files, 1):
        name = name_of(file.client_name, number)
        made.append(Attachment(name, media_type_of(file.media_type, name), Path(file.path).read_bytes()))
    return tuple(made)


def _contact(upload: Upload) -> tuple[wire.ContactIn, list[str]]:
    """The document of the form, JSON or XML, as a field or as a file, and its members that the call does not know."""
    file = upload.file(_CONTACT)
    raw = upload.fields.get(_CONTACT, "").encode() if file is None else file.path.read_bytes()
    if not raw.strip():
        raise invalid(_CONTACT, "member.mandatory", f"the form has no part '{_CONTACT}' with the profile")
    if stray := sorted({file.field for file in upload.files} - {_CONTACT, _FILE}):
        raise Malformed(f"the form has a file '{stray[0][:50]}'; attachments are called '{_FILE}'")
    from_xml = raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    document: Any = xml_codec.decode(raw, wire.ContactIn, _CONTACT, None) if from_xml else json_codec.decode(raw)
    return shapes.reader(wire.ContactIn).read(document, from_xml=from_xml)


CALLS = (
    Call(
        id="campaigns.v4.contactWithAttachment",
        method="POST",
        path="/v4/entity/{e}/transactionalmail/{c}/contactWithAttachment",
        category=CATEGORY,
        module=MODULE,
        summary="Save a profile and send it a transactional mail with attachments",
        description=(
            "A form: `contact` holds what `POST .../contact` takes, in JSON or XML; each file is an `attachment`: up to 10, "
            "together 10 MB (413 beyond). They are kept until the mail has left, and deleted then."
        ),
        handler=contact,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The profile is saved, and the mail is on its way."},
        conflicts=("campaign.state", "campaign.kind", "attribute.ambiguous", "attribute.notUnique", "profile.inUse"),
        form=Form(_FILE, "booking.pdf", _CONTACT, wire.ContactIn, total_bytes=MAX_BYTES),
        body_example=CONTACT_EXAMPLE,
        answer=wire.ContactOut,
        answer_root="contact",
        answer_example=CONTACT_ANSWER,
    ),
)
