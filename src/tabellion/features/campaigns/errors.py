"""Refusals of the calls of campaigns."""

from tabellion.kit.problem import Problem


class CampaignUnknown(Problem):
    """The entity has no such campaign; the list call shows them."""

    status = 404
    code = "campaign.unknown"


class ContentUnknown(Problem):
    """The campaign has no such content yet."""

    status = 404
    code = "content.unknown"


class CampaignNameUsed(Problem):
    """The entity has a campaign of this name already (names may not differ by case only). Choose another one."""

    status = 409
    code = "campaign.nameUsed"


class CampaignState(Problem):
    """The campaign is not in a state for this: settings, target and content change only in IN_DEFINITION."""

    status = 409
    code = "campaign.state"
