"""The e-mail campaign calls."""

from tabellion.features.campaigns.endpoints import attachments, definition, pacing, sending

CALLS = (*definition.CALLS, *sending.CALLS, *attachments.CALLS, *pacing.CALLS)
"""All calls of the feature."""
