"""A profile as it is read, and a change to one as it is asked for."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from tabellion.features.tables import Attribute, Segmentation, Subscription

# Where choices come from, unless `dataCollectionInformation` says it; imports have a word of their own.
DEFAULT_SOURCE, MAIL_SOURCE = "api", "mail"


class Choice(msgspec.Struct, frozen=True):
    """The recorded choice for one subscription; all None where there is none."""

    subscribed: bool | None
    moment: datetime | None
    source: str | None


class Row(msgspec.Struct, frozen=True):
    """One row of a table. `values` follow the order of the attributes."""

    id: int
    created_at: datetime
    updated_at: datetime
    values: tuple[Any, ...]


class Profile(Row, frozen=True):
    """A profile. `choices` and `memberships` follow the order of the table's definition; a record has none of them.

    A membership is True or None (SIMPLE), or the number of a category or None (EXCLUSIVE).
    """

    choices: tuple[Choice, ...]
    memberships: tuple[Any, ...]


class Details(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How and when a choice was collected, as the caller says."""

    way: str | None = None
    collected_at: datetime | None = None


class Collection(msgspec.Struct, frozen=True):
    """Where a change of consent comes from (`dataCollectionInformation`)."""

    source: str = DEFAULT_SOURCE
    way: str | None = None
    collected_at: datetime | None = None

    @property
    def details(self) -> str | None:
        """What is said beyond the source, as it is kept: JSON; None where nothing is."""
        said = Details(self.way, self.collected_at)
        return None if said == Details() else msgspec.json.encode(said).decode()


class Change(msgspec.Struct, frozen=True):
    """What a call wants a row to become; what is not named stays.

    `values`: parsed column values; `choices`: True or False; `memberships`: True, a category's number, or None. `section` is
    where the values stand in the body, `places` where each of them does, by the attributes' numbers.
    """

    values: tuple[tuple[Attribute, Any], ...]
    choices: tuple[tuple[Subscription, bool], ...]
    memberships: tuple[tuple[Segmentation, Any], ...]
    collection: Collection
    section: str = "attributes"
    places: Mapping[int, str] = {}

    def place(self, attribute: Attribute | None) -> str:
        """Where the value of an attribute stands in the body; that of all of them for one that came otherwise."""
        return self.section if attribute is None else self.places.get(attribute.number, self.section)


class Consent(msgspec.Struct, frozen=True):
    """One entry of a profile's consent history, newest first."""

    subscription: int
    subscribed: bool
    moment: datetime
    source: str
    details: Details


class Written(msgspec.Struct, frozen=True):
    """What a write did; `id` is the row's in every case."""

    id: int
    outcome: Literal["CREATED", "UPDATED", "UNCHANGED"]
