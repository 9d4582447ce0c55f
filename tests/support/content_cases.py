"""The v5 calls about contents, preview, checklist and audiences of e-mail campaigns, as the table-driven tests send them."""

from tests.support.cases import Case
from tests.support.tenant import SUBJECT

_CATEGORY = "email-campaigns"
_AUDIENCES = "/v5/entities/hotels/audiences"
_MAILS = "/v5/entities/hotels/mails/{mail}"

CONTENTS_V5 = [
    Case(
        "list contents", "GET", _CATEGORY, _MAILS + "/contents", 200,
        check=lambda a: [(c["language"], c["body"], c["complete"]) for c in a["contents"]] == [
            ("default", "HTML", True), ("EN", None, True),
        ],
    ),
    Case(
        "get content", "GET", _CATEGORY, _MAILS + "/contents/default", 200,
        check=lambda a: a["subject"] == SUBJECT and a["mjml"] is a["text"] is a["preheader"] is None,
    ),
    Case(
        "put content", "PUT", _CATEGORY, _MAILS + "/contents/en", 200, {"subject": "Hello", "html": "<p>x</p>"},
        check=lambda a: a["language"] == "EN" and a["html"] == "<p>x</p>",
    ),
    Case(
        "patch content", "PATCH", _CATEGORY, _MAILS + "/contents/default", 200, {"preheader": "Look"},
        check=lambda a: a["preheader"] == "Look" and a["subject"] == SUBJECT,
    ),
    Case("delete content", "DELETE", _CATEGORY, _MAILS + "/contents/default", 204),
    Case(
        "get content that is not there", "GET", _CATEGORY, _MAILS + "/contents/EN", 404,
        check=lambda a: a["code"] == "content.unknown",
    ),
    Case(
        "checklist", "GET", _CATEGORY, _MAILS + "/checklist", 200,
        check=lambda a: a["launchable"] is True and "link.unreachable" in [i["code"] for i in a["items"]]
        and (a["addresses"], a["addressesLookedAt"]) == (1, 1),
    ),
    Case(
        "preview", "POST", _CATEGORY, _MAILS + "/preview", 200, {"profile": "emailAddress=ann@example.com"},
        check=lambda a: a["subject"] == "Spring is here, Vos" and "Dear Vos," in a["html"] and len(a["links"]) == 2,
    ),
    Case(
        "sample of a target", "GET", _CATEGORY, _MAILS + "/target/sample?limit=5", 200,
        check=lambda a: a["estimatedCount"] == 1 and a["profiles"][0]["attributes"]["lastName"] == "Vos",
    ),
    Case(
        "save audience", "POST", _CATEGORY, _AUDIENCES, 201, {"name": "Regulars", "targetTable": "guests", "filter": "points > 1"},
        check=lambda a: a["name"] == "Regulars" and a["targetTable"] == "Guests" and a["keys"] is None,
        once=True,
    ),
    Case("list audiences", "GET", _CATEGORY, _AUDIENCES, 200, check=lambda a: a == {"audiences": []}),
    Case(
        "get audience", "GET", _CATEGORY, _AUDIENCES + "/{audience}", 200,
        check=lambda a: a["subscription"] == "Newsletter" and a["segmentations"] == [],
    ),
    Case(
        "change audience", "PATCH", _CATEGORY, _AUDIENCES + "/{audience}", 200, {"subscription": None, "filter": "points = 1"},
        check=lambda a: a["subscription"] is None and a["filter"] == "points = 1",
    ),
    Case(
        "sample of an audience", "GET", _CATEGORY, _AUDIENCES + "/{audience}/sample", 200,
        check=lambda a: a == {"estimatedCount": 0, "profiles": []},
    ),
    Case("delete audience", "DELETE", _CATEGORY, _AUDIENCES + "/{audience}", 204),
    Case(
        "get audience unknown", "GET", _CATEGORY, _AUDIENCES + "/nobody", 404,
        check=lambda a: a["code"] == "audience.unknown",
    ),
]  # fmt: skip
