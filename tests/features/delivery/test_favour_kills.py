"""Kill -9 of a worker in the middle of a run of refusals: nobody is lost, and nobody gets a mail twice."""

import asyncio
import os
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from tabellion.features.delivery import store
from tabellion.features.delivery.model import DIED
from tabellion.kit.clock import utc_now
from tests.features.delivery.conftest import Post
from tests.features.delivery.test_favour import SAID, all_are, choosy, suppressed
from tests.features.delivery.working import MESSAGES, at_work

GUESTS = 60
UNKNOWN = "550 5.1.1 no such user"


# The worker dies when the relay is about to say its nth no.
@pytest.mark.parametrize(("command", "said", "nth"), [(".", SAID["."], 3), ("RCPT", UNKNOWN, 20)])
async def test_a_worker_that_is_killed_among_refusals_loses_nobody(
    command: str, said: str, nth: int, post: Post, worker_database_url: str, tmp_path: Path
) -> None:
    await post.guests(f"g{n}@example.com" for n in range(GUESTS))
    sending = await post.sending(now=utc_now(), messages=MESSAGES)
    await store.look_at(post.db, sending.id, utc_now(), None)
    asked = 0
    async with choosy(post) as relay:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.mailsender", worker_database_url,
            env=os.environ | {"TABELLION_SECRET_KEY": "of the tests"},
        )  # fmt: skip

        def refuse_and_kill(at: str, _: str) -> str | None:
            nonlocal asked
            asked += at == command
            if asked == nth:
                process.kill()
            return said if at == command else None

        relay.refuses = refuse_and_kill
        try:
            async with asyncio.timeout(30):
                await process.wait()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        relay.always("")
        # Ten minutes later, when what was put off is due.
        async with at_work(worker_database_url, tmp_path, clock=lambda: utc_now() + timedelta(minutes=11)):
            fates = await all_are(post, sending, ("ACCEPTED", None), ("UNCERTAIN", DIED))
    assert fates.total() == GUESTS
    # What had left, and was refused: the worker died before it could write that down.
    doubtful = fates["UNCERTAIN", DIED]
    assert doubtful == 0 if command == "RCPT" else doubtful <= nth + 4
    assert max(relay.taken.values()) == 1
    assert relay.taken.total() == fates["ACCEPTED", None]
    assert await suppressed(post) == set()
