"""What readers of a mail do: look at it, follow its links, unsubscribe; and who else may see it."""

import random
import re
from email.message import EmailMessage
from typing import Any

import psycopg
import pytest

from tests.contract.test_sending import MAIL, PROFILES, hrefs, local, outbox, state
from tests.support import plain
from tests.support.tenant import Tenant
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")


@pytest.fixture
def sent(tenant: Tenant, database: psycopg.Connection[Any]) -> EmailMessage:
    """The mail of a campaign for a subscription, as Ann gets it."""
    path = f"{PROFILES}/emailAddress=ann@example.com"
    assert tenant.json("PATCH", path, {"subscriptions": {"Newsletter": True}}).status_code == 200
    number = tenant.campaign()
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {"subscription": "Newsletter"}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: state(tenant, number) == "FINISHED")
    ((_, mail),) = outbox(tenant, database)
    return mail


def test_what_readers_do_is_reported(tenant: Tenant, sent: EmailMessage) -> None:
    click, _, trap, picture = hrefs(sent)
    browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/131.0"}
    assert plain.get(local(tenant, picture), headers=browser).headers["content-type"] == "image/gif"
    for agent in (browser, browser, {"User-Agent": "Barracuda Link Scanner"}):
        followed = plain.get(local(tenant, click), headers=agent)
        assert (followed.status_code, followed.headers["location"]) == (302, "https://www.example.com/spring?a=1&b=2")
        assert followed.headers["content-type"].startswith("text/html")
    # Machines, by what they ask for and how. Each has a name of its own, for what the last one does tells of all that it did.
    for version, (method, address) in enumerate((("HEAD", click), ("HEAD", picture), ("GET", trap)), 126):
        machine = {"User-Agent": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/{version}.0.0.0 Safari/537.36"}
        assert plain.request(method, local(tenant, address), headers=machine).status_code in {200, 302}
    # What a browser fetches in advance nobody has seen; a link it has to ask for again when somebody follows it.
    for name, said in (
        ("Sec-Purpose", "prefetch;prerender"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "Prefetch"),
        ("X-Moz", "prefetch"),
    ):
        ahead = [plain.get(local(tenant, address), headers=browser | {name: said}) for address in (click, picture, trap)]
        assert [answer.status_code for answer in ahead] == [503, 200, 200]
        assert "location" not in ahead[0].headers
    report = tenant.json("GET", f"{MAIL}/SpringOffer/report").json()
    counted = ("opens", "uniqueOpens", "clicks", "uniqueClicks", "unsubscribes")
    assert [report[name] for name in counted] == [1, 1, 2, 1, 0]
    path = "/v4/entity/hotels/table/Guests/profile/emailAddress=ann@example.com/interaction"
    for address in (path, f"{MAIL}/SpringOffer/profile/emailAddress=ann@example.com/interaction"):
        (interaction,) = tenant.json("GET", address).json()["interactions"]
        # What scanners did is not the profile's doing.
        assert [event["type"] for event in interaction["events"]] == ["OPEN", "CLICK", "CLICK"]
        assert interaction["events"][1]["url"] == "https://www.example.com/spring?a=1&b=2"


def test_links_carry_what_goal_tracking_says(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    refused = tenant.json(
        "POST", MAIL, {"name": "x", "targetTable": "Guests", "supportedLanguages": ["EN"], "goalTracking": "a=%0a"}
    )
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "goalTracking")
    number = tenant.campaign(goalTracking="spring 27", **{"from": "news@example.com"})
    html = '<a href="https://www.example.com/ü?q=a b#top">Look</a> <a href="{{ unsubscribeUrl }}">x</a>'
    tenant.call("PUT", f"{MAIL}/{number}/content/body", content=html.encode(), headers={"Content-Type": "text/html"})
    tenant.json("POST", f"{MAIL}/{number}/launch")
    until(lambda: state(tenant, number) == "FINISHED")
    ((_, mail),) = outbox(tenant, database)
    click, page = hrefs(mail)[:2]
    assert plain.get(local(tenant, click)).headers["location"] == (
        "https://www.example.com/%C3%BC?q=a%20b&utm_source=example.com&utm_medium=email&utm_campaign=spring%2027#top"
    )
    assert "utm" not in page


def test_looking_at_the_unsubscribe_page_changes_nothing_and_its_button_does(tenant: Tenant, sent: EmailMessage) -> None:
    address = local(tenant, sent["List-Unsubscribe"].strip("<>"))
    profile = f"{PROFILES}/emailAddress=ann@example.com"
    page = plain.get(address)
    assert "Do you want to get no more “Newsletter” mails at ann@example.com?" in page.text
    assert tenant.json("GET", profile).json()["subscriptions"]["Newsletter"] is True
    for _ in range(2):
        done = plain.post(address, data={"List-Unsubscribe": "One-Click"})
        assert (done.status_code, "You get no more" in done.text) == (200, True)
    assert tenant.json("GET", profile).json()["subscriptions"]["Newsletter"] is False
    assert tenant.json("GET", f"{MAIL}/SpringOffer/report").json()["unsubscribes"] == 1
    consents = tenant.json("GET", f"{profile}/consents").json()["consents"]
    assert [consents[0][name] for name in ("subscribe", "source", "way")] == [False, "mail", "one-click"]


def test_the_button_of_the_page_and_that_of_mail_programs_are_told_apart(tenant: Tenant, sent: EmailMessage) -> None:
    address = local(tenant, sent["List-Unsubscribe"].strip("<>"))
    assert plain.post(address).status_code == 200
    consents = tenant.json("GET", f"{PROFILES}/emailAddress=ann@example.com/consents").json()["consents"]
    assert [consents[0][name] for name in ("subscribe", "source", "way")] == [False, "mail", "unsubscribe page"]


def test_who_follows_a_link_after_having_unsubscribed_has_unsubscribed(tenant: Tenant, sent: EmailMessage) -> None:
    browser = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/131.0"}
    assert plain.post(local(tenant, sent["List-Unsubscribe"].strip("<>")), headers=browser).status_code == 200
    assert plain.get(local(tenant, hrefs(sent)[0]), headers=browser).status_code == 302
    report = tenant.json("GET", f"{MAIL}/SpringOffer/report").json()
    assert (report["unsubscribes"], report["clicks"]) == (1, 1)


def test_a_mail_program_may_send_either_kind_of_form(tenant: Tenant, sent: EmailMessage) -> None:
    address = local(tenant, sent["List-Unsubscribe"].strip("<>"))
    assert plain.post(address, files={"List-Unsubscribe": (None, "One-Click")}).status_code == 200
    consents = tenant.json("GET", f"{PROFILES}/emailAddress=ann@example.com/consents").json()["consents"]
    assert consents[0]["way"] == "one-click"


def test_without_a_subscription_the_address_gets_nothing_more(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign()
    tenant.json("POST", f"{MAIL}/{number}/launch")
    until(lambda: state(tenant, number) == "FINISHED")
    ((_, mail),) = outbox(tenant, database)
    assert plain.post(local(tenant, mail["List-Unsubscribe"].strip("<>"))).status_code == 200
    again = tenant.campaign("Second")
    tenant.json("POST", f"{MAIL}/{again}/launch")
    until(lambda: state(tenant, again) == "FINISHED")
    report = tenant.json("GET", f"{MAIL}/{again}/report").json()
    assert (report["sent"], report["excluded"]["suppressed"]) == (0, 1)


def test_a_mail_can_be_looked_at_online(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    number = tenant.campaign()
    html = '<body><p>Dear {{ profile.lastName }}</p><a href="{{ onlineUrl }}">online</a> <a href="{{ unsubscribeUrl }}">x</a></body>'
    put = tenant.call("PUT", f"{MAIL}/{number}/content/body", content=html, headers={"Content-Type": "text/html"})
    assert put.status_code == 200, put.text
    tenant.json("POST", f"{MAIL}/{number}/launch")
    until(lambda: state(tenant, number) == "FINISHED")
    ((_, mail),) = outbox(tenant, database)
    page = plain.get(local(tenant, hrefs(mail)[0]))
    assert "Dear Vos" in page.text
    assert page.headers["content-security-policy"].startswith("sandbox")
    assert plain.get(local(tenant, hrefs(mail)[0])[:-1] + "_").status_code == 404


def test_altered_addresses_lead_nowhere(tenant: Tenant, sent: EmailMessage) -> None:
    click, page, trap, picture = (local(tenant, address) for address in hrefs(sent))
    token, sealed = click.rsplit("/", 2)[1:]
    other = page.rsplit("/", 1)[1]
    rng = random.Random(7)
    for _ in range(300):
        at = rng.randrange(len(token) + len(sealed))
        letter = rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        whole = token + sealed
        if whole[at] == letter:
            continue
        changed = whole[:at] + letter + whole[at + 1 :]
        answer = tenant.client.get(f"/t/c/{changed[: len(token)]}/{changed[len(token) :]}")
        assert answer.status_code == 404, changed
    for path in (
        f"c/{other}/{sealed}",
        f"c/{token}/https:%2F%2Fevil.example",
        f"u/{token}",
        "u/x",
        "c/x/y",
        f"u/{'a' * 5000}",
    ):
        assert tenant.client.get(f"/t/{path}").status_code == 404, path
    assert tenant.client.get("/t/o/x.gif").status_code == 200
    assert tenant.client.post(f"/t/u/{token}").status_code == 404
    report = tenant.json("GET", f"{MAIL}/SpringOffer/report").json()
    assert [report[name] for name in ("opens", "clicks", "unsubscribes")] == [0, 0, 0]
    assert trap
    assert picture


def test_the_outbox_is_shown_to_the_licence_alone(tenant: Tenant, other_tenant: Tenant, sent: EmailMessage) -> None:
    base = str(tenant.client.base_url).rstrip("/")
    listed = plain.get(f"{base}/outbox", auth=tenant.basic)
    assert "Spring is here, Vos" in listed.text
    found = re.search(r'href="(outbox/\d+)"', listed.text)
    assert found is not None
    one = f"{base}/{found[1]}"
    assert "List-Unsubscribe" in plain.get(one, auth=tenant.basic).text
    shown = plain.get(f"{one}/html", auth=tenant.basic)
    assert "Dear Vos," in shown.text
    assert shown.headers["content-security-policy"].startswith("sandbox")
    assert plain.get(f"{one}/source", auth=tenant.basic).text.startswith("From: ")
    assert "Nothing has been sent yet" in plain.get(f"{base}/outbox", auth=other_tenant.basic).text
    refused = plain.get(base + "/outbox")
    assert (refused.status_code, refused.headers["www-authenticate"][:5]) == (401, "Basic")
    assert plain.get(base + "/outbox", auth=("x/y", "z")).status_code == 401
    assert plain.get(f"{one}/source", auth=other_tenant.basic).status_code in {200, 404}
    assert "Dear Vos" not in plain.get(f"{one}/source", auth=other_tenant.basic).text
