"""The SQL of sendings. A statement touches one licence's schema; the moment is always a parameter."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from tabellion.features.delivery.model import Claimed, Document, Ending, Recipient, Sending
from tabellion.features.tables import ProfileTable
from tabellion.features.tables.filters import Condition
from tabellion.platform.mail import Attachment, Relay

Database = AsyncConnection[tuple[Any, ...]]
# Advisory locks of workers: (this, worker).
WORKER_LOCK = 7_255_001
_SENDING = "SELECT id, licence_id, campaign_id, state, version, document FROM tabellion.sending "


def in_schema(licence_id: int, query: str, **parts: str) -> bytes:
    """A statement about the tables of a licence: `{l}` stands for its schema, `{name}` for a part.

    Parts are identifiers made of integers, and conditions that were compiled; nothing that a user wrote.
    """
    for name, part in parts.items():
        query = query.replace(f"{{{name}}}", part)
    return query.replace("{l}", f"l{licence_id:d}").encode()


# --- sendings -------------------------------------------------------------------------------------------------------


async def insert(db: Database, licence_id: int, campaign_id: int, state: str, document: Document, now: datetime) -> int:
    """Enter a sending; its id."""
    cursor = await db.execute(
        "INSERT INTO tabellion.sending (licence_id, campaign_id, test, state, document, created_at) "
        "VALUES (%s, %s, %s, %s, %s, %s) RETURNING id",
        (licence_id, campaign_id, document.test, state, _json(document), now),
    )
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - INSERT ... RETURNING answers one row
    return row[0]


async def of_campaign(db: Database, campaign_id: int) -> Sending | None:
    """The campaign's sending, tests aside. Who changes it holds the campaign's row."""
    row = await (await db.execute(_SENDING + "WHERE campaign_id = %s AND NOT test", (campaign_id,))).fetchone()
    return None if row is None else _sending(row)


async def set_state(db: Database, sending_id: int, state: str, now: datetime) -> None:
    """Pause, resume, close, end."""
    ended = now if state == "ENDED" else None
    await db.execute("UPDATE tabellion.sending SET state = %s, ended_at = %s WHERE id = %s", (state, ended, sending_id))


async def replace_document(db: Database, sending_id: int, document: Document) -> None:
    """Put another document in the place of the sending's."""
    query = "UPDATE tabellion.sending SET document = %s, version = version + 1 WHERE id = %s"
    await db.execute(query, (_json(document), sending_id))


async def look_at(db: Database, sending_id: int, from_at: datetime, until_at: datetime | None) -> None:
    """Have workers look at a sending from one moment to another (None: until it has ended)."""
    await db.execute(
        "INSERT INTO tabellion.mail_due (sending_id, from_at, until_at) "
        "VALUES (%s, %s, coalesce(%s, 'infinity'::timestamptz)) ON CONFLICT DO NOTHING",
        (sending_id, from_at, until_at),
    )


async def forget_looks(db: Database, sending_id: int) -> None:
    """Have nobody look at a sending."""
    await db.execute("DELETE FROM tabellion.mail_due WHERE sending_id = %s", (sending_id,))


async def due(db: Database, now: datetime) -> list[tuple[int, int]]:
    """Id and version of the sendings that are worth a look."""
    cursor = await db.execute(
        "SELECT DISTINCT s.id, s.version FROM tabellion.mail_due d JOIN tabellion.sending s ON s.id = d.sending_id "
        "WHERE d.from_at <= %(now)s AND d.until_at > %(now)s AND s.state IN ('GATHERING', 'RUNNING', 'CLOSING') "
        "ORDER BY s.id",
        {"now": now},
    )
    return [(row[0], row[1]) for row in await cursor.fetchall()]


