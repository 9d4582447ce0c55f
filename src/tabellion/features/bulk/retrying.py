"""When the library takes up a job again that could not go on."""

from procrastinate import BaseRetryStrategy
from procrastinate.retry import RetryDecision
from psycopg.errors import DiskFull

from tabellion.platform.jobs.turns import GaveWay


class Again(BaseRetryStrategy):
    """When a job that could not go on is tried again: soon, and for as long as it takes.

    Errors of our own do not get so far more than a few times; see `fenced.run`.
    """

    def get_retry_decision(self, *, exception: BaseException, job: object) -> RetryDecision:
        """Who gave way waits for a place alone; a database or another worker is back in seconds; a full disk is slower."""
        if isinstance(exception, GaveWay):
            return RetryDecision(retry_in={"seconds": 0})
        return RetryDecision(retry_in={"seconds": 30 if isinstance(exception, OSError | DiskFull) else 2})
