"""Who is behind what came of a mail: a person, a mail service that fetches pictures for people, or a scanner.

An event keeps what is raw (moment, method, link, the program that asked as it names itself), so that it can be judged again
when the lists of programs have grown. Rules, the first that fits:

1. Asked by HEAD, or for the link that people do not see: a scanner.
2. The program says it fetches pictures for a mail service: a proxy; a click by it is a scanner's.
3. The program is on a list of robots, or says nothing of itself: a scanner.
4. The same program asked, within a minute, for the link that people do not see: a scanner.
5. Many links at once, see `_bursts`: a scanner.
6. A person.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache, lru_cache
from operator import attrgetter
from typing import Any, NamedTuple, cast

import re2  # pyright: ignore[reportMissingTypeStubs] - the package has none
from crawleruseragents import CRAWLER_USER_AGENTS_DATA  # pyright: ignore[reportMissingTypeStubs]

HUMAN, PROXY, SCANNER = "human", "proxy", "scanner"
OPEN, CLICK = "OPEN", "CLICK"
# How something was asked for; the last one is the link that people do not see.
GET, HEAD, TRAP = "GET", "HEAD", "TRAP"
MAX_AGENT = 400

# Picture proxies of Gmail, Yahoo and others. Apple's says `Mozilla/5.0` and no more.
_PROXIES = re.compile(r"ggpht\.com|YahooMailProxy|Image ?Proxy|Mail ?Privacy|^Mozilla/5\.0$", re.IGNORECASE)
# Gateways that look at mails before people do, and what the list of crawlers does not have.
_GATEWAYS = re.compile(
    # Cubot makes telephones.
    r"(?<!cu)bot\b|crawl|spider|scan|preview|fetch|monitor|headless|python-|curl/|wget/|java/|go-http|okhttp|libwww|barracuda|"
    r"proofpoint|mimecast|safelinks|symantec|messagelabs|fireeye|trellix|forcepoint|sophos|ironport|trend ?micro|"
    r"existence discovery",
    re.IGNORECASE,
)
# Browsers on phones say `Mobile`; apps that say no more than what runs them do so on either, and there are more phones.
_TABLETS = re.compile(r"iPad|Tablet|Silk/|^(?!Dalvik).*Android(?!.*Mobile)|Kindle", re.IGNORECASE)
_PHONES = re.compile(r"iPhone|iPod|Mobile|Android|Phone|Outlook-iOS|Dalvik", re.IGNORECASE)
_COMPUTERS = re.compile(r"Windows|Macintosh|X11|Linux|\bCrOS\b|Outlook|ms-office|Thunderbird|AppleMail", re.IGNORECASE)
_PATTERNS_AT_ONCE = 100
_NEAR_TRAP = timedelta(seconds=60)
# So many links in so short a time are more than people follow; right after delivery fewer are enough.
_BURST, _BURST_LINKS = timedelta(seconds=5), 3
_EARLY, _EARLY_BURST, _EARLY_LINKS = timedelta(seconds=60), timedelta(seconds=10), 2


class Raw(NamedTuple):
    """An event as it came in. `link` counts the links of the mail."""

    id: int
    type: str
    moment: datetime
    method: str
    agent: str
    link: int | None


@lru_cache(maxsize=4096)
def actor_of(kind: str, method: str, agent: str) -> str:
    """Who one event by itself is of."""
    if method != GET:
        return SCANNER
    if _PROXIES.search(agent):
        return PROXY if kind == OPEN else SCANNER
    return SCANNER if not agent.strip() or _GATEWAYS.search(agent) or _is_crawler(agent) else HUMAN


def actors_of(events: Sequence[Raw], delivered_at: datetime | None) -> list[str]:
    """Who the events of one mail are of, when they are seen together; in their order."""
    found = [actor_of(event.type, event.method, event.agent) for event in events]
    traps = [(event.agent, event.moment) for event in events if event.method == TRAP]
    bursts = _bursts([event for event in events if event.type == CLICK], delivered_at)
    for at, event in enumerate(events):
        trapped = any(agent == event.agent and abs(event.moment - moment) <= _NEAR_TRAP for agent, moment in traps)
        if trapped or event.id in bursts:
            found[at] = SCANNER
    return found


@lru_cache(maxsize=4096)
def device_of(agent: str) -> str:
    """What kind of machine a program runs on: `desktop`, `mobile`, `tablet`, or `unknown`."""
    if _TABLETS.search(agent):
        return "tablet"
    if _PHONES.search(agent):
        return "mobile"
    return "desktop" if _COMPUTERS.search(agent) else "unknown"


def _bursts(clicks: Sequence[Raw], delivered_at: datetime | None) -> set[int]:
    """Clicks on 3 links within 5 seconds; within a minute of the delivery, on 2 links within 10 seconds."""
    ordered = sorted((click for click in clicks if click.link is not None), key=lambda click: click.moment)
    found: set[int] = set()
    for at, first in enumerate(ordered):
        early = delivered_at is not None and first.moment - delivered_at <= _EARLY
        for within, links, applies in ((_BURST, _BURST_LINKS, True), (_EARLY_BURST, _EARLY_LINKS, early)):
            end = bisect_right(ordered, first.moment + within, lo=at, key=attrgetter("moment")) if applies else at
            near = ordered[at:end]
            if applies and len({click.link for click in near}) >= links:
                found.update(click.id for click in near)
    return found


def _is_crawler(agent: str) -> bool:
    return any(search(agent) for search in _crawlers())


@cache
def _crawlers() -> tuple[Callable[[str], Any], ...]:
    """The list of crawlers, compiled on first use: linear in the length of what a stranger sends, whatever it is."""
    compile_ = cast("Callable[[str], Any]", re2.compile)  # pyright: ignore[reportUnknownMemberType]
    entries = cast("list[dict[str, Any]]", CRAWLER_USER_AGENTS_DATA)
    patterns = [f"(?:{entry['pattern']})" for entry in entries]
    parts = [patterns[at : at + _PATTERNS_AT_ONCE] for at in range(0, len(patterns), _PATTERNS_AT_ONCE)]
    return tuple(compile_("|".join(part)).search for part in parts)
