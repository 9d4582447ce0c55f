"""Refusals about erasures."""

from tabellion.kit.problem import Problem


class ErasureUnknown(Problem):
    """The licence has no such erasure."""

    status = 404
    code = "erasure.unknown"
