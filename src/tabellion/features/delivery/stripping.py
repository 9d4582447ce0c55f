"""Taking from mails what is personal, so that reports stay what they are: of people who are erased, and of old mails.

What is left of a mail: its campaign, language, variant, state and moments, the domain it went to (`@example.com` stands for
an address without its owner), the status that a mail system gave it. Of what readers did, all but the program they used; a
link leads to what its author wrote, in which names of values stand for the values.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from tabellion.features.delivery import changes, store
from tabellion.features.delivery.addresses import with_parameters
from tabellion.features.delivery.claim_parts import doubt
from tabellion.features.delivery.model import OPEN, Document
from tabellion.features.delivery.same_address import forms_of
from tabellion.features.delivery.sole_mails import KEY
from tabellion.features.delivery.store import in_schema
from tabellion.features.delivery.sums_sql import STATUS
from tabellion.platform.database.connection import Database
from tabellion.platform.database.scalars import scalar, scalars
from tabellion.platform.templates import fill_links, fill_text_links

_OPEN = ", ".join(f"'{state}'" for state in OPEN)
# Why somebody gets nothing who is no more, as claims say it.
_GONE = "deleted"
# What is on its way is left alone: its worker tells what came of it, and by whom.
_STRIP = """
WITH held AS MATERIALIZED (
    SELECT id, state IN ({open}) AS waits FROM {l}.recipient r
    WHERE id = ANY (%(ids)s) AND state <> 'SENDING' AND (
        left(address, 1) IS DISTINCT FROM '@' OR parameters IS NOT NULL OR %(unlink)s AND profile_id IS NOT NULL)
    ORDER BY id FOR UPDATE
), told AS (
    UPDATE {l}.recipient r SET
        state = CASE WHEN h.waits THEN {out} ELSE r.state END,
        reason = CASE WHEN h.waits THEN coalesce({doubt}, '{gone}') ELSE r.reason END,
        ended_at = CASE WHEN h.waits THEN %(now)s::timestamptz ELSE r.ended_at END,
        due_at = CASE WHEN NOT h.waits THEN r.due_at END,
        address = '@' || split_part(r.address, '@', 2), parameters = NULL, reply = {status},
        profile_id = CASE WHEN NOT %(unlink)s THEN r.profile_id END
    FROM held h WHERE r.id = h.id RETURNING r.id, r.campaign_id, r.state, r.reason, r.test, h.waits
), withdrawn AS (
    SELECT * FROM told WHERE waits AND NOT test
), noted AS ({noted}
), files AS (
    DELETE FROM {l}.mail_attachment WHERE recipient_id IN (SELECT id FROM told)
)
SELECT id, waits FROM told
"""
# Events without a program are not judged again: whose they are has been judged.
_EVENTS = """
WITH told AS (
    UPDATE {l}.mail_event e SET agent = NULL, method = NULL, detail = {status}, url = coalesce(n.url, e.url)
    FROM {l}.mail_event o LEFT JOIN unnest(%(events)s::bigint[], %(urls)s::text[]) AS n (id, url) ON n.id = o.id
    WHERE o.{by} = ANY (%(ids)s) AND e.id = o.id RETURNING e.id, e.campaign_id
), noted AS (
    UPDATE {l}.report_change c SET was = c.was || jsonb_build_object('detail', {status_was})
    WHERE c.campaign_id IN (SELECT campaign_id FROM told) AND c.event_id IN (SELECT id FROM told) AND c.was IS NOT NULL
)
SELECT count(*) FROM told
"""
_LABELS = """
UPDATE {l}.report_sum s SET label = n.after
FROM unnest(%(campaigns)s::bigint[], %(before)s::text[], %(after)s::text[]) AS n (campaign_id, before, after)
WHERE s.campaign_id = n.campaign_id AND s.part = 'link' AND s.label = n.before
"""


# Mails to an address, whatever it is written like: campaign by campaign, as the index has them.
_TO = """
WITH RECURSIVE campaign (id) AS (
    SELECT min(campaign_id) FROM {l}.recipient
    UNION ALL
    SELECT (SELECT min(r.campaign_id) FROM {l}.recipient r WHERE r.campaign_id > c.id) FROM campaign c WHERE c.id IS NOT NULL
), form AS (SELECT DISTINCT {key_of_form} AS key FROM unnest(%(forms)s::text[]) AS f (address))
SELECT r.id FROM campaign c CROSS JOIN form f
JOIN {l}.recipient r ON r.campaign_id = c.id AND hashtext({key}) = hashtext(f.key) AND {key} = f.key
WHERE r.planned_at <= %(until)s::timestamptz OR r.id <= %(last)s
UNION
SELECT r.id FROM {l}.recipient r
JOIN unnest(%(tables)s::int[], %(profiles)s::bigint[]) AS p (table_id, id) ON p.table_id = r.table_id AND p.id = r.profile_id
ORDER BY 1
"""


async def mails_to(
    db: Database, licence_id: int, address: str, profiles: Sequence[tuple[int, int]], until: datetime | None, last: int = 0
) -> list[int]:
    """The ids of mails to an address that were planned up to a moment (None: no such), or with ids up to `last`; and of all
    for profiles (table, id).
    """
    values = {
        "forms": forms_of(address), "tables": [table for table, _ in profiles], "profiles": [id_ for _, id_ in profiles],
        "until": until, "last": last,
    }  # fmt: skip
    query = in_schema(licence_id, _TO, key=KEY.format("r.address"), key_of_form=KEY.format("f.address"))
    return await scalars(db, query, values)


async def forget_kept(
    db: Database, licence_id: int, address: str, ids: Sequence[int], until: datetime | None, last: int = 0
) -> int:
    """Delete mails from the outbox: these, and those to an address up to a moment or, of the outbox, to the id `last`; how
    many.
    """
    query = """
