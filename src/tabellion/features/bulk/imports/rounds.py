"""In which round each row of a block is applied: all of a round at once, and after all rows that it has to come after."""

from collections import Counter
from collections.abc import Iterable, Mapping

import polars as pl

from tabellion.features.bulk.imports.columns import Column, Plan

LINE, ROUND = "line", "round"


def rounds_of(frame: pl.DataFrame, plan: Plan) -> pl.Series:
    """The round of each row: after all earlier rows with which it shares a unique value."""
    keys = _keys(frame, plan)
    shared = pl.Series([False], dtype=pl.Boolean).new_from_index(0, frame.height)
    for key in keys:
        shared |= key.is_duplicated() & key.is_not_null()
    places = shared.arg_true().to_list()
    if not places:
        return pl.Series(ROUND, [0], dtype=pl.Int32).new_from_index(0, frame.height)
    latest: dict[tuple[int, str], int] = {}
    found = [0] * frame.height
    for place in places:
        values = [(number, key[place]) for number, key in enumerate(keys) if key[place] is not None]
        mine = max((latest[value] + 1 for value in values if value in latest), default=0)
        found[place] = mine
        latest.update(dict.fromkeys(values, mine))
    return pl.Series(ROUND, found, dtype=pl.Int32)


def one_by_one(
    frame: pl.DataFrame, plan: Plan, met: Iterable[tuple[int, int]], rounds: Mapping[int, int], number: int
) -> dict[int, int]:
    """The rounds, by line, of the rows from round `number` on, of which those that are related come one after the other.

    `met` are lines with the profiles that several of them lead to, `rounds` those that the lines have. Related are rows that
    share a value or a profile, and all that are related to one row: what a row finds depends on these alone.
    """
    related = _Related()
    lines: list[int] = frame[LINE].to_list()
    for name, key in enumerate(_keys(frame, plan)):
        shared = key.is_duplicated() & key.is_not_null()
        for line, value in zip(frame[LINE].filter(shared), key.filter(shared), strict=True):
            if rounds[line] >= number:
                related.join(line, (name, value))
    for line, profile in met:
        related.join(line, ("profile", profile))
    turns: Counter[object] = Counter()
    after: dict[int, int] = {}
    for line in lines:
        if rounds[line] >= number:
            root = related.root(line)
            after[line] = number + turns[root]
            turns[root] += 1
    return after


class _Related:
    """Sets of what is related, each known by one of it."""

    def __init__(self) -> None:
        self._of: dict[object, object] = {}

    def root(self, each: object) -> object:
        while (above := self._of.get(each, each)) != each:
            self._of[each] = self._of.get(above, above)
            each = above
        return each

    def join(self, one: object, other: object) -> None:
        self._of[self.root(one)] = self.root(other)


def _keys(frame: pl.DataFrame, plan: Plan) -> list[pl.Series]:
    """What rows may share."""
    keys = [_comparable(column, frame[column.name]) for column in plan.unique]
    if len(plan.key) > 1:
        keys.append(frame.select(pl.concat_str(*(column.name for column in plan.key), separator="\x00")).to_series())
    return keys


def _comparable(column: Column, values: pl.Series) -> pl.Series:
    """The values as the unique index compares them."""
    return values.str.to_lowercase() if column.attribute is not None and column.attribute.type == "EMAIL_ADDRESS" else values
