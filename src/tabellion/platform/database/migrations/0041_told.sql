-- Why the server holds a campaign, for those who read it; null where somebody has paused it.
ALTER TABLE tabellion.campaign ADD COLUMN paused_because text;

-- When the winner of an A/B test was chosen, and the figures of the test then: later ones hold the mails of the others, too.
ALTER TABLE tabellion.campaign_ab_test ADD COLUMN chosen_at timestamptz, ADD COLUMN test_results jsonb;
