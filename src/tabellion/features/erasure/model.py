"""What an erasure is: the record of one, without the address."""

from datetime import datetime

import msgspec


class Counts(msgspec.Struct, frozen=True, rename="camel"):
    """What was found of a person and is gone.

    `records` were deleted with the profiles that they referred to, or with such records; `mails` have lost all that is
    personal, `withdrawn` of them had not left and never do; `keys` are those of lists that audiences and targets are,
    `files` those of bulk calls.
    """

    profiles: int = 0
    records: int = 0
    mails: int = 0
    withdrawn: int = 0
    events: int = 0
    outbox_mails: int = 0
    news: int = 0
    answers: int = 0
    keys: int = 0
    files: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Both together."""
        pairs = zip(msgspec.structs.astuple(self), msgspec.structs.astuple(other), strict=True)
        return Counts(*(one + another for one, another in pairs))

    def __str__(self) -> str:
        return ", ".join(f"{name} {count}" for name, count in msgspec.structs.asdict(self).items() if count) or "nothing"


class Erasure(msgspec.Struct, frozen=True):
    """One erasure. `ended_at` None: files are still to be searched. `suppressed`: a hash keeps the address from mails.

    `failure`: why it has ended without having searched all of them.
    """

    id: int
    licence_id: int
    asked_at: datetime
    ended_at: datetime | None
    suppressed: bool
    counts: Counts
    failure: str | None
