"""What a sender meant by a blank of a query: a `+` that was sent raw, of which a query makes one."""

from tabellion.features.tables.model import Attribute
from tabellion.features.tables.types.moment import with_plus
from tabellion.features.tables.types.registry import is_email, is_phone


def as_sent(attribute: Attribute | None, cast: str, text: str) -> str:
    """A value of a query with the `+` of its address, number or offset. `cast`: the type that it is compared as.

    No address has a blank. A number has its `+` in front, and is read without its other blanks.
    """
    if attribute is not None and is_email(attribute):
        return text.replace(" ", "+")
    if attribute is not None and is_phone(attribute):
        return f"+{text[1:]}" if text.startswith(" ") else text
    return with_plus(text) if cast in {"date", "timestamptz"} else text
