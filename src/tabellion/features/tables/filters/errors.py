"""Refusals of the query languages."""

from tabellion.kit.problem import FieldError, Invalid, Problem


class ProfileUnknown(Problem):
    """No profile of the table matches. Create it (PUT or POST), or check the id or the attribute's value."""

    status = 404
    code = "profile.unknown"


class RecordUnknown(Problem):
    """No record of the table matches. Create it, or check the business key, the id or the attribute's value."""

    status = 404
    code = "record.unknown"


_UNKNOWN: dict[str, type[Problem]] = {"profile": ProfileUnknown, "record": RecordUnknown}


def row_unknown(row: str, table: str, reference: str, advice: str = "") -> Problem:
    """The refusal of a reference that leads to no row; `row` is `profile` or `record`. `advice` ends the message."""
    which = f" '{reference[:200]}'" if reference else ""
    return _UNKNOWN[row](f"the table '{table}' has no {row}{which}{advice}")


class FilterFault(Invalid):
    """A filter cannot be read or does not fit the table; the message names the place (`position` counts from 1)."""

    def __init__(self, message: str, position: int, code: str = "filter.syntax", parameter: str = "filter") -> None:
        where = f" (at character {position})" if position else ""
        super().__init__([FieldError(parameter, code, f"{message}{where}")])
