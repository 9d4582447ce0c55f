"""Refusals of the query languages."""

from tabellion.kit.problem import FieldError, Invalid, Problem


class ProfileUnknown(Problem):
    """No profile of the table matches. Create it (PUT or POST), or check the id or the attribute's value."""

    status = 404
    code = "profile.unknown"


class FilterFault(Invalid):
    """A filter cannot be read or does not fit the table; the message names the place (`position` counts from 1)."""

    def __init__(self, message: str, position: int, code: str = "filter.syntax", parameter: str = "filter") -> None:
        where = f" (at character {position})" if position else ""
        super().__init__([FieldError(parameter, code, f"{message}{where}")])
