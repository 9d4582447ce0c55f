"""The pages on which readers unsubscribe and choose: what they show, what they change, and what they look like."""

import re
import socket
from email.message import EmailMessage
from html import escape
from typing import Any
from urllib.parse import urljoin

import psycopg
import pytest
from playwright.sync_api import Browser

from tabellion.features.tracking.model import Option, Page, Preferences
from tabellion.features.tracking.words import LANGUAGES, direction_of, words_in
from tabellion.server.pages import readers
from tests.contract.test_sending import MAIL, PROFILES, hrefs, local, outbox, state
from tests.support import plain
from tests.support.browser import shoot
from tests.support.tenant import Tenant, schema_of
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

ANN = f"{PROFILES}/emailAddress=ann@example.com"
HTML = '<p>Dear {{ profile.lastName }}</p><a href="{{ preferencesUrl }}">preferences</a> <a href="{{ unsubscribeUrl }}">stop</a>'


def mail_to_ann(tenant: Tenant, database: psycopg.Connection[Any], name: str = "SpringOffer", **target: Any) -> EmailMessage:
    number = tenant.campaign(name)
    one = f"{MAIL}/{number}"
    put = tenant.call("PUT", f"{one}/content/body", content=HTML, headers={"Content-Type": "text/html"})
    assert put.status_code == 200, put.text
    assert tenant.json("PUT", f"{one}/target", target).status_code == 200
    before = len(outbox(tenant, database))
    tenant.json("POST", f"{one}/launch")
    until(lambda: state(tenant, number) == "FINISHED")
    mails = outbox(tenant, database)
    assert len(mails) == before + 1
    return mails[-1][1]


@pytest.fixture
def mail(tenant: Tenant, database: psycopg.Connection[Any]) -> EmailMessage:
    """A mail to Ann for the newsletter; nobody has asked her about the weekly offers."""
    assert tenant.json("PATCH", ANN, {"subscriptions": {"Newsletter": True}}).status_code == 200
    return mail_to_ann(tenant, database, subscription="Newsletter")


def boxes(text: str) -> dict[str, tuple[str, bool]]:
    """Name, value and tick of each box."""
    found = re.findall(r'name="want" value="(\d+)"( checked)?>([^<]+)<', text)
    return {name: (value, bool(ticked)) for value, ticked, name in found}


def choices(tenant: Tenant) -> dict[str, Any]:
    return tenant.json("GET", ANN).json()["subscriptions"]


def test_readers_choose_among_what_they_were_asked_about(tenant: Tenant, mail: EmailMessage) -> None:
    address = local(tenant, hrefs(mail)[0])
    before = tenant.state(but=("audit",))
    page = plain.get(address)
    assert page.status_code == 200
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert list(boxes(page.text)) == ["Newsletter"]
    number, ticked = boxes(page.text)["Newsletter"]
    assert ticked
    for method in ("GET", "HEAD", "GET"):
        assert plain.request(method, address).status_code == 200
    assert tenant.state(but=("audit",)) == before

    # What was not shown cannot be chosen: neither by a number that is not on the page, nor without saying what was shown.
    offers = {"shown": [number, "2", "99"], "want": [number, "2", "99"]}
    assert "Your choice is saved." in plain.post(address, data=offers).text
    assert plain.post(address, data={}).status_code == 200
    assert choices(tenant)["Newsletter"] is True
    assert choices(tenant)["Weekly offers"] is not True

    said = plain.post(address, data={"shown": number})
    assert boxes(said.text)["Newsletter"] == (number, False)
    assert choices(tenant)["Newsletter"] is False
    assert tenant.json("GET", f"{MAIL}/SpringOffer/report").json()["unsubscribes"] == 1
    assert "You get no more “Newsletter” mails at ann@example.com." in plain.get(local(tenant, hrefs(mail)[1])).text
    assert boxes(plain.post(address, data={"shown": number, "want": number}).text)["Newsletter"][1]
    assert "Do you want to get no more" in plain.get(local(tenant, hrefs(mail)[1])).text
    consents = tenant.json("GET", f"{ANN}/consents").json()["consents"]
    assert [(each["subscribe"], each["source"], each["way"]) for each in consents[:2]] == [
        (True, "mail", "preference page"),
        (False, "mail", "preference page"),
    ]
    # Who unsubscribes anew from the same mail is unsubscribed anew, and counted once.
    assert plain.post(local(tenant, hrefs(mail)[1])).status_code == 200
    assert choices(tenant)["Newsletter"] is False
    assert tenant.json("GET", f"{MAIL}/SpringOffer/report").json()["unsubscribes"] == 1


