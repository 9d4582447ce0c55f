"""JSON = XML for records: the same v4 call in both formats has the same effect and an equivalent answer.

Two custom tables of one structure: everything is done to the first in JSON and to the second in XML, then all records are
read from both in both formats.
"""

import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.formats import PLAIN, Style, as_json, as_xml, read_json, read_xml
from tests.support.profile_documents import TRAPS, scalars, styles
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants
from tests.support.twins import VALUE_TYPES

JSON, XML = "application/json", "application/xml"
TABLES = ("InJson", "InXml")
V4, V5 = "/v4/entity/hotels/customTable", "/v5/entities/hotels/custom-tables"
_MASKED = {"id", "creationMoment", "updateMoment", "requestId"}


@pytest.fixture(scope="module")
def licence(tenants: Tenants, client: Any) -> Tenant:
    """A licence with two custom tables of one structure."""
    tenant = tenants.create(client, table=False)
    attributes = [{"name": "key", "valueType": "STRING"}, *({"name": f"one{t}", "valueType": t} for t in VALUE_TYPES)]
    for name in TABLES:
        body = {"name": name, "primaryKeyAttribute": "key", "attributes": attributes}
        assert tenant.json("POST", V5, body).status_code == 201
    return tenant


def masked(value: Any) -> Any:
    """An answer without what must differ."""
    if isinstance(value, list):
        return [masked(item) for item in value]
    if not isinstance(value, dict):
        return re.sub(r"In(Json|Xml)", "{t}", value) if isinstance(value, str) else value
    if value.get("name") in _MASKED:
        return value["name"]
    return {name: masked(item) for name, item in value.items() if name not in _MASKED}


def answer(tenant: Tenant, i: int, method: str, path: str, body: bytes = b"") -> tuple[int, Any]:
    sent = {"Accept": (JSON, XML)[i], "Content-Type": (JSON, XML)[i]}
    got = tenant.call(method, path.replace("{t}", TABLES[i]), content=body, headers=sent)
    if not got.content:
        return got.status_code, None
    return got.status_code, masked((read_json, read_xml)[i](got.content))


properties = st.lists(
    st.tuples(st.sampled_from([f"one{t}" for t in VALUE_TYPES] * 3 + ["ONELONG", "id", "nothing", "key"]), scalars),
    max_size=4,
)


def test_the_same_record_has_the_same_effect(licence: Tenant) -> None:
    seen: Counter[int] = Counter()

    @settings(max_examples=300)
    @given(
        values=properties,
        key=st.sampled_from(["A", "B", None]),
        method=st.sampled_from(["POST", "PUT", "PUT"]),
        style=styles,
    )
    @example(values=[(f"one{t}", trap) for t in VALUE_TYPES for trap in TRAPS[:40]], key="A", method="POST", style=PLAIN)
    def same(values: list[tuple[str, Any]], key: str | None, method: str, style: Style) -> None:
        named = [{"name": name, "value": value} for name, value in values]
        if key is not None and method == "POST":
            named.append({"name": "key", "value": key})
        path = f"{V4}/{{t}}/record" + (f"/{key or 'C'}" if method == "PUT" else "")
        document = {"properties": named}
        one = answer(licence, 0, method, path, as_json(document))
        other = answer(licence, 1, method, path, as_xml(document, "record", style))
        assert one == other, f"\n{document}\n{one}\n{other}"
        seen[one[0]] += 1
        if one[0] == 201:
            for i in range(2):
                answer(licence, i, "DELETE", f"{V4}/{{t}}/record/{key}")

    same()

    first, *others = (
        (got.status_code, masked(read(got.content)))
        for table in TABLES
        for accept, read in ((JSON, read_json), (XML, read_xml))
        for got in [licence.call("GET", f"{V4}/{table}/record", headers={"Accept": accept})]
    )
    assert others == [first] * 3
    assert min(seen[status] for status in (200, 400)) > 30, seen
