"""A file of rows, good and bad, and what has to become of it: an import in plain Python, row by row."""

import csv
import io
import random
from dataclasses import dataclass, field
from typing import Any

HEADERS = ("emailAddress", "lastName", "points", "birthDate", "subscriptions#Newsletter", "segmentations#Loyalty")
# As spreadsheets write rows that were emptied, above all behind the last one: they are none.
_HOLLOW, _HOLLOW_SHARE = [""] * len(HEADERS), 0.02
_BAD_POINTS = ("x", "1.5", "99999999999", "1,5")


@dataclass
class Model:
    """What is expected."""

    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Choices that were replaced; present ones are in the profiles.
    consents: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    errors: dict[int, str] = field(default_factory=dict)

    @property
    def result(self) -> dict[str, Any]:
        """The numbers as the result call answers them."""
        in_error = len(self.errors)
        return {
            "rowsRead": self.created + self.updated + self.unchanged + in_error,
            "rowsCreated": self.created,
            "rowsUpdated": self.updated,
            "rowsUnchanged": self.unchanged,
            "rowsInError": in_error,
        }


def make(rows: int, seed: int, *, dirty: float = 0.1, repeated: float = 0.1) -> tuple[str, Model]:
    """A file of so many rows and its model; `dirty` of them are wrong, `repeated` name an address that came before."""
    dice = random.Random(seed)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADERS)
    model, line = Model(), 2
    for number in range(rows):
        if dice.random() < _HOLLOW_SHARE:
            writer.writerow(_HOLLOW)
            line += 1
        row = _row(dice, number, repeated)
        error = _spoil(dice, row) if dice.random() < dirty else ""
        if error:
            model.errors[line] = error
        else:
            _apply(model, row)
        writer.writerow(row)
        line += 1 + sum(cell.count("\n") for cell in row)
    writer.writerows([_HOLLOW] * dice.randrange(3))
    return out.getvalue(), model


def _row(dice: random.Random, number: int, repeated: float) -> list[str]:
    again = number and dice.random() < repeated
    key = dice.randrange(number) if again else number
    email = f"p{key}@example.com"
    return [
        email.upper() if dice.random() < 0.1 else email,
        dice.choice(["Vos", "Peeters", 'van "der" Berg', "two\nlines", "Lefèvre", "a,b", "Ünal; x"]),
        dice.choice(["", "0", "7", "-3", "2147483647"]),
        dice.choice(["", "1984-05-12", "2000-02-29"]),
        dice.choice(["", "true", "false", "1", "0"]),
        dice.choice(["", "Gold", "Silver"]),
    ]


def _spoil(dice: random.Random, row: list[str]) -> str:
    match dice.randrange(6):
        case 0:
            row[2] = dice.choice(_BAD_POINTS)
            return "attribute.type" if row[2] != "99999999999" else "attribute.value"
        case 1:
            row[3] = "2023-02-29"
            return "attribute.type"
        case 2:
            row[0] = "no address"
            return "attribute.value"
        case 3:
            row.append("one too many")
            return "row.columns"
        case 4:
            del row[-1]
            return "row.columns"
        case _:
            row[5] = "Platinum"
            return "segmentation.category"


def _apply(model: Model, row: list[str]) -> None:
    values = {
        "emailAddress": row[0],
        "lastName": row[1],
        "points": int(row[2]) if row[2] else None,
        "birthDate": row[3] or None,
        "Newsletter": {"true": True, "1": True, "false": False, "0": False}.get(row[4]),
        "Loyalty": row[5] or None,
    }
    given = {name: value for name, value in values.items() if value is not None}
    known = model.profiles.get(row[0].lower())
    if known is None:
        model.profiles[row[0].lower()] = given
        model.created += 1
        return
    changes = {name for name, value in given.items() if known.get(name) != value}
    if changes:
        model.updated += 1
        model.consents += "Newsletter" in changes and "Newsletter" in known
        known |= given
    else:
        model.unchanged += 1
