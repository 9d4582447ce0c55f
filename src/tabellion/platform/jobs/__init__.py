"""Background jobs on PostgreSQL (Procrastinate), in a schema of their own; deferred inside the caller's transaction."""

from tabellion.platform.jobs.lifeline import HEARTBEAT_S, SILENT_AFTER_S, Lifeline, rescue
from tabellion.platform.jobs.queue import app, defer
from tabellion.platform.jobs.schema import JobsMissing, install, jobs_url, require_installed

__all__ = [
    "HEARTBEAT_S",
    "SILENT_AFTER_S",
    "JobsMissing",
    "Lifeline",
    "app",
    "defer",
    "install",
    "jobs_url",
    "require_installed",
    "rescue",
]
