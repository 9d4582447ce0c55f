"""Metrics for Prometheus. Each process keeps its own in files of a shared folder; whoever is asked adds them up.

`PROMETHEUS_MULTIPROC_DIR` must be set before the metrics library is imported: `prepare_metrics` does it for the server.
"""

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def prepare_metrics(data_dir: Path, port: int) -> dict[str, str]:
    """Empty the folder of the metrics, and the environment that lets child processes use it.

    Servers that share a data directory have different ports, so none empties another's folder.
    """
    folder = (data_dir / "metrics" / str(port)).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return {_FOLDER: str(folder)}


@cache
def observer() -> Callable[[str, str, int, float, str, float], None]:
    """A function that counts a request: call, method, status, seconds, code of the refusal, seconds of the gate's pace."""
    from prometheus_client import Counter, Histogram  # noqa: PLC0415 - see the module's docstring

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

    if _FOLDER not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry)
