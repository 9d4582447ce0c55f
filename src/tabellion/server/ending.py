"""A worker that was told to end does so, also while its database hangs: nothing is answered then, and nothing breaks off."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Mapping

_log = logging.getLogger(__name__)
# What is under way has an end of its own before that: jobs after 25 s, mails and webhooks in 8 s more.
_SAY_AFTER_S, _WITHIN_S = 10.0, 35.0


def end_when_asked(stop: Callable[[], object], parts: Mapping[str, asyncio.Task[None]]) -> None:
    """On SIGTERM or SIGINT call `stop`, and see to it that the process ends; `parts` are what has to end, by name.

    After ten seconds the log says which of them have not, after 35 the process ends all the same: as after a kill, others
    take up what it was at. A second signal ends it at once.
    """
    loop, signals = asyncio.get_running_loop(), (signal.SIGTERM, signal.SIGINT)

    def waits_for() -> str:
        return ", ".join(name for name, task in parts.items() if not task.done()) or "connections to be closed"

    def say() -> None:
        _log.warning("told to end, it waits for: %s", waits_for())

    def give_up() -> None:
        _log.error("it ends, and has waited %g s for: %s. Others take up what it was at", _WITHIN_S, waits_for())
        logging.shutdown()
        os._exit(1)

    def asked() -> None:
        for number in signals:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        loop.call_later(_SAY_AFTER_S, say)
        loop.call_later(_WITHIN_S, give_up)
        stop()

    for number in signals:
        loop.add_signal_handler(number, asked)
