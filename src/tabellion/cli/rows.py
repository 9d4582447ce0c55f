"""Lists for people: a table where the terminal is wide enough for it, and a few lines for each row where it is not."""

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

# A column whose texts have several words, or are longer than this, may be folded; down to so many characters.
_LONG, _FOLDED = 40, 20
# What the lines of a table take beside each column, and at its end.
_LINES, _EDGE = 3, 1
_BETWEEN, _INDENT = "   ", 2
_EMPTY = frozenset({"", "-"})


def print_rows(console: Console, rows: Sequence[Mapping[str, Text]], title: str = "") -> None:
    """Rows with the same columns, at least one; columns in which there is nothing are left out.

    The first column names the thing, and is what people copy: it is never folded.
    """
    names = [name for name in rows[0] if any(row[name].plain not in _EMPTY for row in rows)]
    folding = {name for name in names[1:] if any(_is_long(row[name].plain) for row in rows)}
    least = _LINES * len(names) + _EDGE
    for name in names:
        widest = max(cell_len(row[name].plain) for row in rows)
        least += max(cell_len(name), min(widest, _FOLDED) if name in folding else widest)
    if least <= console.width:
        table = Table(title=title or None, title_justify="left")
        for name in names:
            table.add_column(name, no_wrap=name not in folding, overflow="fold")
        for row in rows:
            table.add_row(*(row[name] for name in names))
        console.print(table)
        return
    if title:
        console.print(title, style="italic")
    for row in rows:
        _print_lines(console, [(name, row[name]) for name in names if row[name].plain not in _EMPTY])


def _print_lines(console: Console, cells: Sequence[tuple[str, Text]]) -> None:
    lines: list[Text] = []
    for name, cell in cells:
        part = Text.assemble((name, "dim"), " ", cell) if lines else Text.assemble((cell.plain, "bold"))
        if lines and _INDENT + lines[-1].cell_len + len(_BETWEEN) + part.cell_len <= console.width:
            lines[-1] = Text(_BETWEEN).join([lines[-1], part])
        else:
            lines.append(part)
    for number, line in enumerate(lines):
        console.print(Padding(line, (0, 0, 0, _INDENT if number else 0), expand=False))


def _is_long(text: str) -> bool:
    return " " in text or cell_len(text) > _LONG
