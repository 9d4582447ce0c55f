"""The operations of a change request, as far as those of all tables have something in common."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from tabellion.features.tables.plan import Plan
from tabellion.kit.problem import invalid

Needs = Mapping[str, tuple[str, ...]]
# Each may change the real table: the request is one transaction, in which nobody reads it.
MAX_OPERATIONS = 1000


class AnyOperation(msgspec.Struct):
    """One operation; which of its other members it needs depends on its name."""

    operation: str


Op = TypeVar("Op", bound=AnyOperation)


def complete(plan: Plan[Any], operations: Sequence[Op], needs: Needs) -> Iterator[tuple[str, Op]]:
    """The operations that say all they need, each with its path; the plan hears what is wrong with the others.

    `needs`: by the name of an operation, the fields that must be given. Raises `Invalid` where there is no operation.
    """
    if not operations:
        raise invalid("operations", "member.mandatory", "'operations' is empty")
    if len(operations) > MAX_OPERATIONS:
        raise invalid("operations", "structure.tooMany", f"a change request has at most {MAX_OPERATIONS:,} operations")
    fields = {field.name: field for field in msgspec.structs.fields(operations[0])}
    for index, each in enumerate(operations):
        path = f"operations[{index}]"
        needed = needs.get(each.operation)
        if needed is None:
            plan.refuse_word(f"{path}.operation", each.operation, needs)
            continue
        missing = [fields[name].encode_name for name in needed if getattr(each, name) is fields[name].default]
        for member in missing:
            plan.refuse(f"{path}.{member}", "member.mandatory", f"'{each.operation}' needs '{member}'")
        if not missing:
            yield path, each
