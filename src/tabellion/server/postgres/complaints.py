"""What PostgreSQL said when it did not start, and whether its disk is full."""

import re
import shutil
from pathlib import Path

_MOST_LINES = 10
# It goes on with its log files after these; the reason is there.
_REDIRECTING = re.compile(r"redirecting log output to|Future log output will appear in")
_REASON = re.compile(r"\] (?:\S+ )?(?:ERROR|FATAL|PANIC|DETAIL|HINT): ")
# What clients are told meanwhile, many times a second: no reason for anything.
_KNOCKING = re.compile(
    r"FATAL:  the database system is (?:starting up|shutting down|not yet accepting connections|in recovery)"
)
_OF_KNOCKING = "DETAIL:  Consistent recovery state has not been yet reached."
# The log of changes grows by pieces of 16 MB; recovery needs one or two.
_FULL_BYTES = 32 * 1024**2


def complaints(cluster: Path) -> str:
    """The end of what the last start said: on its standard error, and in the log file that it went on with."""
    try:
        lines = (cluster / "startup.log").read_text(errors="replace").splitlines()
        logged = any(map(_REDIRECTING.search, lines))
        lines = [line for line in lines if not _REDIRECTING.search(line)]
        if logged:
            lines += _of_newest_log(cluster / "log")
    except OSError as error:
        lines = [str(error)]
    return "\n".join(_advised(cluster, lines[-_MOST_LINES:]))


def _of_newest_log(folder: Path) -> list[str]:
    newest = max(folder.glob("postgresql-*.log"), default=None)
    if newest is None:
        return []
    lines = newest.read_text(errors="replace").splitlines()
    reasons = [line for line in lines if _REASON.search(line) and not _KNOCKING.search(line)]
    return [line for line in reasons if not line.endswith(_OF_KNOCKING)] or lines


def _advised(cluster: Path, lines: list[str]) -> list[str]:
    """With what to do about a full disk, of which PostgreSQL may not even have been able to write."""
    try:
        free = shutil.disk_usage(cluster).free
    except OSError:
        return lines
    if free < _FULL_BYTES or any("No space left on device" in line for line in lines):
        advice = (
            f"The disk of {cluster} is full ({free // 1024**2} MB free): make room there; delete nothing of the database."
        )
        return [*lines, advice]
    return lines
