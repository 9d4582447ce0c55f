"""Python values as texts that COPY reads into their columns."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any


def copy_text(value: Any) -> str:
    """The text of a value that is not null; lists become array literals."""
    match value:
        case bool():
            return "true" if value else "false"
        case datetime() | date():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case list():
            items: list[Any] = value
            return "{" + ",".join(_quoted(copy_text(item)) for item in items) + "}"
        case _:
            return str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
