"""The process that takes bounces, complaints and unsubscriptions in; apart from the others, since strangers talk to it."""

import asyncio
import logging
import signal
import socket

from tabellion.features import tracking
from tabellion.features.bounces import Rules
from tabellion.features.bounces.intake import Intake
from tabellion.kit.clock import utc_now
from tabellion.platform import secrets
from tabellion.platform.database.pool import open_pool
from tabellion.platform.telemetry import configure_logs
from tabellion.server.death import stop_on_hangup
from tabellion.server.port import cannot_take_bounces
from tabellion.settings import Settings

_log = logging.getLogger(__name__)
_CONNECTIONS = 4


def run_intake(settings: Settings) -> None:
    """Take bounces, complaints and unsubscriptions until SIGTERM, SIGINT or SIGHUP. Raises `CannotListen`."""
    stop_on_hangup()
    configure_logs(settings.log_level)
    secrets.use_key(settings.secret_key, settings.data_dir, settings.former_secret_keys)
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    pool = await open_pool(settings.database_url, min_size=1, max_size=_CONNECTIONS, application_name="tabellion intake")
    try:
        rules = Rules.of(settings.soft_bounces, settings.soft_bounce_days)
        name = settings.bounce_domain or socket.gethostname()
        intake = Intake(pool, utc_now, rules, tracking.unsubscribe_by_mail, name)
        _log.info("bounces are taken at %s:%d", settings.intake_host, settings.intake_port)
        await intake.run(settings.intake_host, settings.intake_port, stop)
    except OSError as error:
        raise cannot_take_bounces(settings, error) from None
    finally:
        await pool.close()
