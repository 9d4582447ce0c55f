"""A process that sends mails and nothing else, for tests that kill it: it gives others up sooner than a server does.

    python -m tests.support.mailsender URL

The key that seals addresses in mails comes from TABELLION_SECRET_KEY.
"""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from tabellion.features import campaigns
from tabellion.features.delivery import Pace, Sender
from tabellion.kit.clock import utc_now
from tabellion.platform import secrets
from tabellion.platform.templates import Cages

PACE = Pace(look_every_s=0.05, beat_every_s=0.1, silent=timedelta(seconds=0.6), lost=timedelta(seconds=2), batch=100)


async def main(url: str) -> None:
    secrets.use_key(os.environ["TABELLION_SECRET_KEY"], Path("/nowhere"))
    async with Cages(1) as cages:
        sender = Sender(url, cages, utc_now, gather=campaigns.gather, ended=campaigns.ended, pace=PACE)
        await sender.run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
