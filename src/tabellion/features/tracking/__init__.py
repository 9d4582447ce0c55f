"""What readers of mails do: open, click, unsubscribe; told from what machines do."""

from tabellion.features.tracking import admin
from tabellion.features.tracking.model import Page
from tabellion.features.tracking.service import (
    Asked,
    clicked,
    opened,
    target_of,
    trapped,
    unsubscribe,
    unsubscribe_page,
)

__all__ = ["Asked", "Page", "admin", "clicked", "opened", "target_of", "trapped", "unsubscribe", "unsubscribe_page"]