async def forget_due(db: Database, now: datetime) -> None:
    """Delete what need not be looked at any more; of sendings with planned mails the next look is when they are due."""
    async with db.transaction():
        cursor = await db.execute(
            "DELETE FROM tabellion.mail_due d USING tabellion.sending s WHERE s.id = d.sending_id "
            "AND (d.until_at <= %s OR s.state = 'ENDED') RETURNING s.id, s.licence_id, s.state",
            (now,),
        )
        for sending_id, licence_id, state in set(await cursor.fetchall()):
            if state != "RUNNING":
                continue
            query = (
                "SELECT due_at FROM {l}.recipient WHERE sending_id = %s AND state IN ('PLANNED', 'DEFERRED') "
                "AND due_at < 'infinity' ORDER BY due_at LIMIT 1"
            )
            row = await (await db.execute(in_schema(licence_id, query), (sending_id,))).fetchone()
            if row is not None:
                from_at = max(row[0], now)
                await look_at(db, sending_id, from_at, from_at + timedelta(minutes=10))


async def find(db: Database, sending_id: int) -> Sending | None:
    """A sending."""
    row = await (await db.execute(_SENDING + "WHERE id = %s", (sending_id,))).fetchone()
    return None if row is None else _sending(row)


async def lock(db: Database, sending: Sending) -> Sending | None:
    """A sending as it is now, with the campaign's row locked; None also while somebody else holds that."""
    query = "SELECT 1 FROM tabellion.campaign WHERE id = %s FOR UPDATE SKIP LOCKED"
    if await (await db.execute(query, (sending.campaign_id,))).fetchone() is None:
        return None
    return await find(db, sending.id)


# --- recipients -----------------------------------------------------------------------------------------------------


async def freeze(  # noqa: PLR0913, PLR0917 - one statement
    db: Database, sending: Sending, table: ProfileTable, email: str, language: str | None, audience: Condition,
    most: int | None, now: datetime,
) -> int:  # fmt: skip
    """Enter everybody whom the audience means, once, with why some of them get nothing; how many.

    `email` and `language` are columns of the table.
    """
    languages = list(sending.document.languages)
    # With an A/B test everybody waits at first.
    due_at = now if sending.document.ab_test is None else "infinity"
    spoken = f"lower(coalesce(t.{language}, ''))" if language else "''"
    query = """
INSERT INTO {l}.recipient (sending_id, campaign_id, test, table_id, profile_id, address, language, state, reason, due_at,
                           planned_at, ended_at, once)
SELECT %s, %s, false, %s, a.id, a.address, a.language,
       CASE WHEN a.reason IS NULL THEN 'PLANNED' ELSE 'EXCLUDED' END, a.reason,
       CASE WHEN a.reason IS NULL THEN %s::timestamptz END, %s, CASE WHEN a.reason IS NOT NULL THEN %s::timestamptz END, true
FROM (
    SELECT t.id, t.{email} AS address, CASE WHEN {spoken} = '' THEN %s ELSE {spoken} END AS language,
           CASE WHEN coalesce(t.{email}, '') = '' THEN 'noAddress'
                WHEN {spoken} <> '' AND {spoken} <> ALL (%s) THEN 'language'
                WHEN EXISTS (SELECT 1 FROM {l}.suppression s WHERE s.address = lower(t.{email})) THEN 'suppressed'
           END AS reason
    FROM {l}.{table} t WHERE {audience} ORDER BY t.id LIMIT %s
) a
"""
    values = (
        sending.id, sending.campaign_id, table.id, due_at, now, now, languages[0], languages, *audience.params, most,
    )  # fmt: skip
    parts = {"audience": audience.sql, "spoken": spoken, "email": email, "table": table.relation}
    return (await db.execute(in_schema(sending.licence_id, query, **parts), values)).rowcount


async def plan(db: Database, sending: Sending, recipient: Recipient, now: datetime) -> int:
    """Enter one recipient of a trigger or a test; with a reason, as one who gets nothing. Its id."""
    query = """
INSERT INTO {l}.recipient (sending_id, campaign_id, test, table_id, profile_id, address, language, state, reason, due_at,
                           planned_at, ended_at, parameters)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id
"""
    out = recipient.excluded is not None
    values = (
        sending.id, sending.campaign_id, sending.document.test, sending.document.table_id, recipient.profile_id,
        recipient.address, recipient.language, "EXCLUDED" if out else "PLANNED", recipient.excluded, None if out else now,
        now, now if out else None, None if recipient.parameters is None else Jsonb(recipient.parameters),
    )  # fmt: skip
    row = await (await db.execute(in_schema(sending.licence_id, query), values)).fetchone()
    assert row is not None  # noqa: S101 - INSERT ... RETURNING answers one row
    return row[0]


