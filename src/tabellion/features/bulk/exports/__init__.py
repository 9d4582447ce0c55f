"""Exports: rows of tables as files, once, kept, or by a schedule."""

from tabellion.features.bulk.exports.model import SUBJECT
from tabellion.features.bulk.exports.service import find_subject

__all__ = ["SUBJECT", "find_subject"]
