"""The profile calls: v4 (JSON and XML), v5 (JSON) and v1."""

from tabellion.features.profiles.endpoints import subscriptions, v1, v4, v5

CALLS = (*v4.CALLS, *subscriptions.CALLS, *v5.CALLS, *v1.CALLS)