async def attach(db: Database, licence_id: int, recipient_id: int, files: Sequence[Attachment]) -> None:
    """Keep the files of a mail."""
    query = "INSERT INTO {l}.mail_attachment (recipient_id, position, name, media_type, content) VALUES (%s, %s, %s, %s, %s)"
    rows = [(recipient_id, i, each.name, each.media_type, each.content) for i, each in enumerate(files)]
    async with db.cursor() as cursor:
        await cursor.executemany(in_schema(licence_id, query), rows)


_STILL = """
    SELECT r.id, CASE WHEN r.profile_id IS NOT NULL AND t.id IS NULL THEN 'deleted' {choice}
        WHEN s.address IS NOT NULL THEN 'suppressed' END AS reason
    FROM {l}.recipient r LEFT JOIN {l}.{table} t ON t.id = r.profile_id
    LEFT JOIN {l}.suppression s ON s.address = lower(r.address)"""


def still(document: Document, table: str) -> dict[str, str]:
    """Parts of a statement: why a recipient `r` gets nothing after all; null: all is well."""
    number = document.subscription
    choice = "" if number is None else f"WHEN t.s{number:d} IS NOT TRUE THEN 'unsubscribed'"
    return {"still": _STILL, "choice": choice, "table": table}


async def claim(
    db: Database, sending: Sending, table: str, worker: int, most: int, now: datetime
) -> tuple[list[Claimed], bool]:
    """Take recipients that are due; whether there were any.

    Those who must not get the mail any more are set aside by the same statement.
    """
    query = """
WITH due AS MATERIALIZED (
    SELECT d.id FROM {l}.recipient d
    WHERE d.sending_id = %(sending)s AND d.state IN ('PLANNED', 'DEFERRED') AND d.due_at <= %(now)s
      AND (SELECT state FROM tabellion.sending WHERE id = %(sending)s) = 'RUNNING'
    ORDER BY d.due_at, d.id LIMIT %(most)s FOR UPDATE SKIP LOCKED
), looked AS ({still} WHERE r.id = ANY (ARRAY(SELECT id FROM due)))
UPDATE {l}.recipient r SET
    state = CASE WHEN looked.reason IS NULL THEN 'CLAIMED' ELSE 'EXCLUDED' END, reason = looked.reason, due_at = NULL,
    attempt = r.attempt + CASE WHEN looked.reason IS NULL THEN 1 ELSE 0 END, worker = %(worker)s,
    ended_at = CASE WHEN looked.reason IS NOT NULL THEN %(now)s::timestamptz END
FROM looked WHERE r.id = looked.id
RETURNING r.id, r.profile_id, r.address, coalesce(r.language || '/' || r.variant, r.language), r.attempt, r.parameters,
    r.state
"""
    values = {"sending": sending.id, "now": now, "most": most, "worker": worker}
    cursor = await db.execute(in_schema(sending.licence_id, query, **still(sending.document, table)), values, prepare=True)
    rows = await cursor.fetchall()
    claimed = [Claimed(*row[:6]) for row in rows if row[6] == "CLAIMED"]
    return sorted(claimed, key=lambda each: each.id), bool(rows)


async def begin(db: Database, sending: Sending, table: str, worker: int, held: Sequence[Claimed]) -> set[int]:
    """Commit that mails are about to leave; the ids of those that may.

    Not those that another worker has taken meanwhile, nor those whose sending was paused, nor people who have just
    unsubscribed.
    """
    query = """
WITH looked AS ({still} WHERE r.id = ANY (%(ids)s))
UPDATE {l}.recipient r SET state = 'SENDING'
FROM looked, unnest(%(ids)s::bigint[], %(attempts)s::smallint[]) AS h (id, attempt)
WHERE r.id = h.id AND looked.id = h.id AND looked.reason IS NULL AND r.attempt = h.attempt AND r.worker = %(worker)s
  AND r.state = 'CLAIMED' AND (SELECT state FROM tabellion.sending WHERE id = %(sending)s) = 'RUNNING'
RETURNING r.id
"""
    values = _held(held) | {"worker": worker, "sending": sending.id}
    cursor = await db.execute(in_schema(sending.licence_id, query, **still(sending.document, table)), values, prepare=True)
    return {row[0] for row in await cursor.fetchall()}


