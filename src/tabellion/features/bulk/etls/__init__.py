"""ETLs: imports of v5, of one or more files at once, with transformations; stored definitions and one-shots."""

from tabellion.features.bulk.etls import store as etls_store
from tabellion.features.bulk.etls.model import SUBJECT, Execution
from tabellion.features.bulk.etls.service import find_subject, stop

__all__ = ["SUBJECT", "Execution", "etls_store", "find_subject", "stop"]
