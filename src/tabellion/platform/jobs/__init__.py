"""Background jobs on PostgreSQL (Procrastinate), in a schema of their own; deferred inside the caller's transaction.

Whoever runs them takes `application` and `lifeline` too; the library is for them alone.
"""

from tabellion.platform.jobs.queue import defer, is_open, open_values
from tabellion.platform.jobs.schema import JobsMissing, install, jobs_url, require_installed

__all__ = ["JobsMissing", "defer", "install", "is_open", "jobs_url", "open_values", "require_installed"]
