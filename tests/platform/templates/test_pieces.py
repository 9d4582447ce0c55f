"""What a template prints as it stands travels once, and mails are put together from it; whatever a process answers."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tabellion.platform.templates import Cages, Failed, Part, PartKind, Reason, Rendered, Template
from tabellion.platform.templates.compiled import Compiled
from tabellion.platform.templates.lexer import scan
from tabellion.platform.templates.vocabulary import resolve
from tabellion.platform.templates.wire import Answer, Done, Loaded, Printed, frame

NOW = datetime(2027, 3, 1, 8, 15, tzinfo=UTC)
STILL = "It stands here for everybody. " * 40
SOURCE = (
    STILL + "{{ firstName }}{% if vip %}" + STILL + "{{ firstName }}{% else %}you, too{% endif %}, "
    "{% for s in Stays %}" + STILL + "{{ s.hotel }}{{ forloop.index }}, {% else %}no stays at all{% endfor %}"
    "{% capture x %}" + STILL + "{{ firstName }}{% endcapture %}{{ x }}{{ x | size }}"
    "{% raw %}{{ this is no name }}{% endraw %}{% case firstName %}{% when 'Ann' %}Ann it is{% endcase %} caf\u00e9 {{ '' }}"
)  # fmt: skip
CONTEXTS: list[dict[str, Any]] = [
    {"profile": {"firstName": name, "vip": vip}, "Stays": [{"hotel": hotel} for hotel in hotels]}
    for name, vip, hotels in (("Ann", True, ["Quay", "Dunes"]), ("<B\u00f6b & Co>", False, []), ("", None, ["1"]))
]


async def test_what_is_put_together_is_what_is_printed() -> None:
    (spans, _), kinds = scan(SOURCE), (PartKind.LINE, PartKind.HTML, PartKind.TEXT)
    template = Template(tuple(Part(kind.value, kind, SOURCE) for kind in kinds))
    async with Cages(1) as cages:
        outcomes = await cages.render(template, CONTEXTS, now=NOW)
    compiled = [Compiled(spans, SOURCE, kind, "en", "UTC") for kind in kinds]
    given = [resolve({"now": NOW.isoformat(), "today": "2027-03-01", **context}) for context in CONTEXTS]
    assert outcomes == [Rendered(tuple(each.printed(names).encode() for each in compiled)) for names in given]
    assert len({outcome.parts for outcome in outcomes if isinstance(outcome, Rendered)}) == len(CONTEXTS)


def test_what_stands_in_the_source_does_not_travel_with_each_mail() -> None:
    source = SOURCE.replace("{% capture x %}" + STILL, "{% capture x %}")
    pieces = Compiled(scan(source)[0], source, PartKind.HTML, "en", "UTC").pieces(resolve(CONTEXTS[0]))
    assert sum(len(piece) for piece in pieces if isinstance(piece, bytes)) < 100


HTML = Template((Part("html", PartKind.HTML, STILL),))
HELD = Loaded(((STILL.encode(),),))


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([HELD, Printed([[0, 0]])], None),
        ([HELD, Printed([[0] * 10_000])], Reason.OUTPUT),
        ([HELD, Printed([[b"x" * 2_000_001]])], Reason.OUTPUT),
        ([HELD, Printed([[1]])], Reason.DIED),
        ([HELD, Printed([[0], [0]])], Reason.DIED),
        ([HELD, Printed([])], Reason.DIED),
        ([HELD, Done()], Reason.DIED),
        ([HELD, HELD], Reason.DIED),
        ([Loaded(((STILL.encode() + b"x",),))], Reason.DIED),
        ([Loaded(((b"x",), (b"x",)))], Reason.DIED),
        ([Loaded(())], Reason.DIED),
        ([Done()], Reason.DIED),
        ([b"\xc1"], Reason.DIED),
        ([HELD, b"\x92\x01"], Reason.DIED),
        ([HELD, b""], Reason.DIED),
    ],
)  # fmt: skip
async def test_a_process_that_was_taken_over_can_answer_what_it_likes(
    answers: list[Answer | bytes], reason: Reason | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = tmp_path / "python"
    said = [each if isinstance(each, bytes) else msgspec.msgpack.encode(each) for each in (Done(), *answers)]
    octets = tmp_path / "said"
    octets.write_bytes(b"".join(map(frame, said)))
    taken.write_text(f"#!/bin/sh\ncat {octets}\nexec sleep 20\n")
    taken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(taken))
    async with Cages(1) as cages:
        (outcome,) = await cages.render(HTML, [{}], now=NOW)
    if reason is None:
        assert outcome == Rendered((STILL.encode() * 2,))
    else:
        assert isinstance(outcome, Failed)
        assert outcome.reason is reason
