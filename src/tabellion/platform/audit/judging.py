"""Whether entries are what their seals say: pure, for seals and entries in their order."""

import hashlib
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

import msgspec

from tabellion.platform.audit.seals import NOTHING, Gone, Seal

_CHANGED = "the seal was changed, or does not follow the one before it"
_FORGED = "the seal was not made with this server's secret"
_MISSING = "the seal is missing"
_BACK = "there are entries where all were deleted for their age"
_EARLY = "the entries were deleted before their time"
_OTHERS = "the entries are not those that were sealed"
_OF_ANOTHER = (
    "the seal was made with another secret than this server's, of the fingerprint {0}; if that was this server's own, say "
    "so: --accept-key {0}"
)


class Misfit(msgspec.Struct, rename="camel"):
    """Seals in a row, `first` to `last`, of which the same is wrong.

    Their entries are those with ids beyond `after_id` (null: from the first) up to `last_id`; sealed between `sealed_from`
    and `sealed_to`. All null: there are none of these seals.
    """

    first: int
    last: int
    wrong: str
    after_id: int | None = None
    last_id: int | None = None
    sealed_from: datetime | None = None
    sealed_to: datetime | None = None


class Judge:
    """Takes seals and entries, and says what does not fit: `misfits`.

    `keys`: fingerprints of the secrets that MACs are compared with; seals with one of `accepted` keys are believed to be
    good. `gone`: what seals say about deleted entries.
    """

    def __init__(self, gone: Iterable[Gone], keys: Collection[str], accepted: Collection[str]) -> None:
        self.misfits: list[Misfit] = []
        self.last: Seal | None = None
        self.entries = 0
        self.entries_gone = 0
        self._gone, self._keys, self._accepted = deque(sorted(gone)), keys, accepted
        self._open: deque[Seal] = deque()
        self._latest: dict[str, Misfit] = {}
        self._begin()

    def take(self, seals: Iterable[Seal]) -> None:
        """The next seals; their entries follow."""
        self._open.extend(seals)

    def entry(self, line: bytes) -> None:
        """The next entry."""
        number = int(line[: line.index(b"\t")])
        while len(self._open) > 1 and number > self._open[0].last_id:
            self._close()
        self._count += 1
        self._content.update(line)

    def end(self) -> None:
        """There are no more entries of the seals that were taken."""
        while self._open:
            self._close()

    def _begin(self) -> None:
        self._count, self._content = 0, hashlib.sha256()

    def _close(self) -> None:
        seal, before = self._open.popleft(), self.last
        expected = before.number + 1 if before else 1
        if seal.number != expected:
            self.misfits.append(Misfit(expected, seal.number - 1, _MISSING))
        for wrong in self._wrongs(seal, before.digest if before else NOTHING):
            self._add(wrong, seal, before)
        self.entries += self._count
        self.last = seal
        self._begin()

    def _wrongs(self, seal: Seal, previous: bytes) -> Iterator[str]:
        if seal.digest_after(previous) != seal.digest:
            yield _CHANGED
            return
        if seal.key in self._keys:
            if not seal.is_vouched_for():
                yield _FORGED
        elif seal.key not in self._accepted:
            yield _OF_ANOTHER.format(seal.key)
        while self._gone and self._gone[0].last < seal.number:
            self._gone.popleft()
        if self._gone and self._gone[0].first <= seal.number:
            self.entries_gone += seal.entries
            if self._count:
                yield _BACK
            if seal.newest >= self._gone[0].before:
                yield _EARLY
        elif (self._count, self._content.digest()) != (seal.entries, seal.content):
            yield _OTHERS

    def _add(self, wrong: str, seal: Seal, before: Seal | None) -> None:
        """Seals in a row of which the same is wrong are told of together."""
        known = self._latest.get(wrong)
        if known is None or known.last != seal.number - 1:
            after_id = before.last_id if before else None
            known = Misfit(seal.number, seal.number, wrong, after_id, sealed_from=seal.sealed_at)
            self._latest[wrong] = known
            self.misfits.append(known)
        known.last, known.last_id, known.sealed_to = seal.number, seal.last_id, seal.sealed_at
