"""What readers of mails do: open, click, unsubscribe, choose; told from what machines do. And the reports on it."""

from tabellion.features.tracking import admin
from tabellion.features.tracking.model import Choice, Page, Preferences
from tabellion.features.tracking.preferences import (
    choose,
    preferences_page,
    unsubscribe,
    unsubscribe_by_mail,
    unsubscribe_page,
)
from tabellion.features.tracking.service import Asked, clicked, opened, target_of, trapped
from tabellion.features.tracking.words import Words, direction_of

__all__ = [
    "Asked",
    "Choice",
    "Page",
    "Preferences",
    "Words",
    "admin",
    "choose",
    "clicked",
    "direction_of",
    "opened",
    "preferences_page",
    "target_of",
    "trapped",
    "unsubscribe",
    "unsubscribe_by_mail",
    "unsubscribe_page",
]
