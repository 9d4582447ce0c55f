"""Helpers that know nothing of the server: no network, no database, no settings. `clock` alone reads the clock."""
