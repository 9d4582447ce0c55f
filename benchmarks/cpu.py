"""CPU time and memory by kind of process: where a mail's milliseconds go, on a machine that is never quite idle."""

import contextlib
import os
from collections import Counter
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def used(database: Path) -> Counter[str]:
    """CPU seconds so far of this process's descendants and of the database whose data directory this is."""
    parents: dict[int, int] = {}
    spent: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(folder.name)] = int(fields[1])
        # Its own, and that of children that have ended.
        spent[int(folder.name)] = sum(map(int, fields[11:15])) * _TICK_S
    postmaster = int(next(database.rglob("postmaster.pid")).read_text().split()[0])
    found: Counter[str] = Counter()
    for pid, seconds in spent.items():
        if _descends(pid, postmaster, parents):
            found["database"] += seconds
        elif pid != os.getpid() and _descends(pid, os.getpid(), parents):
            found[_kind(pid)] += seconds
    return found


def peak_mb(pid: int) -> float:
    """The greatest resident memory so far of a process, and of each of its children, together."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    total = 0
    for each in [pid, *(child for child in parents if child != pid and _descends(child, pid, parents))]:
        status = Path(f"/proc/{each}/status").read_text()
        total += int(status.partition("VmHWM:")[2].split()[0])
    return total / 1024


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid > 1:
        if pid == ancestor:
            return True
        pid = parents.get(pid, 0)
    return False


def _kind(pid: int) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return "gone"
    if "tabellion.platform.templates.worker" in command:
        return "cages"
    return next((name for name in ("worker", "api") if name in command), Path(command[0]).name)
