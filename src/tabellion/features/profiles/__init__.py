"""Profiles: one by one, their subscriptions and segmentations, and the history of their consent."""

from tabellion.features.profiles.news import SUBJECT, of_write
from tabellion.features.profiles.reading import membership

__all__ = ["SUBJECT", "membership", "of_write"]
