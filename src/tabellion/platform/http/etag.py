"""Strong entity tags and the preconditions that name them (RFC 9110, sections 8.8.3 and 13.1)."""

import re

from tabellion.kit.problem import invalid
from tabellion.platform.http.problems import EtagMismatch

# What the tag of a state ends with where it is shown in XML: a cache that asks whether its JSON is still good is not to hear
# that it is when XML was wanted.
_XML = ".xml"
# Clients that take the quotes off a tag of ours may leave them off.
_TAG = re.compile(r'(W/)?"[^"]*"|\*|l[0-9a-f]+|[0-9a-f]+(-[0-9a-f]+)+(\.xml)?')


def shown(state: str, *, xml: bool) -> str:
    """The ETag of an answer that shows a state in one of the two formats, in its quotes."""
    return f'"{state}{_XML if xml else ""}"'


def check(header: str | None) -> None:
    """Refuse an If-Match header that is no list of tags: it would fail for ever, however often the client reads anew.

    Raises `Invalid`.
    """
    for part in (header or "").split(","):
        tag = part.strip()
        if tag and not _TAG.fullmatch(tag):
            message = f"'If-Match' expects the ETag of the answer to GET, in its quotes, or *; '{tag[:60]}' is none"
            raise invalid("If-Match", "parameter.invalid", message)


def tags(header: str | None) -> frozenset[str] | None:
    """The states that an If-Match or If-None-Match header names, in whichever format they were shown; None without a header.

    `*` is the tag `*`. Weak tags never match strongly, so they are dropped.
    """
    if header is None:
        return None
    found = (part.strip() for part in header.split(","))
    return frozenset(part.strip('"').removesuffix(_XML) for part in found if part and not part.startswith("W/"))


def require_match(header: str | None, current: str | None) -> None:
    """Raise `EtagMismatch` unless `header` is absent, `*` or names `current` (None: the resource does not exist)."""
    wanted = tags(header)
    if wanted is None or (current is not None and ("*" in wanted or current in wanted)):
        return
    message = "the resource is not in the state that If-Match names; read it again and repeat the change"
    if "W/" in (header or ""):
        # Read again as often as one likes, it would come the same.
        message = (
            "If-Match names a weak tag (W/...), which matches nothing: who compresses answers on their way makes tags weak"
        )
    raise EtagMismatch(message)


def names_any(header: str | None) -> bool:
    """Whether an If-Match or If-None-Match header is `*`."""
    return "*" in (tags(header) or ())


def is_known(header: str | None, current: str) -> bool:
    """Whether If-None-Match names the ETag `current`, weakly: whoever compresses an answer on its way makes its tag weak."""
    known = [part.strip().removeprefix("W/").strip('"') for part in (header or "").split(",")]
    return "*" in known or current.strip('"') in known
