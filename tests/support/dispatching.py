"""A process that delivers webhooks and nothing else, for tests that kill it: its clock runs faster than the sun.

    python -m tests.support.dispatching URL BASE SPEED

Moments are BASE (seconds since 1970) plus SPEED times what has passed since. Targets on loopback are allowed.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tabellion.features.webhooks import Dispatcher, Pace
from tabellion.platform import secrets
from tabellion.platform.egress import Client, Policy

ANSWER_WITHIN_S = 0.5
LEASE_S = 2.0
KEY = "of the tests"


def fast_clock(base: float, speed: float) -> Callable[[], datetime]:
    """The clock that such processes share."""
    return lambda: datetime.fromtimestamp(base + (time.time() - base) * speed, UTC)


async def main(url: str, base: float, speed: float) -> None:
    # Leases go by the clock of the database, which is no faster than the sun.
    pace = Pace(look_every_s=0.05, lease=timedelta(seconds=LEASE_S))
    secrets.use_key(KEY, Path())
    policy = Policy(allow_http=True, allow_private=True)
    async with Client(policy, answer_within_s=ANSWER_WITHIN_S) as client:
        await Dispatcher(url, client, fast_clock(base, speed), pace).run(asyncio.Event())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
