"""Whom a campaign is for: a target, checked against a table and turned into a condition on its rows; saved audiences."""

from tabellion.features.audiences.conditions import condition_of
from tabellion.features.audiences.examples import LIMIT as SAMPLE_LIMIT
from tabellion.features.audiences.examples import SAMPLE as SAMPLE_EXAMPLE
from tabellion.features.audiences.model import Audience, Keys, Segment, Target
from tabellion.features.audiences.service import (
    Sample,
    audiences_for,
    audiences_of,
    count_target,
    is_over,
    note_use,
    resolve,
    sample_target,
)
from tabellion.features.audiences.store import forget_keys
from tabellion.features.audiences.wire import ProfileSample, SegmentDocument, read_sample_size, sample_out

__all__ = [
    "SAMPLE_EXAMPLE",
    "SAMPLE_LIMIT",
    "Audience",
    "Keys",
    "ProfileSample",
    "Sample",
    "Segment",
    "SegmentDocument",
    "Target",
    "audiences_for",
    "audiences_of",
    "condition_of",
    "count_target",
    "forget_keys",
    "is_over",
    "note_use",
    "read_sample_size",
    "resolve",
    "sample_out",
    "sample_target",
]
