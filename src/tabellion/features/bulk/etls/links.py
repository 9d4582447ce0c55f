"""Where executions and ETLs are, for links in documents and events."""

from urllib.parse import quote

_BASE = "/mass-imports/v5/entities"


def etl_link(entity: str, etl_id: int) -> str:
    """The address of an ETL."""
    return f"{_BASE}/{quote(entity, safe='')}/etls/{etl_id}"


def execution_link(entity: str, execution_id: int) -> str:
    """The address of an execution."""
    return f"{_BASE}/{quote(entity, safe='')}/etl-executions/{execution_id}"
