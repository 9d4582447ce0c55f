"""The jobs of custom tables."""

from pathlib import Path

from procrastinate import App

from tabellion.features.customdata.cleaning import clean
from tabellion.platform.jobs.periodic import periodic


def register(jobs: App, url: str, spool: Path) -> None:
    """Register the nightly cleaning."""
    periodic(jobs, url, "customdata.clean", "7 2 * * *", clean, says="deleted %d records by cleaning rules")
