"""What reports have to know of: parts of statements that note, in the transaction of a change, that there was one.

Sums are made of what is noted (`sums`), so whoever ends a recipient's way, or writes an event, takes one of these along.
What is open or in doubt is in no sum, and needs no note (docs/adr/0059-report-sums.md).
"""

# Of recipients that a statement has changed: `{told}` has their campaign_id, state and reason. Tests are not for it.
LEFT_OUT = """
    INSERT INTO {l}.report_change (campaign_id, state, reason, number)
    SELECT campaign_id, state, reason, count(*) FROM {told} WHERE state IN ('EXCLUDED', 'FAILED') GROUP BY 1, 2, 3"""
# The same with their id: whose mails a relay has taken or refused.
LEFT = """
    INSERT INTO {l}.report_change (campaign_id, sent)
    SELECT campaign_id, array_agg(id) FROM {told} WHERE state IN ('ACCEPTED', 'REJECTED') GROUP BY 1"""
# Of recipients that were given a variant of an A/B test: campaign_id, variant.
GIVEN = """
    INSERT INTO {l}.report_change (campaign_id, state, reason, number)
    SELECT campaign_id, 'VARIANT', variant::text, count(*) FROM {told} GROUP BY 1, 2, 3"""
# Of events that a statement has written: id, recipient_id, campaign_id.
HAPPENED = """
    INSERT INTO {l}.report_change (campaign_id, recipient_id, event_id)
    SELECT campaign_id, recipient_id, id FROM {told}"""
# Of events that a statement is about to change, under a lock that keeps others from it: whole rows, as they were.
WAS = """
    INSERT INTO {l}.report_change (campaign_id, recipient_id, event_id, was)
    SELECT campaign_id, recipient_id, id,
        jsonb_build_object('type', type, 'moment', moment, 'actor', actor, 'detail', detail) FROM {told}"""


def noted(what: str, told: str) -> str:
    """One of these about a part of the statement with that name."""
    return what.replace("{told}", told)