async def release(db: Database, licence_id: int, worker: int, held: Sequence[Claimed], now: datetime) -> None:
    """Give back what was claimed and not begun; the next claim looks at it afresh."""
    query = """
UPDATE {l}.recipient r SET state = 'PLANNED', due_at = %(now)s, worker = NULL
FROM unnest(%(ids)s::bigint[], %(attempts)s::smallint[]) AS h (id, attempt)
WHERE r.id = h.id AND r.attempt = h.attempt AND r.worker = %(worker)s AND r.state = 'CLAIMED'
"""
    await db.execute(in_schema(licence_id, query), _held(held) | {"worker": worker, "now": now})


async def take_up(db: Database, sending: Sending, worker: int, now: datetime) -> None:
    """Plan again what this worker holds of a sending, when it knows that none of it has begun."""
    query = """
UPDATE {l}.recipient SET state = 'PLANNED', due_at = %(now)s, worker = NULL
WHERE worker = %(worker)s AND sending_id = %(sending)s AND state IN ('CLAIMED', 'SENDING')
"""
    values = {"worker": worker, "sending": sending.id, "now": now}
    await db.execute(in_schema(sending.licence_id, query), values)


_WITH_FILES = """
WITH told AS ({end}, r.state), gone AS (
    DELETE FROM {l}.mail_attachment a USING told
    WHERE a.recipient_id = told.id AND told.state NOT IN ('DEFERRED', 'PLANNED')
) SELECT id FROM told
"""


async def end(db: Database, sending: Sending, worker: int, endings: Sequence[Ending], now: datetime) -> set[int]:
    """Write down what came of attempts; the ids of those that were still this worker's to tell of.

    A worker that was thought dead may come back with what it knows: that its mail was accepted is better than that
    nobody knows.
    """
    query = """
UPDATE {l}.recipient r SET state = e.state, reason = e.reason, reply = e.reply, due_at = e.due_at,
    ended_at = CASE WHEN e.state IN ('DEFERRED', 'PLANNED') THEN NULL ELSE %(now)s::timestamptz END
FROM unnest(%(ids)s::bigint[], %(attempts)s::smallint[], %(states)s::text[], %(reasons)s::text[], %(replies)s::text[],
            %(dues)s::timestamptz[]) AS e (id, attempt, state, reason, reply, due_at)
WHERE r.id = e.id AND r.attempt = e.attempt AND r.worker = %(worker)s
  AND (r.state IN ('SENDING', 'UNCERTAIN')
       OR r.state = 'CLAIMED' AND e.state IN ('FAILED', 'DEFERRED', 'REJECTED', 'PLANNED'))
RETURNING r.id
"""
    if sending.document.transactional:
        # What went with mails is of no use any more when their fate is known.
        query = _WITH_FILES.replace("{end}", query.rstrip())
    values = _held([ending.claimed for ending in endings]) | {
        "states": [ending.state.value for ending in endings],
        "reasons": [ending.reason for ending in endings],
        "replies": [ending.reply for ending in endings],
        "dues": [ending.due_at for ending in endings],
        "worker": worker,
        "now": now,
    }
    cursor = await db.execute(in_schema(sending.licence_id, query), values, prepare=True)
    return {row[0] for row in await cursor.fetchall()}


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


