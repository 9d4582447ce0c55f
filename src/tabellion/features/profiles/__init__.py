"""Profiles: one by one, their subscriptions and segmentations, and the history of their consent."""
