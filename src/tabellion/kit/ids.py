"""Ids that people read aloud: Crockford's base 32, no letters that look alike."""

import random
from datetime import datetime

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_RANDOM_BITS = 35


def base32(number: int, pairs: int) -> str:
    """`number` in base 32, exactly `2 * pairs` characters; what does not fit is cut off at the front."""
    return "".join(_PAIRS[(number >> (10 * i)) & 1023] for i in range(pairs - 1, -1, -1))


def request_id(now: datetime) -> str:
    """A request id: 16 characters that sort by time (milliseconds), the last 7 random."""
    milliseconds = int(now.timestamp() * 1000)
    # Ids are no secrets, they only must not meet: the library's own generator begins anew in each fork.
    return base32((milliseconds << _RANDOM_BITS) | random.getrandbits(_RANDOM_BITS), 8)
