"""What a profile table is: attributes and their types, restrictions, structure changes, and the filter language."""

from tabellion.features.tables.model import (
    TECHNICAL_NAMES,
    Attribute,
    ProfileTable,
    Segmentation,
    Subscription,
)
from tabellion.features.tables.parameters import ENTITY, TABLE
from tabellion.features.tables.service import find_table, tables_of_licence
from tabellion.features.tables.types.base import BadValue
from tabellion.features.tables.types.boolean import parse_flag
from tabellion.features.tables.types.moment import parse_moment, render_moment
from tabellion.features.tables.types.registry import (
    VALUE_TYPES,
    column_cast,
    is_email,
    parse_value,
    render_value,
    text_value,
)

__all__ = [
    "ENTITY",
    "TABLE",
    "TECHNICAL_NAMES",
    "VALUE_TYPES",
    "Attribute",
    "BadValue",
    "ProfileTable",
    "Segmentation",
    "Subscription",
    "column_cast",
    "find_table",
    "is_email",
    "parse_flag",
    "parse_moment",
    "parse_value",
    "render_moment",
    "render_value",
    "tables_of_licence",
    "text_value",
]
