"""The SQL that a get and a create-or-update come down to, for the baselines that run it with nothing around it."""

_COLUMNS = ("a1", "a2", "a3", "a4", "a5")
_TYPES = ("text", "text", "text", "date", "text")


def get(table: str, email: str) -> str:
    """One profile by its e-mail address; `email` is the placeholder."""
    columns = ", ".join(f"t.{column}" for column in ("id", "created_at", "updated_at", *_COLUMNS))
    return f"SELECT {columns} FROM {table} t WHERE lower(t.a1) = lower({email}::text)"


def upsert(table: str, placeholders: list[str]) -> str:
    """Create or update the profile that owns the first value."""
    values = [f"{placeholder}::{kind}" for placeholder, kind in zip(placeholders, _TYPES, strict=True)]
    pairs = list(zip(_COLUMNS, values, strict=True))
    return f"""
WITH found AS MATERIALIZED (SELECT t.id FROM {table} t WHERE lower(t.a1) = lower({values[0]})),
target AS MATERIALIZED (SELECT count(*) AS matches, min(id) AS id FROM found),
old AS MATERIALIZED (SELECT t.id, t.updated_at, {", ".join(f"t.{column}" for column in _COLUMNS)} FROM {table} t
    WHERE t.id = (SELECT id FROM target WHERE matches = 1) FOR NO KEY UPDATE),
changed AS (UPDATE {table} t SET updated_at = greatest(now(), old.updated_at + interval '1 microsecond'),
    {", ".join(f"{column} = {value}" for column, value in pairs)}
    FROM old WHERE t.id = old.id AND ({" OR ".join(f"old.{column} IS DISTINCT FROM {value}" for column, value in pairs)})
    RETURNING t.id),
created AS (INSERT INTO {table} (created_at, updated_at, {", ".join(_COLUMNS)})
    SELECT now(), now(), {", ".join(values)} FROM target WHERE matches = 0 RETURNING id)
SELECT target.matches, target.id, (SELECT updated_at FROM old), (SELECT id FROM changed), (SELECT id FROM created)
FROM target"""


def pgbench(mode: str, table: str, profiles: int) -> str:
    """A script for pgbench: one of them on random profiles, with the values that `load.lua` sends."""
    number = f"\\set n random(1, {profiles})\n"
    email = "'user' || :n || '@example.com'"
    if mode == "get":
        return f"{number}{get(table, f'({email})')};\n"
    placeholders = [f"({email})", "'Ann'", "'Vos' || :v", "'1984-05-12'", "'BE'"]
    statement = upsert(table, [f"({p})" for p in placeholders]).replace("\n", " ")
    return f"{number}\\set v random(1, 1000000)\n{statement};\n"
