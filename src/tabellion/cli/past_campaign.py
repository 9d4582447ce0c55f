"""The demo's campaign of last week: really sent to the outbox, and read by invented readers; only its moments are put back.

So the demo's report has something to show: openings over days, links, devices, bounces, people who left.
"""

import email
import email.policy
import html
import http.client
import random
import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, LiteralString, NamedTuple
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from tabellion.cli.common import console
from tabellion.cli.walk import LICENCE, Client
from tabellion.cli.walk_mail import MAIL, until_finished

NAME = "Winter sale"
# As long as it is not read and put back: whoever finds it so goes on with it.
_UNFINISHED = f"{NAME} (being made)"
_SEED = 20_270_302
_AGO = timedelta(days=4)
_HTML = """<html><body>
<h1>Winter sale, {{ profile.firstName | default: "dear customer" }}</h1>
<p>Three days, a third off: <a href="https://www.example.com/coats">coats</a>,
<a href="https://www.example.com/boots">boots</a> and <a href="https://www.example.com/books">books for the evenings</a>.</p>
<p><a href="{{ unsubscribeUrl }}">No more of these mails</a></p>
</body></html>
"""
_MOST = 600
_OPENED, _AGAIN, _CLICKED = 0.46, 0.22, 0.24
# How many were told of later, by type; and how many left.
_REPORTED = (("HARD_BOUNCE", "5.1.1", 6), ("SOFT_BOUNCE", "4.2.2", 5), ("COMPLAINT", None, 1))
_LEFT = 4
_PROGRAMS = {
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148": 9,
    "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36": 6,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36": 7,
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)": 5,
}
_PROXY = "GoogleImageProxy"
_PUT_BACK: tuple[LiteralString, ...] = (
    """
UPDATE tabellion.campaign SET name = %(name)s, created_at = created_at - %(ago)s, updated_at = updated_at - %(ago)s,
    started_at = started_at - %(ago)s, ended_at = ended_at - %(ago)s WHERE id = %(campaign)s""",
    """
UPDATE {s}.outbox_mail m SET moment = m.moment - %(ago)s FROM {s}.recipient r
WHERE r.id = m.recipient_id AND r.campaign_id = %(campaign)s""",
    """
UPDATE {s}.recipient SET planned_at = planned_at - %(ago)s, ended_at = ended_at - %(ago)s
WHERE campaign_id = %(campaign)s""",
    """
UPDATE {s}.mail_event e SET moment = r.ended_at + coalesce(
    CASE e.type WHEN 'OPEN' THEN d.opened + n.before * interval '7 hours' ELSE d.clicked END, interval '20 minutes')
FROM {s}.recipient r LEFT JOIN unnest(%(ids)s::bigint[], %(opened)s::interval[], %(clicked)s::interval[])
    AS d (id, opened, clicked) ON d.id = r.id,
    (SELECT id, row_number() OVER (PARTITION BY recipient_id, type ORDER BY id) - 1 AS before FROM {s}.mail_event
     WHERE campaign_id = %(campaign)s) AS n
WHERE r.id = e.recipient_id AND e.campaign_id = %(campaign)s AND n.id = e.id""",
    # What reports have added up so far is of the moments before.
    """
INSERT INTO tabellion.report_recount (campaign_id, licence_id, usable) VALUES (%(campaign)s, %(licence)s, false)
ON CONFLICT (campaign_id) DO UPDATE SET usable = false""",
)


class _Mail(NamedTuple):
    """One mail of the outbox: its recipient, and the paths of what it holds."""

    recipient: int
    address: str
    picture: str
    links: list[str]
    leave: str


def past_campaign(client: Client, url: str) -> None:
    """Make the campaign, or what is missing of it, unless it is there. Raises `WalkFailed`."""
    if _is_there(client, NAME):
        return
    if not _is_there(client, _UNFINISHED):
        new = {
            "name": _UNFINISHED,
            "from": "The demo's shop <news@shop.example>",
            "targetTable": "Contacts",
            "supportedLanguages": ["EN", "NL", "FR", "DE"],
        }
        client.document("POST", MAIL, new)
    campaign = client.document("GET", f"{MAIL}/{quote(_UNFINISHED)}")
    number = campaign["campaignId"]
    one = f"{MAIL}/{number}"
    started = time.monotonic()
    if campaign["state"] == "IN_DEFINITION":
        client.document("PUT", f"{one}/content/subject", {"subject": "Winter sale: a third off, until Sunday"})
        client.document("PUT", f"{one}/content/body", _HTML, Content_Type="text/html")
        client.document("PUT", f"{one}/target", {"subscription": "Newsletter", "maxProfiles": _MOST})
        client.document("POST", f"{one}/launch")
    until_finished(client, one)
    with psycopg.connect(url, autocommit=True) as db:
        (licence,) = db.execute("SELECT id FROM tabellion.licence WHERE name = %s", (LICENCE,)).fetchone() or (0,)
        schema = sql.Identifier(f"l{licence:d}")
        mails = list(_mails(db, schema, number))
        delays = _read(client, mails)
        _put_back(db, licence, number, delays)
    report = client.document("GET", f"{one}/report")
    console().print(
        f"a campaign of last week to {len(mails):,} of them, opened and clicked, in {time.monotonic() - started:.1f} s: "
        f"{report['delivered']} delivered, {report['uniqueOpens']} opened ({report['opens']} times), "
        f"{report['uniqueClicks']} clicked"
    )