def test_all_mails_can_be_stopped_and_wanted_again(
    tenant: Tenant, mail: EmailMessage, database: psycopg.Connection[Any]
) -> None:
    tenant.json("PATCH", ANN, {"subscriptions": {"Weekly offers": True}})
    address = local(tenant, hrefs(mail)[0])
    found = boxes(plain.get(address).text)
    assert list(found) == ["Newsletter", "Weekly offers"]
    # One stays as it is, the other ends; and is taken again by itself.
    newsletter, offers = (value for value, _ in found.values())
    plain.post(address, data={"shown": [newsletter, offers], "want": newsletter})
    assert choices(tenant) == {"Newsletter": True, "Weekly offers": False}
    plain.post(address, data={"shown": offers, "want": [newsletter, offers]})
    assert choices(tenant) == {"Newsletter": True, "Weekly offers": True}
    stopped = plain.post(address, data={"stop": "1"}).text
    assert "<p>You get no newsletters or offers at ann@example.com at the moment.</p>" in stopped
    assert "<p>Mails about your own orders, bookings or account, such as confirmations, still come.</p>" in stopped
    assert not any(ticked for _, ticked in boxes(stopped).values())
    assert set(choices(tenant).values()) == {False}
    schema = schema_of(tenant, database)
    suppression = f"SELECT reason FROM {schema}.suppression"
    assert database.execute(suppression).fetchall() == [("UNSUBSCRIBE",)]
    number = found["Newsletter"][0]
    wanted = plain.post(address, data={"shown": number, "want": number}).text
    assert "at the moment" not in wanted
    assert database.execute(suppression).fetchall() == []
    assert choices(tenant) == {"Newsletter": True, "Weekly offers": False}
    # Who complained stays out, whatever is ticked.
    database.execute(f"INSERT INTO {schema}.suppression VALUES ('ann@example.com', 'COMPLAINT', now())")
    plain.post(address, data={"shown": number})
    blocked = plain.post(address, data={"shown": number, "want": number}).text
    assert "<p>No mails at all are sent to ann@example.com at the moment, not even confirmations." in blocked
    assert "still come" not in blocked
    assert database.execute(suppression).fetchall() == [("COMPLAINT",)]


