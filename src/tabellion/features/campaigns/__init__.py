"""E-mail campaigns: what they are, what they say, whom they are for, and what became of them."""

from tabellion.features.campaigns.checks import Network, use_network
from tabellion.features.campaigns.content import use_cages, use_public_url
from tabellion.features.campaigns.control import explain_pending
from tabellion.features.campaigns.guarding import check_change, check_custom_change
from tabellion.features.campaigns.languages import spelt
from tabellion.features.campaigns.model import Campaign, Kind
from tabellion.features.campaigns.progress import ended, gather, hold, hold_begun
from tabellion.features.campaigns.service import find_subject
from tabellion.features.campaigns.service import get as get_campaign
from tabellion.features.campaigns.store import forget_keys
from tabellion.features.campaigns.store import image as hosted_image
from tabellion.features.campaigns.wire.ab_tests import VariantResult
from tabellion.features.campaigns.wire.pending import EXAMPLE as PENDING_EXAMPLE
from tabellion.features.campaigns.wire.pending import Delay, Wait, delays_out, waits_out

__all__ = [
    "PENDING_EXAMPLE",
    "Campaign",
    "Delay",
    "Kind",
    "Network",
    "VariantResult",
    "Wait",
    "check_change",
    "check_custom_change",
    "delays_out",
    "ended",
    "explain_pending",
    "find_subject",
    "forget_keys",
    "gather",
    "get_campaign",
    "hold",
    "hold_begun",
    "hosted_image",
    "spelt",
    "use_cages",
    "use_network",
    "use_public_url",
    "waits_out",
]
