"""The page in the docs that the tables of the benchmarks are written to."""

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path


def write(page: Path, mark: str, text: str) -> None:
    """Put a table, with when and where it was measured, between `<!-- mark -->` and `<!-- /mark -->`.

    Raises:
        ValueError: the page has no such place.
    """
    block = f"<!-- {mark} -->\n{_heading()}\n\n{text}\n<!-- /{mark} -->"
    content, places = re.subn(f"<!-- {mark} -->.*<!-- /{mark} -->", lambda _: block, page.read_text(), flags=re.DOTALL)
    if not places:
        raise ValueError(f"{page} has no <!-- {mark} --> with its <!-- /{mark} -->")
    page.write_text(content)


def _heading() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    today = datetime.now(UTC).date().isoformat()
    return f"{today}, {os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}, embedded PostgreSQL"
