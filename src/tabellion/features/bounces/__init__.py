"""Mails that come back, complaints, and the addresses that get nothing more.

The process that takes them over SMTP takes `intake` too.
"""

from tabellion.features.bounces import admin
from tabellion.features.bounces.model import Rules
from tabellion.features.bounces.reporting import use_rules
from tabellion.features.bounces.service import purge

__all__ = ["Rules", "admin", "purge", "use_rules"]
