"""The document of `GET /v5/usage`."""

import msgspec
from msgspec import UNSET, UnsetType


class TableUse(msgspec.Struct, rename="camel"):
    """Bulk calls of one table."""

    table_id: str
    used: int


class Limit(msgspec.Struct, rename="camel", omit_defaults=True):
    """One limit; members that make no sense for it are left out. `limit` null: none."""

    name: str
    limit: int | None
    window: int | UnsetType = UNSET
    mode: str | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    used: int | UnsetType = UNSET
    remaining: int | UnsetType | None = UNSET
    reset_after: int | UnsetType = UNSET
    reset_at: str | UnsetType = UNSET
    per_table: list[TableUse] | UnsetType = UNSET


class Today(msgspec.Struct, rename="camel"):
    """Totals of the day, in the licence's time zone."""

    calls: int
    slowed_down: int
    refused: int


class Usage(msgspec.Struct, rename="camel"):
    """A licence's limits and what it has used of them."""

    licence: str
    preset: str
    time_zone: str
    limits: list[Limit]
    today: Today
