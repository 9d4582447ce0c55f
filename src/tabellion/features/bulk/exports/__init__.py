"""Exports: rows of tables as files, once, kept, or by a schedule."""

from tabellion.features.bulk.exports import store as exports_store
from tabellion.features.bulk.exports.definition import Definition, Format
from tabellion.features.bulk.exports.model import FILE, SUBJECT, Execution
from tabellion.features.bulk.exports.running import Exporter
from tabellion.features.bulk.exports.service import enter_export, find_subject, stop

__all__ = [
    "FILE",
    "SUBJECT",
    "Definition",
    "Execution",
    "Exporter",
    "Format",
    "enter_export",
    "exports_store",
    "find_subject",
    "stop",
]
