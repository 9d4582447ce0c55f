"""The SQL of choices: a profile's row holds the present ones with where they come from, `consent` what they replaced."""
# ruff: noqa: S608 - every identifier here is composed of integers of our own

from collections.abc import Iterable

from tabellion.features.tables import ORIGIN, Table

_CONSENT = ("subscription", "subscribed", "moment", "source", "details")


def choice_columns(number: int, prefix: str = "") -> list[str]:
    """The columns of a subscription: the choice, and the parts of `ORIGIN`."""
    return [f"{prefix}s{number:d}{part}" for part in ("", *(f"_{name}" for name, _ in ORIGIN))]


def keep_replaced(table: Table, changed: str, profile: str, choices: Iterable[tuple[int, str, str]]) -> str:
    """INSERT of what the choices of changed profiles replace.

    `changed` is a FROM list, `profile` the profile's id in it; `choices` are numbers of subscriptions with the new choice
    (null: none), and the prefix of the old columns.
    """
    rows = ", ".join(f"({n:d}, {wanted}, {', '.join(choice_columns(n, old))})" for n, wanted, old in choices)
    return (
        f"INSERT INTO {table.schema}.consent (profile_id, table_id, {', '.join(_CONSENT)}) "
        f"SELECT {profile}, {table.id:d}, {', '.join(f'c.{name}' for name in _CONSENT)} "
        f"FROM {changed} CROSS JOIN LATERAL (VALUES {rows}) AS c (subscription, wanted, {', '.join(_CONSENT[1:])}) "
        "WHERE c.moment IS NOT NULL AND c.wanted IS NOT NULL AND c.wanted IS DISTINCT FROM c.subscribed"
    )


def history(table: Table) -> str:
    """The consent history of one profile, newest first, also for former subscriptions; parameters `profile`, `limit`."""
    shown = ", ".join(_CONSENT)
    past = f"SELECT {shown} FROM {table.schema}.consent WHERE table_id = {table.id:d} AND profile_id = %(profile)s"
    present = "".join(
        f" UNION ALL SELECT {s.number:d}, {', '.join(choice_columns(s.number))} "
        f"FROM {table.schema}.{table.relation} WHERE id = %(profile)s AND s{s.number:d}_at IS NOT NULL"
        for s in (*table.subscriptions, *table.removed_subscriptions)
    )
    return f"SELECT {shown} FROM ({past}{present}) h ORDER BY moment DESC, subscription LIMIT %(limit)s"
