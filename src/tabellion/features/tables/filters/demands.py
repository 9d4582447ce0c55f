"""Which subscriptions a v5 filter demands of everybody whom it means."""

from tabellion.features.tables.filters.errors import FilterFault
from tabellion.features.tables.filters.grammar import parse
from tabellion.features.tables.filters.tree import Compare, Junction, Node


def demanded_subscriptions(text: str) -> list[str]:
    """Their names as they are written; none of a filter that cannot be read."""
    try:
        return _demanded(parse(text))
    except FilterFault:
        return []


def _demanded(node: Node) -> list[str]:
    match node:
        case Junction(word="and", parts=parts):
            return [name for part in parts for name in _demanded(part)]
        case Compare(operand=operand, operator="=", literal=literal) if operand.kind == "subscription":
            return [operand.name] if literal.kind == "bool" and str(literal.value).lower() == "true" else []
        case _:
            return []