WITH form AS (SELECT DISTINCT {key_of_form} AS key FROM unnest(%(forms)s::text[]) AS f (address))
DELETE FROM {l}.outbox_mail m
WHERE m.recipient_id = ANY (%(ids)s)
    OR (m.moment <= %(until)s::timestamptz OR m.id <= %(last)s) AND {key} IN (SELECT key FROM form)
"""
    values = {"forms": forms_of(address), "ids": list(ids), "until": until, "last": last}
    statement = in_schema(licence_id, query, key=KEY.format("m.recipient"), key_of_form=KEY.format("f.address"))
    return (await db.execute(statement, values)).rowcount


class Forgotten(Exception):
    """Nobody knows any more whom a mail went to, or what stood in it."""


class Stripped(NamedTuple):
    """How many mails and events; of the mails those that waited and will not leave. `flying`: ids of mails on their way."""

    mails: int
    withdrawn: int
    events: int
    flying: list[int]


async def strip(db: Database, licence_id: int, ids: Sequence[int], now: datetime, *, unlink: bool) -> Stripped:
    """Take from mails what is personal, in the caller's transaction; those that have lost it before are not counted again.

    `unlink`: also whose profile it was. Else the readers of a mail may go on choosing by its links.
    """
    parts = {
        "open": _OPEN, "gone": _GONE, "status": STATUS.format("r.reply"), **doubt(),
        "noted": changes.noted(changes.LEFT_OUT, "withdrawn"),
    }  # fmt: skip
    values = {"ids": list(ids), "now": now, "unlink": unlink}
    told = await (await db.execute(in_schema(licence_id, _STRIP, **parts), values)).fetchall()
    done = [row[0] for row in told]
    events = await strip_events(db, licence_id, done)
    query = "SELECT id FROM {l}.recipient WHERE id = ANY (%s) AND state = 'SENDING'"
    flying = await scalars(db, in_schema(licence_id, query), (list(ids),))
    return Stripped(len(done), sum(row[1] for row in told), events, flying)


async def strip_events(
    db: Database, licence_id: int, ids: Sequence[int], *, by: Literal["id", "recipient_id"] = "recipient_id"
) -> int:
    """Take from what came of mails what is personal; of how many events. `by`: what the ids are of."""
    changed = await _other_addresses(db, licence_id, ids, by)
    values = {"ids": list(ids), "events": [each.event_id for each in changed], "urls": [each.after for each in changed]}
    parts = {"by": by, "status_was": STATUS.format("(c.was ->> 'detail')"), "status": STATUS.format("e.detail")}
    count: int = await scalar(db, in_schema(licence_id, _EVENTS, **parts), values)
    if changed:
        labels = {
            "campaigns": [each.campaign_id for each in changed], "before": [each.before for each in changed],
            "after": [each.after for each in changed],
        }  # fmt: skip
        await db.execute(in_schema(licence_id, _LABELS), labels)
    return count


class _Changed(NamedTuple):
    """An event whose address of a link is its reader's alone, and what its author wrote."""

    event_id: int
    campaign_id: int
    before: str
    after: str


async def _other_addresses(db: Database, licence_id: int, ids: Sequence[int], by: str) -> list[_Changed]:
    query = """
SELECT e.id, e.campaign_id, e.url, e.link, r.sending_id, r.language, coalesce(r.language || '/' || r.variant, r.language)
FROM {l}.mail_event e JOIN {l}.recipient r ON r.id = e.recipient_id WHERE e.{by} = ANY (%s) AND e.url IS NOT NULL
"""
    rows = await (await db.execute(in_schema(licence_id, query, by=by), (list(ids),))).fetchall()
    written: dict[int, Mapping[str, Mapping[int, str]]] = {}
    changed: list[_Changed] = []
    for id_, campaign_id, url, link, sending_id, language, message in rows:
        if sending_id not in written:
            sending = await store.find(db, sending_id)
            written[sending_id] = {} if sending is None else authored(sending.document)
        messages = written[sending_id]
        links = next((messages[key] for key in (message, language, *messages) if key in messages), {})
        own = links.get(link, "")
        if url != own:
            changed.append(_Changed(id_, campaign_id, url, own))
    return changed


def authored(document: Document) -> dict[str, dict[int, str]]:
    """The addresses of links as the author of a message wrote them, by message and index; names of values stand in them."""
    found: dict[str, dict[int, str]] = {}
    for key, message in document.messages.items():
        links = found[key] = {}

        def note(index: int, address: str, links: dict[int, str] = links) -> str:
            links[index] = with_parameters(address, document.goals)
            return ""

        if message.html:
            fill_links(message.html.encode(), document.mark, note)
        else:
            fill_text_links(message.text.encode(), document.mark, note)
    return found
