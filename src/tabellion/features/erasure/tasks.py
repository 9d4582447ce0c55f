"""The rest of an erasure: files, and what was on its way."""

from pathlib import Path
from typing import Any

import psycopg
from procrastinate import App, BaseRetryStrategy
from procrastinate.retry import RetryDecision

from tabellion.features.erasure import service
from tabellion.kit.clock import utc_now
from tabellion.platform.secrets import SecretUnreadable

_LATER_S, _MUCH_LATER_S = 10, 600


class Later(BaseRetryStrategy):
    """Again and again until it is done: nobody else would take it up."""

    def get_retry_decision(self, *, exception: BaseException, job: object) -> RetryDecision:
        """A mail is on its way for seconds, a file of millions of rows for minutes; a disk or a database comes back.

        A key has to be put back by somebody.
        """
        return RetryDecision(retry_in={"seconds": _MUCH_LATER_S if isinstance(exception, SecretUnreadable) else _LATER_S})


def register(jobs: App, url: str, spool: Path) -> None:
    """Register it."""

    @jobs.task(name=service.TASK, retry=Later(), pass_context=False)
    async def finish(rest: dict[str, Any]) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
            await service.finish(db, spool, service.Rest(**rest), utc_now())
