"""The SQL of recipients: who gets a mail, how it leaves, and what came of the attempt (docs/adr/0011-sending.md)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from tabellion.features.delivery import changes, sole_mails
from tabellion.features.delivery.claim_parts import AFTER, CLAIMED, NEXT_ATTEMPT, doubt, places, still, taken, with_note
from tabellion.features.delivery.limits_store import CURRENT, Versions, fence
from tabellion.features.delivery.mark import BEGINNING, Place
from tabellion.features.delivery.model import DECLINED, Claimed, Ending, Recipient, Sending
from tabellion.features.delivery.store import ADDRESS, GOES_ON, HELD, in_schema
from tabellion.features.delivery.suppression_store import keys, unless_by_key
from tabellion.features.delivery.worker_store import ALONE, ENTERED
from tabellion.features.tables import ProfileTable
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars
from tabellion.platform.mail import relayed_form

_ENTERED = """, entered AS (
    INSERT INTO {l}.report_change (campaign_id, state, reason, number)
    SELECT campaign_id, 'TARGETED', NULL, 1 FROM told
    UNION ALL SELECT campaign_id, state, reason, 1 FROM told WHERE state = 'EXCLUDED'
)"""


async def plan(db: Database, sending: Sending, recipient: Recipient, now: datetime) -> int | None:
    """Enter one recipient of a trigger or a test; with a reason, as one who gets nothing. Its id.

    None: the sending was stopped meanwhile. One that goes on does not end before this transaction has (`wait_for_plans`).
    """
    query = """
INSERT INTO {l}.recipient (sending_id, campaign_id, test, table_id, profile_id, address, language, state, reason, due_at,
                           planned_at, ended_at, parameters)
SELECT s.id, s.campaign_id, s.test, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s FROM tabellion.sending s
WHERE s.id = %s AND s.state NOT IN ('CLOSING', 'ENDED') FOR KEY SHARE RETURNING id, campaign_id, state, reason
"""
    query = "WITH told AS ({query}){noted} SELECT id FROM told".replace("{query}", query).replace(
        "{noted}", "" if sending.document.test else _ENTERED
    )
    out = recipient.excluded is not None
    address = None if recipient.address is None else relayed_form(recipient.address)
    values = (
        sending.document.table_id, recipient.profile_id, address, recipient.language,
        "EXCLUDED" if out else "PLANNED", recipient.excluded, None if out else now, now, now if out else None,
        None if recipient.parameters is None else Jsonb(recipient.parameters), sending.id,
    )  # fmt: skip
    return await scalar(db, in_schema(sending.licence_id, query), values)


async def claim(  # noqa: PLR0913, PLR0917 - one statement
    db: Database, sending: Sending, table: ProfileTable, worker: int, most: int, now: datetime,
    versions: Versions | None = None, after: Place = BEGINNING,
) -> tuple[list[Claimed], Place | None]:  # fmt: skip
    """Take recipients that are due `after` a place; the last one that was met. A worker that has been given up gets none.

    With `versions` of rules that do not count any more, nobody either. Those who must not get the mail any more are set
    aside by the same statement, and whoever has another address since gets the mail there.
    """
    query = """
WITH due AS MATERIALIZED (
    SELECT d.id FROM {l}.recipient d
    WHERE d.sending_id = %(sending)s AND d.state IN ('PLANNED', 'DEFERRED') AND d.due_at <= %(now)s AND {after}
      AND {goes_on} AND {entered} AND {current}
    ORDER BY d.due_at, d.id LIMIT %(most)s FOR UPDATE SKIP LOCKED
), {looked}"""
    claiming = """
UPDATE {l}.recipient r SET
    state = CASE WHEN looked.reason IS NULL THEN 'CLAIMED' ELSE {out} END, due_at = NULL,
    reason = coalesce({doubt}, looked.reason),
    address = CASE WHEN looked.reason IS DISTINCT FROM 'noAddress' THEN looked.address END,
    attempt = CASE WHEN looked.reason IS NULL THEN {next_attempt} ELSE r.attempt END, worker = %(worker)s,
    ended_at = CASE WHEN looked.reason IS NOT NULL THEN %(now)s::timestamptz END
FROM looked WHERE r.id = looked.id
RETURNING {claimed}
"""
    values = {
        "sending": sending.id, "version": sending.version, "now": now, "most": most, "worker": worker,
        "campaign_of": sending.campaign_id, **places(after),
    }  # fmt: skip
    parts = {
        "looked": sole_mails.looked(sending.document, table, materialized=False), "entered": ENTERED, "current": "true",
        "goes_on": GOES_ON, "after": AFTER, "claimed": CLAIMED, "next_attempt": NEXT_ATTEMPT, **doubt(),
        **still(sending.document, table),
    }  # fmt: skip
    if versions is not None:
        parts["current"] = CURRENT
        values |= fence(sending, versions)
    statement = in_schema(sending.licence_id, with_note(sending.document, query, claiming), **parts)
    if not sole_mails.is_at_stake(sending.document, table):
        return taken(await (await db.execute(statement, values, prepare=True)).fetchall())
    async with db.pipeline(), db.transaction():
        await sole_mails.hold_claims(db, sending)
        cursor = await db.execute(statement, values, prepare=True)
    return taken(await cursor.fetchall())


async def begin(db: Database, sending: Sending, table: ProfileTable, worker: int, held: Sequence[Claimed]) -> set[int]:
    """Commit that mails are about to leave; the ids of those that may.

    Not those that another worker has taken meanwhile, nor those whose sending was paused or has other contents now, nor
    people who have just unsubscribed or are reached elsewhere since the mail was made.
    """
    query = """