def test_what_the_page_does_not_send_changes_nothing(tenant: Tenant, mail: EmailMessage) -> None:
    address = local(tenant, hrefs(mail)[0])
    before = tenant.state()
    for body, status in (
        (b"shown=one", 400), (b"shown=1&want=\xff", 400), (b"&".join([b"shown=1"] * 2000), 400), (b"x" * 40_000, 413),
        (b"shown=%ef%bc%91", 200), (b"\x00", 200), (b"shown=" + b"9" * 5000, 400),
    ):  # fmt: skip
        answer = plain.post(address, content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert answer.status_code == status, (body[:30], answer.status_code)
    assert plain.post(address[:-1] + ("A" if address[-1] != "A" else "B"), data={"stop": "1"}).status_code == 404
    assert tenant.state() == before


def test_a_profile_that_is_gone_can_still_stop_all_mails(
    tenant: Tenant, mail: EmailMessage, database: psycopg.Connection[Any]
) -> None:
    address = local(tenant, hrefs(mail)[0])
    assert tenant.json("DELETE", ANN).status_code == 204
    page = plain.get(address)
    assert "There is nothing to choose here." in page.text
    assert "You get no newsletters or offers" in plain.post(address, data={"stop": "1"}).text


def test_the_unsubscribe_page_says_what_it_ends(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    mail = mail_to_ann(tenant, database)
    address = local(tenant, hrefs(mail)[1])
    asked = plain.get(address).text
    assert "Do you want to get no more newsletters or offers at ann@example.com?" in asked
    assert "such as confirmations, still come" in asked
    # Relative: before the path, a proxy may have a folder of its own.
    (preferences,) = re.findall('<a href="([^"]*)"', asked)
    assert "Your preferences" in plain.get(urljoin(address, preferences)).text
    assert urljoin("https://www.example.com/mails/t/u/token", preferences).startswith("https://www.example.com/mails/t/p/")
    for done in (plain.post(address).text, plain.get(address).text):
        assert "You get no newsletters or offers at ann@example.com at the moment." in done
        assert "such as confirmations, still come" in done
    # What the page says is so: see test_suppression.py. After a complaint it is not.
    database.execute(f"UPDATE {schema_of(tenant, database)}.suppression SET reason = 'COMPLAINT'")
    assert "No mails at all are sent to ann@example.com" in plain.get(address).text
    assert "still come" not in plain.get(address).text


def test_who_has_left_by_a_mail_for_no_subscription_takes_what_they_tick_anew(
    tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    subscribed = {"Newsletter": True, "Weekly offers": True}
    assert tenant.json("PATCH", ANN, {"subscriptions": subscribed}).status_code == 200
    mail = mail_to_ann(tenant, database)
    choose, leave = (local(tenant, href) for href in hrefs(mail)[:2])
    assert plain.post(leave).status_code == 200
    # Nothing comes, so nothing is ticked.
    found = boxes(plain.get(choose).text)
    assert {name: ticked for name, (_, ticked) in found.items()} == dict.fromkeys(subscribed, False)
    shown, newsletter = [value for value, _ in found.values()], found["Newsletter"][0]
    said = plain.post(choose, data={"shown": shown, "want": [newsletter]}).text
    assert {name: ticked for name, (_, ticked) in boxes(said).items()} == {"Newsletter": True, "Weekly offers": False}
    assert "You get no newsletters" not in said
    assert choices(tenant) == {"Newsletter": True, "Weekly offers": False}
    assert database.execute(f"SELECT FROM {schema_of(tenant, database)}.suppression").fetchall() == []


def test_the_pages_say_whose_mails_they_are_about(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    assert tenant.json("PATCH", ANN, {"subscriptions": {"Newsletter": True}}).status_code == 200
    number = tenant.campaign("Spring", **{"from": 'Müller & <Söhne>, "Berlin" <news@m\u00fcller.example>'})
    put = tenant.call("PUT", f"{MAIL}/{number}/content/body", content=HTML, headers={"Content-Type": "text/html"})
    assert put.status_code == 200, put.text
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {"subscription": "Newsletter"}).status_code == 200
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    ((_, mail),) = until(lambda: outbox(tenant, database))
    sender = mail["From"].addresses[0]
    choose, stop = (local(tenant, href) for href in hrefs(mail)[:2])
    said = f'<p class="sender">{escape(sender.display_name)}</p>'
    for page in (plain.get(choose), plain.get(stop), plain.post(stop)):
        assert said in page.text
        assert "Müller &amp; &lt;Söhne&gt;" in page.text.partition("</title>")[0]
    # Without a name it is the domain, as people know it.
    database.execute(
        """UPDATE tabellion.sending SET document = jsonb_set(document, '{sender_name}', '""') WHERE campaign_id = %s""",
        (number,),
    )
    assert '<p class="sender">m\u00fcller.example</p>' in plain.get(stop).text


def test_every_language_says_everything() -> None:
    for language in LANGUAGES:
        code, words = words_in(language, "ann@example.com", "{address}")
        assert code == language
        # A name may look like one of the places that are filled.
        assert all(text and "{" not in text.replace("{address}", "") for text in words)
        assert {name for name, text in words._asdict().items() if "{address}" in text} == {"question", "thanks"}
        addressed = {name for name, text in words._asdict().items() if "ann@example.com" in text}
        assert all(len(text) < 160 and "  " not in text and '"' not in text for text in words), language
        assert addressed == {"question", "question_all", "thanks", "intro", "stopped", "blocked"}, language
    said = {language: set(words_in(language, "", "")[1]) for language in LANGUAGES}
    for language, others in said.items():
        shared = set[str]().union(*(said[other] & others for other in LANGUAGES if other != language))
        # Neighbours share short words, never a sentence with an address in it.
        assert all(len(text) < 40 for text in shared), (language, shared)
    assert all(not said[language] & said["en"] for language in LANGUAGES if language != "en")


def test_languages_that_are_read_by_others_have_their_pages_and_unknown_ones_have_english() -> None:
    assert [words_in(code, "")[0] for code in ("NL", "nb", "NN", "no", "ja", "")] == ["nl", "no", "no", "no", "en", "en"]


def test_an_address_stays_one_piece_in_a_line_that_runs_from_the_right() -> None:
    _, words = words_in("ar", "ann@example.com", "Weekly (new)")
    assert "\u2068ann@example.com\u2069" in words.question
    assert "\u2068Weekly (new)\u2069" in words.question
    page = readers.unsubscribe(Page("ar", words, "Shop", done=False, everything=False, blocked=False, preferences=None))
    assert page.startswith('<!doctype html><html lang="ar" dir="rtl">')
    assert {language for language in LANGUAGES if direction_of(language) == "rtl"} == {"ar"}


def test_names_are_no_markup() -> None:
    _, words = words_in("en", "<i>@example.com", "<i>News</i>")
    options = (Option(1, "<i>News</i>", subscribed=True),)
    for stopped in (False, True):
        page = Preferences("en", words, "<i>Shop</i>", options, saved=True, stopped=stopped, blocked=False)
        assert "<i>" not in readers.preferences(page)
    for done in (False, True):
        page = Page("en", words, "<i>Shop</i>", done, everything=False, blocked=False, preferences="x")
        assert "<i>" not in readers.unsubscribe(page)


@pytest.mark.browser
def test_the_pages_work_in_a_browser_in_every_language(
    tenant: Tenant, mail: EmailMessage, database: psycopg.Connection[Any], browser: Browser, tmp_path: Any
) -> None:
    tenant.json("PATCH", ANN, {"subscriptions": {"Weekly offers": False}})
    (licence,) = database.execute("SELECT id FROM tabellion.licence WHERE name = %s", (tenant.licence,)).fetchone() or (0,)
    choose, stop = (local(tenant, href) for href in hrefs(mail)[:2])
    faults: list[str] = []
    asked: list[str] = []
    for width, scheme in ((1000, "light"), (360, "dark")):
        page = browser.new_page(viewport={"width": width, "height": 780}, color_scheme=scheme)  # type: ignore[arg-type]
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text))
        page.on("request", lambda request: asked.append(request.url))
        # Where there is little room each language is looked at: its longest words may not fit.
        for language in LANGUAGES if width == 360 else ("en", "ar"):
            database.execute(f"UPDATE l{licence}.recipient SET language = %s", (language,))
            for address in (choose, stop):
                page.goto(address)
                assert page.locator("html").get_attribute("lang") == language
                if language == "ar":
                    shoot(page, f"{'preferences' if address == choose else 'unsubscribe'}-ar-{scheme}", tmp_path)
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                assert page.locator("main").evaluate("e => getComputedStyle(e).borderTopStyle") in {"solid", "none"}
        database.execute(f"UPDATE l{licence}.recipient SET language = 'en'")
        page.goto(stop)
        shoot(page, f"unsubscribe-{scheme}", tmp_path)
        page.get_by_role("link", name="Your preferences").click()
        page.get_by_label("Weekly offers").set_checked(scheme == "light")
        page.get_by_role("button", name="Save").click()
        assert page.get_by_role("status").inner_text() == "Your choice is saved."
        assert page.get_by_label("Weekly offers").is_checked() == (scheme == "light")
        assert choices(tenant)["Weekly offers"] is (scheme == "light")
        shoot(page, f"preferences-{scheme}", tmp_path)
        page.close()
    base = str(tenant.client.base_url).rstrip("/")
    assert [url for url in asked if not url.startswith(f"{base}/t/") and not url.endswith("/favicon.ico")] == []
    assert [fault for fault in faults if "favicon" not in fault] == []


def test_no_megabytes_are_waited_for_from_whoever_unsubscribes(tenant: Tenant) -> None:
    url = tenant.client.base_url
    with socket.create_connection((url.host, url.port or 80), 5) as connection:
        head = b"POST /t/u/nobody HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n"
        connection.sendall(head)
        assert connection.recv(100).startswith(b"HTTP/1.1 404")
