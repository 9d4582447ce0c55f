"""The e-mail campaign calls."""

from tabellion.features.campaigns.endpoints import (
    ab_tests,
    attachments,
    checklist,
    contents_v4,
    contents_v5,
    control,
    copying,
    definition,
    interactions,
    pacing,
    preview,
    targets,
    triggering,
    unscheduling,
)

CALLS = (
    *definition.CALLS,
    *contents_v4.CALLS,
    *targets.CALLS,
    *control.CALLS,
    *triggering.CALLS,
    *attachments.CALLS,
    *interactions.CALLS,
    *contents_v5.CALLS,
    *copying.CALLS,
    *preview.CALLS,
    *checklist.CALLS,
    *pacing.CALLS,
    *ab_tests.CALLS,
    *unscheduling.CALLS,
)
"""All calls of the feature."""
