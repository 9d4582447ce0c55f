"""Who was at work beside an erasure: what they have read of the person, and entered, nobody sees before it is committed."""

import asyncio
from datetime import datetime, timedelta
from time import monotonic

from tabellion.features.erasure import store
from tabellion.platform.database.connection import Database

# Calls are committed within seconds, and a launch enters its audience within an hour. Nobody waits for who has forgotten a
# transaction.
_SOON_S, _WITHIN = 5.0, timedelta(hours=1)
_LOOK_EVERY_S = 0.05


async def has_ended(db: Database, moment: datetime, now: datetime) -> bool:
    """Whether the transactions have ended that were open at a moment by the database's clock; waits some seconds for it.

    Outside a transaction.
    """
    give_up_at = monotonic() + _SOON_S
    while now - moment < _WITHIN and await store.others_are_at_work(db, moment):
        if monotonic() > give_up_at:
            return False
        await asyncio.sleep(_LOOK_EVERY_S)
    return True
