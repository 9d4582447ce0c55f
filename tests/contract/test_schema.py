"""The document at /openapi.json keeps its word: what fits it and what does not, as schemathesis makes them up, for every call.

The suite makes a few dozen requests per call; `make hostile` makes more.
"""

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi import checks

from tabellion.platform.http import openapi
from tabellion.server.calls import CALLS
from tests.support.tenant import Tenant, places
from tests.support.tenants import Tenants

EXAMPLES = int(os.environ.get("TABELLION_SCHEMA_EXAMPLES", "10"))
CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(openapi.document(CALLS, version="0"))
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]


def kinds() -> list[Any]:
    """Every operation in every format of its body; XML in, XML out."""
    found: list[Any] = []
    for operation in OPERATIONS:
        for media_type in [body.media_type for body in operation.body] or [None]:
            accept = "application/xml" if media_type == "application/xml" else "*/*"
            name = f"{operation.definition.raw['operationId']}-{(media_type or 'no body').rpartition('/')[2]}"
            found.append(pytest.param(operation, media_type, accept, id=name))
    return found


@pytest.fixture(scope="module")
def reader(tenants: Tenants, client: httpx.Client) -> Tenant:
    """A licence whose calls only read."""
    reader = tenants.create(client)
    reader.campaign()
    return reader


@pytest.fixture(scope="module")
def connection() -> Iterator[requests.Session]:
    """One that is kept from call to call."""
    with requests.Session() as connection:
        yield connection


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fits", "does-not-fit"])
@pytest.mark.parametrize(("operation", "media_type", "accept"), kinds())
def test_every_answer_is_one_that_the_document_announces(
    operation: Any,
    media_type: str | None,
    accept: str,
    mode: GenerationMode,
    tenants: Tenants,
    client: httpx.Client,
    reader: Tenant,
    connection: requests.Session,
) -> None:
    tenant = reader
    if operation.method != "get":
        tenant = tenants.create(client)
        if "{c}" in operation.path:
            tenant.campaign()
    headers = {"Authorization": f"Bearer {tenant.api_key}", "Accept": accept}
    # What a call does with other addresses is tested with hostile ones; an empty segment is another call.
    good = places(operation.path)

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(mode, path_parameters=good or None, media_type=media_type))
    def one(case: Any) -> None:
        try:
            case.call_and_validate(str(client.base_url), session=connection, headers=headers, checks=CHECKS)
        except FailureGroup as failures:
            raise AssertionError("\n".join(str(failure) for failure in failures.exceptions)) from None

    one()
