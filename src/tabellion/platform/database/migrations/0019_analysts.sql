-- The database role that reads a licence's tables through views; null: the licence has no views.
ALTER TABLE tabellion.licence ADD COLUMN analyst_role text;
