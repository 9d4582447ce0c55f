"""Custom actions: steps of scenarios that another system carries out."""

from tabellion.features.actions.service import find_action

__all__ = ["find_action"]
