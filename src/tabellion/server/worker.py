"""The job worker: registers the features' jobs and their schedules, and works until it is told to stop.

The deliveries of webhooks run beside the jobs.
"""

import asyncio
import logging
from datetime import timedelta

import psycopg
from procrastinate import App

from tabellion.features.usage import purge
from tabellion.features.webhooks import Dispatcher, purge_dead
from tabellion.kit.clock import utc_now
from tabellion.platform import audit
from tabellion.platform.egress import Client
from tabellion.platform.jobs import app, rescue_stalled
from tabellion.platform.telemetry import configure_logs
from tabellion.server.child import STOP_WITHIN_S
from tabellion.server.targets import webhook_policy
from tabellion.settings import Settings

_log = logging.getLogger(__name__)
_JOBS_AT_ONCE = 2
_FAILED_JOBS_KEPT_H = 30 * 24
# What a worker needs after its last job to leave in order.
_FOR_CLOSING_S = 5


def register(jobs: App, settings: Settings) -> None:
    """The periodic jobs. Each is safe to run twice: what is deleted is deleted."""

    @jobs.periodic(cron="*/5 * * * *")
    @jobs.task(name="usage.purge", queueing_lock="usage.purge", pass_context=False)
    async def purge_usage(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        async with await psycopg.AsyncConnection.connect(settings.database_url, autocommit=True) as db:
            rows = await purge(db, utc_now())
        _log.info("purged %d rows that were no longer needed", rows)

    @jobs.periodic(cron="17 3 * * *")
    @jobs.task(name="audit.purge", queueing_lock="audit.purge", pass_context=False)
    async def purge_audit(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        before = utc_now() - timedelta(days=settings.audit_retention_days)
        async with await psycopg.AsyncConnection.connect(settings.database_url, autocommit=True) as db:
            rows = await audit.purge(db, before)
        _log.info("deleted %d rows of the audit trail older than %d days", rows, settings.audit_retention_days)

    @jobs.periodic(cron="27 3 * * *")
    @jobs.task(name="webhooks.purge", queueing_lock="webhooks.purge", pass_context=False)
    async def purge_webhooks(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        async with await psycopg.AsyncConnection.connect(settings.database_url, autocommit=True) as db:
            rows = await purge_dead(db, utc_now())
        _log.info("deleted %d dead deliveries of webhooks", rows)

    @jobs.periodic(cron="47 3 * * *")
    @jobs.task(name="jobs.purge", queueing_lock="jobs.purge", pass_context=False)
    async def purge_jobs(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        await jobs.job_manager.delete_old_jobs(
            nb_hours=_FAILED_JOBS_KEPT_H, include_failed=True, include_cancelled=True, include_aborted=True
        )

    @jobs.periodic(cron="* * * * *")
    @jobs.task(name="jobs.rescue", queueing_lock="jobs.rescue", pass_context=False)
    async def rescue(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        rescued = await rescue_stalled(jobs)
        if rescued:
            _log.warning("%d jobs of dead workers go back to the queue", rescued)


def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; a running job is finished first."""
    configure_logs(settings.log_level)
    asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    jobs = app(settings.database_url)
    register(jobs, settings)
    stop = asyncio.Event()
    async with jobs.open_async(), Client(webhook_policy(settings)) as client:
        deliveries = asyncio.create_task(Dispatcher(settings.database_url, client, utc_now).run(stop))
        try:
            await jobs.run_worker_async(
                concurrency=_JOBS_AT_ONCE,
                listen_notify=True,
                # Failed jobs stay to be looked at; of those that worked nobody asks any more.
                delete_jobs="successful",
                shutdown_graceful_timeout=STOP_WITHIN_S - _FOR_CLOSING_S,
            )
        finally:
            stop.set()
            await deliveries
