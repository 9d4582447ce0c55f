"""The SQL of the outbox, where mails stay when there is no relay."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from tabellion.features.delivery.model import Claimed, Sending
from tabellion.features.delivery.recipient_store import begin
from tabellion.features.delivery.store import in_schema
from tabellion.features.tables import ProfileTable
from tabellion.platform.database.connection import Database


async def keep_in_outbox(
    db: Database,
    sending: Sending,
    table: ProfileTable,
    worker: int,
    mails: Sequence[tuple[Claimed, str, str, bytes]],
    now: datetime,
) -> set[int]:
    """Put mails (recipient, sender, subject, content) into the outbox, in a transaction; ids of those that may leave."""
    held = [mail[0] for mail in mails]
    begun = await begin(db, sending, table, worker, held)
    kept = [mail for mail in mails if mail[0].id in begun]
    if kept:
        query = """
INSERT INTO {l}.outbox_mail (recipient_id, moment, sender, recipient, subject, content)
SELECT m.id, %s, m.sender, m.address, m.subject, m.content
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::bytea[]) AS m (id, sender, address, subject, content)
"""
        columns = (
            [mail[0].id for mail in kept], [mail[1] for mail in kept], [mail[0].address for mail in kept],
            [mail[2] for mail in kept], [mail[3] for mail in kept],
        )  # fmt: skip
        await db.execute(in_schema(sending.licence_id, query), (now, *columns))
    return begun


async def keep_notice(db: Database, licence_id: int, mail: tuple[str, str, str, bytes], now: datetime) -> None:
    """Put a mail (sender, recipient, subject, content) that belongs to no campaign into the outbox."""
    query = (
        "INSERT INTO {l}.outbox_mail (recipient_id, moment, sender, recipient, subject, content) "
        "VALUES (0, %s, %s, %s, %s, %s)"
    )
    await db.execute(in_schema(licence_id, query), (now, *mail))


class KeptMail(NamedTuple):
    """A mail in the outbox, without its content."""

    id: int
    moment: datetime
    recipient: str
    subject: str


# Those of campaigns of some entities; without `entities` all, which mails of no campaign and of erased ones are among.
_WITHIN = """(%(entities)s::int[] IS NULL OR EXISTS (
    SELECT FROM {l}.recipient r JOIN tabellion.campaign c ON c.id = r.campaign_id
    WHERE r.id = m.recipient_id AND c.entity_id = ANY (%(entities)s)))"""


async def kept_mails(db: Database, licence_id: int, most: int, entities: Sequence[int] | None = None) -> list[KeptMail]:
    """The mails in the outbox, newest first; `entities`: only those of their campaigns."""
    query = "SELECT id, moment, recipient, subject FROM {l}.outbox_mail m WHERE {within} ORDER BY id DESC LIMIT %(most)s"
    values = {"entities": entities, "most": most}
    statement = in_schema(licence_id, query, within=_WITHIN)
    return [KeptMail(*row) for row in await (await db.execute(statement, values)).fetchall()]


async def kept_mail(db: Database, licence_id: int, number: int, entities: Sequence[int] | None = None) -> bytes | None:
    """A mail in the outbox as it would have left; `entities` as for `kept_mails`."""
    query = "SELECT content FROM {l}.outbox_mail m WHERE id = %(id)s AND {within}"
    values = {"entities": entities, "id": number}
    row = await (await db.execute(in_schema(licence_id, query, within=_WITHIN), values)).fetchone()
    return None if row is None else bytes(row[0])
