"""A real browser: Debian's Chromium, without a network of its own."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

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


def shoot(page: Page, name: str, folder: Path) -> None:
    """A picture of what is seen, in `folder`, or in that of TABELLION_SCREENSHOTS; it is not empty."""
    target = (_SHOTS if _SHOTS.name else folder) / f"{name}.png"
    page.screenshot(path=target, full_page=False)
    assert target.stat().st_size > 10_000
