"""Whom a campaign is for: a target, checked against a table and turned into a condition on its rows."""

from tabellion.features.audiences.model import MAX_KEYS, Keys, Target
from tabellion.features.audiences.service import condition_of, count_target

__all__ = ["MAX_KEYS", "Keys", "Target", "condition_of", "count_target"]
