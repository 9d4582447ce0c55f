"""Imports of files into tables: read, check, apply block by block.

Whoever does the work takes `running` too.
"""

from tabellion.features.bulk.imports import reports
from tabellion.features.bulk.imports import store as jobs_store
from tabellion.features.bulk.imports.beforehand import Uses, key_fault, mapping_faults
from tabellion.features.bulk.imports.errors import FileUnknown, JobState
from tabellion.features.bulk.imports.model import (
    ENDED,
    Counters,
    EmptyCells,
    Job,
    Mapping,
    Mode,
    Operation,
    Order,
    Status,
    Transformation,
)
from tabellion.features.bulk.imports.opening import INPUT, csv_entries, not_there
from tabellion.features.bulk.imports.service import new_folder, spool_files, spooled, turn
from tabellion.features.bulk.imports.source import charset_of
from tabellion.features.bulk.imports.wire import encoding_faults, format_faults

__all__ = [
    "ENDED",
    "INPUT",
    "Counters",
    "EmptyCells",
    "FileUnknown",
    "Job",
    "JobState",
    "Mapping",
    "Mode",
    "Operation",
    "Order",
    "Status",
    "Transformation",
    "Uses",
    "charset_of",
    "csv_entries",
    "encoding_faults",
    "format_faults",
    "jobs_store",
    "key_fault",
    "mapping_faults",
    "new_folder",
    "not_there",
    "reports",
    "spool_files",
    "spooled",
    "turn",
]
