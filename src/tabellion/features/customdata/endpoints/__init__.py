"""The calls on custom tables: their structure (v4, v5), and their records (v4, v5)."""

from tabellion.features.customdata.endpoints import structure, v4, v5

CALLS = (*structure.CALLS, *v4.CALLS, *v5.CALLS)