async def keep_in_outbox(
    db: Database, sending: Sending, table: str, worker: int, mails: Sequence[tuple[Claimed, str, str, bytes]], now: datetime
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


async def licence_exists(db: Database, licence_id: int) -> bool:
    """Whether there is such a licence: one that is gone has no tables to ask."""
    query = "SELECT EXISTS (SELECT 1 FROM tabellion.licence WHERE id = %s)"
    row = await (await db.execute(query, (licence_id,))).fetchone()
    return bool(row and row[0])


async def recipient(db: Database, licence_id: int, number: int) -> tuple[int, Claimed] | None:
    """The sending that a mail belongs to, and its recipient."""
    query = (
        "SELECT sending_id, id, profile_id, coalesce(address, ''), coalesce(language || '/' || variant, language), attempt, "
        "parameters FROM {l}.recipient WHERE id = %s"
    )
    row = await (await db.execute(in_schema(licence_id, query), (number,))).fetchone()
    return None if row is None else (row[0], Claimed(*row[1:]))


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


async def kept_mails(db: Database, licence_id: int, most: int) -> list[KeptMail]:
    """The mails in the outbox, newest first."""
    query = "SELECT id, moment, recipient, subject FROM {l}.outbox_mail ORDER BY id DESC LIMIT %s"
    return [KeptMail(*row) for row in await (await db.execute(in_schema(licence_id, query), (most,))).fetchall()]


async def kept_mail(db: Database, licence_id: int, number: int) -> bytes | None:
    """A mail in the outbox as it would have left."""
    query = "SELECT content FROM {l}.outbox_mail WHERE id = %s"
    row = await (await db.execute(in_schema(licence_id, query), (number,))).fetchone()
    return None if row is None else bytes(row[0])


async def suppress(db: Database, licence_id: int, addresses: Iterable[str], reason: str, now: datetime) -> None:
    """See to it that addresses get nothing more."""
    query = """
INSERT INTO {l}.suppression (address, reason, since) SELECT DISTINCT lower(a), %s, %s::timestamptz FROM unnest(%s::text[]) a
ON CONFLICT (address) DO NOTHING
"""
    await db.execute(in_schema(licence_id, query), (reason, now, list(addresses)))


async def is_open(db: Database, sending: Sending) -> bool:
    """Whether somebody's fate is still to come."""
    query = (
        "SELECT EXISTS (SELECT 1 FROM {l}.recipient WHERE sending_id = %(id)s AND state IN ('PLANNED', 'DEFERRED')) "
        "OR EXISTS (SELECT 1 FROM {l}.recipient WHERE sending_id = %(id)s AND state IN ('CLAIMED', 'SENDING'))"
    )
    row = await (await db.execute(in_schema(sending.licence_id, query), {"id": sending.id})).fetchone()
    return bool(row and row[0])


async def take_back(db: Database, sending: Sending, now: datetime) -> None:
    """Of a cancelled sending: nobody who was planned gets it."""
    query = (
        "UPDATE {l}.recipient SET state = 'EXCLUDED', reason = 'cancelled', due_at = NULL, ended_at = %s "
        "WHERE sending_id = %s AND state IN ('PLANNED', 'DEFERRED')"
    )
    await db.execute(in_schema(sending.licence_id, query), (now, sending.id))


async def is_gathered(db: Database, sending: Sending) -> bool:
    """Whether the audience is frozen; a triggered sending has none."""
    if sending.document.triggered:
        return True
    query = "SELECT EXISTS (SELECT 1 FROM {l}.recipient WHERE sending_id = %s AND once)"
    row = await (await db.execute(in_schema(sending.licence_id, query), (sending.id,))).fetchone()
    return bool(row and row[0])


async def is_suppressed(db: Database, licence_id: int, address: str) -> bool:
    """Whether an address gets nothing more."""
    query = "SELECT EXISTS (SELECT 1 FROM {l}.suppression WHERE address = lower(%s))"
    row = await (await db.execute(in_schema(licence_id, query), (address,))).fetchone()
    return bool(row and row[0])


# --- what came of it ------------------------------------------------------------------------------------------------


class Interaction(NamedTuple):
    """One mail to one profile, as it stands."""

    id: int
    campaign_id: int
    campaign_name: str
    state: str
    reason: str | None
    planned_at: datetime
    ended_at: datetime | None


class WantedInteractions(NamedTuple):
    """Whose mails a list is to hold; None: whatever it is. With an id and a name, campaigns that fit one of them."""

    table_id: int
    profile_id: int
    campaign_id: int | None
    from_at: datetime | None
    to_at: datetime | None
    most: int
    campaign_name: str | None = None


class MailEvent(NamedTuple):
    """What came of a mail after it had left."""

    type: str
    moment: datetime
    url: str | None


async def tally(db: Database, licence_id: int, campaign_id: int) -> dict[tuple[str, str | None], int]:
    """How many recipients by state and reason, tests aside."""
    query = "SELECT state, reason, count(*) FROM {l}.recipient WHERE campaign_id = %s AND NOT test GROUP BY 1, 2"
    rows = await (await db.execute(in_schema(licence_id, query), (campaign_id,))).fetchall()
    return {(row[0], row[1]): row[2] for row in rows}


async def tally_events(db: Database, licence_id: int, campaign_id: int) -> dict[str, tuple[int, int]]:
    """How many events by type, and of how many recipients."""
    query = (
        "SELECT type, count(*), count(DISTINCT recipient_id) FROM {l}.mail_event "
        "WHERE campaign_id = %s AND actor IS DISTINCT FROM 'scanner' GROUP BY type"
    )
    rows = await (await db.execute(in_schema(licence_id, query), (campaign_id,))).fetchall()
    return {row[0]: (row[1], row[2]) for row in rows}


async def interactions(db: Database, licence_id: int, wanted: WantedInteractions) -> list[Interaction]:
    """The mails of a profile, newest first, tests aside."""
    query = """
SELECT r.id, r.campaign_id, c.name, r.state, r.reason, r.planned_at, r.ended_at
FROM {l}.recipient r JOIN tabellion.campaign c ON c.id = r.campaign_id
WHERE r.table_id = %(table)s AND r.profile_id = %(profile)s AND NOT r.test
  AND (%(campaign)s::bigint IS NULL AND %(name)s::text IS NULL OR r.campaign_id = %(campaign)s
       OR lower(c.name) = lower(%(name)s))
  AND (%(from)s::timestamptz IS NULL OR coalesce(r.ended_at, r.planned_at) >= %(from)s)
  AND (%(to)s::timestamptz IS NULL OR coalesce(r.ended_at, r.planned_at) < %(to)s)
ORDER BY coalesce(r.ended_at, r.planned_at) DESC, r.id DESC LIMIT %(most)s
"""
    values = {
        "table": wanted.table_id, "profile": wanted.profile_id, "campaign": wanted.campaign_id, "from": wanted.from_at,
        "to": wanted.to_at, "most": wanted.most, "name": wanted.campaign_name,
    }  # fmt: skip
    rows = await (await db.execute(in_schema(licence_id, query), values)).fetchall()
    return [Interaction(*row) for row in rows]


async def events_of(db: Database, licence_id: int, recipients: Sequence[int]) -> dict[int, list[MailEvent]]:
    """The events of mails, oldest first, without those of scanners."""
    query = (
        "SELECT recipient_id, type, moment, url FROM {l}.mail_event "
        "WHERE recipient_id = ANY (%s) AND actor IS DISTINCT FROM 'scanner' ORDER BY id"
    )
    found: dict[int, list[MailEvent]] = {}
    for row in await (await db.execute(in_schema(licence_id, query), (list(recipients),))).fetchall():
        found.setdefault(row[0], []).append(MailEvent(*row[1:]))
    return found


# --- workers --------------------------------------------------------------------------------------------------------


async def enter_worker(db: Database, now: datetime) -> int:
    """Enter a process that sends, on the connection that stands for its life."""
    cursor = await db.execute("INSERT INTO tabellion.mail_worker (seen_at) VALUES (%s) RETURNING id", (now,))
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - INSERT ... RETURNING answers one row
    await hold(db, row[0])
    return row[0]


async def hold(db: Database, worker: int) -> None:
    """Hold the worker's lock for as long as this connection lives."""
    await db.execute("SELECT pg_advisory_lock(%s, %s)", (WORKER_LOCK, worker))


async def beat(db: Database, worker: int, now: datetime) -> bool:
    """Say that the worker lives; False: others have given it up."""
    cursor = await db.execute("UPDATE tabellion.mail_worker SET seen_at = %s WHERE id = %s", (now, worker))
    return cursor.rowcount == 1


async def works_for(db: Database, worker: int, licence_id: int) -> None:
    """Remember that the worker is about to hold recipients of a licence."""
    query = "INSERT INTO tabellion.mail_worker_licence (worker_id, licence_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"
    await db.execute(query, (worker, licence_id))


async def dead_workers(db: Database, own: int, now: datetime, silent: timedelta, lost: timedelta) -> list[int]:
    """Workers whose connection is gone and who have been silent for a while, or silent for very long.

    The locks that this takes are given back at once; who is back before the decision keeps its recipients.
    """
    query = "SELECT id, seen_at FROM tabellion.mail_worker WHERE id <> %s AND seen_at < %s"
    found: list[int] = []
    for worker, seen_at in await (await db.execute(query, (own, now - silent))).fetchall():
        row = await (await db.execute("SELECT pg_try_advisory_lock(%s, %s)", (WORKER_LOCK, worker))).fetchone()
        if row and row[0]:
            await db.execute("SELECT pg_advisory_unlock(%s, %s)", (WORKER_LOCK, worker))
            found.append(worker)
        elif seen_at < now - lost:
            found.append(worker)
    return found


async def licences_of(db: Database, worker: int) -> list[int]:
    """Where a worker may hold recipients."""
    query = "SELECT licence_id FROM tabellion.mail_worker_licence WHERE worker_id = %s"
    return [row[0] for row in await (await db.execute(query, (worker,))).fetchall()]


async def recover(db: Database, licence_id: int, worker: int, now: datetime) -> tuple[int, int]:
    """Of a dead worker: what it had claimed is planned again, what it was sending is uncertain.

    Unless the policy says that it is sent again. Answers how many of the one and of the other.
    """
    query = """
UPDATE {l}.recipient r SET
    state = CASE WHEN r.state = 'CLAIMED' OR s.document ->> 'policy' = 'RESEND' THEN 'PLANNED' ELSE 'UNCERTAIN' END,
    reason = CASE WHEN r.state = 'SENDING' THEN 'the worker died while the mail was on its way' END,
    due_at = CASE WHEN r.state = 'CLAIMED' OR s.document ->> 'policy' = 'RESEND' THEN %(now)s::timestamptz END,
    ended_at = CASE WHEN r.state = 'SENDING' AND s.document ->> 'policy' <> 'RESEND' THEN %(now)s::timestamptz END
FROM tabellion.sending s WHERE s.id = r.sending_id AND r.worker = %(worker)s AND r.state IN ('CLAIMED', 'SENDING')
RETURNING r.sending_id, r.state
"""
    rows = await (await db.execute(in_schema(licence_id, query), {"worker": worker, "now": now})).fetchall()
    for sending_id in {row[0] for row in rows}:
        await look_at(db, sending_id, now, now + timedelta(minutes=10))
    uncertain = sum(row[1] == "UNCERTAIN" for row in rows)
    return len(rows) - uncertain, uncertain


async def forget_worker(db: Database, worker: int) -> None:
    """Delete a worker who holds nothing any more."""
    await db.execute("DELETE FROM tabellion.mail_worker WHERE id = %s", (worker,))


# --- relays and senders ---------------------------------------------------------------------------------------------


async def relays(db: Database, licence_id: int) -> list[tuple[Any, ...]]:
    """Id, host, port, security, login, sealed password, weight, connections."""
    query = (
        "SELECT id, host, port, security, login, password, weight, connections FROM tabellion.relay "
        "WHERE licence_id = %s ORDER BY id"
    )
    return await (await db.execute(query, (licence_id,))).fetchall()


async def sender_of(db: Database, entity_id: int) -> tuple[Any, ...] | None:
    """Name, address, DKIM domain, selector and sealed key."""
    query = "SELECT name, address, dkim_domain, dkim_selector, dkim_key FROM tabellion.sender WHERE entity_id = %s"
    return await (await db.execute(query, (entity_id,))).fetchone()


async def bounce_domain_of(db: Database, entity_id: int) -> str:
    """The domain of the return paths of an entity's mails; empty: it has none of its own."""
    query = "SELECT bounce_domain FROM tabellion.sender WHERE entity_id = %s"
    row = await (await db.execute(query, (entity_id,))).fetchone()
    return row[0] if row else ""


async def insert_relay(db: Database, licence_id: int, relay: Relay, weight: int) -> int:
    """Enter a relay without its password, or change the one of this host and port; its id."""
    query = """
INSERT INTO tabellion.relay (licence_id, host, port, security, login, weight, connections)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (licence_id, host, port) DO UPDATE SET security = EXCLUDED.security, login = EXCLUDED.login,
    weight = EXCLUDED.weight, connections = EXCLUDED.connections, password = ''
RETURNING id
"""
    values = (licence_id, relay.host, relay.port, relay.security, relay.user, weight, relay.connections)
    row = await (await db.execute(query, values)).fetchone()
    assert row is not None  # noqa: S101 - INSERT ... RETURNING answers one row
    return row[0]


async def set_relay_password(db: Database, relay_id: int, sealed: str) -> None:
    """Keep a relay's password."""
    await db.execute("UPDATE tabellion.relay SET password = %s WHERE id = %s", (sealed, relay_id))


async def delete_relay(db: Database, licence_id: int, relay_id: int) -> bool:
    """Delete a relay; False: there is none."""
    query = "DELETE FROM tabellion.relay WHERE licence_id = %s AND id = %s"
    return (await db.execute(query, (licence_id, relay_id))).rowcount == 1


async def set_sender(
    db: Database, entity_id: int, name: str, address: str, dkim: tuple[str, str, str], bounce_domain: str
) -> None:
    """Say who sends for an entity; `dkim` is domain, selector and sealed key."""
    query = """
INSERT INTO tabellion.sender (entity_id, name, address, dkim_domain, dkim_selector, dkim_key, bounce_domain)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (entity_id) DO UPDATE SET name = EXCLUDED.name, address = EXCLUDED.address, dkim_domain = EXCLUDED.dkim_domain,
    dkim_selector = EXCLUDED.dkim_selector, dkim_key = EXCLUDED.dkim_key, bounce_domain = EXCLUDED.bounce_domain
"""
    await db.execute(query, (entity_id, name, address, *dkim, bounce_domain))


class Suppressed(NamedTuple):
    """An address that gets nothing more, and why."""

    address: str
    reason: str
    since: datetime


async def suppressed(db: Database, licence_id: int, most: int) -> list[Suppressed]:
    """Addresses that get nothing more, the latest first."""
    query = "SELECT address, reason, since FROM {l}.suppression ORDER BY since DESC, address LIMIT %s"
    rows = await (await db.execute(in_schema(licence_id, query), (most,))).fetchall()
    return [Suppressed(*row) for row in rows]


async def unsuppress(db: Database, licence_id: int, address: str) -> bool:
    """Let an address get mails again, and forget its soft bounces; False: nothing kept it from them."""
    query = (
        "WITH forgotten AS (DELETE FROM {l}.soft_bounce WHERE address = lower(%(address)s)) "
        "DELETE FROM {l}.suppression WHERE address = lower(%(address)s)"
    )
    return (await db.execute(in_schema(licence_id, query), {"address": address})).rowcount == 1


def _held(held: Sequence[Claimed]) -> dict[str, Any]:
    return {"ids": [each.id for each in held], "attempts": [each.attempt for each in held]}


def _sending(row: tuple[Any, ...]) -> Sending:
    values: list[Any] = [*row[:5], msgspec.convert(row[5], Document)]
    return Sending(*values)


def _json(document: Document) -> Jsonb:
    return Jsonb(msgspec.to_builtins(document))
