"""Where the calls of campaigns are, and what their descriptions have in common."""

from typing import Any

from tabellion.features.campaigns.model import Campaign
from tabellion.features.campaigns.wire.definition import CampaignId
from tabellion.platform.http.call import Answer, Parameter

CATEGORY, MODULE = "email-campaigns", "campaigns"
MAILS = "/v4/entity/{e}/mail"
ONE_V4, ONE_V5 = MAILS + "/{c}", "/v5/entities/{e}/mails/{c}"
CAMPAIGN = Parameter("c", "id or name of the campaign", "SpringOffer")
ID: dict[str, Any] = {"campaignId": 4711}
WRITE: dict[str, Any] = {
    "category": CATEGORY,
    "module": MODULE,
    "statuses": {200: "Done."},
    "conflicts": ("campaign.state",),
    "answer": CampaignId,
    "answer_root": "mail",
    "answer_example": ID,
    "etag": True,
}
"""What calls of version 4 that change a campaign have in common."""


def written(campaign: Campaign) -> Answer:
    """The answer of such a call."""
    return Answer(200, CampaignId(campaign.id))
