"""The postmaster as a process: is it there, start it, wait for it, end it."""

import hashlib
import logging
import os
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

from tabellion.kit.patience import Patience
from tabellion.server.postgres.complaints import complaints
from tabellion.server.postgres.errors import EmbeddedPostgresError, StillStarting
from tabellion.server.postgres.owner import Owner
from tabellion.server.postgres.place import SOCKET, socket_directory

_log = logging.getLogger(__name__)

START_TIMEOUT_S = 600  # crash recovery of a busy server may take minutes
# In order it writes what is in memory; at once it only ends its children, and kills them after five seconds.
STOP_WITHIN_S = {signal.SIGINT: 35, signal.SIGQUIT: 10}
_POLL_S = 0.01
_STILL_ATTACHED = "is still in use"
_MAX_ATTEMPTS = 100
_STATUS_LINE = 7
# pg_control begins with a number of 8 octets and two of 4; DBState is next (src/include/catalog/pg_control.h).
_STATE_AT = 16
# DB_SHUTDOWNED, DB_SHUTDOWNED_IN_RECOVERY; with all others PostgreSQL recovers when it starts.
_ENDED = frozenset({1, 2})


class PidFile(NamedTuple):
    """What postmaster.pid says; `status` is "starting", "ready", "stopping" or "" before the first of them."""

    pid: int
    status: str


def read_pid_file(cluster: Path) -> PidFile | None:
    """The cluster's postmaster.pid, or None when there is none (or it is still being written)."""
    try:
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        return PidFile(abs(int(lines[0])), lines[_STATUS_LINE].strip() if len(lines) > _STATUS_LINE else "")
    except (OSError, ValueError, IndexError):
        return None


def running(cluster: Path) -> PidFile | None:
    """The cluster's live postmaster, or None; a process number that now belongs to something else is not one."""
    found = read_pid_file(cluster)
    return found if found is not None and _is_postmaster(found.pid, cluster) else None


def cluster_name(cluster: Path) -> str:
    """A name for the setting `cluster_name`; it appears in the titles of the server's processes."""
    return f"tabellion-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:8]}"


def is_ready(cluster: Path) -> bool:
    """Whether the cluster's postmaster accepts connections.

    Its socket is asked as well, for one that runs in another container is not among our processes: a second postmaster
    on the same files would destroy them.
    """
    found = running(cluster)
    if found is not None:
        return found.status == "ready"
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(socket_directory(cluster) / SOCKET))
        except OSError:
            return False
    return True


def ended_in_order(cluster: Path) -> bool:
    """Whether the cluster, whose postmaster does not run, was stopped; else its next start recovers it, or says why not."""
    try:
        (state,) = struct.unpack_from("=i", (cluster / "global" / "pg_control").read_bytes(), _STATE_AT)
    except (OSError, struct.error):
        return False
    return state in _ENDED


def start(postgres: Path, cluster: Path, owner: Owner) -> None:
    """Start a postmaster, or wait for the one that is starting, until it accepts connections.

    Call it under the start lock. Raises `EmbeddedPostgresError` with the end of PostgreSQL's messages, and `StillStarting`.
    """
    deadline, patience = time.monotonic() + START_TIMEOUT_S, Patience(_log)
    for _ in range(_MAX_ATTEMPTS):
        found = running(cluster)
        process = None
        if found is None:
            process = _launch(postgres, cluster, owner)
        if _becomes_ready(cluster, process, deadline, patience):
            return
        messages = complaints(cluster)
        if process is None:
            continue  # the one we waited for has ended: it was on its way down
        if _STILL_ATTACHED not in messages and running(cluster) is None:
            raise EmbeddedPostgresError(f"the embedded PostgreSQL did not start:\n{messages}")
        # Killed alone, a postmaster leaves its busy children behind; they must go before the memory can be made anew.
        _end_orphans(cluster)
        time.sleep(10 * _POLL_S)
    raise EmbeddedPostgresError(f"the embedded PostgreSQL did not start:\n{complaints(cluster)}")


