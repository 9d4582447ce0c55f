"""Imports of files into tables: read, check, apply block by block."""

from tabellion.features.bulk.imports import store as jobs_store
from tabellion.features.bulk.imports.model import Job, Mode, Order, Status
from tabellion.features.bulk.imports.running import Run
from tabellion.features.bulk.imports.service import keep as spool_file
from tabellion.features.bulk.imports.service import new_folder

__all__ = ["Job", "Mode", "Order", "Run", "Status", "jobs_store", "new_folder", "spool_file"]
