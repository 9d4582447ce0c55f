"""Names of domains."""

import re

_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]")
# An address has room for a local part of 64 octets before it.
_MAX_LENGTH = 189


def is_domain(text: str) -> bool:
    """Whether a text is the full name of a domain, in ASCII, that addresses can have."""
    return len(text) <= _MAX_LENGTH and _DOMAIN.fullmatch(text) is not None
