"""Lists for people, in terminals of all widths."""

from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from tabellion.cli import common
from tabellion.cli.rows import print_rows

WHY = "import.mapping: the column 'mail' is for 'mail', which the table lacks"
JOB = {
    "kind": "import", "id": "1000002", "licence": "harbour", "table": "Guests", "status": "DONE_WITH_ERRORS",
    "rowsRead": "2,000,000", "createdAt": "2026-11-27T18:06:53Z", "errors": "", "note": "-",
}  # fmt: skip


def printed(width: int, *rows: dict[str, str]) -> list[str]:
    """The lines of a list."""
    out = StringIO()
    print_rows(Console(width=width, file=out), [{name: Text(cell) for name, cell in row.items()} for row in rows], "jobs")
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 120, 160])
def test_what_people_copy_stands_in_one_piece(width: int) -> None:
    lines = printed(width, JOB, JOB | {"status": "FAILED", "errors": WHY})
    assert all(len(line) <= width for line in lines)
    for cell in (*JOB.values(), "FAILED"):
        assert any(cell in line for line in lines)
    assert "note" not in " ".join(lines)


def test_a_narrow_terminal_gets_a_few_lines_for_each_row() -> None:
    assert printed(80, JOB, JOB | {"status": "FAILED", "errors": WHY}) == [
        "jobs",
        "import   id 1000002   licence harbour   table Guests   status DONE_WITH_ERRORS",
        "  rowsRead 2,000,000   createdAt 2026-11-27T18:06:53Z",
        "import   id 1000002   licence harbour   table Guests   status FAILED",
        "  rowsRead 2,000,000   createdAt 2026-11-27T18:06:53Z",
        "  errors import.mapping: the column 'mail' is for 'mail', which the table lacks",
    ]


def test_texts_are_folded_where_all_else_has_its_place() -> None:
    lines = printed(160, JOB, JOB | {"errors": WHY})
    assert (lines[0], sum("import.mapping" in line for line in lines)) == ("jobs", 1)
    assert "┏" in lines[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("2026-11-27T18:06:53.673018+00:00", "2026-11-27T18:06:53Z"),
        ("2026-11-27T18:06:53Z", "2026-11-27T18:06:53Z"),
        ("2026-11-27T19:06:53.1+01:00", "2026-11-27T19:06:53+01:00"),
        (["2026-11-27T18:06:53.673018+00:00"], "2026-11-27T18:06:53Z"),
        ("since 2026-11-27T18:06:53.673018+00:00", "since 2026-11-27T18:06:53.673018+00:00"),
    ],
)
def test_people_get_moments_without_fractions(value: Any, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    common.console.cache_clear()
    common.show({"at": value}, as_json=False)
    assert capsys.readouterr().out == f"at   {text}\n"
    common.console.cache_clear()
