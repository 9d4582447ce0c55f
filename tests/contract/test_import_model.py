"""Generated files, good and dirty: the numbers add up, each mistake is at its line, and no row is written to wrong columns.

The suite imports a few; `make dirty-files` (TABELLION_DIRTY_FILES=10000) many.
"""

import os
import random

import httpx
import pytest

from tests.support.api import Api
from tests.support.import_checker import compare
from tests.support.import_model import make
from tests.support.imports import Imports, zipped
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants

Row = tuple[str, str, str, str]
FILES = int(os.environ.get("TABELLION_DIRTY_FILES", "24"))
SEED = int(os.environ.get("TABELLION_SEED", "1"))
SHARES = 8


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("share", range(SHARES))
def test_what_becomes_of_a_file_is_what_the_model_says(
    share: int, tenants: Tenants, client: httpx.Client, worker_database_url: str, api: Api
) -> None:
    spool = api.spool
    for number in range(FILES // SHARES):
        seed = SEED * 1_000_000 + share * 100_000 + number
        rows = (0, 1, 7, 60, 400)[seed % 5] if number % 8 else 3000
        content, model = make(rows, seed, dirty=(0.0, 0.1, 0.6)[seed % 3], repeated=(0.0, 0.1, 0.8)[seed % 7 % 3])
        imports = Imports(tenants.create(client), worker_database_url, spool)
        result = imports.do(zipped(content))
        try:
            compare(worker_database_url, imports.tenant.licence, model, result, imports.errors(result["id"]))
        except AssertionError as error:
            raise AssertionError(f"file of seed {seed}: {error}") from error


def some_rows(dice: random.Random, number: int, rows: int) -> list[Row]:
    """Rows of a handful of people, known by three values that change and change hands."""

    def one(of: str, begin: str, end: str) -> str:
        return f"{begin}{number}{dice.choice(of)}{end}" if dice.random() < 0.75 else ""

    return [
        (one("abcd", "p", "@example.com"), f"Name {row} of {rows}", one("1234", "C", ""), one("xyz", "K", ""))
        for row in range(rows)
    ]


def apply(people: list[Row], row: Row) -> str:
    """What one row does when all before it are done."""
    values = (0, 2, 3)
    known = [person for person in people if any(row[n] and row[n] == person[n] for n in values)]
    if len(known) > 1 or not (known or row[0]):
        return "ERROR"
    if not known:
        people.append(row)
        return "CREATED"
    people[people.index(known[0])] = (row[0] or known[0][0], row[1], row[2] or known[0][2], row[3] or known[0][3])
    return "UPDATED"


@pytest.mark.timeout(7200)
def test_rows_find_what_those_before_them_have_left_by_whichever_value(
    tenant: Tenant, worker_database_url: str, api: Api
) -> None:
    added = {"operation": "addAttribute", "attribute": {"name": "code", "valueType": "STRING", "unique": True}}
    changes = "/v5/entities/hotels/profile-tables/Guests/change-requests"
    assert tenant.json("POST", changes, {"operations": [added]}).status_code == 200
    imports = Imports(tenant, worker_database_url, api.spool)
    for number in range(FILES // SHARES):
        dice, people = random.Random(SEED * 1000 + number), list[Row]()
        for size in (4, 14):
            rows = some_rows(dice, number, size)
            expected = [apply(people, row) for row in rows]
            text = "".join(f"{','.join(row)}\n" for row in rows)
            result = imports.do(f"emailAddress,lastName,cardNumber,code\n{text}", {"generateResultFile": True})
            assert [row["operation"] for row in imports.result_rows(result["id"])] == expected, (number, text)
        for person in people:
            path = f"/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress={person[0]}"
            found = tenant.json("GET", path).json()["attributes"]
            names = ("emailAddress", "lastName", "cardNumber", "code")
            assert tuple(found[name] or "" for name in names) == person, number
