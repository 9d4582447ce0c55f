"""Names that people give to things."""

MAX_NAME = 100
# What means something else in addresses.
SIGNS_OF_ADDRESSES = "#/;"


def name_fault(name: str, without: str = "") -> str | None:
    """What a name has to be, where it is not; None: it is fine. `without`: signs that it may not have."""
    if 1 <= len(name) <= MAX_NAME and name.isprintable() and name == name.strip() and not set(name) & set(without):
        return None
    signs = f"{' '.join(without)} and " if without else ""
    return f"1 to {MAX_NAME} printable characters without {signs}blanks at its ends"
