"""Refusals of the profile calls."""

from tabellion.features.tables.filters import ProfileUnknown
from tabellion.kit.problem import Problem

__all__ = [
    "AttributeAmbiguous",
    "AttributeNotUnique",
    "ProfileExists",
    "ProfileUnknown",
    "SegmentationUnknown",
    "SubscriptionUnknown",
]


class ProfileExists(Problem):
    """The profile exists and the call was told not to update (`allowUpdate=false`)."""

    status = 409
    code = "profile.exists"


class AttributeAmbiguous(Problem):
    """The unique attributes of the body belong to different profiles. Send fewer of them, or mend the data."""

    status = 409
    code = "attribute.ambiguous"


class AttributeNotUnique(Problem):
    """Another profile owns this value of a unique attribute."""

    status = 409
    code = "attribute.notUnique"


class SubscriptionUnknown(Problem):
    """The table has no subscription of this name; the structure call lists them."""

    status = 404
    code = "subscription.unknown"


class SegmentationUnknown(Problem):
    """The table has no segmentation of this name; the structure call lists them."""

    status = 404
    code = "segmentation.unknown"
