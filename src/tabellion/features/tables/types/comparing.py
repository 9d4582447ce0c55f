"""How values of an attribute are compared: e-mail addresses whatever the case of A to Z, all others as they are.

Columns of texts are in byte order, whose `lower()` knows the capitals of ASCII only. A parameter has the order of the
database, in which `lower()` may know more: it is told the other one. Indexes of addresses, unique or not, are on what
`compared` says of the column.
"""

from string import ascii_lowercase, ascii_uppercase
from typing import Any

from tabellion.features.tables.model import Attribute
from tabellion.features.tables.types.registry import is_email

_SMALL = str.maketrans(ascii_uppercase, ascii_lowercase)


def compared(attribute: Attribute | None, column: str) -> str:
    """The SQL of a column of the attribute (None: a technical one) as it is compared, indexed and sorted."""
    return f"lower({column})" if attribute is not None and is_email(attribute) else column


def compared_value(attribute: Attribute | None, value: str) -> str:
    """The same of a value, which is no column of the table."""
    return f'lower({value} COLLATE "C")' if attribute is not None and is_email(attribute) else value


def as_compared(attribute: Attribute | None, value: Any) -> Any:
    """The same in Python."""
    return value.translate(_SMALL) if attribute is not None and is_email(attribute) and isinstance(value, str) else value
