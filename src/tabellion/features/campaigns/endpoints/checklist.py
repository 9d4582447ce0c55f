"""The checklist of a campaign, version 5."""

from typing import Any

import msgspec

from tabellion.features.campaigns import checking
from tabellion.features.campaigns.endpoints.places import CAMPAIGN, CATEGORY, MODULE, ONE_V5
from tabellion.features.campaigns.wire.checklist import ChecklistOut, checklist_out
from tabellion.features.tables import ENTITY
from tabellion.platform.http.call import Answer, Call, Incoming


async def checklist(call: Incoming) -> Answer:
    """What to look at before a launch."""
    whole = await checking.check(call)

    async def later() -> msgspec.Struct:
        return checklist_out(await whole())

    return Answer(200, later=later)


_OUT: dict[str, Any] = {
    "campaignId": 4711,
    "launchable": True,
    "items": [
        {
            "severity": "ERROR",
            "code": "link.gone",
            "message": "the address https://www.example.com/sping answers 404",
            "advice": "mend it, or take the link out",
            "languages": [],
            "variants": [],
        },
        {
            "severity": "WARNING",
            "code": "subject.long",
            "message": "the subject has 84 characters",
            "advice": "mail programs show about 70; shorten it",
            "languages": ["FR"],
            "variants": ["B"],
        },
    ],
    "addresses": 12,
    "addressesLookedAt": 12,
    "recipients": {
        "targeted": 1840,
        "excluded": {"noAddress": 12, "language": 0, "suppressed": 31, "duplicateAddress": 204},
        "mails": 1593,
    },
}

CALLS = (
    Call(
        id="campaigns.v5.checklist",
        method="GET",
        path=f"{ONE_V5}/checklist",
        category=CATEGORY,
        module=MODULE,
        summary="Read what to look at before a launch",
        description=(
            "BLOCKING: the launch is refused. ERROR: readers or receivers will take it amiss. WARNING: it may be all right. "
            "The mails are rendered for up to 5 of the target in each language, for 10 seconds. Links and pictures outside "
            "are asked for (up to 50, for 15 seconds); what receivers look up of the sender's domain is looked up: SPF, "
            "DKIM, DMARC. `recipients` tells how many mails a mass campaign would be if it began now. Nothing is kept."
        ),
        handler=checklist,
        parameters=(ENTITY, CAMPAIGN),
        statuses={200: "The list, the worst first; empty: all is well."},
        answer=ChecklistOut,
        answer_example=_OUT,
    ),
)
