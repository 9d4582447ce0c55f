"""The calls of the suppression list and of bounces, version 5, as the table-driven tests send them."""

from tests.support.cases import Case

_CATEGORY, _LIST = "email-campaigns", "/v5/suppressions"
_ONE = _LIST + "/{suppressed}"

BOUNCES_V5 = [
    Case(
        "list suppressions", "GET", _CATEGORY, _LIST + "?reason=MANUAL&limit=10", 200,
        check=lambda a: a == {"suppressions": [], "nextCursor": None},
    ),
    Case("list suppressions for no reason", "GET", _CATEGORY, _LIST + "?reason=WHY", 400, check=lambda a: a["errors"][0]["field"] == "reason"),
    Case("list suppressions with a strange cursor", "GET", _CATEGORY, _LIST + "?cursor=eA", 400, check=lambda a: a["code"] == "cursor.invalid"),
    Case(
        "get suppression", "GET", _CATEGORY, _ONE, 200,
        check=lambda a: (a["address"], a["reason"], a["detail"]) == ("ann@example.com", "COMPLAINT", None),
    ),
    Case("get suppression unknown", "GET", _CATEGORY, _LIST + "/ann@example.com", 404, check=lambda a: a["code"] == "suppression.unknown"),
    Case(
        "put suppression", "PUT", _CATEGORY, _LIST + "/Bob@Example.com", 200, {"detail": "asked by phone"},
        check=lambda a: (a["address"], a["reason"], a["detail"]) == ("bob@example.com", "MANUAL", "asked by phone"),
    ),
    Case("put suppression of none", "PUT", _CATEGORY, _LIST + "/nobody", 400, {}, check=lambda a: a["errors"][0]["field"] == "address"),
    Case("delete suppression", "DELETE", _CATEGORY, _ONE, 204),
    Case("delete suppression unknown", "DELETE", _CATEGORY, _LIST + "/ann@example.com", 404),
    Case(
        "add suppressions", "POST", _CATEGORY, _LIST, 200, {"suppressions": [{"address": "A@example.com"}, {"address": "b@example.com"}]},
        check=lambda a: a == {"added": 2, "known": 0},
        once=True,
    ),
    Case(
        "add suppressions, one wrong", "POST", _CATEGORY, _LIST, 400,
        {"suppressions": [{"address": "a@example.com"}, {"address": "nobody", "reason": "WHY"}]},
        check=lambda a: a["errors"][0]["field"] == "suppressions[1].address",
    ),
    Case(
        "tell of bounces", "POST", _CATEGORY, "/v5/bounces", 200,
        {"bounces": [{"type": "hard_bounce", "address": "ann@example.com"}, {"type": "HARD_BOUNCE", "interactionId": 1}, {"type": "x"}]},
        check=lambda a: (a["accepted"], a["rejected"], [b.get("code") for b in a["bounces"]]) == (1, 2, [None, "interaction.unknown", "member.type"]),
    ),
]  # fmt: skip
