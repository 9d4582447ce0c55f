"""Where the links of a mail lead: each is asked for once, through the guarded client, a few at a time and not for long."""

import asyncio
import re
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from tabellion.platform.egress import Client, Undelivered
from tabellion.platform.templates import Finding, error, warning

MOST, ALL_WITHIN_S = 50, 15.0
_AT_ONCE, _MOST_REDIRECTS = 8, 5
_HEADERS = {"User-Agent": "Tabellion-Link-Check", "Accept": "*/*"}
_REFUSED, _MOVED, _WRONG, _BROKEN = frozenset({401, 403, 407, 429, 451}), frozenset({301, 302, 303, 307, 308}), 400, 500
_GONE = frozenset({404, 410})
# What an address of the web may not hold as it is.
_ODD = re.compile(r"[\s\\]|//[^/?#]*@")


class Looked(NamedTuple):
    """What came of it: `looked_at` addresses of how many."""

    findings: list[Finding]
    looked_at: int
    addresses: int


async def check_links(urls: Iterable[str], client: Client, *, most: int = MOST, within_s: float = ALL_WITHIN_S) -> Looked:
    """The findings about addresses, each looked at once, in their order. Never raises for what others answer."""
    wanted = list(dict.fromkeys(url.partition("#")[0] for url in urls))
    chosen = wanted[:most]
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(url: str) -> Finding | None:
        async with slots:
            return await _look(url, client)

    tasks = [asyncio.create_task(one(url)) for url in chosen]
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    done = [task for task in tasks if not task.cancelled()]
    found = [finding for task in done if (finding := task.result()) is not None]
    if len(done) < len(wanted):
        message = (
            f"{len(wanted) - len(done)} of {len(wanted)} addresses were not looked at: at most {most}, for {within_s:g} s"
        )
        found.append(warning("link.unchecked", message, "look at them yourself"))
    return Looked(found, len(done), len(wanted))


async def _look(url: str, client: Client) -> Finding | None:
    shown, at = f"the address {url[:200]}", url
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            reply = await client.look(at, _HEADERS)
            if reply.status >= _WRONG:
                # Some servers know no HEAD.
                reply = await client.look(at, _HEADERS, method="GET")
        except Undelivered as failure:
            way = "" if at == url else " (it leads on to another one)"
            if failure.refused and _ODD.search(at):
                message = f"{shown}{way} holds a blank, a backslash or a user: many programs do not follow it"
                return error("link.malformed", message, "write blanks as %20, and the address without a user")
            if failure.refused and at == url and not _names_server(url):
                message = f"{shown} names no server, or none that can be"
                return error("link.malformed", message, "write it whole, such as https://www.example.com/offer")
            if failure.refused:
                why = str(failure).replace("the target", "it", 1)
                return error("link.private", f"{shown}{way}: {why}", "use an address that readers can reach")
            return error("link.unreachable", f"{shown}{way}: {failure}", "mend it, or take the link out")
        location = reply.headers.get("location")
        if reply.status in _MOVED and location:
            try:
                at = urljoin(at, location).partition("#")[0]
            except ValueError:
                message = f"{shown} leads on to {location[:200]!r}, which is no address"
                return error("link.unreachable", message, "mend it, or take the link out")
            continue
        if reply.status in _GONE:
            return error("link.gone", f"{shown} answers {reply.status}", "mend it, or take the link out")
        if reply.status >= _WRONG and reply.status not in _REFUSED:
            return warning("link.broken", f"{shown} answers {reply.status}", "see whether it works for readers")
        return None
    return warning("link.redirects", f"{shown} leads on more than {_MOST_REDIRECTS} times", "link to where it ends")


def _names_server(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False
