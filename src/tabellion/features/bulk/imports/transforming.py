"""What is done to the cells of a column before they are checked: the whole column at once, step by step."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
import polars as pl

from tabellion.features.bulk.imports.model import Fault, Operation, Transformation
from tabellion.kit.datepattern import DatePattern

_NUMBER = r"^[+-]?[0-9]+(?:\.[0-9]+)?$"
_CURRENCY = r"^\p{Sc}\s*|\s*\p{Sc}$"
# What people see as a blank between thousands: blank, no-break space, narrow no-break space.
_BLANK, _BLANKS = " ", "[ \u00a0\u202f]"


class Transformed(NamedTuple):
    """The new cells, and what is wrong with some of the old ones, by their place; a faulty cell is empty."""

    cells: pl.Series
    faults: list[tuple[int, Fault]]


def transform(cells: pl.Series, steps: Sequence[Transformation], *, header: str, subject: str) -> Transformed:
    """Apply transformations in order. `header` and `subject` ("attribute 'x'") are for the messages."""
    faults: list[tuple[int, Fault]] = []
    for step in steps:
        reader = _READERS.get(step.operation)
        if reader is None:
            cells = _CHANGES[step.operation](cells, step)
            continue
        read, expected = reader(cells, step)
        wrong = read.is_null() & (cells != "")
        for place in wrong.arg_true().to_list():
            message = f"{subject} expects {expected}, not '{cells[place][:60]}'"
            faults.append((place, Fault("attribute.type", header, message)))
        cells = read.fill_null("")
    return Transformed(cells, faults)


def _trim(cells: pl.Series, _step: Transformation) -> pl.Series:
    return cells.str.strip_chars()


def _lower(cells: pl.Series, _step: Transformation) -> pl.Series:
    return cells.str.to_lowercase()


def _upper(cells: pl.Series, _step: Transformation) -> pl.Series:
    return cells.str.to_uppercase()


def _default(cells: pl.Series, step: Transformation) -> pl.Series:
    return cells.replace("", step.value)


def _constant(cells: pl.Series, step: Transformation) -> pl.Series:
    return pl.Series(cells.name, [step.value], dtype=pl.String).new_from_index(0, len(cells))


def _map(cells: pl.Series, step: Transformation) -> pl.Series:
    values = {key: value or "" for key, value in (step.values or {}).items()}
    mapped = cells.replace(pl.Series(list(values), dtype=pl.String), pl.Series(list(values.values()), dtype=pl.String))
    if step.otherwise is msgspec.UNSET:
        return mapped
    # An empty cell is no value that could be another one.
    is_known = cells.is_in(list(values)) | (cells == "")
    other = pl.Series([step.otherwise or ""], dtype=pl.String).new_from_index(0, len(cells))
    return mapped.zip_with(is_known, other)


def _dates(cells: pl.Series, step: Transformation) -> tuple[pl.Series, str]:
    pattern = DatePattern(step.pattern or "")
    texts = [text for text in cells.unique().to_list() if text]
    values = [None if (read := pattern.read(text)) is None else read.isoformat() for text in texts]
    return _replaced(cells, texts, values), f"a date written as {step.pattern}"


def _phones(cells: pl.Series, step: Transformation) -> tuple[pl.Series, str]:
    # Numbering plans are loaded by who reads phone numbers.
    from tabellion.features.bulk.imports import phones  # noqa: PLC0415

    country = step.country or ""
    texts = [text for text in cells.unique().to_list() if text]
    values = [phones.international(text, country) for text in texts]
    return _replaced(cells, texts, values), f"a phone number of {country}, or an international one such as +32470123456"


def _replaced(cells: pl.Series, texts: list[str], values: list[str | None]) -> pl.Series:
    return cells.replace(pl.Series(texts, dtype=pl.String), pl.Series(values, dtype=pl.String))


def _numbers(cells: pl.Series, step: Transformation) -> tuple[pl.Series, str]:
    plain = cells.str.strip_chars().str.replace_all(_CURRENCY, "")
    if step.group_sign == _BLANK:
        plain = plain.str.replace_all(_BLANKS, "")
    elif step.group_sign:
        plain = plain.str.replace_all(step.group_sign, "", literal=True)
    if step.decimal_sign != ".":
        # A point that is not the sign of a fraction is nothing in a number.
        plain = plain.str.replace_all(".", "x", literal=True).str.replace(step.decimal_sign, ".", literal=True)
    is_number = plain.str.contains(_NUMBER)
    read = plain.zip_with(is_number, pl.Series([None], dtype=pl.String).new_from_index(0, len(cells)))
    between = f"'{step.group_sign}'" if step.group_sign else "nothing ('groupSign' names another sign)"
    return read, f"a number with '{step.decimal_sign}' before its fraction and {between} between thousands"


_CHANGES: dict[Operation, Callable[[pl.Series, Transformation], pl.Series]] = {
    Operation.TRIM: _trim,
    Operation.LOWERCASE: _lower,
    Operation.UPPERCASE: _upper,
    Operation.MAP_VALUES: _map,
    Operation.DEFAULT: _default,
    Operation.CONSTANT: _constant,
}
# Those that can fail: the texts read, null where they cannot be, and what is expected.
_READERS: dict[Operation, Callable[[pl.Series, Transformation], tuple[pl.Series, str]]] = {
    Operation.PARSE_DATE: _dates,
    Operation.PARSE_NUMBER: _numbers,
    Operation.PARSE_PHONE: _phones,
}
