"""The API processes: forks that share a listening socket and what is loaded; they die with their parent.

Those that die before it are started again.
"""

import gc
import logging
import os
import shutil
import time
from functools import partial

from tabellion.platform.http.front import App
from tabellion.platform.telemetry import configure_logs, prepare_metrics
from tabellion.server.app import create_app
from tabellion.server.child import fork, stop_all
from tabellion.server.death import end_children_when_asked, stop_on_hangup, stop_signals
from tabellion.server.http import serve_on
from tabellion.server.http.serving import BACKLOG
from tabellion.server.port import listen
from tabellion.settings import Settings

_GC_THRESHOLDS = (20_000, 20, 50)
_CHECK_EVERY_S = 0.1
_log = logging.getLogger(__name__)


def _say(message: str, level: int = logging.INFO) -> None:
    _log.log(level, message)


def _application(settings: Settings) -> App:
    """What each API process runs."""
    application = create_app(settings)
    # What is made at the start lives for ever: the collector need not look at it again, and rarely at the rest.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    return application


def run_api(settings: Settings) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP; calls in flight are finished, however long they take. Raises `CannotListen`.

    Whoever started it sets an end to that: the supervisor after 35 s, and the kernel then ends the API processes too.
    """
    stop_on_hangup()
    with stop_signals() as stopping, listen(settings, BACKLOG) as listening:
        os.environ.update(settings.environment())
        configure_logs(settings.log_level)
        metrics = prepare_metrics(settings.data_dir, settings.port)
        end_children_when_asked()
        serving = partial(serve_on, listening, partial(_application, settings))
        # What is loaded is in memory once, as long as no collector looks at it.
        gc.freeze()
        children = [fork("API", serving) for _ in range(settings.workers)]
        try:
            while not stopping():
                for child in children:
                    child.tend(_say)
                time.sleep(_CHECK_EVERY_S)
        finally:
            # Nobody listens any more once all have closed it.
            listening.close()
            stop_all(children, within_s=None)
            shutil.rmtree(metrics, ignore_errors=True)
