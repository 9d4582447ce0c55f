"""What becomes of mails that were under way when the backup was made that a server is restored from.

Nobody here knows what was sent afterwards.
"""

from datetime import datetime

from tabellion.features.delivery.model import RESTORED
from tabellion.features.delivery.store import in_schema
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar

# Of mails that triggers and tests have asked for. Those of mass campaigns stay: their campaigns are held.
_DOUBT = """
WITH doubtful AS (
    UPDATE {l}.recipient r SET state = 'UNCERTAIN', reason = %(reason)s, worker = NULL, due_at = NULL, ended_at = %(now)s
    FROM tabellion.sending s WHERE s.id = r.sending_id AND r.state IN ('PLANNED', 'DEFERRED', 'CLAIMED', 'SENDING')
        AND (s.test OR (s.document ->> 'triggered')::boolean)
    RETURNING r.id),
gone AS (DELETE FROM {l}.mail_attachment a USING doubtful d WHERE a.recipient_id = d.id)
SELECT count(*) FROM doubtful
"""
# Numbers of mails are in the addresses that these carry, and of events in webhooks: those that were given after the backup
# must not be given again, or an old mail's unsubscribe link would be another reader's.
_SEQUENCES = """
SELECT format('%%I.%%I', schemaname, sequencename), coalesce(last_value, start_value) FROM pg_sequences
WHERE schemaname = %s AND data_type = 'bigint'::regtype
"""
_SKIP = 100_000_000


async def doubt(db: Database, licence_id: int, now: datetime) -> int:
    """Note that nobody knows whether a licence's triggered mails and tests that were under way have left; how many."""
    return await scalar(db, in_schema(licence_id, _DOUBT), {"reason": RESTORED, "now": now})


async def skip_numbers(db: Database, schema: str) -> None:
    """Have a schema's sequences go on far behind what may have been given since the backup."""
    for sequence, last in await (await db.execute(_SEQUENCES, (schema,))).fetchall():
        await db.execute("SELECT setval(%s::regclass, %s)", (sequence, last + _SKIP))