WITH looked AS ({still} WHERE r.id = ANY (%(ids)s))
UPDATE {l}.recipient r SET state = 'SENDING'
FROM looked, unnest(%(ids)s::bigint[], %(attempts)s::smallint[], %(written)s::text[]) AS h (id, attempt, written)
WHERE r.id = h.id AND looked.id = h.id AND looked.reason IS NULL AND r.attempt = h.attempt
  AND looked.written IS NOT DISTINCT FROM h.written AND r.worker = %(worker)s
  AND r.state = 'CLAIMED' AND {goes_on} AND {entered} {unless}
RETURNING r.id
"""
    others = keys(held)
    written = [each.written for each in held]
    values = _held(held) | {
        "worker": worker, "sending": sending.id, "version": sending.version, "keys": others, "written": written,
    }  # fmt: skip
    # Where all addresses are in ASCII, as nearly always, the statement is the one that costs half as much.
    parts = {
        "unless": unless_by_key(sending) if any(others) else "", "entered": ENTERED, "goes_on": GOES_ON,
        **still(sending.document, table),
    }  # fmt: skip
    return set(await scalars(db, in_schema(sending.licence_id, query, **parts), values, prepare=True))


async def release(db: Database, licence_id: int, worker: int, held: Sequence[Claimed], now: datetime) -> None:
    """Give back what was claimed and not begun; the next claim looks at it afresh."""
    query = """
UPDATE {l}.recipient r SET state = 'PLANNED', due_at = %(now)s, worker = NULL
FROM unnest(%(ids)s::bigint[], %(attempts)s::smallint[]) AS h (id, attempt)
WHERE r.id = h.id AND r.attempt = h.attempt AND r.worker = %(worker)s AND r.state = 'CLAIMED' AND {entered}
"""
    await db.execute(in_schema(licence_id, query, entered=ENTERED), _held(held) | {"worker": worker, "now": now})


async def readdress(db: Database, licence_id: int, worker: int, claimed: list[Claimed], now: datetime) -> list[Claimed]:
    """Of what a claim has taken: give back, with their new address, those who have another one beyond ASCII; the others."""
    moved = [
        (each, address)
        for each in claimed
        if each.written
        and not each.written.isascii()
        and (address := relayed_form(each.written)) != relayed_form(each.address)
    ]
    if not moved:
        return claimed
    query = """
UPDATE {l}.recipient r SET state = 'PLANNED', due_at = %(now)s, worker = NULL, address = h.address
FROM unnest(%(ids)s::bigint[], %(attempts)s::smallint[], %(addresses)s::text[]) AS h (id, attempt, address)
WHERE r.id = h.id AND r.attempt = h.attempt AND r.worker = %(worker)s AND r.state = 'CLAIMED' AND {entered}
"""
    held = [each for each, _ in moved]
    values = _held(held) | {"addresses": [address for _, address in moved], "worker": worker, "now": now}
    await db.execute(in_schema(licence_id, query, entered=ENTERED), values)
    return [each for each in claimed if each not in held]


async def take_up(db: Database, sending: Sending, worker: int, now: datetime) -> None:
    """Plan again what this worker holds of a sending, when it knows that none of it has begun."""
    query = """
UPDATE {l}.recipient SET state = 'PLANNED', due_at = %(now)s, worker = NULL
WHERE worker = %(worker)s AND sending_id = %(sending)s AND state IN ('CLAIMED', 'SENDING')
  AND {entered}
"""
    values = {"worker": worker, "sending": sending.id, "now": now}
    await db.execute(in_schema(sending.licence_id, query, entered=ENTERED), values)


# What went with mails is of no use any more when their fate is known.
_FILES = """, gone AS (
    DELETE FROM {l}.mail_attachment a USING told
    WHERE a.recipient_id = told.id AND told.state NOT IN ('DEFERRED', 'PLANNED')
)"""
_ENDED = f""", has_left AS ({changes.noted(changes.LEFT, "told")}
), left_out AS ({changes.noted(changes.LEFT_OUT, "told")}
)"""


async def end(db: Database, sending: Sending, worker: int, endings: Sequence[Ending], now: datetime) -> set[int]:
    """Write down what came of attempts; the ids of those that were still this worker's to tell of.

    A mail that was declined and is put off has not been a try, and may come to its end before it is tried again (`favour`).

    A worker that was thought dead may come back with what it knows: that its mail was accepted is better than that
    nobody knows. That it is to be tried again is of no use in a sending that has ended, where nobody would.
    """
    query = """
