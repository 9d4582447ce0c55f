"""Refusals about erasures, and why a worker begins one anew."""

from tabellion.kit.problem import Problem


class ErasureUnknown(Problem):
    """The licence has no such erasure."""

    status = 404
    code = "erasure.unknown"


class TooManyProfiles(Problem):
    """More profiles of a table have the address than a person can be."""

    status = 409
    code = "erasure.tooMany"


class NotYet(Exception):
    """Something of the person is still on its way: it is looked for again a little later."""
