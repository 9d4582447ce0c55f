"""What both an erasure and its end do: forget people of whom it is known that they are the person."""

from datetime import datetime
from typing import Any, NamedTuple

from tabellion.features import webhooks
from tabellion.features.audiences import forget_keys
from tabellion.features.campaigns import forget_keys as forget_target_keys
from tabellion.features.delivery import forms_of, having, stripping
from tabellion.features.erasure.errors import TooManyProfiles
from tabellion.features.erasure.model import Counts
from tabellion.features.erasure.store import Watermark
from tabellion.features.profiles import Row, erase_row, search_rows
from tabellion.features.tables import ProfileTable, email_of, followers, profile_tables, render_value
from tabellion.kit.traces import Traces, traces_of
from tabellion.platform import outbox
from tabellion.platform.database.connection import Database
from tabellion.platform.http import idempotency

_MOST_PROFILES = 10_000
_DELETE = "DELETE"
# Profiles of the tables of a licence.
People = list[tuple[ProfileTable, list[Row]]]


class Asked(NamedTuple):
    """Whom to erase where, and who wants it (`audit.values`). `suppress`: the address is to get no mails later on either."""

    licence_id: int
    address: str
    suppress: bool
    who: dict[str, Any]
    now: datetime


async def people_at(db: Database, licence_id: int, address: str) -> People:
    """The profiles with an address. Raises `TooManyProfiles`."""
    return [(table, await _profiles(db, table, address)) for table in await profile_tables.load(db, licence_id)]


async def forget_what_tells_of(
    db: Database, asked: Asked, people: People, reached: Watermark | None
) -> tuple[Counts, list[int], Traces]:
    """Forget mails, news and kept answers; also the ids of mails that are on their way, and by what all that was known.

    `reached`: what names the address is of these people up to there; None: only what names them is, for others have it.
    """
    licence_id, address = asked.licence_id, asked.address
    rows = [(table.id, profile.id) for table, profiles in people for profile in profiles]
    moment, last = (None, 0) if reached is None else (reached.moment, reached.mails)
    mails = await stripping.mails_to(db, licence_id, address, rows, moment, last)
    records = [each for table, profiles in people for each in await followers(db, table, [row.id for row in profiles])]
    named = [(table.public_id, str(row.id)) for table, profiles in people for row in profiles]
    traces = traces_of([] if reached is None else forms_of(address), named, mails, records)
    counts = await forget_news(db, licence_id, traces, reached)
    of_mails, flying = await forget_mails(db, asked, mails, reached)
    counts = counts.plus(of_mails)
    if reached is not None:
        answers = await idempotency.forget(db, licence_id, traces)
        # Lists of addresses are of whom they are, also where there is no profile any more, or not yet.
        forms = sorted({form.lower() for form in forms_of(address)})
        emails = [(table, email) for table, _ in people if (email := email_of(table.attributes)) is not None]
        listed = [
            await _unlist(db, table, [(email.name.lower(), form) for form in forms], folded=True) for table, email in emails
        ]
        counts = counts.plus(Counts(answers=answers, keys=sum(listed)))
    return counts, flying, traces


async def delete(db: Database, asked: Asked, people: People, traces: Traces) -> Counts:
    """Delete profiles with the records that go with them. Raises `RowInUse`."""
    counts = Counts(records=len(traces.records))
    for table, profiles in people:
        counts = counts.plus(await _delete(db, asked, table, profiles))
    # Whoever listens is told that the profiles are gone, and not who they were.
    await outbox.tell_ids_alone(db, asked.licence_id, traces, _DELETE)
    return counts


def tables_of(people: People, traces: Traces) -> list[str]:
    """The tables of profiles, and of the records that go with them, by their ids on the wire."""
    return sorted({table.public_id for table, rows in people if rows} | {table for table, _ in traces.records})


async def _profiles(db: Database, table: ProfileTable, address: str) -> list[Row]:
    condition = having(table, address)
    if condition is None:
        return []
    found = await search_rows(db, table, condition, "t.id", _MOST_PROFILES + 1)
    if len(found) > _MOST_PROFILES:
        raise TooManyProfiles(
            f"over {_MOST_PROFILES:,} profiles of the table '{table.name}' have this address, which is no person's; "
            "delete them, or give them other addresses, and erase then"
        )
    return [*found]


async def forget_news(db: Database, licence_id: int, traces: Traces, reached: Watermark | None) -> Counts:
    """What nobody was told of yet, or was told in vain. None: all of it."""
    moment, last = (None, 0) if reached is None else (reached.moment, reached.news)
    news = await outbox.forget(db, licence_id, traces, moment, last)
    return Counts(news=news + await webhooks.forget(db, licence_id, traces, moment, last))


async def forget_mails(db: Database, asked: Asked, mails: list[int], reached: Watermark | None) -> tuple[Counts, list[int]]:
    """Take from mails what is personal, and those out of the outbox; also the ids of those that are on their way.

    Out of the outbox go those to the address up to there, too: what is sent to who came back after it is theirs.
    """
    stripped = await stripping.strip(db, asked.licence_id, mails, asked.now, unlink=True)
    moment, last = (None, 0) if reached is None else (reached.moment, reached.outbox_mails)
    kept = await stripping.forget_kept(db, asked.licence_id, asked.address, mails, moment, last)
    counts = Counts(mails=stripped.mails, withdrawn=stripped.withdrawn, events=stripped.events, outbox_mails=kept)
    return counts, stripped.flying


async def _delete(db: Database, asked: Asked, table: ProfileTable, profiles: list[Row]) -> Counts:
    """Delete profiles with the records that go with them, and take them out of lists."""
    keys: list[tuple[str | None, str]] = [(None, str(row.id)) for row in profiles]
    keys += [
        (attribute.name.lower(), str(render_value(attribute, value)))
        for row in profiles
        for attribute, value in zip(table.attributes, row.values, strict=True)
        if attribute.unique and value is not None
    ]
    listed = await _unlist(db, table, keys)
    gone = 0
    for row in profiles:
        gone += await erase_row(db, table, row.id, asked.who, asked.now)
    return Counts(profiles=gone, keys=listed)


async def _unlist(db: Database, table: ProfileTable, keys: list[tuple[str | None, str]], *, folded: bool = False) -> int:
    """Take keys (attribute, None: the id; value) out of audiences and targets; how many. `folded` as there."""
    if not keys:
        return 0
    attributes, values = zip(*keys, strict=True)
    listed = await forget_keys(db, table.licence_id, table.id, attributes, values, folded=folded)
    return listed + await forget_target_keys(db, table.licence_id, table.id, attributes, values, folded=folded)
