"""Addresses of erased people that get nothing more: kept as keyed hashes, which tell an address to who has it already.

HMAC-SHA-256 of the normal form under a key of the licence's. It is made of the first key that the server had, so that a dump
of the database does not tell which addresses are meant (docs/adr/0063-erasing-a-person.md).
"""

import hmac

from tabellion.platform import secrets
from tabellion.platform.mail import normal_form

_BLOCK_BYTES = 64
_INNER, _OUTER = 0x36, 0x5C


def hash_of(licence_id: int, address: str) -> bytes:
    """The hash of an address, however it is written."""
    return hmac.digest(_key(licence_id), normal_form(address).encode(), "sha256")


def is_hashed(licence_id: int, address: str) -> str:
    """A part of conditions: whether an erased person has an address, an expression in the form in which lists are compared.

    `{holds}` stands in it as in other conditions on suppressions. A licence that has erased nobody is done with the first
    look, which the database takes once for a statement.
    """
    one = f"SELECT FROM {{l}}.suppression_hash s WHERE s.hash = {_in_sql(licence_id, address)} AND {{holds}}"
    return f"((SELECT EXISTS (SELECT FROM {{l}}.suppression_hash)) AND EXISTS ({one}))"  # noqa: S608 - words of our own


def _in_sql(licence_id: int, address: str) -> str:
    """The hash as the database computes it (RFC 2104)."""
    block = _key(licence_id).ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (bytes(octet ^ pad for octet in block).hex() for pad in (_INNER, _OUTER))
    return f"sha256('\\x{outer}'::bytea || sha256('\\x{inner}'::bytea || convert_to({address}, 'UTF8')))"


def _key(licence_id: int) -> bytes:
    return secrets.lasting_mac(str(licence_id).encode(), "suppression of erased people")
