"""Secrets of other systems, sealed before they are stored: a dump of the database does not open them.

AES-256-GCM; the purpose of a secret is authenticated with it, so that one cannot be put in another one's place. The key
comes from the operator's settings, or is made once in the data directory.
"""

import base64
import hashlib
import hmac
import os
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from tabellion.kit.disk import sync_folder
from tabellion.kit.problem import Problem

_NONCE_BYTES, _KEY_BYTES = 12, 32
_FILE = "secret.key"
_FINGERPRINT_DIGITS = 16
_OF_OTHERS = 0o077
_source: list[tuple[str, Path]] = []
_keys: list[AESGCM] = []
_mac_keys: list[bytes] = []


class SecretUnreadable(Problem):
    """The secret was sealed with another key, or for another purpose: its operator has to give the server the right key."""

    status: ClassVar[int] = 503
    code: str = "secret.unreadable"


class KeyUnusable(Exception):
    """The file of the key holds none; the message names it and says what to do."""


def check_key(text: str, data_dir: Path) -> None:
    """Look at the key that `use_key` would use, and make none. Raises `KeyUnusable`."""
    if not text and (data_dir / _FILE).exists():
        _kept(data_dir / _FILE)


def use_key(text: str, data_dir: Path, *, at_once: bool = True) -> None:
    """Say which key this process seals with: `text`, or the one in the data directory, made when there is none.

    Unless `at_once`, it is read, or made, when it is first needed: who only looks leaves no key behind.
    """
    _source[:] = [(text, data_dir)]
    _keys.clear()
    _mac_keys.clear()
    _begun.cache_clear()
    if at_once:
        _load()


def fingerprint(text: str, data_dir: Path) -> str | None:
    """What tells the key that `use_key` would use from others, and does not tell the key; None: there is none yet.

    Raises `KeyUnusable`.
    """
    if not text and not (data_dir / _FILE).exists():
        return None
    return _fingerprint(hashlib.sha256(text.encode()).digest() if text else _kept(data_dir / _FILE))


def own_fingerprint() -> str | None:
    """The same for the key of this process. Raises `KeyUnusable`."""
    ((text, data_dir),) = _source
    return fingerprint(text, data_dir)


def is_open(text: str, data_dir: Path) -> bool:
    """Whether others on this machine may read the file of the key that `use_key` would use."""
    file = data_dir / _FILE
    return not text and file.exists() and bool(file.stat().st_mode & _OF_OTHERS)


def seal(secret: str, purpose: str) -> str:
    """The secret in a form that may be stored."""
    return base64.b64encode(seal_raw(secret, purpose)).decode()


def seal_raw(secret: str, purpose: str) -> bytes:
    """The same as octets."""
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + _key().encrypt(nonce, secret.encode(), purpose.encode())


def unseal(sealed: str, purpose: str) -> str:
    """The secret. Raises `SecretUnreadable`."""
    return unseal_raw(base64.b64decode(sealed), purpose)


def unseal_raw(raw: bytes, purpose: str) -> str:
    """The secret of octets. Raises `SecretUnreadable`."""
    # A key that would be made only now has sealed nothing: who only looks leaves none behind.
    if _source and not _keys and not _is_there():
        raise _unreadable()
    try:
        return _key().decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], purpose.encode()).decode()
    except InvalidTag:
        raise _unreadable() from None


def mac(data: bytes, purpose: str) -> bytes:
    """A seal of 32 bytes on data that travel openly; the same for the same data."""
    # A mail has some twenty of them: going on from what is the same for all takes a quarter of beginning each anew.
    going = _begun(purpose).copy()
    going.update(data)
    return going.finalize()


def same(one: bytes, other: bytes) -> bool:
    """Whether two seals are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one, other)


@lru_cache(16)
def _begun(purpose: str) -> HMAC:
    if not _mac_keys:
        _load()
    begun = HMAC(_mac_keys[0], SHA256())
    begun.update(purpose.encode() + b"\0")
    return begun


def _key() -> AESGCM:
    if not _keys:
        _load()
    return _keys[0]


def _fingerprint(raw: bytes) -> str:
    return hmac.digest(raw, b"fingerprint", "sha256").hex()[:_FINGERPRINT_DIGITS]


def _unreadable() -> SecretUnreadable:
    return SecretUnreadable(
        "a stored secret was sealed with another key than this server's; the operator has to restore that key "
        "(TABELLION_SECRET_KEY, or the file secret.key), or to store the secret anew"
    )


def _is_there() -> bool:
    return any(text or (data_dir / _FILE).exists() for text, data_dir in _source)


def _load() -> None:
    if not _source:
        raise RuntimeError("use_key() was not called")
    ((text, data_dir),) = _source
    raw = hashlib.sha256(text.encode()).digest() if text else _kept(data_dir / _FILE)
    _keys[:] = [AESGCM(raw)]
    # Another key for another purpose, from the same secret.
    _mac_keys[:] = [hmac.digest(raw, b"mac", "sha256")]


def _kept(path: Path) -> bytes:
    """The key of the file; several processes may be the first at once."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        partial = path.with_name(f"{_FILE}.{os.getpid()}")
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(os.urandom(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            # Unlike a renaming, a link does not replace the key that another process has made meanwhile.
            path.hardlink_to(partial)
            # Before anything is sealed with it: the database keeps what it has said, over a power cut as well.
            sync_folder(path.parent)
        except FileExistsError:
            pass
        finally:
            partial.unlink()
    try:
        found = path.read_bytes()
    except OSError as error:
        raise KeyUnusable(f"{path.absolute()} cannot be read ({error.strerror}): give it to the server's user") from None
    if len(found) != _KEY_BYTES:
        raise KeyUnusable(
            f"{path.absolute()} is damaged: a key has {_KEY_BYTES} bytes, and this file {len(found)}. Put it back from a "
            "backup; where there is none, move the file away and a new key is made: passwords, DKIM keys and webhooks' "
            "secrets have to be set anew then"
        )
    return found
