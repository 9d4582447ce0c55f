"""Logs and metrics: one line and a few counters per request; never a value, a body, a credential or a person's address."""

from tabellion.platform.telemetry.logs import configure_logs
from tabellion.platform.telemetry.metrics import prepare_metrics, render_metrics
from tabellion.platform.telemetry.requests import flush, report
from tabellion.platform.telemetry.seldom import Seldom

__all__ = ["Seldom", "configure_logs", "flush", "prepare_metrics", "render_metrics", "report"]
