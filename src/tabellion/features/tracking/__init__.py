"""What readers of mails do: open, click, unsubscribe; told from what machines do."""

from tabellion.features.tracking.model import Page
from tabellion.features.tracking.service import clicked, opened, target_of, unsubscribe, unsubscribe_page

__all__ = ["Page", "clicked", "opened", "target_of", "unsubscribe", "unsubscribe_page"]