def stop(cluster: Path) -> None:
    """End the postmaster: sessions are cut, what was committed is kept. Returns once the process is gone."""
    found = running(cluster)
    if found is None:
        return
    patience = Patience(_log)
    for sign, within_s in STOP_WITHIN_S.items():
        os.kill(found.pid, sign)
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            _reap(found.pid)
            if not _is_postmaster(found.pid, cluster):
                return
            patience.lasts(f"the embedded PostgreSQL (process {found.pid}) takes long to stop")
            time.sleep(_POLL_S)
    raise EmbeddedPostgresError(f"the embedded PostgreSQL (process {found.pid}) does not stop")


def _launch(postgres: Path, cluster: Path, owner: Owner) -> "subprocess.Popen[bytes]":
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    if (stale := read_pid_file(cluster)) is not None:
        # The number in a left-over file may belong to another process of this user by now, and PostgreSQL would then
        # refuse to start. Called its grandparent it is not taken for a rival; the file's other checks stay in force.
        environment["PG_GRANDPARENT_PID"] = str(stale.pid)
    with (cluster / "startup.log").open("wb") as messages:
        # Where root made it, the server's user could not start it any more.
        owner.give(cluster / "startup.log")
        # A session of its own: Ctrl-C in our terminal must not reach it. It inherits nothing of ours (close_fds).
        return subprocess.Popen(  # noqa: S603 - our own program and arguments
            [str(postgres), "-D", str(cluster)],
            stdin=subprocess.DEVNULL,
            stdout=messages,
            stderr=messages,
            cwd=cluster,
            env=environment,
            start_new_session=True,
            umask=0o077,
            **owner.process_options,
        )


def _becomes_ready(cluster: Path, process: "subprocess.Popen[bytes] | None", deadline: float, patience: Patience) -> bool:
    """Wait for "ready"; False when the postmaster (`process`, or an adopted one) has ended before it."""
    while time.monotonic() < deadline:
        found = running(cluster)
        if found is not None and found.status == "ready" and (process is None or found.pid == process.pid):
            return True
        ended = found is None if process is None else process.poll() is not None
        if ended:
            return False
        patience.lasts(f"the embedded PostgreSQL starts, or recovers; {cluster / 'log'} tells how far it is")
        time.sleep(_POLL_S)
    raise StillStarting(
        f"the embedded PostgreSQL is not ready after {START_TIMEOUT_S} s; see {cluster / 'log'}; "
        "it goes on starting, try again later"
    )


def _end_orphans(cluster: Path) -> None:
    title = f"postgres: {cluster_name(cluster)}: ".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            ours = (process / "cmdline").read_bytes().startswith(title)
            if ours and process.stat().st_uid == cluster.stat().st_uid:
                os.kill(int(process.name), signal.SIGQUIT)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended by itself


def _is_postmaster(pid: int, cluster: Path) -> bool:
    """Whether the process is this cluster's postmaster and not one that got the number of a dead one."""
    process = Path(f"/proc/{pid}")
    try:
        program, *arguments = (process / "cmdline").read_bytes().split(b"\0")
        if Path(os.fsdecode(program)).name != "postgres" or process.stat().st_uid != cluster.stat().st_uid:
            return False
        return _directory_of(process, arguments).samefile(cluster)
    except OSError:
        # Gone; or a system without /proc, where ps has to answer.
        return not Path("/proc/self").exists() and _ps_says_postgres(pid, cluster)


def _directory_of(process: Path, arguments: list[bytes]) -> Path:
    try:
        return (process / "cwd").readlink()  # right even if the directory was moved meanwhile
    except PermissionError:
        # Root in a container mostly lacks the capability to look (CAP_SYS_PTRACE), but everybody may read arguments.
        return Path(os.fsdecode(arguments[1])) if len(arguments) > 1 else Path()


def _ps_says_postgres(pid: int, cluster: Path) -> bool:
    command = ["/bin/ps", "-p", str(pid), "-o", "args="]
    listing = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed but for a number
    return "postgres" in listing.stdout and str(cluster) in listing.stdout


def _reap(pid: int) -> None:
    """Collect the exit status if the process is a child of ours; otherwise it would stay as a zombie."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return
