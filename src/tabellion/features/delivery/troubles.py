"""What keeps a worker from sending, told in the database for as long as it lasts: reports say why mails are pending."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tabellion.features.delivery.setbacks import Setbacks
from tabellion.features.delivery.worker_store import ENTERED, LIVES
from tabellion.platform.database.connection import Database

# What is gone meanwhile is left out.
_ENTER = """
WITH asked AS MATERIALIZED (
    SELECT * FROM unnest(%(relays)s::int[], %(sendings)s::bigint[], %(wrong)s::text[]) AS t (relay_id, sending_id, wrong)
), relay AS (
    SELECT id FROM tabellion.relay WHERE id = ANY (%(relays)s::int[]) ORDER BY id FOR KEY SHARE
), sending AS (
    SELECT id FROM tabellion.sending WHERE id = ANY (%(sendings)s::bigint[]) ORDER BY id FOR KEY SHARE
)
INSERT INTO tabellion.mail_trouble (worker_id, relay_id, sending_id, wrong)
SELECT %(worker)s, relay_id, sending_id, wrong FROM asked
WHERE (relay_id IS NULL OR relay_id IN (SELECT id FROM relay))
  AND (sending_id IS NULL OR sending_id IN (SELECT id FROM sending)) AND {entered}
""".replace("{entered}", ENTERED)


class Trouble(NamedTuple):
    """A relay that cannot be used, a sending that was interrupted, or both: a relay that refuses the sending's mails."""

    relay_id: int | None
    sending_id: int | None
    wrong: str


def troubles_of(relays: Mapping[int, str], setbacks: Mapping[int, Setbacks]) -> list[Trouble]:
    """Relays with what is wrong with them, by id; and of sendings, those that went wrong last time."""
    found = [Trouble(id_, None, wrong) for id_, wrong in sorted(relays.items())]
    return found + [Trouble(None, id_, each.last) for id_, each in sorted(setbacks.items()) if each.last is not None]


class Refused(NamedTuple):
    """A relay that takes none of a campaign's mails, in words."""

    licence: str
    campaign: str
    wrong: str


async def refused(db: Database) -> list[Refused]:
    """The campaigns whose mails relays refuse, as living workers see it."""
    query = f"""
SELECT DISTINCT l.name, c.name, t.wrong FROM tabellion.mail_trouble t
JOIN tabellion.mail_worker w ON w.id = t.worker_id AND {LIVES}
JOIN tabellion.sending s ON s.id = t.sending_id JOIN tabellion.campaign c ON c.id = s.campaign_id
JOIN tabellion.licence l ON l.id = s.licence_id WHERE t.relay_id IS NOT NULL ORDER BY 1, 2, 3
"""  # noqa: S608 - words of our own
    return [Refused(*row) for row in await (await db.execute(query)).fetchall()]


class Troubles:
    """What a process has told last: it is written when it changes."""

    def __init__(self) -> None:
        self._told: tuple[int, Sequence[Trouble]] = (0, ())

    async def tell(self, db: Database, worker: int, troubles: Sequence[Trouble]) -> None:
        """Say what keeps a worker from sending, instead of what it said before."""
        if (worker, troubles) != self._told:
            await _enter(db, worker, troubles)
            self._told = (worker, troubles)


async def _enter(db: Database, worker: int, troubles: Sequence[Trouble]) -> None:
    values = {
        "worker": worker, "relays": [each.relay_id for each in troubles],
        "sendings": [each.sending_id for each in troubles], "wrong": [each.wrong for each in troubles],
    }  # fmt: skip
    async with db.transaction():
        await db.execute("DELETE FROM tabellion.mail_trouble WHERE worker_id = %s", (worker,))
        if troubles:
            await db.execute(_ENTER, values)
