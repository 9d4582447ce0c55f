"""What to look at before a launch that is not in the mail itself: where links lead, what receivers know of the sender."""

from tabellion.features.campaigns.checks.domains import check_sender
from tabellion.features.campaigns.checks.links import check_links
from tabellion.features.campaigns.checks.outside import Network, network, use_network
from tabellion.platform.templates import Finding, error, warning

__all__ = ["Finding", "Network", "check_links", "check_sender", "error", "network", "use_network", "warning"]
