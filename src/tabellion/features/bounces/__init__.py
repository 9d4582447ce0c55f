"""Mails that come back, complaints, and the addresses that get nothing more."""

from tabellion.features.bounces.intake import Intake
from tabellion.features.bounces.model import Rules

__all__ = ["Intake", "Rules"]
