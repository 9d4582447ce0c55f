"""Refusals of the usage limits."""

from collections.abc import Mapping

from tabellion.kit.problem import Problem


class LimitReached(Problem):
    """A usage limit of the licence is reached. `Retry-After` says when to come back."""

    status = 429
    violated_policies: tuple[str, ...] = ()

    def __init__(self, message: str, headers: Mapping[str, str], retry_after_s: int) -> None:
        super().__init__(message, headers={**headers, "Retry-After": str(max(retry_after_s, 1))})


class TooManyCalls(LimitReached):
    """The licence's calls per minute are used up."""

    code = "limit.callsPerMinute"
    violated_policies = ("permin",)


class TooManyConcurrent(LimitReached):
    """The licence has as many calls running as it may have. Let one end first."""

    code = "limit.concurrent"
    violated_policies = ("conc",)


class TooManyBulkCalls(Problem):
    """The day's bulk calls are used up. `Retry-After` points to the next midnight of the licence's time zone."""

    status = 429
    code = "limit.bulkPerDay"
    violated_policies = ("bulkday",)

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message, headers={"Retry-After": str(retry_after_s)})
