"""How often a job tries what goes through a file server; apart from `retrying`: verbs that run jobs need no job library."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from tabellion.features.bulk.fenced import JobError, Stopped
from tabellion.platform.transfer import TransferError

# A server that does not answer is tried so often, every 30 seconds.
TRIES = 4


@asynccontextmanager
async def transferring(failed: Callable[[], Awaitable[int | None]], tries: int = TRIES) -> AsyncGenerator[None]:
    """What an attempt of a job asks of a file server.

    `failed` counts the times that the server has not done it, this one among them; None: others have the job. An attempt
    that ended otherwise, with its worker or to give way, is not the server's fault.

    Raises `TransferError`, the last time `JobError` (transfer.failed); `Stopped`.
    """
    try:
        yield
    except TransferError as error:
        times = await failed()
        if times is None:
            raise Stopped from error
        if times < tries:
            raise
        raise JobError("transfer.failed", f"{error.step}: {error.message}") from None
