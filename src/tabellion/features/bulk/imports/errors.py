"""Refusals of the import calls."""

from tabellion.kit.problem import Problem


class ImportUnknown(Problem):
    """The entity has no import with this id, or it is over 30 days old."""

    status = 404
    code = "import.unknown"


class FileUnknown(Problem):
    """There is no such file: not asked for (`generateResultFile`), not made, over its time, or deleted by an erasure.

    Files of imports and ETLs are kept 30 days, those of exports 5.
    """

    status = 404
    code = "file.unknown"


class JobState(Problem):
    """Not in a state for this: files are made when an import or execution ends, and what has ended cannot be cancelled."""

    status = 409
    code = "job.state"
