"""What a table is: attributes and their types, restrictions, structure changes, and the filter language.

Profile tables are whole here. Custom tables, a feature of their own, share the machinery: `Table`, `Plan`, `Catalogue`,
`Structures`.
"""

from tabellion.features.tables.ddl import alter, count_of, qualified, relation_of
from tabellion.features.tables.errors import NameUsed, TableInUse, TableUnknown
from tabellion.features.tables.model import (
    ORIGIN,
    PROFILE_TABLES,
    Attribute,
    Columns,
    Kind,
    NamedPart,
    ProfileTable,
    RemovedSubscription,
    Segmentation,
    Subscription,
    Table,
    Test,
    UpdateRule,
)
from tabellion.features.tables.operations import AnyOperation, complete
from tabellion.features.tables.parameters import ENTITY, TABLE
from tabellion.features.tables.plan import Plan, Step
from tabellion.features.tables.references import Referrer, followers, referred, referrers, referring
from tabellion.features.tables.references import told as told_referrer
from tabellion.features.tables.service import (
    Structures,
    find_table,
    named,
    profile_tables,
    structure_etag,
    tables_of_licence,
)
from tabellion.features.tables.store import Catalogue
from tabellion.features.tables.types.base import BadValue
from tabellion.features.tables.types.boolean import parse_flag
from tabellion.features.tables.types.comparing import as_compared, compared, compared_value
from tabellion.features.tables.types.moment import moment_or_null, parse_moment, render_moment
from tabellion.features.tables.types.predefined import COUNTRIES, LANGUAGES
from tabellion.features.tables.types.registry import (
    VALUE_TYPES,
    attribute_type,
    column_cast,
    email_of,
    is_email,
    mother_language_of,
    parse_value,
    render_value,
    text_value,
)
from tabellion.features.tables.wire import Restriction

__all__ = [
    "COUNTRIES",
    "ENTITY",
    "LANGUAGES",
    "ORIGIN",
    "PROFILE_TABLES",
    "TABLE",
    "VALUE_TYPES",
    "AnyOperation",
    "Attribute",
    "BadValue",
    "Catalogue",
    "Columns",
    "Kind",
    "NameUsed",
    "NamedPart",
    "Plan",
    "ProfileTable",
    "Referrer",
    "RemovedSubscription",
    "Restriction",
    "Segmentation",
    "Step",
    "Structures",
    "Subscription",
    "Table",
    "TableInUse",
    "TableUnknown",
    "Test",
    "UpdateRule",
    "alter",
    "as_compared",
    "attribute_type",
    "column_cast",
    "compared",
    "compared_value",
    "complete",
    "count_of",
    "email_of",
    "find_table",
    "followers",
    "is_email",
    "moment_or_null",
    "mother_language_of",
    "named",
    "parse_flag",
    "parse_moment",
    "parse_value",
    "profile_tables",
    "qualified",
    "referred",
    "referrers",
    "referring",
    "relation_of",
    "render_moment",
    "render_value",
    "structure_etag",
    "tables_of_licence",
    "text_value",
    "told_referrer",
]
