"""What an operator does about tracking: judge again whose events are, have reports counted anew."""

from typing import NamedTuple

from tabellion.features.delivery import sums
from tabellion.features.licences import get_licence
from tabellion.features.tracking import service, store
from tabellion.platform.database.connection import Database

_MAILS_AT_ONCE = 500


class Judged(NamedTuple):
    """Of how many mails the events were looked at, and how many of them are somebody else's now."""

    mails: int
    changed: int


async def judge_again(db: Database, licence_name: str, campaign_id: int | None) -> Judged:
    """Judge the events of a licence, or of one campaign, by the rules and lists of this version. Raises `AdminError`.

    Each mail in a transaction of its own, so that nobody waits; it can be broken off and repeated.
    """
    licence = await get_licence(db, licence_name)
    after = mails = changed = 0
    while found := await store.recipients_with_events(db, licence.id, after, _MAILS_AT_ONCE, campaign_id):
        for recipient_id, delivered_at in found:
            async with db.transaction():
                await store.lock(db, licence.id, recipient_id)
                changed += await service.judge_again(db, licence.id, recipient_id, delivered_at)
        mails += len(found)
        after = found[-1][0]
    return Judged(mails, changed)


async def ask_recount(db: Database, licence_name: str, campaign_id: int | None) -> int:
    """Have the reports of a licence, or of one campaign, counted anew from the mails; how many. Raises `AdminError`.

    A worker does it; what is kept is used until then.
    """
    licence = await get_licence(db, licence_name)
    found = await sums.launched(db, licence.id, campaign_id)
    for each in found:
        await sums.ask_recount(db, licence.id, each, usable=True)
    return len(found)
