"""The e-mail campaign calls."""

from tabellion.features.campaigns.endpoints import definition, sending

CALLS = (*definition.CALLS, *sending.CALLS)
"""All calls of the feature."""
