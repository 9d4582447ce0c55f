"""`make bench-templates`: mails rendered in caged processes, against the same template rendered in this process without a cage.

Usage: python benchmarks/templates.py [--mails N] [--rounds N] [--write docs/benchmarks.md]
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import page

from tabellion.platform.templates import (
    Cages,
    Content,
    Part,
    PartKind,
    Rendered,
    Template,
    fill_links,
    mark_links,
    new_mark,
)
from tabellion.platform.templates.compiled import Compiled
from tabellion.platform.templates.lexer import scan
from tabellion.platform.templates.prepare import prepare
from tabellion.platform.templates.vocabulary import resolve

_MAIL_BYTES = 35_000
_LINKS = 12
_AT_ONCE = 500
_NOW = datetime(2027, 3, 1, 8, 15, tzinfo=UTC)
_STYLE = "<style>td{padding:4px;font-family:Arial} .b{color:#123456;font-weight:bold} a:hover{color:red}</style>"
_HEAD = "<p>Dear {{ firstName | default: 'guest' }} {{ lastName }},</p>{% if vip %}<p class=b>Your {{ points | number }} points</p>{% endif %}"
_OFFER = "<tr><td class=b>{{ offers[N].name }}</td><td><a href='https://www.example.com/offer/N?who={{ profile.number }}'>{{ offers[N].price | currency: 'EUR' }}</a></td></tr>"
_STAYS = "{% for stay in Stays %}<p>{{ stay.hotel }}, {{ stay.arrival | date: 'long' }}</p>{% endfor %}"
_WORDS = "<p>Spring has come to the dunes, and the first guests sit outside with their coffee until noon.</p>"


def _template(mark: str) -> Template:
    """A mail of 35 kB as it is rendered: subject, HTML with marked links, text."""
    offers = "".join(_OFFER.replace("N", str(n)) for n in range(_LINKS))
    source = f"<html><head>{_STYLE}</head><body>{_HEAD}<table>{offers}</table>{_STAYS}WORDS</body></html>"
    room = _MAIL_BYTES - len(prepare(Content(html=source)).html)
    prepared = prepare(Content(html=source.replace("WORDS", _WORDS * (room // len(_WORDS)))))
    marked = mark_links(prepared.html, mark, lambda link: link.scheme == "https")
    return Template(
        (
            Part("subject", PartKind.LINE, "{{ firstName }}, spring by the sea"),
            Part("html", PartKind.HTML, marked),
            Part("text", PartKind.TEXT, prepared.text),
        ),
        language="nl",
        time_zone="Europe/Brussels",
    )


def _context(number: int) -> dict[str, object]:
    return {
        "profile": {
            "firstName": f"Ann{number}",
            "lastName": "Vos & <Son>",
            "vip": number % 2 == 0,
            "points": number,
            "number": number,
        },
        "offers": [{"name": f"Offer {n}", "price": Decimal(100 * n) / 3} for n in range(_LINKS)],
        "Stays": [{"hotel": f"Hotel {n}", "arrival": "2027-04-0" + str(n + 1)} for n in range(3)],
    }


def _bare(template: Template, mark: str) -> Callable[[list[dict[str, object]]], int]:
    """The same template, here, with nothing around it."""
    compiled = [
        Compiled(scan(part.source)[0], part.source, part.kind, template.language, template.time_zone)
        for part in template.parts
    ]
    encode = msgspec.json.Encoder(decimal_format="number").encode
    decode = msgspec.json.Decoder(dict[str, object], float_hook=Decimal).decode

    def run(contexts: list[dict[str, object]]) -> int:
        done = 0
        for context in contexts:
            names = resolve(decode(encode(context)))
            parts = [part.printed(names).encode() for part in compiled]
            done += len(fill_links(parts[1], mark, lambda index, _: f"https://t.example.com/{index}")) > _MAIL_BYTES // 2
        return done

    return run


async def _caged(cages: Cages, template: Template, mark: str, contexts: list[dict[str, object]]) -> int:
    blocks = [contexts[start : start + _AT_ONCE] for start in range(0, len(contexts), _AT_ONCE)]

    async def one(block: list[dict[str, object]]) -> int:
        done = 0
        for outcome in await cages.render(template, block, now=_NOW):
            assert isinstance(outcome, Rendered)
            done += (
                len(fill_links(outcome.parts[1], mark, lambda index, _: f"https://t.example.com/{index}")) > _MAIL_BYTES // 2
            )
        return done

    # Two batches under way keep every process busy while the last one's mails are handed on.
    waiting = iter(blocks)

    async def work() -> int:
        return sum([await one(block) for block in waiting])

    return sum(await asyncio.gather(*(work() for _ in range(4))))


async def _rate(mails: int, run: Callable[[], Awaitable[int]]) -> float:
    began = time.perf_counter()
    assert await run() == mails
    return mails / (time.perf_counter() - began)


async def _measure(mails: int, rounds: int) -> Mapping[str, list[float]]:
    mark = new_mark()
    template = _template(mark)
    contexts = [_context(number) for number in range(mails)]
    bare = _bare(template, mark)

    async def in_process() -> int:
        return bare(contexts)

    found: dict[str, list[float]] = {"bare": [], "1": [], "2": []}
    async with Cages(1) as one, Cages(2) as two:
        ways: dict[str, Callable[[], Awaitable[int]]] = {
            "bare": in_process,
            "1": lambda: _caged(one, template, mark, contexts),
            "2": lambda: _caged(two, template, mark, contexts),
        }
        for way in ways.values():
            await way()
        for _ in range(rounds):
            for name, way in ways.items():
                found[name].append(await _rate(mails, way))
    return found


def _table(found: Mapping[str, list[float]]) -> str:
    lines = ["| mails of 35 kB, rendered by | mails/s | ratio | least, greatest |", "|---|---|---|---|"]
    names = {"bare": "this process, without a cage", "1": "one caged process", "2": "two caged processes"}
    for key, name in names.items():
        ratios = [rate / base for rate, base in zip(found[key], found["bare"], strict=True)]
        spread = f"{min(ratios):.2f}, {max(ratios):.2f}"
        lines.append(f"| {name} | {statistics.median(found[key]):,.0f} | **{statistics.median(ratios):.2f}** | {spread} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=6_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", type=Path)
    options: Any = parser.parse_args()
    text = _table(asyncio.run(_measure(options.mails, options.rounds)))
    print(text)
    if options.write:
        page.write(options.write, "templates", text)


if __name__ == "__main__":
    main()
