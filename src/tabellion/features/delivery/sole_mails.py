"""At most one mail to an address: the SQL by which a mass campaign sees to it where a table may hold an address twice.

Whoever has the lowest id of those with one address gets the mail; the others are set aside with the audience. Addresses
change until mails leave, so each claim looks once more: an address that a mail of the campaign was claimed for, and may
reach, is taken. Claims of such a sending go one after the other, so that of two at once one sees the other's.
"""

from collections.abc import Sequence
from datetime import datetime

from tabellion.features.delivery import changes
from tabellion.features.delivery.model import Document, Sending
from tabellion.features.delivery.store import in_schema
from tabellion.features.tables import ProfileTable, email_of
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database

REASON = "duplicateAddress"
# What an address is compared by, as suppression compares it; for the index `recipient_campaign` it stands there as here.
KEY = "CASE WHEN octet_length({0}) = length({0}) THEN lower({0}) ELSE tabellion.folded({0}) END"
_HASH = f"hashtext({KEY})"
# The second number of an advisory lock is that of four octets.
_LOCKS = 2**31

# Between `looked` and what takes its place in a claiming statement. The places are those within the statement itself, which
# does not see what it claims.
_SOLE = """
    SELECT k.id, k.due_at, k.written, k.address, CASE
        WHEN k.reason IS NOT NULL THEN k.reason
        WHEN row_number() OVER (PARTITION BY k.reason IS NULL, {key} ORDER BY k.id) > 1 THEN '{reason}'
        WHEN EXISTS (
            SELECT 1 FROM {l}.recipient o
            WHERE o.campaign_id = %(campaign_of)s AND {hash_there} = {hash_here} AND {key_there} = {key}
              AND NOT o.test AND o.id <> k.id
              AND o.state IN ('CLAIMED', 'SENDING', 'ACCEPTED', 'DEFERRED', 'REJECTED', 'UNCERTAIN')
        ) THEN '{reason}' END AS reason
    FROM seen k"""


def is_at_stake(document: Document, table: ProfileTable) -> bool:
    """Whether two recipients of a sending might have one address, and are to get one mail."""
    email = email_of(table.attributes)
    return document.once_per_address and email is not None and not email.unique


def looked(document: Document, table: ProfileTable, *, materialized: bool) -> str:
    """The part of a claiming statement that looks at the recipients of `due`: the query `looked`, made of `{still}`."""
    at_due = "({still} WHERE r.id = ANY (ARRAY(SELECT id FROM due)))"
    if not is_at_stake(document, table):
        return f"looked AS {'MATERIALIZED ' if materialized else ''}{at_due}"
    parts = {
        "key": KEY.format("k.address"), "key_there": KEY.format("o.address"), "hash_here": _HASH.format("k.address"),
        "hash_there": _HASH.format("o.address"), "reason": REASON,
    }  # fmt: skip
    sole = _SOLE
    for name, part in parts.items():
        sole = sole.replace(f"{{{name}}}", part)
    return f"seen AS MATERIALIZED {at_due}, looked AS MATERIALIZED ({sole})"


# Of those with one address who would get the mail, only the one with the lowest id does. Groups are few: sorting everybody
# by address takes twice as long.
_AMONG = """
    WITH met AS MATERIALIZED ({meant}),
    shared AS (
        SELECT {key} AS key, min(m.id) AS first FROM met m WHERE m.reason IS NULL GROUP BY 1 HAVING count(*) > 1
    )
    SELECT m.id, m.address, m.language, coalesce(m.reason, CASE WHEN m.id > s.first THEN '{reason}' END) AS reason
    FROM met m LEFT JOIN shared s ON s.key = {key} ORDER BY m.id
"""


def among(meant: str) -> str:
    """A query for an audience (id, address, language, reason) that sets aside who is not the first with an address."""
    parts = {"key": KEY.format("m.address"), "reason": REASON, "meant": meant}
    query = _AMONG
    for name, part in parts.items():
        query = query.replace(f"{{{name}}}", part)
    return query


async def set_aside(db: Database, sending: Sending, domains: Sequence[str], now: datetime) -> None:
    """The same for the domains that a frozen audience was given in the form that relays take: it may have both forms."""
    query = """
WITH told AS (
UPDATE {l}.recipient r SET state = 'EXCLUDED', reason = '{reason}', due_at = NULL, ended_at = %(now)s
FROM (
    SELECT id, row_number() OVER (PARTITION BY {key} ORDER BY id) AS place FROM {l}.recipient
    WHERE sending_id = %(sending)s AND state = 'PLANNED' AND lower(split_part(address, '@', -1)) = ANY (%(domains)s)
) d WHERE d.id = r.id AND d.place > 1 RETURNING r.campaign_id, r.state, r.reason
){noted}
"""
    values = {"sending": sending.id, "domains": list(domains), "now": now}
    parts = {"reason": REASON, "key": KEY.format("address"), "noted": changes.noted(changes.LEFT_OUT, "told")}
    await db.execute(in_schema(sending.licence_id, query, **parts), values)


async def hold_claims(db: Database, sending: Sending) -> None:
    """Have claims of a sending go one after the other, until the transaction ends. To be held before the claim looks."""
    await db.execute("SELECT pg_advisory_xact_lock(%s, %s)", (AdvisoryLock.MAIL_ADDRESSES, sending.id % _LOCKS))
