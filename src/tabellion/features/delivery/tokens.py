"""The addresses that mails carry: which mail, which link; sealed, so that nobody can make one up or change one.

A token is not a secret of the licence's, but of the one who got the mail. It says nothing to people: 29 octets, base64.
"""

import base64
import binascii
import struct
from enum import StrEnum

import msgspec

from tabellion.platform import secrets

_BODY = struct.Struct(">BIQH")
_MAC_BYTES = 14
_PURPOSE = "mail token"
# Of the sealed target of a link: proxies and web servers take no much longer addresses.
MAX_SEALED = 8000
# What the local part of a return path begins with, and that of an address that is written to by who wants no more mails.
_RETURN, _LEAVE = "b-", "u-"


class Use(StrEnum):
    """What an address is for; the value stands in its path."""

    OPEN = "o"
    CLICK = "c"
    UNSUBSCRIBE = "u"
    ONLINE = "v"
    # The link that people do not see.
    TRAP = "x"
    PREFERENCES = "p"
    BOUNCE = "b"


class Token(msgspec.Struct, frozen=True):
    """What a token says. `link` counts the links of the mail from 0."""

    use: Use
    licence_id: int
    recipient_id: int
    link: int = 0


def write(token: Token) -> str:
    """The token as text: letters, digits, `-` and `_`."""
    return _in_base64(_sealed(token))


def read(text: str) -> Token | None:
    """What a token says; None: nobody here wrote it."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        token = _opened(raw)
    except (binascii.Error, ValueError):
        return None
    # One text for each token: what base64 leaves open is not left open here.
    return token if _in_base64(raw) == text else None


def return_path(licence_id: int, recipient_id: int, domain: str) -> str:
    """The address that a recipient's mail comes back to (VERP). Upper and lower case are one: some servers change it."""
    return _to(_RETURN, Token(Use.BOUNCE, licence_id, recipient_id), domain)


def read_return_path(address: str) -> Token | None:
    """Which mail comes back to an address; None: nobody here wrote it."""
    return _from(_RETURN, Use.BOUNCE, address)


def leaving_address(licence_id: int, recipient_id: int, domain: str) -> str:
    """The address that a recipient unsubscribes by writing to (RFC 2369), in letters as those of a return path."""
    return _to(_LEAVE, Token(Use.UNSUBSCRIBE, licence_id, recipient_id), domain)


def read_leaving_address(address: str) -> Token | None:
    """Whose mail it was that they want no more of; None: nobody here wrote the address."""
    return _from(_LEAVE, Use.UNSUBSCRIBE, address)


def _to(prefix: str, token: Token, domain: str) -> str:
    return f"{prefix}{base64.b32encode(_sealed(token)).decode().rstrip('=').lower()}@{domain}"


def _from(prefix: str, use: Use, address: str) -> Token | None:
    local = address.rpartition("@")[0].lower()
    if not local.startswith(prefix) or not local.isascii():
        return None
    text = local.removeprefix(prefix).upper()
    try:
        token = _opened(base64.b32decode(text + "=" * (-len(text) % 8)))
    except (binascii.Error, ValueError):
        return None
    return token if token is not None and token.use is use else None


def _sealed(token: Token) -> bytes:
    body = _BODY.pack(ord(token.use), token.licence_id, token.recipient_id, token.link)
    return body + secrets.mac(body, _PURPOSE)[:_MAC_BYTES]


def _in_base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _opened(raw: bytes) -> Token | None:
    body, seal = raw[: _BODY.size], raw[_BODY.size :]
    if len(raw) != _BODY.size + _MAC_BYTES or not secrets.fits(body, _PURPOSE, seal):
        return None
    use, licence_id, recipient_id, link = _BODY.unpack(body)
    return Token(Use(chr(use)), licence_id, recipient_id, link)


def seal_address(licence_id: int, recipient_id: int, address: str) -> str:
    """The target of a link that is known in one mail only, unreadable and unchangeable, for a path."""
    sealed = secrets.seal_raw(address, f"link {licence_id:d} {recipient_id:d}")
    return _in_base64(sealed)


def unseal_address(licence_id: int, recipient_id: int, text: str) -> str | None:
    """The target of such a link; None: nobody here sealed it."""
    if len(text) > MAX_SEALED:
        return None
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if _in_base64(raw) != text:
            # One text for each address, as of tokens.
            return None
        return secrets.unseal_raw(raw, f"link {licence_id:d} {recipient_id:d}")
    except (binascii.Error, ValueError, secrets.SecretUnreadable):
        return None
