"""Servers of files and folders on them: ETLs read from them, exports write to them."""

from tabellion.features.transfers.model import Location
from tabellion.features.transfers.service import allow, find_location, open_location
from tabellion.features.transfers.store import PLACES

__all__ = ["PLACES", "Location", "allow", "find_location", "open_location"]
