"""The calls of ETLs."""

from tabellion.features.bulk.etls.endpoints import definitions, executions

CALLS = (*executions.CALLS, *definitions.CALLS)
