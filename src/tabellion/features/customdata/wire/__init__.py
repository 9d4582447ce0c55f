"""The documents of the calls on custom tables and on their records."""
