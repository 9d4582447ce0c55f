"""Metrics for Prometheus. Each process keeps its own in files of a shared folder; whoever is asked adds them up.

`PROMETHEUS_MULTIPROC_DIR` must be set before the metrics library is imported: `prepare_metrics` does it for the server.
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

from tabellion import __version__

# Where Linux keeps files in memory.
MEMORY = Path("/dev/shm")  # noqa: S108 - the folder in it is made anew, for this user only
# Many times what the files of all processes come to.
_ENOUGH_BYTES = 16 * 1024 * 1024
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def prepare_metrics(data_dir: Path, port: int, memory: Path = MEMORY) -> Path:
    """Make the folder of the metrics anew, for this process and those that it starts.

    It is in memory where that has room: the library maps its files, and the kernel ends whoever writes to a mapped page
    that a full disk has no block for. Servers that share a data directory have different ports, so none empties
    another's folder.
    """
    folder = (data_dir / "metrics" / str(port)).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    in_memory = _in_memory(data_dir, port, memory)
    if in_memory is None:
        folder.mkdir(parents=True, exist_ok=True)
    os.environ[_FOLDER] = str(in_memory or folder)
    return in_memory or folder


def _in_memory(data_dir: Path, port: int, memory: Path) -> Path | None:
    """The folder in memory; None where there is no such place, or one of somebody else stands there."""
    installation = hashlib.sha256(os.fsencode(data_dir.absolute())).hexdigest()[:12]
    folder = memory / f"tabellion-{os.geteuid()}-{installation}-{port}"
    try:
        if shutil.disk_usage(memory).free < _ENOUGH_BYTES:
            return None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
    except OSError:
        return None
    return folder


@cache
def observer() -> Callable[[str, str, int, float, str, float], None]:
    """A function that counts a request: call, method, status, seconds, code of the refusal, seconds of the gate's pace."""
    from prometheus_client import Counter, Gauge, Histogram  # noqa: PLC0415 - see the module's docstring

    build = Gauge("tabellion_build_info", "The version that runs", ["version"], multiprocess_mode="max")
    build.labels(__version__).set(1)

    requests = Counter("tabellion_requests", "Requests answered", ["call", "method", "status"])
    durations = Histogram("tabellion_request_seconds", "Time to answer", ["call", "method"], buckets=_BUCKETS)
    refusals = Counter("tabellion_refusals", "Refused requests by error code", ["code"])

    waits = Histogram("tabellion_slowed_down_seconds", "How long slowed-down calls waited", buckets=_BUCKETS)

    @cache
    def counted(call: str, method: str, status: int) -> Counter:
        return requests.labels(call, method, str(status))

    @cache
    def timed(call: str, method: str) -> Histogram:
        return durations.labels(call, method)

    def observe(call: str, method: str, status: int, seconds: float, code: str, waited: float) -> None:
        counted(call, method, status).inc()
        timed(call, method).observe(seconds)
        if waited:
            waits.observe(waited)
        if code:
            refusals.labels(code).inc()

    return observe


def render_metrics() -> bytes:
    """The exposition of all processes together."""
    from prometheus_client import CollectorRegistry, generate_latest, multiprocess  # noqa: PLC0415 - as above

    # What is known without any request: the version.
    observer()
    if _FOLDER not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry)
