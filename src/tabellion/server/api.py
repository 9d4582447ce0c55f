"""The API processes: Granian serves the application; children die with their parent, and are started again when they die."""

import gc
import os
import shutil
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops

from tabellion.platform.http.front import App
from tabellion.platform.telemetry import configure_logs, http_server_logs, prepare_metrics
from tabellion.server.death import die_with_parent, end_children_when_asked
from tabellion.server.port import check_port
from tabellion.settings import Settings

_BACKLOG = 1024
_GC_THRESHOLDS = (20_000, 20, 50)


def create_app() -> App:
    """What each API process runs: its settings come from the environment that the parent made."""
    from tabellion.server.app import create_app as compose  # noqa: PLC0415 - the metrics library must come after the settings

    parent = os.environ.get("TABELLION_PARENT")
    if parent:
        die_with_parent(int(parent))
    settings = Settings.load({name: value for name, value in os.environ.items() if name != "TABELLION_PARENT"})
    configure_logs(settings.log_level)
    application = compose(settings)
    # What is made at the start lives for ever: the collector need not look at it again, and rarely at the rest.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    return application


def run_api(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; calls in flight are finished, however long they take. Raises `CannotListen`.

    Whoever started it sets an end to that: the supervisor after 35 s, and the kernel then ends the API processes too.
    """
    host = check_port(settings)
    os.environ.update(settings.environment())
    metrics = prepare_metrics(settings.data_dir, settings.port)
    os.environ["TABELLION_PARENT"] = str(os.getpid())
    options: dict[str, Any] = {
        "address": host,
        "port": settings.port,
        "interface": Interfaces.ASGI,
        "factory": True,
        "loop": Loops.uvloop,
        "workers": settings.workers,
        "http": HTTPModes.http1,
        "websockets": False,
        "backlog": _BACKLOG,
        "respawn_failed_workers": True,
        "respawn_interval": 0.1,
        "log_enabled": True,
        "log_level": "warning",
        "log_dictconfig": http_server_logs(),
    }
    end_children_when_asked()
    try:
        Granian("tabellion.server.api:create_app", **options).serve()
    finally:
        shutil.rmtree(metrics, ignore_errors=True)
