"""Refusals of the calls of audiences."""

from tabellion.kit.problem import Problem


class AudienceUnknown(Problem):
    """The entity has no such audience; the list call shows them."""

    status = 404
    code = "audience.unknown"


class AudienceInUse(Problem):
    """Campaigns that have not ended aim at the audience. Aim them elsewhere first, or delete them."""

    status = 409
    code = "audience.inUse"
