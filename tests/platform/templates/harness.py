"""Renders the bombs, each in a cage of its own, and prints what each came to: run in a process of its own, so that the
kernel's accounts of its children are those of the cages."""

import asyncio
import json
import resource
import time
from datetime import UTC, datetime

from tabellion.platform.templates import Cages, Part, PartKind, Rendered, Template
from tests.platform.templates.bombs import BOMBS, CONTEXT

NOW = datetime(2027, 3, 1, 8, 15, tzinfo=UTC)
INNOCENT = Template((Part("html", PartKind.HTML, "Hi {{ firstName }}"),))


async def _run(name: str, source: str) -> dict[str, object]:
    before, clock = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    template = Template((Part("html", PartKind.HTML, source),))
    async with Cages(1) as cages:
        outcome, after = await cages.render(template, [CONTEXT], now=NOW), await cages.render(INNOCENT, [CONTEXT], now=NOW)
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "name": name,
        "reason": "" if isinstance(outcome[0], Rendered) else outcome[0].reason,
        "bytes": len(outcome[0].parts[0]) if isinstance(outcome[0], Rendered) else 0,
        "alive": after == [Rendered((b"Hi Ann",))],
        "cpu_s": usage.ru_utime + usage.ru_stime - before.ru_utime - before.ru_stime,
        "seconds": time.monotonic() - clock,
        "most_kb": usage.ru_maxrss,
    }


async def main() -> None:
    for name, source in {"nothing": "x", **BOMBS}.items():
        print(json.dumps(await _run(name, source)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
