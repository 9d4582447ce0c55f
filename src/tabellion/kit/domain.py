"""Names of domains, and the one form that they are compared in.

A name with letters beyond ASCII has many spellings; relays, the DNS and those who answer for a domain know one, in ASCII
(IDNA). It is the form in which recipients, limits and all that is counted by domain have their domains.
"""

import re

import idna

_DOMAIN = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]")
# An address has room for a local part of 64 octets before it.
_MAX_LENGTH = 189
# What the DNS takes; and how much is read of a name in another form, which may become shorter.
_NAME = re.compile(r"[a-z0-9._-]{1,253}")
_MAX_WRITTEN = 1000
# What the older IDNA makes another name of, which belongs to somebody else: strasse.de of straße.de.
_DEVIATING = frozenset("\u00df\u03c2\u200c\u200d")


def is_domain(text: str) -> bool:
    """Whether a text is the full name of a domain, in ASCII, that addresses can have."""
    return len(text) <= _MAX_LENGTH and _DOMAIN.fullmatch(text) is not None


def in_ascii(domain: str) -> str | None:
    """A domain as relays have it, in lower case; one in ASCII stays as it is. None: there is no such form."""
    if domain.isascii():
        return domain
    if len(domain) > _MAX_WRITTEN:
        return None
    try:
        name = idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        # Signs that today's IDNA has no place for (emoji) are in names that are in use; the older one knows them.
        if not _DEVIATING.isdisjoint(domain):
            return None
        try:
            name = domain.encode("idna").decode().lower()
        except UnicodeError:
            return None
    return name if _NAME.fullmatch(name) else None


def domain_name(text: str) -> str:
    """What a domain is compared by: in ASCII and lower case; of what has no such form, the text in lower case."""
    text = text.strip()
    return (in_ascii(text) or text).lower()


def readable(domain: str) -> str:
    """A domain with the letters that people know it by; as it is, where it has none or they cannot be told."""
    name = domain.lower()
    if "xn--" not in name:
        return domain
    try:
        shown = idna.decode(name)
    except UnicodeError:
        return domain
    return shown if domain_name(shown) == name else domain
