"""The job worker: registers the features' jobs and their schedules, and works until it is told to stop.

The deliveries of webhooks, the sending of mails and the sums of reports run beside the jobs.
"""

import asyncio
from datetime import timedelta

import uvloop
from procrastinate import App
from procrastinate.worker import Worker

from tabellion.features import bounces, campaigns
from tabellion.features.bulk import tasks as bulk
from tabellion.features.bulk.etls import tasks as etls
from tabellion.features.bulk.exports import tasks as exports
from tabellion.features.bulk.imports import tasks as imports
from tabellion.features.customdata import tasks as customdata
from tabellion.features.delivery import Folder, Pace, Sender, Ways, forget_paid, strip_old
from tabellion.features.erasure import tasks as erasure
from tabellion.features.usage import purge
from tabellion.features.webhooks import Dispatcher, purge_dead
from tabellion.kit.clock import utc_now
from tabellion.platform import audit, files
from tabellion.platform.egress import Client
from tabellion.platform.jobs.application import app
from tabellion.platform.jobs.lifeline import HEARTBEAT_S, SILENT_AFTER_S, Lifeline
from tabellion.platform.jobs.periodic import periodic
from tabellion.platform.jobs.turns import PLACES
from tabellion.platform.telemetry import configure_logs
from tabellion.platform.templates import Cages
from tabellion.server.child import STOP_WITHIN_S
from tabellion.server.death import stop_on_hangup
from tabellion.server.ending import end_when_asked
from tabellion.server.hold import wait_until_released
from tabellion.server.targets import allow_targets, webhook_policy
from tabellion.settings import Settings

# Processes that render mails, started when there is something to render.
_CAGES = 2
_FAILED_JOBS_KEPT_H = 30 * 24
# What a worker needs after its last job to leave in order.
_FOR_CLOSING_S = 5
# Jobs are taken as soon as they are there; those of a dead worker, and those that are tried again, are looked for so often.
_POLL_S = 1


def register(jobs: App, settings: Settings) -> None:
    """All jobs. The periodic ones are safe to run twice: what is deleted is deleted."""
    url, kept = settings.database_url, timedelta(days=settings.audit_retention_days)
    rules = bounces.Rules.of(settings.soft_bounces, settings.soft_bounce_days)
    old = f"deleted %d rows of the audit trail older than {settings.audit_retention_days} days"
    periodic(jobs, url, "usage.purge", "*/5 * * * *", purge, says="purged %d rows that were no longer needed")
    periodic(jobs, url, "audit.purge", "17 3 * * *", lambda db, now: audit.purge(db, now - kept, now), says=old)
    periodic(jobs, url, "audit.seal", "*/5 * * * *", audit.seal)
    periodic(jobs, url, "webhooks.purge", "27 3 * * *", purge_dead, says="deleted %d dead deliveries of webhooks")
    forgotten = "forgot %d soft bounces that were too old to count"
    paid = "forgot %d paces that were paid for and domains that begin anew"
    periodic(jobs, url, "delivery.purge", "57 3 * * *", forget_paid, says=paid)
    periodic(jobs, url, "bounces.purge", "37 3 * * *", lambda db, now: bounces.purge(db, rules, now), says=forgotten)

    if (days := settings.mail_personal_days) > 0:
        personal = timedelta(days=days)
        old = f"took what is personal from %d mails older than {days} days"
        periodic(jobs, url, "delivery.strip", "7 2 * * *", lambda db, now: strip_old(db, now - personal, now), says=old)

    @jobs.periodic(cron="47 3 * * *")
    @jobs.task(name="jobs.purge", queueing_lock="jobs.purge", pass_context=False)
    async def purge_jobs(timestamp: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        await jobs.job_manager.delete_old_jobs(
            nb_hours=_FAILED_JOBS_KEPT_H, include_failed=True, include_cancelled=True, include_aborted=True
        )

    for feature in (imports, exports, bulk, customdata, erasure):
        feature.register(jobs, url, settings.spool_dir)
    etls.register(jobs, url, settings.spool_dir, settings.outside_address)


def run_worker(settings: Settings) -> None:
    """Work until SIGTERM, SIGINT or SIGHUP; a running job is finished first, within the time of `end_when_asked`."""
    stop_on_hangup()
    configure_logs(settings.log_level)
    # Half the cost of handing a mail over is the loop's.
    uvloop.run(_work(settings))


async def _work(settings: Settings) -> None:
    files.use_spool(settings.spool_dir)
    allow_targets(settings)
    await wait_until_released(settings.database_url, settings.data_dir)
    leaving = asyncio.Event()
    jobs = app(settings.database_url, leaving)
    register(jobs, settings)
    stop = asyncio.Event()
    async with jobs.open_async(), Client(webhook_policy(settings)) as client, Cages(_CAGES) as cages:
        deliveries = asyncio.create_task(Dispatcher(settings.database_url, client, utc_now).run(stop))
        ways = Ways(bounce_domain=settings.bounce_domain)
        sender = Sender(
            settings.database_url, cages, utc_now, gather=campaigns.gather, ended=campaigns.ended, ways=ways,
            pace=Pace(refusals_in_a_row=settings.refusals_in_a_row),
        )  # fmt: skip
        mails = asyncio.create_task(sender.run(stop))
        sums = asyncio.create_task(Folder(settings.database_url).run(stop))
        worker = Worker(
            jobs,
            concurrency=PLACES,
            listen_notify=True,
            fetch_job_polling_interval=_POLL_S,
            # Failed jobs stay to be looked at; of those that worked nobody asks any more.
            delete_jobs="successful",
            update_heartbeat_interval=HEARTBEAT_S,
            stalled_worker_timeout=SILENT_AFTER_S,
            shutdown_graceful_timeout=STOP_WITHIN_S - _FOR_CLOSING_S,
            install_signal_handlers=False,
        )
        working = asyncio.create_task(worker.run())

        def leave() -> None:
            leaving.set()
            worker.stop()

        end_when_asked(leave, {"jobs": working, "webhooks": deliveries, "mails": mails, "sums of reports": sums})
        lifeline = asyncio.create_task(Lifeline(settings.database_url, jobs, worker).run())
        try:
            await working
        finally:
            lifeline.cancel()
            stop.set()
            await asyncio.gather(deliveries, mails, sums)
