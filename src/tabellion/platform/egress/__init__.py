"""Calls to addresses that callers chose: guarded against being sent to the server's own network (SSRF)."""

from tabellion.platform.egress.addresses import Policy
from tabellion.platform.egress.client import Client, Reply, Undelivered
from tabellion.platform.egress.target import TargetRefused, parse_host, parse_target, resolve, resolve_host

_policy = Policy()


def allow(policy: Policy) -> None:
    """What the operator allows in this process; said once, at its start. Until then: `https` to public addresses."""
    global _policy  # noqa: PLW0603 - one process, one policy
    _policy = policy


def policy() -> Policy:
    """What the operator allows."""
    return _policy


__all__ = [
    "Client",
    "Policy",
    "Reply",
    "TargetRefused",
    "Undelivered",
    "allow",
    "parse_host",
    "parse_target",
    "policy",
    "resolve",
    "resolve_host",
]