def _is_there(client: Client, name: str) -> bool:
    return client.call("GET", f"{MAIL}/{quote(name)}")[0] == http.client.OK


def _mails(db: psycopg.Connection[Any], schema: sql.Identifier, number: int) -> Iterator[_Mail]:
    query = "SELECT r.id, r.address, m.content FROM {s}.outbox_mail m JOIN {s}.recipient r ON r.id = m.recipient_id "
    rows = db.execute(sql.SQL(query + "WHERE r.campaign_id = %s ORDER BY r.id").format(s=schema), (number,))
    for recipient, address, content in rows:
        body = email.message_from_bytes(content, policy=email.policy.default).get_body(("html",))
        found = re.findall(r'(?:href|src)="[^"]*(/t/[^"]*)"', body.get_content() if body else "")
        paths = {use: [html.unescape(each) for each in found if each.startswith(f"/t/{use}/")] for use in "ocu"}
        yield _Mail(recipient, address, paths["o"][0], paths["c"], paths["u"][0])


def _read(client: Client, mails: list[_Mail]) -> dict[int, tuple[timedelta, timedelta]]:
    """Have people open, click, leave and complain; how long after the delivery each opened, and clicked."""
    chance = random.Random(_SEED)  # noqa: S311 - invents people's habits
    told = [(kind, status) for kind, status, count in _REPORTED for _ in range(count)]
    events: list[dict[str, Any]] = [
        {"type": kind, "address": mail.address, "interactionId": mail.recipient, "status": status}
        for (kind, status), mail in zip(told, chance.sample(mails, len(told)), strict=True)
    ]
    bounced = {event["interactionId"] for event in events if event["type"] != "COMPLAINT"}
    delays: dict[int, tuple[timedelta, timedelta]] = {}
    programs, weights = list(_PROGRAMS), list(_PROGRAMS.values())
    for mail in mails:
        if mail.recipient in bounced or chance.random() > _OPENED:
            continue
        (program,) = chance.choices(programs, weights)
        # Most in the first hours, some days later; links a while after.
        opened = timedelta(hours=min(chance.expovariate(1 / 9), 88))
        delays[mail.recipient] = opened, opened + timedelta(seconds=chance.uniform(12, 240))
        for _ in range(1 + (chance.random() < _AGAIN)):
            _visit(client, "GET", mail.picture, program)
        if chance.random() < _CLICKED and _PROXY not in program:
            (path,) = chance.choices(mail.links, [5, 3, 2])
            _visit(client, "GET", path, program)
    for mail in chance.sample([mail for mail in mails if mail.recipient in delays], _LEFT):
        _visit(client, "POST", mail.leave, programs[0])
    client.document("POST", "/v5/bounces", {"bounces": events})
    return delays


def _put_back(
    db: psycopg.Connection[Any], licence: int, number: int, delays: dict[int, tuple[timedelta, timedelta]]
) -> None:
    """Let all of it have been some days ago, what people did spread over the days since, and be done."""
    values = {
        "name": NAME, "campaign": number, "licence": licence, "ago": _AGO, "ids": list(delays),
        "opened": [each[0] for each in delays.values()], "clicked": [each[1] for each in delays.values()],
    }  # fmt: skip
    with db.transaction():
        for query in _PUT_BACK:
            db.execute(sql.SQL(query).format(s=sql.Identifier(f"l{licence:d}")), values)


def _visit(client: Client, method: str, path: str, program: str) -> None:
    """As a reader's program does; without credentials."""
    where = urlsplit(client.base)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
    body = "List-Unsubscribe=One-Click" if method == "POST" else None
    connection.request(method, path, body, {"User-Agent": program, "Content-Type": "application/x-www-form-urlencoded"})
    connection.getresponse().read()
    connection.close()
