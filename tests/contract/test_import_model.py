"""Generated files, good and dirty: the numbers add up, each mistake is at its line, and no row is written to wrong columns.

The suite imports a few; `make dirty-files` (TABELLION_DIRTY_FILES=10000) many.
"""

import os

import httpx
import pytest

from tests.support.api import Api
from tests.support.import_checker import compare
from tests.support.import_model import make
from tests.support.imports import Imports, zipped
from tests.support.tenants import Tenants

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
