"""Refusals of the calls of exports."""

from tabellion.kit.problem import Problem


class ExportUnknown(Problem):
    """The entity has no such export; the list call shows them."""

    status = 404
    code = "export.unknown"


class ExportNameUsed(Problem):
    """The entity has an export of this name already (names may not differ by case only)."""

    status = 409
    code = "name.used"


class ExportInactive(Problem):
    """The export is switched off (`isActive`); switch it on to trigger it."""

    status = 409
    code = "export.inactive"
