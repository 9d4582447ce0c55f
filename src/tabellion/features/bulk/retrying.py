"""When the library takes up a job again that could not go on, and how often what goes through a file server."""

from collections.abc import Generator
from contextlib import contextmanager

from procrastinate import BaseRetryStrategy
from procrastinate.retry import RetryDecision
from psycopg.errors import DiskFull

from tabellion.features.bulk.fenced import JobError
from tabellion.platform.jobs.turns import GaveWay
from tabellion.platform.transfer import TransferError

# A server that does not answer is tried so often, every 30 seconds.
TRIES = 4


class Again(BaseRetryStrategy):
    """When a job that could not go on is tried again: soon, and for as long as it takes.

    Errors of our own do not get so far more than a few times; see `fenced.run`.
    """

    def get_retry_decision(self, *, exception: BaseException, job: object) -> RetryDecision:
        """Who gave way waits for a place alone; a database or another worker is back in seconds; a full disk is slower."""
        if isinstance(exception, GaveWay):
            return RetryDecision(retry_in={"seconds": 0})
        return RetryDecision(retry_in={"seconds": 30 if isinstance(exception, OSError | DiskFull) else 2})


@contextmanager
def transferring(attempt: int, tries: int = TRIES) -> Generator[None]:
    """What an attempt of a job asks of a file server. Raises `TransferError`, the last one `JobError` (transfer.failed)."""
    try:
        yield
    except TransferError as error:
        if attempt < tries:
            raise
        raise JobError("transfer.failed", f"{error.step}: {error.message}") from None
