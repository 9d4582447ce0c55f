"""ETLs: imports of v5, of one or more files at once, with transformations; stored definitions and one-shots."""

from tabellion.features.bulk.etls.model import SUBJECT
from tabellion.features.bulk.etls.service import find_subject

__all__ = ["SUBJECT", "find_subject"]
