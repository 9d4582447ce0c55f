"""The SQL of files that go with mails, kept until the fate of their mail is known."""

from collections.abc import Sequence

from tabellion.features.delivery.model import Sending
from tabellion.features.delivery.store import in_schema
from tabellion.platform.database.connection import Database
from tabellion.platform.mail import Attachment


async def attach(db: Database, licence_id: int, recipient_id: int, files: Sequence[Attachment]) -> None:
    """Keep the files of a mail."""
    query = "INSERT INTO {l}.mail_attachment (recipient_id, position, name, media_type, content) VALUES (%s, %s, %s, %s, %s)"
    rows = [(recipient_id, i, each.name, each.media_type, each.content) for i, each in enumerate(files)]
    async with db.cursor() as cursor:
        await cursor.executemany(in_schema(licence_id, query), rows)


async def attached_bytes(db: Database, licence_id: int, recipients: Sequence[int]) -> dict[int, int]:
    """How large the files of mails are together, by recipient; only those with files."""
    query = (
        "SELECT recipient_id, sum(octet_length(content)) FROM {l}.mail_attachment WHERE recipient_id = ANY (%s) GROUP BY 1"
    )
    rows = await (await db.execute(in_schema(licence_id, query), (list(recipients),))).fetchall()
    return {row[0]: int(row[1]) for row in rows}


async def attachments(db: Database, licence_id: int, recipients: Sequence[int]) -> dict[int, tuple[Attachment, ...]]:
    """The files of mails, by recipient."""
    query = (
        "SELECT recipient_id, name, media_type, content FROM {l}.mail_attachment "
        "WHERE recipient_id = ANY (%s) ORDER BY recipient_id, position"
    )
    found: dict[int, tuple[Attachment, ...]] = {}
    for number, name, media_type, content in await (
        await db.execute(in_schema(licence_id, query), (list(recipients),))
    ).fetchall():
        found[number] = (*found.get(number, ()), Attachment(name, media_type, bytes(content)))
    return found


async def forget_attachments(db: Database, sending: Sending) -> None:
    """Delete the files of mails whose fate is known, however it came about."""
    query = (
        "DELETE FROM {l}.mail_attachment a USING {l}.recipient r WHERE r.id = a.recipient_id AND r.sending_id = %s "
        "AND r.state NOT IN ('PLANNED', 'DEFERRED', 'CLAIMED', 'SENDING')"
    )
    await db.execute(in_schema(sending.licence_id, query), (sending.id,))
