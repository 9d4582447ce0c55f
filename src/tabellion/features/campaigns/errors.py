"""Refusals of the calls of campaigns."""

from tabellion.kit.enumerated import first_few
from tabellion.kit.problem import FieldError, Problem

# In a message; all are in `errors`.
_MOST_SAID = 10


class CampaignUnknown(Problem):
    """The entity has no such campaign; the list call shows them."""

    status = 404
    code = "campaign.unknown"


class ContentUnknown(Problem):
    """The campaign has no such content yet."""

    status = 404
    code = "content.unknown"


class ABTestUnknown(Problem):
    """The campaign has no A/B test."""

    status = 404
    code = "abTest.unknown"


class CampaignNameUsed(Problem):
    """The entity has a campaign of this name already (names may not differ by case only). Choose another one."""

    status = 409
    code = "campaign.nameUsed"


class CampaignState(Problem):
    """The campaign is not in a state for this: settings, target and content change only in IN_DEFINITION."""

    status = 409
    code = "campaign.state"


class CampaignIncomplete(Problem):
    """Something is missing for a launch: every language needs a subject and a body, a mass campaign a target.

    Or the target or a content names what was removed from the table since.
    """

    status = 409
    code = "campaign.incomplete"

    def __init__(self, faults: list[FieldError]) -> None:
        super().__init__(first_few([fault.message for fault in faults], _MOST_SAID, "; "), errors=faults)


class SenderRefused(Problem):
    """Large mailbox providers would refuse a campaign to so many for what they find of its sender; `errors` says what.

    Mend it, or launch with `overrideSenderCheck` and the reason, which the audit trail keeps.
    """

    status = 409
    code = "campaign.senderCheck"


class CampaignKind(Problem):
    """The call is for campaigns of another sending mode."""

    status = 409
    code = "campaign.kind"
