"""Compares what the database and the error file hold with the model; shares no code with the import."""

from typing import Any

import psycopg

from tests.support.import_model import Model


def compare(database_url: str, licence: str, model: Model, result: dict[str, Any], errors: list[dict[str, str]]) -> None:
    """Fails with the first difference. Columns are those of tests.support.tenant.TABLE."""
    numbers = {name: result[name] for name in model.result}
    assert numbers == model.result, f"{numbers}, wanted {model.result}"
    assert result["status"] == ("DONE_WITH_ERRORS" if model.errors else "DONE")
    told = {int(row["lineNumber"]): row["errorCode"] for row in errors}
    wrong = sorted(told.items() ^ model.errors.items())
    assert not wrong, f"{len(wrong)} lines are told wrongly, as {wrong[:4]}"
    assert len(errors) == len(model.errors)
    with psycopg.connect(database_url) as db:
        row = db.execute(
            "SELECT l.id, t.id, t.definition FROM tabellion.licence l JOIN tabellion.profile_table t ON t.licence_id = l.id "
            "WHERE l.name = %s",
            (licence,),
        ).fetchone()
        assert row is not None
        licence_id, table_id, definition = row
        columns = {a["name"]: f"a{a['number']}" for a in definition["attributes"]}
        choice = next(f"s{s['number']}" for s in definition["subscriptions"] if s["name"] == "Newsletter")
        loyalty = next(s for s in definition["segmentations"] if s["name"] == "Loyalty")
        names = ["emailAddress", "lastName", "points", "birthDate"]
        listed = ", ".join([*(columns[name] for name in names), choice, f"g{loyalty['number']}"])
        rows = db.execute(f"SELECT {listed} FROM l{licence_id}.p{table_id}").fetchall()
        (consents,) = db.execute(f"SELECT count(*) FROM l{licence_id}.consent WHERE table_id = {table_id}").fetchone() or (
            0,
        )
    categories = {c["number"]: c["name"] for c in loyalty["categories"]}
    found: dict[str, dict[str, Any]] = {}
    for email, last, points, born, news, grade in rows:
        values = {
            "emailAddress": email,
            "lastName": last,
            "points": points,
            "birthDate": None if born is None else born.isoformat(),
            "Newsletter": news,
            "Loyalty": categories.get(grade),
        }
        assert email.lower() not in found, f"{email} is there twice"
        found[email.lower()] = {name: value for name, value in values.items() if value is not None}
    found.pop("ann@example.com", None)
    different = [key for key in found.keys() | model.profiles.keys() if found.get(key) != model.profiles.get(key)]
    assert not different, (
        f"{len(different)} differ, as {different[0]}: {found.get(different[0])}, {model.profiles.get(different[0])}"
    )
    assert consents == model.consents, f"{consents} consents, wanted {model.consents}"
