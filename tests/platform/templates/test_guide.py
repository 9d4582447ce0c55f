"""The guide prints what it says it prints, in a cage as in a campaign, and names every filter and tag there is."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from tabellion.platform.templates import Cages, Kind, Part, PartKind, Rendered, Template, Values, vocabulary
from tabellion.platform.templates.check import check
from tabellion.platform.templates.dialect import TAGS
from tabellion.platform.templates.filters import FILTERS

GUIDE = (Path(__file__).parents[3] / "docs/guide/personalisation.md").read_text()
(DATA,) = (json.loads(block, parse_float=Decimal) for block in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL))
EXAMPLES = [
    pair
    for block in re.findall(r"```liquid\n(.*?)```", GUIDE, re.DOTALL)
    for pair in re.findall(r"^(.*)\n→ (.*)$", block, re.MULTILINE)
]
ALLOWED = vocabulary(
    {"firstName": Kind.TEXT, "lastName": Kind.TEXT, "points": Kind.NUMBER, "nickname": Kind.TEXT, "birthDate": Kind.DATE, "interests": Values()},
    tables={"Stays": {"hotel": Kind.TEXT, "arrival": Kind.DATE, "price": Kind.NUMBER, "paidAt": Kind.MOMENT}},
    parameters={"stayRef": Kind.ANY},
    subscriptions=["Weekly offers"],
    segmentations={"Loyalty": Kind.TEXT},
)  # fmt: skip


async def test_the_examples_print_what_they_say() -> None:
    assert len(EXAMPLES) >= 30
    assert GUIDE.count("\n→ ") == len(EXAMPLES)
    async with Cages(1) as cages:
        for source, expected in EXAMPLES:
            assert check(source, ALLOWED).mistakes == []
            template = Template((Part("text", PartKind.TEXT, source),), "nl", "Europe/Brussels")
            (outcome,) = await cages.render(template, [DATA], now=datetime(2027, 3, 1, 8, 15, tzinfo=UTC))
            assert isinstance(outcome, Rendered), (source, outcome)
            assert outcome.parts[0].decode().replace("\xa0", " ") == expected, source


def test_every_filter_and_tag_is_named() -> None:
    for name in (*FILTERS, *(TAGS - {"#"})):
        assert re.search(rf"(\| |`|\{{% ){name}\b", GUIDE), name


def test_the_limits_are_those_of_the_code() -> None:
    for number in (
        "1,000,000 characters",
        "an expression 500",
        "19 deep",
        "1 s of computing",
        "128 MB",
        "10,000 turns",
        "2,000,000 bytes",
    ):
        assert number in GUIDE.split("## Limits")[1]
