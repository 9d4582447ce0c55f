"""What a template may name: attributes, parameters, subscriptions, segmentations, linked rows, each with its type."""

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """The type of one value. Dates and moments travel as ISO 8601 text, numbers exactly."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    MOMENT = "moment"
    # What cannot be known before the mail is rendered, such as the values of a trigger's parameter.
    ANY = "any"


class Values(msgspec.Struct, frozen=True, tag="values"):
    """A list of plain values: a multi-valued attribute."""

    kind: Kind = Kind.TEXT


class Row(msgspec.Struct, frozen=True, tag="row"):
    """Something with named members: the profile, a record."""

    members: "Mapping[str, Shape]"


class Rows(msgspec.Struct, frozen=True, tag="rows"):
    """A list of rows: the records of a custom table that belong to the profile."""

    row: Row


Shape = Kind | Values | Row | Rows

PROFILE, PARAMETERS, SUBSCRIPTIONS, SEGMENTATIONS = "profile", "parameters", "subscriptions", "segmentations"
NOW, TODAY = "now", "today"
_GIVEN: Mapping[str, Shape] = {NOW: Kind.MOMENT, TODAY: Kind.DATE}


class Vocabulary(msgspec.Struct, frozen=True):
    """The names that a template may use.

    `roots` stand for themselves (`profile`, `Stays`, `unsubscribeUrl`). A plain name that is no root is a parameter; one
    that is no parameter either is an attribute of the profile. `resolve` of the renderer follows the same order.
    """

    roots: Mapping[str, Shape]

    def find(self, name: str) -> tuple[tuple[str, ...], Shape] | None:
        """The full path and the shape behind a plain name; None when there is none."""
        return ((name,), self.roots[name]) if name in self.roots else self._second(name)

    def hidden(self, name: str) -> str | None:
        """How a parameter or an attribute is written whose plain name is a root; None when there is none."""
        found = self._second(name)
        return None if found is None else ".".join(found[0])

    def _second(self, name: str) -> tuple[tuple[str, ...], Shape] | None:
        for root in (PARAMETERS, PROFILE):
            shape = self.roots.get(root)
            if isinstance(shape, Row) and name in shape.members:
                return (root, name), shape.members[name]
        return None

    def names(self) -> list[str]:
        """All plain names, for a "did you mean"."""
        rows = [self.roots.get(root) for root in (PARAMETERS, PROFILE)]
        return [*self.roots, *(name for row in rows if isinstance(row, Row) for name in row.members)]


def vocabulary(
    attributes: Mapping[str, Shape],
    *,
    tables: Mapping[str, Mapping[str, Shape]] | None = None,
    parameters: Mapping[str, Shape] | None = None,
    subscriptions: Iterable[str] = (),
    segmentations: Mapping[str, Kind] | None = None,
    others: Mapping[str, Shape] | None = None,
) -> Vocabulary:
    """The names of one campaign.

    `tables` are linked custom tables by name, each with its fields; `segmentations` are BOOLEAN (belongs or not) or TEXT
    (the category); `others` are further roots, such as the address of the unsubscribe page.
    """
    return Vocabulary(
        {
            **{name: Rows(Row(fields)) for name, fields in (tables or {}).items()},
            **(others or {}),
            **_GIVEN,
            PROFILE: Row(attributes),
            PARAMETERS: Row(parameters or {}),
            SUBSCRIPTIONS: Row(dict.fromkeys(subscriptions, Kind.BOOLEAN)),
            SEGMENTATIONS: Row(segmentations or {}),
        }
    )


def resolve(context: Mapping[str, object]) -> dict[str, object]:
    """The plain names of one recipient's context: roots before parameters before attributes."""
    names: dict[str, object] = {}
    for root in (PROFILE, PARAMETERS):
        row = context.get(root)
        if isinstance(row, dict):
            names.update(row)
    names.update(context)
    return names
