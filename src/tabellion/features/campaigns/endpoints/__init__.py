"""The e-mail campaign calls."""

from tabellion.features.campaigns.endpoints import attachments, checklist, contents, definition, pacing, preview, sending

CALLS = (
    *definition.CALLS,
    *sending.CALLS,
    *attachments.CALLS,
    *contents.CALLS,
    *preview.CALLS,
    *checklist.CALLS,
    *pacing.CALLS,
)
"""All calls of the feature."""
