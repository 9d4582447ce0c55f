"""API keys and access tokens: 256 random bits, a prefix that scanners recognise, a checksum that catches typing errors.

They have the entropy of a hash, so their SHA-256 is stored, not a slow hash.
"""

import base64
import hashlib
import secrets
import zlib

KEY_PREFIX = "tbl_"
TOKEN_PREFIX = "tat_"  # noqa: S105 - a prefix, no secret
_RANDOM_BYTES = 32
_CHECKSUM_LENGTH = 6


def new_key() -> str:
    """A new API key."""
    return _new(KEY_PREFIX)


def new_token() -> str:
    """A new access token."""
    return _new(TOKEN_PREFIX)


def new_password() -> str:
    """A password for an API user: 24 characters, about 143 bits."""
    return "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789") for _ in range(24))


def digest(secret: str) -> bytes:
    """What is stored of a key or token."""
    return hashlib.sha256(secret.encode()).digest()


def looks_right(secret: str, prefix: str) -> bool:
    """Whether a text has the form and the checksum of a key or token; saves the database a look at noise."""
    body = secret.removeprefix(prefix)
    return secret.startswith(prefix) and secret.isascii() and _checksum(body[:-_CHECKSUM_LENGTH]) == body[-_CHECKSUM_LENGTH:]


def _new(prefix: str) -> str:
    body = base64.urlsafe_b64encode(secrets.token_bytes(_RANDOM_BYTES)).rstrip(b"=").decode()
    return f"{prefix}{body}{_checksum(body)}"


def _checksum(body: str) -> str:
    crc = zlib.crc32(body.encode()).to_bytes(4, "big")
    return base64.urlsafe_b64encode(crc).rstrip(b"=").decode()[:_CHECKSUM_LENGTH]
