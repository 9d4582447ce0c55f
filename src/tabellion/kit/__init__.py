"""Pure helpers: no network, no database, no environment, no reading of the clock."""
