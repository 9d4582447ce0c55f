"""What is told of each request once its answer has left.

Lines and counts are gathered and handed on together, a few times a second: one write for many requests. A process that is
killed loses the lines of its last moment; the audit trail, which must not lose any, is in the database.
"""

import asyncio
import logging
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from tabellion.platform.http.exchange import Exchange
from tabellion.platform.telemetry.metrics import observer
from tabellion.platform.telemetry.traces import trace_of

_FLUSH_EVERY_S = 0.2
_FLUSH_AT_LINES = 500
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_encode = msgspec.json.Encoder().encode
_logger = logging.getLogger("tabellion.request")
_gathered: list[tuple[Exchange, float, datetime]] = []


def report(exchange: Exchange, seconds: float) -> None:
    """Note a request; the line is written within 0.2 s."""
    _gathered.append((exchange, seconds, datetime.now(UTC)))
    if len(_gathered) == 1:
        asyncio.get_running_loop().call_later(_FLUSH_EVERY_S, flush)
    elif len(_gathered) >= _FLUSH_AT_LINES:
        flush()


def flush() -> None:
    """Write what has been gathered."""
    gathered = _gathered[:]
    _gathered.clear()
    observe = observer()
    shown = _logger.isEnabledFor(logging.INFO)
    lines: list[bytes] = []
    for exchange, seconds, moment in gathered:
        method = exchange.method if exchange.method in _METHODS else "OTHER"
        waited_s = _waited_ms(exchange) / 1000
        observe(exchange.call_id or "none", method, exchange.status, seconds, exchange.error_code, waited_s)
        if shown or exchange.error is not None:
            lines.append(_encode(_line(exchange, method, seconds, moment)))
    if lines:
        lines.append(b"")
        sys.stderr.buffer.write(b"\n".join(lines))
        sys.stderr.buffer.flush()


def _line(exchange: Exchange, method: str, seconds: float, moment: datetime) -> dict[str, Any]:
    """Addresses are told by their call's name: paths hold personal data."""
    line: dict[str, Any] = {
        "time": moment,
        "level": "info" if exchange.error is None else "error",
        "event": "request",
        "requestId": exchange.request_id,
        "call": exchange.call_id or "none",
        "method": method,
        "status": exchange.status,
        "durationMs": round(seconds * 1000, 2),
    }
    if exchange.admission is not None:
        caller = exchange.admission.caller
        line["licence"] = caller.licence_name
        line["user"] = caller.login
        if waited_ms := _waited_ms(exchange):
            line["waitedMs"] = waited_ms
    if exchange.error_code:
        line["code"] = exchange.error_code
    if exchange.error is not None:
        line["error"] = type(exchange.error).__name__
        line["trace"] = trace_of(exchange.error)
    return line


def _waited_ms(exchange: Exchange) -> int:
    """How long the licence's pace held the call back."""
    return getattr(exchange.admission, "wait_ms", 0)
