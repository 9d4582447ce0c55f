"""Webhooks: subscriptions to events, and the delivery of the events to their targets."""

from tabellion.features.webhooks.dispatcher import Dispatcher, Pace
from tabellion.features.webhooks.metrics import exposition
from tabellion.features.webhooks.queue import forget
from tabellion.features.webhooks.service import purge_dead
from tabellion.features.webhooks.store import PLACES

__all__ = ["PLACES", "Dispatcher", "Pace", "exposition", "forget", "purge_dead"]
