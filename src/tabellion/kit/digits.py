"""Whole numbers as texts name them: in addresses, queries and documents."""

INTEGER, BIGINT = 2**31 - 1, 2**63 - 1


def number_of(text: str, high: int = BIGINT) -> int | None:
    """The number from 0 to `high` that decimal digits write; None: the text is none, so that nothing has this number.

    A text that is longer than `high` is not read at all: numbers of many digits cost much to read.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(high))):
        return None
    number = int(text)
    return number if number <= high else None
