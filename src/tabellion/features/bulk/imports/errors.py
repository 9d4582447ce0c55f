"""Refusals of the import calls."""

from tabellion.kit.problem import Problem


class ImportUnknown(Problem):
    """The entity has no import with this id, or it is over 30 days old."""

    status = 404
    code = "import.unknown"


class FileUnknown(Problem):
    """The import has no such file: a result file has to be asked for with `generateResultFile`, and is kept 30 days."""

    status = 404
    code = "file.unknown"


class JobState(Problem):
    """The import is not in a state for this: its files are made when it ends, and what has ended cannot be cancelled."""

    status = 409
    code = "job.state"
