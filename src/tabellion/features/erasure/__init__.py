"""Erasing a person: what is known of an address in a licence goes, and what mails came to stays without them.

Above all other features, as it asks each of them to forget.
"""

from collections.abc import Sequence

from tabellion.features.erasure import admin
from tabellion.features.erasure.service import PLACES, object_of

__all__: Sequence[str] = ["PLACES", "admin", "object_of"]
