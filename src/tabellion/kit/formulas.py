"""Cells of tables that a spreadsheet would take for formulas, and run."""

BEGINNINGS = ("=", "+", "-", "@", "\t", "\r")


def as_text(cell: str) -> str:
    """A cell as a spreadsheet shows it: after an apostrophe where it would begin a formula."""
    return f"'{cell}" if cell.startswith(BEGINNINGS) else cell
