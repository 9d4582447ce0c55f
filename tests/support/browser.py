"""A real browser: Debian's Chromium, without a network of its own."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Route, sync_playwright

_SHOTS = Path(os.environ.get("TABELLION_SCREENSHOTS", ""))
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, until it is not needed any more."""
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or "/usr/bin/chromium"
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        yield browser
        browser.close()


def behind_a_path(page: Page, base: str, path: str) -> None:
    """The page sees the server as behind a proxy that takes a path off, and has nothing else at its address."""

    def pass_on(route: Route) -> None:
        asked = route.request.url.removeprefix(base)
        if asked.startswith(f"{path}/"):
            route.fulfill(response=route.fetch(url=base + asked.removeprefix(path), max_redirects=0))
        else:
            route.fulfill(status=404, body="nothing here")

    page.route("**/*", pass_on)


def shoot(page: Page, name: str, folder: Path) -> None:
    """A picture of what is seen, in `folder`, or in that of TABELLION_SCREENSHOTS; it is not empty."""
    target = (_SHOTS if _SHOTS.name else folder) / f"{name}.png"
    page.screenshot(path=target, full_page=False)
    assert target.stat().st_size > 10_000
