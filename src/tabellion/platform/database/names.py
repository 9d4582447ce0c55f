"""Names that people read in the database itself: those of views. What the server works with is named by numbers."""

# PostgreSQL cuts longer names short by itself, and two names may then be the same.
_MAX_BYTES = 63


def identifier(name: str, distinction: str) -> str:
    """The name, or where it is longer than PostgreSQL's names, its beginning with `~distinction` behind it."""
    return name if len(name.encode()) <= _MAX_BYTES else distinguished(name, distinction)


def distinguished(name: str, distinction: str) -> str:
    """The name, or as much of it as there is room for, with `~distinction` behind it."""
    tail = f"~{distinction}"
    return name.encode()[: _MAX_BYTES - len(tail.encode())].decode(errors="ignore") + tail
