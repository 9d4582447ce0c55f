"""What is told of each request once its answer has left."""

import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

import msgspec

from tabellion.platform.http.exchange import Exchange
from tabellion.platform.telemetry.metrics import observer

_encode = msgspec.json.Encoder().encode
_logger = logging.getLogger("tabellion.request")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def report(exchange: Exchange, seconds: float) -> None:
    """Write the log line and count the request. Addresses are told by their call's name: paths hold personal data."""
    call = exchange.call_id or "none"
    method = exchange.method if exchange.method in _METHODS else "OTHER"
    observer()(call, method, exchange.status, seconds, exchange.error_code)
    if not _logger.isEnabledFor(logging.INFO) and exchange.error is None:
        return
    line: dict[str, Any] = {
        "time": datetime.now(UTC),
        "level": "info" if exchange.error is None else "error",
        "event": "request",
        "requestId": exchange.request_id,
        "call": call,
        "method": method,
        "status": exchange.status,
        "durationMs": round(seconds * 1000, 2),
    }
    if exchange.admission is not None:
        caller = exchange.admission.caller
        line["licence"] = caller.licence_name
        line["user"] = caller.login
    if exchange.error_code:
        line["code"] = exchange.error_code
    if exchange.error is not None:
        line["error"] = type(exchange.error).__name__
        line["trace"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(exchange.error.__traceback__)]
    sys.stderr.buffer.write(_encode(line) + b"\n")
    sys.stderr.buffer.flush()
