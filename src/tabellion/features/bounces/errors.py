"""Refusals of the calls of bounces and suppressions."""

from tabellion.kit.problem import Problem


class SuppressionUnknown(Problem):
    """Nothing keeps the address from its mails; the list call shows the addresses that get none."""

    status = 404
    code = "suppression.unknown"


class InteractionUnknown(Problem):
    """The licence has sent no such mail, or it is no more."""

    status = 404
    code = "interaction.unknown"
