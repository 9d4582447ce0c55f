"""The SQL of workers that send: which live, and what becomes of the mails of those that do not.

Recipients are held by workers that are entered here, and by no others: a claim holds the row of its worker, and giving a
worker up takes that away before it looks at what there is to be recovered.

Whether one lives goes by the clock of the database: those of the machines that workers run on may be minutes apart, and who
is ahead would take the others for dead.
"""

from datetime import datetime, timedelta

from tabellion.features.delivery.model import DIED
from tabellion.features.delivery.news import settle_heard
from tabellion.features.delivery.silences import Silences
from tabellion.features.delivery.store import in_schema, look_for_a_while
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar

# Of a worker `w`, for those who only read: it says each second that it lives, and one that has not for so long is gone.
LIVES = "w.seen_at > statement_timestamp() - interval '15 s'"
# In a statement that claims: whether the worker has not been given up, and is not while the statement runs.
ENTERED = "EXISTS (SELECT 1 FROM tabellion.mail_worker WHERE id = %(worker)s FOR KEY SHARE)"

# The same in one that writes down what is known already, which it does for a worker that has been given up as well. Both
# come before the rows of recipients: or it and whoever gives the worker up could wait for each other.
ALONE = "(SELECT count(*) FROM (SELECT 1 FROM tabellion.mail_worker WHERE id = %(worker)s FOR KEY SHARE) w) >= 0"

# Of a mail `r` that a dead worker held: whether it is planned again.
_AGAIN = (
    "(r.state = 'CLAIMED' OR EXISTS (SELECT FROM tabellion.sending s "
    "WHERE s.id = r.sending_id AND s.document ->> 'policy' = 'RESEND'))"
)


async def enter_worker(db: Database) -> int:
    """Enter a process that sends, on the connection that stands for its life."""
    worker = await scalar(db, "INSERT INTO tabellion.mail_worker (seen_at) VALUES (clock_timestamp()) RETURNING id")
    await hold(db, worker)
    return worker


async def hold(db: Database, worker: int) -> None:
    """Hold the worker's lock for as long as this connection lives."""
    await db.execute("SELECT pg_advisory_lock(%s, %s)", (AdvisoryLock.MAIL_WORKER, worker))


async def beat(db: Database, worker: int) -> bool:
    """Say that the worker lives; False: others have given it up."""
    cursor = await db.execute("UPDATE tabellion.mail_worker SET seen_at = clock_timestamp() WHERE id = %s", (worker,))
    return cursor.rowcount == 1


async def works_for(db: Database, worker: int, licence_id: int) -> None:
    """Remember that the worker is about to hold recipients of a licence."""
    query = "INSERT INTO tabellion.mail_worker_licence (worker_id, licence_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"
    await db.execute(query, (worker, licence_id))


async def dead_workers(db: Database, own: int, silent: timedelta, lost: timedelta, silences: Silences) -> list[int]:
    """Workers whose connection is gone and who have been silent for a while, or silent for very long.

    The locks that this takes are given back at once; who is back before the decision keeps its recipients. Who was seen at
    a moment to come was seen before the clock was put back. When it is put ahead, all look silent for very long at once: who
    has its connection is lost only after it has been silent for a while by this process's own clock as well.
    """
    query = """
SELECT w.id, w.seen_at, w.seen_at < m.moment - %(lost)s::interval
FROM tabellion.mail_worker w, (SELECT statement_timestamp() AS moment) m
WHERE w.id <> %(own)s AND w.seen_at NOT BETWEEN m.moment - %(silent)s::interval AND m.moment + %(silent)s::interval
"""
    found: list[int] = []
    rows = await (await db.execute(query, {"own": own, "silent": silent, "lost": lost})).fetchall()
    unheard = silences.look({worker: seen_at for worker, seen_at, _ in rows})
    for worker, _, is_lost in rows:
        if await scalar(db, "SELECT pg_try_advisory_lock(%s, %s)", (AdvisoryLock.MAIL_WORKER, worker)):
            await db.execute("SELECT pg_advisory_unlock(%s, %s)", (AdvisoryLock.MAIL_WORKER, worker))
            found.append(worker)
        elif is_lost and unheard[worker] >= silent:
            found.append(worker)
    return found


async def give_up(db: Database, worker: int, now: datetime) -> tuple[int, int]:
    """Have others do what a worker holds, and forget it. How many mails go back, and how many are uncertain."""
    again = uncertain = 0
    async with db.transaction():
        query = "SELECT id FROM tabellion.mail_worker WHERE id = %s FOR UPDATE"
        if await (await db.execute(query, (worker,))).fetchone() is None:
            return again, uncertain
        query = "SELECT licence_id FROM tabellion.mail_worker_licence WHERE worker_id = %s"
        for (licence_id,) in await (await db.execute(query, (worker,))).fetchall():
            found = await _recover(db, licence_id, worker, now)
            again, uncertain = again + found[0], uncertain + found[1]
        await db.execute("DELETE FROM tabellion.mail_worker WHERE id = %s", (worker,))
    return again, uncertain


async def _recover(db: Database, licence_id: int, worker: int, now: datetime) -> tuple[int, int]:
    """Of a dead worker: what it had claimed is planned again, what it was sending is uncertain.

    Unless the policy says that it is sent again, or it is known to have arrived. The campaign may have been deleted
    meanwhile: what is planned again of it nobody sends. Answers how many of the one and of the other.
    """
    query = """
UPDATE {l}.recipient r SET
    state = CASE WHEN {again} THEN 'PLANNED' ELSE 'UNCERTAIN' END,
    reason = CASE WHEN r.state = 'SENDING' THEN '{died}' ELSE r.reason END,
    tries = r.tries + CASE WHEN r.state = 'SENDING' THEN 1 ELSE 0 END,
    due_at = CASE WHEN {again} THEN %(now)s::timestamptz END,
    ended_at = CASE WHEN NOT {again} THEN %(now)s::timestamptz END
WHERE r.worker = %(worker)s AND r.state IN ('CLAIMED', 'SENDING')
RETURNING r.id, r.sending_id, r.state, r.reason, EXISTS (SELECT FROM tabellion.sending s WHERE s.id = r.sending_id)
"""
    statement = in_schema(licence_id, query, again=_AGAIN, died=DIED)
    rows = await (await db.execute(statement, {"worker": worker, "now": now})).fetchall()
    for sending_id in sorted({sending_id for _, sending_id, _, _, exists in rows if exists}):
        await look_for_a_while(db, sending_id, now)
    arrived = await settle_heard(db, licence_id, [row[0] for row in rows if row[3] == DIED], now)
    uncertain = sum(row[2] == "UNCERTAIN" and row[0] not in arrived for row in rows)
    return len(rows) - uncertain - len(arrived), uncertain
