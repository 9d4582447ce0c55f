"""What may stand between SMTP peers: lines end with CR LF, and with nothing else (RFC 5321, section 2.3.8)."""

import re

# Servers disagree on what a bare one means; where one of them takes it for a line's end, a mail can hold another one.
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")


def bare_line_end(raw: bytes) -> int | None:
    """Where a CR stands without LF, or the reverse; None: nowhere."""
    found = _BARE.search(raw)
    return found.start() if found else None
