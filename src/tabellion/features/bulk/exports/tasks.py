"""The jobs of exports."""

from pathlib import Path

from procrastinate import App, JobContext

from tabellion.features.bulk.exports import service
from tabellion.features.bulk.exports.running import Exporter
from tabellion.features.bulk.retrying import Again
from tabellion.kit.clock import utc_now
from tabellion.platform.jobs.periodic import periodic
from tabellion.platform.jobs.turns import Trial, let_be_tried


def register(jobs: App, url: str, spool: Path) -> None:
    """Register the run of an execution, and the look at schedules."""
    let_be_tried(service.TASK)

    @jobs.task(name=service.TASK, retry=Again(), pass_context=True)
    async def run_execution(context: JobContext, execution_id: int) -> None:  # pyright: ignore[reportUnusedFunction] - registered by the decorator
        await Exporter(url, spool, utc_now, Trial(context.job.id, context.job.queue))(execution_id)

    periodic(jobs, url, "exports.due", "* * * * *", service.start_due, says="%d exports were started by their schedules")
