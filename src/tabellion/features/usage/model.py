"""The state of a licence's limits as the gate tells it, and the headers that show it."""

from functools import lru_cache
from typing import NamedTuple

import msgspec


class Limits(msgspec.Struct, frozen=True, dict=True):
    """Where the licence stands after a call was counted. None is no limit.

    `remaining`: calls left without waiting; `reset_s`: whole seconds until there is one more.
    """

    calls_per_minute: int | None
    window_seconds: int
    max_concurrent: int | None
    bulk_per_day: int | None
    remaining: int | None
    reset_s: int
    in_flight: int

    @property
    def headers(self) -> dict[str, str]:
        """The RateLimit fields and their X- twins, with the same numbers; no limits, no headers."""
        policy, limit = _policies(self.calls_per_minute, self.window_seconds, self.max_concurrent)
        if not policy:
            return {}
        if self.calls_per_minute is None or self.remaining is None:
            return {"RateLimit-Policy": policy}
        return {
            "RateLimit-Policy": policy,
            "RateLimit": f'"permin";r={self.remaining};t={self.reset_s}',
            "X-RateLimit-Limit": limit,
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_s),
        }

    def raw_headers(self, *, bulk: bool) -> list[tuple[bytes, bytes]]:
        """The same in bytes, names in lower case; on calls of imports with the bulk calls per day among the policies."""
        headers = self.headers
        if bulk and self.bulk_per_day is not None:
            own = f'"bulkday";q={self.bulk_per_day};w=86400'
            headers["RateLimit-Policy"] = f"{headers['RateLimit-Policy']}, {own}" if headers else own
        return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


@lru_cache(1024)
def _policies(calls_per_minute: int | None, window_seconds: int, max_concurrent: int | None) -> tuple[str, str]:
    """RateLimit-Policy and X-RateLimit-Limit: the same for all calls of a licence, until its limits are changed."""
    policies: list[str] = []
    if calls_per_minute is not None:
        policies.append(f'"permin";q={calls_per_minute};w={window_seconds}')
    if max_concurrent is not None:
        policies.append(f'"conc";q={max_concurrent};qu="concurrent-requests"')
    return ", ".join(policies), str(calls_per_minute)


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """What the gate said of one call; the fields are those of `tabellion.gate_verdict`."""

    request: int
    verdict: str
    wait_ms: int
    user_id: int
    licence_id: int
    catalogue_version: int
    remaining: int | None
    reset_ms: int
    in_flight: int
    calls_per_minute: int | None
    window_seconds: int
    max_concurrent: int | None
    bulk_per_day: int | None

    def limits(self) -> Limits:
        """The licence's limits after this verdict."""
        return Limits(
            self.calls_per_minute,
            self.window_seconds,
            self.max_concurrent,
            self.bulk_per_day,
            self.remaining,
            -(-self.reset_ms // 1000),
            self.in_flight,
        )


class Settings(NamedTuple):
    """What was said about the limits of a licence, but for those of the gate. None is no limit."""

    preset: str
    max_users: int | None
    on_excess: str
    bulk_per_day: int | None
    bulk_scope: str
    max_bulk_file_bytes: int


class Counters(msgspec.Struct, frozen=True):
    """What a licence has used: today's calls, bulk calls by table, API users."""

    calls: int
    slowed_down: int
    refused: int
    bulk_total: int
    bulk_per_table: dict[str, int]
    users: int
