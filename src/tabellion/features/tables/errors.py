"""Refusals of the structure calls."""

from tabellion.kit.problem import Problem


class TableUnknown(Problem):
    """The entity has no such table; the structure calls list them."""

    status = 404
    code = "table.unknown"


class NameUsed(Problem):
    """The entity has a table of this name already (names may not differ by case only)."""

    status = 409
    code = "name.used"


class DataConflict(Problem):
    """Existing profiles or records break the new rule. Mend them first, or ask for another rule."""

    status = 409
    code = "structure.dataConflict"


class TableInUse(Problem):
    """A foreign key of another table, or a campaign, refers to this one, or needs what is taken away of it.

    Remove what refers to it first.
    """

    status = 409
    code = "table.inUse"
