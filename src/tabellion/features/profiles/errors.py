"""Refusals of the profile calls."""

from tabellion.features.tables.filters import ProfileUnknown
from tabellion.kit.problem import FieldError, Problem

__all__ = [
    "AttributeAmbiguous",
    "AttributeNotUnique",
    "ProfileUnknown",
    "RowExists",
    "RowInUse",
    "SegmentationUnknown",
    "SubscriptionUnknown",
]


class RowExists(Problem):
    """The profile (or record) exists and the call may not update it (`allowUpdate=false`)."""

    status = 409
    code = "profile.exists"

    def __init__(self, message: str, row: str) -> None:
        super().__init__(message)
        self.code = f"{row}.exists"


class AttributeAmbiguous(Problem):
    """The unique attributes of the body belong to different profiles. Send fewer of them, or mend the data."""

    status = 409
    code = "attribute.ambiguous"


class AttributeNotUnique(Problem):
    """Another profile owns this value of a unique attribute."""

    status = 409
    code = "attribute.notUnique"


class RowInUse(Problem):
    """Records of a custom table refer to the row, which would be deleted, or to a value of it that would be cleared."""

    status = 409
    code = "profile.inUse"

    def __init__(self, message: str, row: str, field: str | None = None) -> None:
        code = f"{row}.inUse"
        super().__init__(message, errors=() if field is None else [FieldError(field, code, message)])
        self.code = code


class SubscriptionUnknown(Problem):
    """The table has no subscription of this name; the structure call lists them."""

    status = 404
    code = "subscription.unknown"


class SegmentationUnknown(Problem):
    """The table has no segmentation of this name; the structure call lists them."""

    status = 404
    code = "segmentation.unknown"
