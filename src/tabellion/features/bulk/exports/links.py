"""Where executions and exports are, for links in documents and events."""

from urllib.parse import quote

_BASE = "/exports/v5/entities"


def export_link(entity: str, export_id: int) -> str:
    """The address of an export."""
    return f"{_BASE}/{quote(entity, safe='')}/exports/{export_id}"


def execution_link(entity: str, execution_id: int) -> str:
    """The address of an execution."""
    return f"{_BASE}/{quote(entity, safe='')}/export-executions/{execution_id}"
