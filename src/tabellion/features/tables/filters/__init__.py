"""The query languages over profile tables: v4 search, v5 filter, sort and cursor, and the `{p}` of addresses."""

from tabellion.features.tables.filters.compile import ALWAYS, Condition
from tabellion.features.tables.filters.errors import ProfileUnknown
from tabellion.features.tables.filters.listing import Listing
from tabellion.features.tables.filters.reference import Reference, parse_reference
from tabellion.features.tables.filters.v4 import compile_v4_search, row_limit

__all__ = [
    "ALWAYS",
    "Condition",
    "Listing",
    "ProfileUnknown",
    "Reference",
    "compile_v4_search",
    "parse_reference",
    "row_limit",
]
