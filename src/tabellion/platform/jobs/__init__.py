"""Background jobs on PostgreSQL (Procrastinate), in a schema of their own; deferred inside the caller's transaction."""

from tabellion.platform.jobs.queue import app, defer, rescue_stalled
from tabellion.platform.jobs.schema import JobsMissing, install, jobs_url, require_installed

__all__ = ["JobsMissing", "app", "defer", "install", "jobs_url", "require_installed", "rescue_stalled"]
