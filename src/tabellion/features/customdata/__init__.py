"""Custom tables and their records: what belongs to profiles (bookings, purchases), or stands for itself."""

from tabellion.features.customdata.model import CUSTOM_TABLES, CustomTable, ForeignKey
from tabellion.features.customdata.parameters import CUSTOM_TABLE
from tabellion.features.customdata.service.structure import custom_tables, custom_tables_of_licence, find_custom_table

__all__ = [
    "CUSTOM_TABLE",
    "CUSTOM_TABLES",
    "CustomTable",
    "ForeignKey",
    "custom_tables",
    "custom_tables_of_licence",
    "find_custom_table",
]
