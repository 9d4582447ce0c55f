"""The e-mail campaign calls."""

from tabellion.features.campaigns.endpoints import (
    ab_tests,
    attachments,
    checklist,
    contents,
    copying,
    definition,
    pacing,
    preview,
    sending,
    targets,
    unscheduling,
)

CALLS = (
    *definition.CALLS,
    *sending.CALLS,
    *attachments.CALLS,
    *contents.CALLS,
    *copying.CALLS,
    *preview.CALLS,
    *checklist.CALLS,
    *pacing.CALLS,
    *ab_tests.CALLS,
    *targets.CALLS,
    *unscheduling.CALLS,
)
"""All calls of the feature."""
