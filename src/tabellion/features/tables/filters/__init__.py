"""The query languages over tables: v4 search, v5 filter, sort and cursor, and the `{p}` and `{r}` of addresses."""

from tabellion.features.tables.filters.compile import ALWAYS, Condition
from tabellion.features.tables.filters.demands import demanded_subscriptions
from tabellion.features.tables.filters.errors import FilterFault, ProfileUnknown, row_unknown
from tabellion.features.tables.filters.listing import CursorInvalid, Listing, compile_filter, order_by
from tabellion.features.tables.filters.reference import (
    Reference,
    identifies,
    own_value,
    parse_reference,
    reference_by_name,
)
from tabellion.features.tables.filters.sent import as_sent
from tabellion.features.tables.filters.v4 import compile_v4_search, equality, query_moment, row_limit, row_parameter

__all__ = [
    "ALWAYS",
    "Condition",
    "CursorInvalid",
    "FilterFault",
    "Listing",
    "ProfileUnknown",
    "Reference",
    "as_sent",
    "compile_filter",
    "compile_v4_search",
    "demanded_subscriptions",
    "equality",
    "identifies",
    "order_by",
    "own_value",
    "parse_reference",
    "query_moment",
    "reference_by_name",
    "row_limit",
    "row_parameter",
    "row_unknown",
]
