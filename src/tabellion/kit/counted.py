"""Numbers of things, for people."""


def counted(number: int, one: str, many: str | None = None) -> str:
    """`1 seal`, `2,000 seals`; `many` where it is not `one` with an s."""
    return f"1 {one}" if number == 1 else f"{number:,} {many or one + 's'}"
