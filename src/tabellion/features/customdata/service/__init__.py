"""The use cases of custom tables and of their records."""
