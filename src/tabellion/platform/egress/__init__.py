"""Calls to addresses that callers chose: guarded against being sent to the server's own network (SSRF)."""

from tabellion.platform.egress.addresses import Policy
from tabellion.platform.egress.client import Client, Reply, Undelivered
from tabellion.platform.egress.target import Resolver, Target, TargetRefused, parse_target, resolve

__all__ = [
    "Client",
    "Policy",
    "Reply",
    "Resolver",
    "Target",
    "TargetRefused",
    "Undelivered",
    "parse_target",
    "resolve",
]
