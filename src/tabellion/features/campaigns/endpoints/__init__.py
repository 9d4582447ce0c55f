"""The e-mail campaign calls."""

from tabellion.features.campaigns.endpoints import attachments, definition, sending

CALLS = (*definition.CALLS, *sending.CALLS, *attachments.CALLS)
"""All calls of the feature."""
