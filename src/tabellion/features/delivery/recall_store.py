"""The SQL of recalls: mails that were put off are looked at again, for what they waited for was changed.

The change asks for it in its own transaction; a sender carries it out, since there may be millions of them.
"""

from collections.abc import Sequence
from datetime import datetime

from tabellion.features.delivery.limits_store import hold_claims
from tabellion.features.delivery.store import in_schema, look_for_a_while
from tabellion.platform.database.connection import Database

# Mails whose recall is committed together: the first of millions leave at once.
_AT_A_TIME = 20_000
# A retry that the rules have put off has no worker any more.
_WAITS = """sending_id = %(sending)s AND due_at > %(now)s AND due_at < 'infinity'
      AND (state = 'PLANNED' OR state = 'DEFERRED' AND worker IS NULL)"""
_RECALL = """
WITH found AS MATERIALIZED (
    SELECT id FROM {l}.recipient WHERE {waits} ORDER BY due_at, id LIMIT %(most)s
), recalled AS (
    UPDATE {l}.recipient SET due_at = %(now)s WHERE id = ANY (ARRAY(SELECT id FROM found)) AND {waits} RETURNING 1
)
SELECT (SELECT count(*) FROM found), (SELECT count(*) FROM recalled)
"""


async def ask(db: Database, licence_id: int, sendings: Sequence[int] | None, now: datetime) -> None:
    """Have mails that were put off looked at again; `sendings` None: of the whole licence. Needs `hold_claims`.

    What is put off from now on queues up anew, at the pace that counts now.
    """
    await _forget_queues(db, licence_id, sendings)
    query = """
INSERT INTO tabellion.mail_recall (sending_id, asked_at)
SELECT id, %(now)s FROM tabellion.sending
WHERE licence_id = %(licence)s AND NOT test AND state <> 'ENDED' AND (%(all)s OR id = ANY (%(sendings)s))
"""
    values = {"licence": licence_id, "all": sendings is None, "sendings": list(sendings or ()), "now": now}
    await db.execute(query, values)


async def carry_out(db: Database, now: datetime, at_a_time: int = _AT_A_TIME) -> int | None:
    """Recall some mails of a sending for which that was asked; how many. None: nobody has asked, or others are about it.

    Mails that wait for another attempt keep their time. Claims go on meanwhile, by the new rules; what they put off may be
    recalled, too, but they are slower than this.
    """
    async with db.transaction():
        query = """
SELECT r.id, s.id, s.licence_id FROM tabellion.mail_recall r JOIN tabellion.sending s ON s.id = r.sending_id
ORDER BY r.id LIMIT 1 FOR UPDATE OF r SKIP LOCKED
"""
        row = await (await db.execute(query)).fetchone()
        if row is None:
            return None
        number, sending_id, licence_id = row
        values = {"now": now, "sending": sending_id, "most": at_a_time}
        cursor = await db.execute(in_schema(licence_id, _RECALL, waits=_WAITS), values)
        found, count = await cursor.fetchone() or (0, 0)
        if count:
            await look_for_a_while(db, sending_id, now)
        if found < at_a_time:
            # They queue up anew from now on: behind places that were given up, their domain would stand idle.
            await hold_claims(db, licence_id)
            await _forget_queues(db, licence_id, [sending_id])
            await db.execute("DELETE FROM tabellion.mail_recall WHERE id = %s", (number,))
    return count


async def _forget_queues(db: Database, licence_id: int, sendings: Sequence[int] | None) -> None:
    query = "DELETE FROM {l}.mail_rate WHERE key LIKE 'queue:%%' AND (%(all)s OR key LIKE ANY (%(keys)s))"
    values = {"all": sendings is None, "keys": [f"queue:{number:d}:%" for number in sendings or ()]}
    await db.execute(in_schema(licence_id, query), values)