WITH told AS (
UPDATE {l}.recipient r SET state = e.state, reason = e.reason, reply = e.reply, due_at = e.due_at,
    tries = r.tries + CASE WHEN e.state = 'PLANNED' OR r.state = 'UNCERTAIN' OR {put_off} THEN 0 ELSE 1 END,
    ended_at = CASE WHEN e.state IN ('DEFERRED', 'PLANNED') THEN NULL ELSE %(now)s::timestamptz END
FROM unnest(%(ids)s::bigint[], %(attempts)s::smallint[], %(states)s::text[], %(reasons)s::text[], %(replies)s::text[],
            %(dues)s::timestamptz[]) AS e (id, attempt, state, reason, reply, due_at)
WHERE {alone} AND r.id = e.id AND r.attempt = e.attempt AND r.worker = %(worker)s
  AND (r.state = 'SENDING' OR r.state = 'UNCERTAIN' AND (e.state NOT IN ('DEFERRED', 'PLANNED') OR {unended})
       OR r.state = 'DEFERRED' AND e.state = 'REJECTED'
       OR r.state = 'CLAIMED' AND e.state IN ('FAILED', 'DEFERRED', 'REJECTED', 'PLANNED', 'UNCERTAIN'))
RETURNING r.id, r.campaign_id, r.state, r.reason
){files}{noted} SELECT id FROM told
"""
    parts = {
        "alone": ALONE, "unended": "(SELECT state <> 'ENDED' FROM tabellion.sending WHERE id = %(sending)s)",
        "put_off": f"e.state = 'DEFERRED' AND e.reason = '{DECLINED}'",
        "files": _FILES if sending.document.transactional else "",
        "noted": "" if sending.document.test else _ENDED,
    }  # fmt: skip
    values = _held([ending.claimed for ending in endings]) | {
        "states": [ending.state.value for ending in endings],
        "reasons": [ending.reason for ending in endings],
        "replies": [ending.reply for ending in endings],
        "dues": [ending.due_at for ending in endings],
        "sending": sending.id,
        "worker": worker,
        "now": now,
    }
    return set(await scalars(db, in_schema(sending.licence_id, query, **parts), values, prepare=True))


async def recipient(db: Database, licence_id: int, number: int) -> tuple[int, Claimed] | None:
    """The sending that a mail belongs to, and its recipient."""
    query = (
        "SELECT sending_id, id, profile_id, {address}, coalesce(language || '/' || variant, language), attempt, "
        "parameters FROM {l}.recipient r WHERE id = %s"
    )
    row = await (await db.execute(in_schema(licence_id, query, address=ADDRESS), (number,))).fetchone()
    return None if row is None else (row[0], Claimed(*row[1:]))


async def is_open(db: Database, sending: Sending, *, beside: str = "") -> bool:
    """Whether somebody's fate is still to come; `beside` those that are put off for a reason."""
    # The order is that of the index of who is due, as with those who are held. Who is tried again is due last.
    query = (
        "SELECT (SELECT 1 FROM {l}.recipient WHERE sending_id = %(id)s AND state IN ('PLANNED', 'DEFERRED') "
        "AND (state, coalesce(reason, '')) IS DISTINCT FROM ('DEFERRED', %(beside)s) "
        "ORDER BY due_at DESC, id DESC LIMIT 1) IS NOT NULL OR {held}"
    )
    values = {"id": sending.id, "beside": beside}
    return bool(await scalar(db, in_schema(sending.licence_id, query, held=HELD), values))


async def has_accepted(db: Database, sending: Sending) -> bool:
    """Whether a relay has taken a mail of the sending."""
    query = "SELECT EXISTS (SELECT 1 FROM {l}.recipient WHERE sending_id = %s AND state = 'ACCEPTED')"
    return bool(await scalar(db, in_schema(sending.licence_id, query), (sending.id,)))


async def take_back(db: Database, sending: Sending, now: datetime) -> None:
    """Of a cancelled sending: nobody who was planned gets it."""
    query = (
        "UPDATE {l}.recipient r SET state = {out}, reason = coalesce({doubt}, 'cancelled'), due_at = NULL, ended_at = %s "
        "WHERE sending_id = %s AND state IN ('PLANNED', 'DEFERRED')"
    )
    if not sending.document.test:
        query = f"WITH told AS ({query} RETURNING campaign_id, state, reason){changes.noted(changes.LEFT_OUT, 'told')}"
    await db.execute(in_schema(sending.licence_id, query, **doubt()), (now, sending.id))


async def is_gathered(db: Database, sending: Sending) -> bool:
    """Whether the audience is frozen; a triggered sending has none."""
    if sending.document.triggered:
        return True
    query = "SELECT EXISTS (SELECT 1 FROM {l}.recipient WHERE sending_id = %s AND once)"
    return bool(await scalar(db, in_schema(sending.licence_id, query), (sending.id,)))


def _held(held: Sequence[Claimed]) -> dict[str, Any]:
    return {"ids": [each.id for each in held], "attempts": [each.attempt for each in held]}
