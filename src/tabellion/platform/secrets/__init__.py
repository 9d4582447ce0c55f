"""Secrets of other systems, sealed before they are stored: a dump of the database does not open them.

AES-256-GCM; the purpose of a secret is authenticated with it, so that one cannot be put in another one's place. The key
comes from the operator's settings, or is made once in the data directory; what former keys have sealed is opened with them.
Which key that was is found by trying, since each tells what is its own.
"""

import base64
import hmac
import logging
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from time import monotonic
from typing import ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from tabellion.kit.problem import Problem
from tabellion.platform.secrets.ring import Key, KeyUnusable, Ring, Source

# A key that was put into the file is used by all processes after so long.
LOOK_EVERY_S = 1.0
_log = logging.getLogger(__name__)
_NONCE_BYTES = 12
_LEAST_MAC = 14
_OF_OTHERS = 0o077


class SecretUnreadable(Problem):
    """The secret was sealed with another key, or for another purpose: its operator has to give the server the right key."""

    status: ClassVar[int] = 503
    code: str = "secret.unreadable"


class _Keeper:
    """The keys of this process, and whether its file has others by now."""

    def __init__(self) -> None:
        self.source: Source | None = None
        self._ring: Ring | None = None
        self._seen: tuple[int, ...] = ()
        self._look_at = 0.0

    def use(self, source: Source) -> None:
        self.source, self._ring = source, None

    @property
    def knows_none(self) -> bool:
        """Whether a key would have to be made."""
        return self.source is not None and self._ring is None and not self.source.exists

    def ring(self) -> Ring:
        """The keys, not older than `LOOK_EVERY_S`. Raises `KeyUnusable` the first time."""
        if self._ring is None:
            if self.source is None:
                raise RuntimeError("use_key() was not called")
            seen = self._identity()
            self._ring, self._seen, self._look_at = self.source.ring(), seen, monotonic() + LOOK_EVERY_S
        elif monotonic() >= self._look_at:
            self.renew()
        return self._ring

    def renew(self) -> bool:
        """Take the keys of the file, if it is another one than it was; whether it is."""
        if self.source is None or self.source.file is None or self._ring is None:
            return False
        self._look_at = monotonic() + LOOK_EVERY_S
        seen = self._identity()
        if not seen or seen == self._seen:
            return False
        self._seen = seen
        try:
            self._ring = self.source.ring()
        except KeyUnusable as error:
            _log.error("the keys that were known are used on: %s", error)
            return False
        return True

    def _identity(self) -> tuple[int, ...]:
        """What tells a file from the one that takes its name; nothing: there is none."""
        if self.source is None or self.source.file is None:
            return ()
        try:
            found = self.source.file.stat()
        except OSError:
            return ()
        return (found.st_ino, found.st_mtime_ns, found.st_size)


_keeper = _Keeper()


def check_key(text: str, data_dir: Path) -> None:
    """Look at the key that `use_key` would use, and make none. Raises `KeyUnusable`."""
    fingerprint(text, data_dir)


def use_key(text: str, data_dir: Path, former: Sequence[str] = (), *, at_once: bool = True) -> None:
    """Say which key this process seals with: `text`, or the one in the data directory, made when there is none.

    `former`: keys beside `text` that open what they have sealed, the latest first. The file holds its former keys itself.
    Unless `at_once`, it is read, or made, when it is first needed: who only looks leaves no key behind.
    """
    _keeper.use(Source(text, data_dir, former))
    if at_once:
        _keeper.ring()


def fingerprint(text: str, data_dir: Path) -> str | None:
    """What tells the key that `use_key` would seal with from others, and does not tell the key; None: there is none yet.

    Raises `KeyUnusable`.
    """
    source = Source(text, data_dir)
    return source.ring().sealing.fingerprint if source.exists else None


