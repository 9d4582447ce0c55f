"""The part of the demo's walk that is about a campaign: defined, tested, launched to the outbox, reported on."""

import time
from typing import Any

from tabellion.cli.common import console
from tabellion.cli.walk import ENTITY, Client, Walk, WalkFailed

MAIL = f"/email-campaigns/v4/entity/{ENTITY}/mail"
_HTML = """<html><body>
<h1>Spring is here, {{ profile.lastName }}</h1>
<p>You have made {{ profile.orders | default: "no" }} orders.</p>
<p><a href="https://www.example.com/spring">See what is new</a></p>
<p><a href="{{ unsubscribeUrl }}">No more of these mails</a></p>
</body></html>
"""
_MOST = 300
_WAIT_S, _LOOK_EVERY_S = 60, 0.2


def walk_mail(client: Client) -> None:
    """A campaign from its definition to its report. Raises `WalkFailed`."""
    step = Walk(client)
    new = {
        "name": f"Spring offer {time.strftime('%Y-%m-%d %H.%M.%S')}",
        "from": "The demo's shop <news@shop.example>",
        "targetTable": "Contacts",
        "supportedLanguages": ["EN", "NL", "FR", "DE"],
    }
    step("define an e-mail campaign", "POST", MAIL, new, expect=201)
    one = f"{MAIL}/{step.answer['campaignId']}"
    subject = {"subject": "Spring is here, {{ profile.lastName }}"}
    step("its subject", "PUT", f"{one}/content/subject", subject, expect=200)
    console().rule("its content", align="left")
    console().print(_HTML, style="cyan", markup=False)
    client.document("PUT", f"{one}/content/body", _HTML, Content_Type="text/html")
    target = {"subscription": "Newsletter", "maxProfiles": _MOST}
    step("whom it is for", "PUT", f"{one}/target", target, expect=200)
    step("and how many that is", "GET", f"{one}/target", expect=200, holds=lambda a: a["estimatedCount"] == _MOST)
    test = {"recipients": ["me@shop.example"], "profile": "1"}
    step("send a test", "POST", f"{one}/test", test, expect=200)
    step("launch it", "POST", f"{one}/launch", expect=200, holds=lambda a: a["state"] == "IN_PROGRESS")
    until_finished(client, one)
    step("what became of it", "GET", f"{one}/report", expect=200, holds=_adds_up)


def _adds_up(report: Any) -> bool:
    accounted = sum(report["excluded"].values()) + report["sent"] + report["uncertain"]
    return report["state"] == "FINISHED" and report["targeted"] == accounted == _MOST and report["sent"] > _MOST // 2


def until_finished(client: Client, path: str) -> None:
    """Wait for a campaign's end. Raises `WalkFailed`."""
    deadline = time.monotonic() + _WAIT_S
    while True:
        campaign = client.document("GET", path)
        if campaign["state"] == "FINISHED":
            return
        if time.monotonic() > deadline:
            raise WalkFailed(f"the campaign did not end within a minute: {campaign}")
        time.sleep(_LOOK_EVERY_S)
