"""E-mail campaigns: what they are, what they say and whom they are for. This release sends nothing yet."""

from tabellion.features.campaigns.content import use_cages, use_public_url
from tabellion.features.campaigns.service import hosted_image

__all__ = ["hosted_image", "use_cages", "use_public_url"]