def fingerprints() -> list[str]:
    """Those of all keys of this process that open anything, the sealing one first; none where none was made yet.

    Raises `KeyUnusable`.
    """
    return [] if _keeper.knows_none else [key.fingerprint for key in _keeper.ring().opening]


def is_open(text: str, data_dir: Path) -> bool:
    """Whether others on this machine may read the file of the key that `use_key` would use."""
    file = Source(text, data_dir).file
    return file is not None and file.exists() and bool(file.stat().st_mode & _OF_OTHERS)


def seal(secret: str, purpose: str) -> str:
    """The secret in a form that may be stored."""
    return base64.b64encode(seal_raw(secret, purpose)).decode()


def seal_raw(secret: str, purpose: str) -> bytes:
    """The same as octets."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _keeper.ring().sealing.cipher.encrypt(nonce, secret.encode(), purpose.encode())


def unseal(sealed: str, purpose: str) -> str:
    """The secret. Raises `SecretUnreadable`."""
    return unseal_raw(base64.b64decode(sealed), purpose)


def unseal_raw(raw: bytes, purpose: str) -> str:
    """The secret of octets. Raises `SecretUnreadable`."""
    return _opened(raw, purpose)[1]


def key_of(raw: bytes, purpose: str) -> str:
    """The fingerprint of the key that a secret was sealed with. Raises `SecretUnreadable`."""
    return _opened(raw, purpose)[0]


def mac(data: bytes, purpose: str) -> bytes:
    """A seal of 32 bytes on data that travel openly; the same for the same data, until the key is another one."""
    return _mac(_keeper.ring().sealing, data, purpose)


def signer(purpose: str) -> tuple[str, Callable[[bytes], bytes]]:
    """The fingerprint of the sealing key, and what makes such seals with it, whatever key comes meanwhile."""
    key = _keeper.ring().sealing
    return key.fingerprint, lambda data: _mac(key, data, purpose)


def lasting_mac(data: bytes, purpose: str) -> bytes:
    """The same whatever keys there have been since: for what cannot be made anew, such as a hash of what is gone."""
    return _mac(_keeper.ring().hashing, data, purpose)


def fits(data: bytes, purpose: str, seal: bytes, *, key: str | None = None) -> bool:
    """Whether a `mac`, or its first 14 bytes or more, is of these data, by whichever key; by the one with a fingerprint.

    How long it takes does not tell where a wrong one differs.
    """
    if len(seal) < _LEAST_MAC:
        return False
    ring = _keeper.ring()
    while True:
        for each in ring.opening:
            if key in {None, each.fingerprint} and same(_mac(each, data, purpose)[: len(seal)], seal):
                return True
        if not _keeper.renew():
            return False
        ring = _keeper.ring()


def same(one: bytes, other: bytes) -> bool:
    """Whether two seals are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one, other)


def _opened(raw: bytes, purpose: str) -> tuple[str, str]:
    """The fingerprint of the key, and the secret."""
    # A key that would be made only now has sealed nothing: who only looks leaves none behind.
    while not _keeper.knows_none:
        for key in _keeper.ring().opening:
            try:
                opened = key.cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], purpose.encode()).decode()
            except InvalidTag:
                continue
            return key.fingerprint, opened
        # The verb that makes a new key seals with it long before every process has looked.
        if not _keeper.renew():
            break
    raise SecretUnreadable(
        "a stored secret was sealed with another key than this server's; the operator has to restore that key "
        "(TABELLION_SECRET_KEY, or the file secret.key), or to store the secret anew"
    )


def _mac(key: Key, data: bytes, purpose: str) -> bytes:
    # A mail has some twenty of them: going on from what is the same for all takes a quarter of beginning each anew.
    going = _begun(key.for_macs, purpose).copy()
    going.update(data)
    return going.finalize()


@lru_cache(64)
def _begun(key: bytes, purpose: str) -> HMAC:
    begun = HMAC(key, SHA256())
    begun.update(purpose.encode() + b"\0")
    return begun
