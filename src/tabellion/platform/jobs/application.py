"""The library's application, for those who run jobs."""

import asyncio

from procrastinate import App, PsycopgConnector

from tabellion.platform.jobs.fetching import InTurns
from tabellion.platform.jobs.schema import jobs_url


def app(url: str, leaving: asyncio.Event | None = None) -> App:
    """The job application on a database; tasks are registered by the composition root. `leaving`: as in `InTurns`."""
    made = App(connector=PsycopgConnector(conninfo=jobs_url(url), min_size=1, max_size=4))
    made.job_manager = InTurns(made.connector, leaving or asyncio.Event())
    return made
