"""Refusals of the calls of custom actions."""

from tabellion.kit.problem import Problem


class ActionUnknown(Problem):
    """The entity has no such custom action; the list call shows them."""

    status = 404
    code = "action.unknown"


class ActionNameUsed(Problem):
    """The entity has a custom action of this name already (names may not differ by case only)."""

    status = 409
    code = "name.used"
