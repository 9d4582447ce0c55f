"""Usage limits per licence: the gate that every call passes, and the counters."""

from tabellion.features.usage.batcher import Batcher
from tabellion.features.usage.service import Admission, Gate, count_bulk_call, purge

__all__ = ["Admission", "Batcher", "Gate", "count_bulk_call", "purge"]
