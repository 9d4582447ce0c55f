"""Who is behind an event: programs by their names, traps, bursts."""

from datetime import UTC, datetime, timedelta

import pytest

from tabellion.features.tracking.actors import Raw, actor_of, actors_of, device_of

DELIVERED = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"

PROGRAMS = [
    (FIREFOX, "human", "desktop"),
    (IPHONE, "human", "mobile"),
    ("Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)", "human", "tablet"),
    ("Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 Chrome/126.0 Safari/537.36", "human", "tablet"),
    ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/121.0 Mobile Safari/537.36", "human", "mobile"),
    ("Mozilla/4.0 (compatible; ms-office; MSOffice 16)", "human", "desktop"),
    ("Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.17328; Pro)", "human", "desktop"),
    ("Outlook-iOS/2.0", "human", "mobile"),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Thunderbird/115.3.1", "human", "desktop"),
    (
        "Mozilla/5.0 (Linux; Android 9; KFTRWI) AppleWebKit/537.36 Silk/120.3 like Chrome/120.0 Mobile Safari/537.36",
        "human",
        "tablet",
    ),
    # Phones: one of a make whose name ends as those of robots do, and one whose apps say no more than what runs them.
    (
        "Mozilla/5.0 (Linux; Android 10; CUBOT NOTE 20) AppleWebKit/537.36 Chrome/90.0 Mobile Safari/537.36",
        "human",
        "mobile",
    ),
    ("Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UQ1A.240205.004)", "human", "mobile"),
    (GMAIL, "proxy", "desktop"),
    ("Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com)", "proxy", "desktop"),
    ("image proxy of a mail service", "proxy", "unknown"),
    ("Mail Privacy", "proxy", "unknown"),
    ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "proxy", "unknown"),
    # Apple's privacy proxy.
    ("Mozilla/5.0", "proxy", "unknown"),
    ("", "scanner", "unknown"),
    ("Barracuda Link Scanner", "scanner", "unknown"),
    ("Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; Mimecast)", "scanner", "desktop"),
    ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "scanner", "unknown"),
    ("Mozilla/5.0 (Windows NT 10.0) SkypeUriPreview Preview/0.5", "scanner", "desktop"),
    ("python-requests/2.31", "scanner", "unknown"),
    ("Python-urllib3/2.0", "scanner", "unknown"),
    ("Java/17.0.2", "scanner", "unknown"),
    ("Mozilla/5.0 (Windows NT 10.0; SafeLinks)", "scanner", "desktop"),
    ("Mozilla/5.0 (Windows NT 10.0; Acmebot)", "scanner", "desktop"),
    ("facebookexternalhit/1.1", "scanner", "unknown"),
    ("Microsoft Office Existence Discovery", "scanner", "unknown"),
]


@pytest.mark.parametrize(("agent", "actor", "device"), PROGRAMS)
def test_programs_are_known_by_what_they_say_of_themselves(agent: str, actor: str, device: str) -> None:
    assert actor_of("OPEN", "GET", agent) == actor
    assert device_of(agent) == device
    # Nobody follows a link by way of a proxy of pictures.
    assert actor_of("CLICK", "GET", agent) == ("scanner" if actor == "proxy" else actor)
    assert actor_of("OPEN", "HEAD", agent) == actor_of("CLICK", "TRAP", agent) == "scanner"


def raw(
    id_: int, seconds: float, link: int | None = 0, *, kind: str = "CLICK", method: str = "GET", agent: str = FIREFOX
) -> Raw:
    return Raw(id_, kind, DELIVERED + timedelta(seconds=seconds), method, agent, link)


def test_a_person_follows_one_link_after_the_other() -> None:
    events = [raw(1, 2, None, kind="OPEN"), raw(2, 4, 0), raw(3, 4.5, 0), raw(4, 30, 1), raw(5, 300, 2), raw(6, 310, 3)]
    assert actors_of(events, DELIVERED) == ["human"] * 6


def test_many_links_at_once_are_a_scanners() -> None:
    early = [raw(1, 1, 0), raw(2, 3, 1), raw(3, 4000, 0)]
    assert actors_of(early, DELIVERED) == ["scanner", "scanner", "human"]
    late = [raw(1, 4000, 0), raw(2, 4001, 1), raw(3, 4100, 0), raw(4, 4101, 1), raw(5, 4102, 2)]
    assert actors_of(late, DELIVERED) == ["human", "human", "scanner", "scanner", "scanner"]
    # Of a mail whose delivery is not known, only the second rule holds.
    assert actors_of(early, None) == ["human", "human", "human"]
    # In the order in which they were made, not in that in which they came.
    mixed = [raw(1, 4100, 0), raw(2, 4000, 1), raw(3, 4001, 2)]
    assert actors_of(mixed, DELIVERED) == ["human"] * 3


@pytest.mark.parametrize(
    ("moments", "actor"),
    [
        ((60, 70), "scanner"),
        ((60, 70.001), "human"),
        ((60.001, 61), "human"),
        ((1000, 1004, 1005), "scanner"),
        ((1000, 1004, 1005.001), "human"),
    ],
)
def test_how_many_links_within_which_time_are_many(moments: tuple[float, ...], actor: str) -> None:
    events = [raw(number, moment, number) for number, moment in enumerate(moments)]
    assert actors_of(events, DELIVERED) == [actor] * len(moments)


def test_whoever_follows_the_hidden_link_is_a_scanner_in_all_it_does_at_that_time() -> None:
    events = [
        raw(1, 100, None, kind="OPEN"),
        raw(2, 101, None, method="TRAP"),
        raw(3, 102, 0),
        raw(4, 103, 0, agent=IPHONE),
        raw(5, 500, 0),
    ]
    assert actors_of(events, DELIVERED) == ["scanner", "scanner", "scanner", "human", "human"]
    around = [raw(n, 1000 + away) for n, away in enumerate((-60.001, -60, 60, 60.001))]
    assert actors_of([*around, raw(9, 1000, None, method="TRAP")], DELIVERED) == [
        "human", "scanner", "scanner", "human", "scanner",
    ]  # fmt: skip
    # It is none of the links that somebody else follows.
    apart = [raw(1, 10, None, method="TRAP", agent=IPHONE), raw(2, 12, 0)]
    assert actors_of(apart, DELIVERED) == ["scanner", "human"]
