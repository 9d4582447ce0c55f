"""Cells of tables that a spreadsheet would take for formulas, and run."""

BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")


def as_text(cell: str) -> str:
    """A cell as a spreadsheet shows it: after an apostrophe where it would begin a formula, or has such an apostrophe."""
    return f"'{cell}" if _is_meant(cell) else cell


def as_meant(text: str) -> str:
    """The cell of which `as_text` has made this."""
    return text[1:] if text.startswith("'") and _is_meant(text) else text


def _is_meant(cell: str) -> bool:
    return cell.lstrip("'").startswith(BEGINNINGS)
