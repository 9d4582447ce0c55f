"""A block of rows becomes typed columns for the database; rows with mistakes are set apart, with all of them."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import Any

import polars as pl

from tabellion.features.bulk.imports.columns import VALUES_SEPARATOR, Column, Plan
from tabellion.features.bulk.imports.copying import copy_text
from tabellion.features.bulk.imports.model import Fault, Order, Rejected
from tabellion.features.bulk.imports.plain import test_of
from tabellion.features.bulk.imports.rounds import LINE, rounds_of
from tabellion.features.bulk.imports.rows import Block
from tabellion.features.bulk.imports.transforming import transform
from tabellion.features.tables import BadValue, Table


@dataclass(frozen=True)
class Checked:
    """The good rows of a block, `frame`: `line`, `round`, and the columns of the plan as COPY reads them.

    Rows of one round have no value of a unique attribute in common, so that they can be applied all at once; rounds follow
    each other, the last one is `last_round`. `complete`: a new profile can be made of each row, as far as mandatory
    attributes go. `rejected` are the rows with mistakes, without those that the reader had set apart.
    """

    frame: pl.DataFrame
    last_round: int
    complete: bool
    rejected: list[Rejected]

    @cached_property
    def csv(self) -> bytes:
        """The frame for COPY; made once, so that it can be made before it is needed."""
        text = BytesIO()
        self.frame.write_csv(text, include_header=False)
        return text.getvalue()


class Checker:
    """Checks blocks of one file."""

    def __init__(self, table: Table, plan: Plan, order: Order) -> None:
        self._plan = plan
        self._order = order
        given = {column.attribute.number: column.name for column in plan.columns if column.attribute is not None}
        wanted = [attribute.number for attribute in table.attributes if attribute.mandatory]
        self._has_all_mandatory = all(number in given for number in wanted)
        self._mandatory = [given[number] for number in wanted if number in given]
        self._tests = {column.name: test_of(column) for column in plan.columns}

    def check(self, block: Block) -> Checked:
        """Parse every cell that has a use. Errors come in the order of the file's columns."""
        faults: defaultdict[int, list[Fault]] = defaultdict(list)
        columns = [self._column(column, _cells(column, block, faults), faults) for column in self._plan.columns]
        frame = pl.DataFrame([block.lines.alias(LINE), *columns])
        rejected: list[Rejected] = []
        if faults:
            rejected = [Rejected(block.lines[i], tuple(faults[i]), block.row(i)) for i in sorted(faults)]
            bad = pl.Series([i in faults for i in range(frame.height)], dtype=pl.Boolean)
            frame = frame.filter(~bad)
        rounds = rounds_of(frame, self._plan)
        complete = self._has_all_mandatory and not any(frame[name].has_nulls() for name in self._mandatory)
        last: Any = rounds.max()
        return Checked(frame.insert_column(1, rounds), last or 0, complete, rejected)

    def _column(self, column: Column, cells: pl.Series, faults: defaultdict[int, list[Fault]]) -> pl.Series:
        empty = cells == ""
        test = self._tests[column.name]
        if test is None:
            odd = cells.filter(~empty)
        else:
            plain = pl.select(test(pl.lit(cells))).to_series().fill_null(value=False)
            odd = cells.filter(~(plain | empty))
        if len(odd):
            cells = self._parse(column, cells, odd, faults)
        if column in self._plan.key or self._must_have(column):
            for index in (cells.is_null() | (cells == "")).arg_true().to_list():
                if not any(fault.column == column.header for fault in faults.get(index, ())):
                    message = f"{column.subject} identifies the row: it cannot be empty"
                    if column not in self._plan.key:
                        message = f"{column.subject} is mandatory: it cannot be null"
                    faults[index].append(Fault("attribute.mandatory", column.header, message))
        return cells.replace("", None)

    def _must_have(self, column: Column) -> bool:
        attribute = column.attribute
        return attribute is not None and attribute.mandatory and self._order.empty_cells == "CLEAR"

    @staticmethod
    def _parse(column: Column, cells: pl.Series, odd: pl.Series, faults: defaultdict[int, list[Fault]]) -> pl.Series:
        good: dict[str, str | None] = {}
        bad: dict[str, list[Fault]] = {}
        for text in odd.unique().to_list():
            try:
                value: Any = column.parse(text)
            except BadValue as error:
                bad[text] = _faults(column, text, error)
                good[text] = None
            else:
                good[text] = None if value is None else copy_text(value)
        if bad:
            wrong = cells.is_in(list(bad))
            for index, text in zip(wrong.arg_true().to_list(), cells.filter(wrong).to_list(), strict=True):
                faults[index] += bad[text]
        return cells.replace(pl.Series(list(good), dtype=pl.String), pl.Series(list(good.values()), dtype=pl.String))


def _faults(column: Column, text: str, error: BadValue) -> list[Fault]:
    """What is wrong with a cell: all of its values that are, by their places, where it has several."""
    faults: list[Fault] = []
    for place, code, message in error.each(""):
        which = f"value {int(place[1:-1]) + 1} of " if place and VALUES_SEPARATOR in text else ""
        faults.append(Fault(code, column.header, f"{which}{column.subject} {message}"))
    return faults


def _cells(column: Column, block: Block, faults: defaultdict[int, list[Fault]]) -> pl.Series:
    """The column's cells as they are to be read."""
    if column.place is None:
        cells = pl.Series([""], dtype=pl.String).new_from_index(0, block.height)
    else:
        cells = block.cells.to_series(column.place)
    if column.transformations:
        cells, wrong = transform(cells, column.transformations, header=column.header, subject=column.subject)
        for place, fault in wrong:
            faults[place].append(fault)
    return cells.alias(column.name)
