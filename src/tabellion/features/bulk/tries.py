"""How often a job tries what goes through a file server; apart from `retrying`: verbs that run jobs need no job library."""

from collections.abc import Generator
from contextlib import contextmanager

from tabellion.features.bulk.fenced import JobError
from tabellion.platform.transfer import TransferError

# A server that does not answer is tried so often, every 30 seconds.
TRIES = 4


@contextmanager
def transferring(attempt: int, tries: int = TRIES) -> Generator[None]:
    """What an attempt of a job asks of a file server. Raises `TransferError`, the last one `JobError` (transfer.failed)."""
    try:
        yield
    except TransferError as error:
        if attempt < tries:
            raise
        raise JobError("transfer.failed", f"{error.step}: {error.message}") from None
