"""The calls on custom tables and records; `{stays}` is the id of the table `Stays`."""

from typing import Any

from tests.support.cases import Case

_STRUCTURE, _DATA = "custom-table-structure", "custom-data"
_V4, _V5 = "/v4/entity/hotels/customTable", "/v5/entities/hotels/custom-tables"
_RECORD, _RECORDS = _V4 + "/Stays/record", _V5 + "/Stays/records"


def _record(**values: Any) -> dict[str, Any]:
    return {"properties": [{"name": name, "value": value} for name, value in values.items()]}


def _xml(**values: str) -> str:
    items = "".join(f"<property><name>{name}</name><value>{value}</value></property>" for name, value in values.items())
    return f"<record><properties>{items}</properties></record>"


def _values(answer: Any) -> dict[str, Any]:
    return {item["name"]: item["value"] for item in answer["properties"]}


def _is_stay(answer: Any) -> bool:
    values = _values(answer)
    return (
        values["stayRef"] == "ST-00001"
        and values["price"] == 249.5
        and values["breakfast"] is False
        and values["bookedAt"] is None
        and values["id"] > 1_000_000_000_000
    )


_GET_XPATH = (
    "/record/properties[property[name='stayRef'][value='ST-00001']][property[name='price'][value='249.5']]"
    "/property[name='breakfast'][value='false']"
)
_NO_RECORD = "/error/code[.='record.unknown']"

CUSTOM_V4 = [
    Case(
        "custom tables", "GET", _STRUCTURE, _V4, 200,
        check=lambda a: [t["name"] for t in a["customTables"]] == ["Stays"] and len(a["customTables"][0]["id"]) == 36,
        xpath="/customTables/customTable[name='Stays']",
    ),
    Case(
        "custom table", "GET", _STRUCTURE, _V4 + "/stays", 200,
        check=lambda a: (
            a["businessKey"] == "stayRef"
            and a["attributes"][0] == {"fieldName": "id", "type": "Integer", "required": False}
            and {"fieldName": "stayRef", "type": "String", "required": True} in a["attributes"]
        ),
        xpath="/customTable[businessKey='stayRef']/attributes/attribute[fieldName='stayRef'][required='true']",
    ),
    Case("custom table by id", "GET", _STRUCTURE, _V4 + "/{stays}", 200, xpath="/customTable[name='Stays']"),
    Case(
        "custom table unknown", "GET", _STRUCTURE, _V4 + "/Nothing", 404,
        check=lambda a: a["code"] == "table.unknown", xpath="/error/code[.='table.unknown']",
    ),
    Case(
        "create record", "POST", _DATA, _RECORD, 201,
        _record(stayRef="ST-00017", bookedAt="2027-03-01 09:15:00", price=249.5, state="OPEN", breakfast=False),
        _xml(stayRef="ST-00017", bookedAt="2027-03-01 09:15:00", price="249.5", state="OPEN", breakfast="false"),
        check=lambda a: a == {"businessKey": "ST-00017"},
        xpath="/record/businessKey[.='ST-00017']",
        once=True,
    ),
    Case(
        "update record", "POST", _DATA, _V4 + "/{stays}/record", 200,
        _record(stayRef="ST-00001", state="PAID"), _xml(stayRef="ST-00001", state="PAID"),
        check=lambda a: a == {"businessKey": "ST-00001"}, xpath="/record/businessKey[.='ST-00001']",
    ),
    Case(
        "record without its key", "POST", _DATA, _RECORD, 400, _record(state="PAID"), _xml(state="PAID"),
        check=lambda a: a["code"] == "attribute.mandatory" and a["errors"][0]["field"] == "properties",
        xpath="/error/errors/error[code='attribute.mandatory'][field='properties']",
    ),
    Case(
        "list records", "GET", _DATA, _RECORD + "?searchField=state&searchValue=OPEN&sortedField=price&number=5", 200,
        check=lambda a: len(a["records"]) == 1 and _is_stay(a["records"][0]),
        xpath="/records/record/properties/property[name='stayRef'][value='ST-00001']",
    ),
    Case(
        "list no records", "GET", _DATA, _RECORD + "?searchField=state&searchValue=PAID", 200,
        check=lambda a: a == {"records": []}, xpath="/records[not(*)]",
    ),
    Case("get record", "GET", _DATA, _RECORD + "/ST-00001", 200, check=_is_stay, xpath=_GET_XPATH),
    Case("get record by id", "GET", _DATA, _V4 + "/{stays}/record/{record}", 200, check=_is_stay, xpath=_GET_XPATH),
    Case("get record by key", "GET", _DATA, _RECORD + "/stayRef=ST-00001", 200, check=_is_stay, xpath=_GET_XPATH),
    Case(
        "get record unknown", "GET", _DATA, _RECORD + "/ST-00002", 404,
        check=lambda a: a["code"] == "record.unknown", xpath=_NO_RECORD,
    ),
    Case(
        "put record", "PUT", _DATA, _RECORD + "/ST-00001", 200, _record(price=3), _xml(price="3"),
        check=lambda a: a == {"businessKey": "ST-00001"}, xpath="/record/businessKey[.='ST-00001']",
    ),
    Case(
        "put record by id", "PUT", _DATA, _RECORD + "/{record}", 200, _record(price=3), _xml(price="3"),
        check=lambda a: a == {"businessKey": "ST-00001"}, xpath="/record/businessKey[.='ST-00001']",
    ),
    Case(
        "put record creates", "PUT", _DATA, _RECORD + "/ST-00002", 200, _record(state="OPEN"), _xml(state="OPEN"),
        check=lambda a: a == {"businessKey": "ST-00002"}, xpath="/record/businessKey[.='ST-00002']",
        once=True,
    ),
    Case(
        "put record unknown id", "PUT", _DATA, _RECORD + "/id=1000000999999", 404, _record(state="OPEN"), _xml(state="OPEN"),
        check=lambda a: a["code"] == "record.unknown", xpath=_NO_RECORD,
    ),
    Case(
        "put record of another key", "PUT", _DATA, _RECORD + "/ST-00001", 400,
        _record(stayRef="ST-00002"), _xml(stayRef="ST-00002"),
        check=lambda a: a["code"] == "key.mismatch", xpath="/error/code[.='key.mismatch']",
    ),
    Case("delete record", "DELETE", _DATA, _RECORD + "/ST-00001", 204, once=True),
    Case("delete record unknown", "DELETE", _DATA, _RECORD + "/ST-00002", 404, xpath=_NO_RECORD),
]  # fmt: skip
_NEW = {"name": "Purchases", "attributes": [{"name": "sku", "valueType": "STRING"}]}
CUSTOM_V5 = [
    Case(
        "custom tables v5", "GET", _STRUCTURE, _V5, 200,
        check=lambda a: [(t["name"], t["type"]) for t in a["customTables"]] == [("Stays", "INTERACTIONS")],
    ),
    Case(
        "custom table v5", "GET", _STRUCTURE, _V5 + "/{stays}", 200,
        check=lambda a: (
            a["primaryKeyAttribute"] == "stayRef"
            and a["compositeKey"] is None
            and [x["name"] for x in a["attributes"]][:2] == ["stayRef", "cardNumber"]
        ),
    ),
    Case("create custom table", "POST", _STRUCTURE, _V5, 201, _NEW, check=lambda a: len(a["id"]) == 36, once=True),
    Case(
        "create custom table again", "POST", _STRUCTURE, _V5, 409, {**_NEW, "name": "STAYS"},
        check=lambda a: a["code"] == "name.used",
    ),
    Case(
        "change custom table", "POST", _STRUCTURE, _V5 + "/Stays/change-requests", 200,
        {"operations": [{"operation": "rename", "name": "HotelStays"}]},
        check=lambda a: a["name"] == "HotelStays" and len(a["attributes"]) == 6,
        once=True,
    ),
    Case("delete custom table", "DELETE", _STRUCTURE, _V5 + "/Stays", 204, once=True),
    Case(
        "list records v5", "GET", _DATA, _RECORDS + "?filter=price>200&sort=-price&limit=5", 200,
        check=lambda a: a["nextCursor"] is None and a["records"][0]["businessKey"] == "ST-00001",
    ),
    Case("count records", "GET", _DATA, _RECORDS + "/count?state=OPEN", 200, check=lambda a: a == {"count": 1}),
    Case(
        "create record v5", "POST", _DATA, _RECORDS, 201, {"attributes": {"stayRef": "ST-00017", "state": "OPEN"}},
        check=lambda a: a == {"businessKey": "ST-00017"},
        once=True,
    ),
    Case(
        "create record again", "POST", _DATA, _RECORDS, 409, {"attributes": {"stayRef": "ST-00001"}},
        check=lambda a: a["code"] == "record.exists",
    ),
    Case(
        "put record v5", "PUT", _DATA, _RECORDS, 200, {"key": {"stayRef": "ST-00001"}, "attributes": {"state": "PAID"}},
        check=lambda a: a == {"businessKey": "ST-00001"},
    ),
    Case(
        "get record v5", "GET", _DATA, _RECORDS + "/{record}", 200,
        check=lambda a: a["businessKey"] == "ST-00001" and a["attributes"]["price"] == 249.5,
    ),
    Case(
        "put one record v5", "PUT", _DATA, _RECORDS + "/ST-00002", 201, {"attributes": {"state": "PAID"}},
        check=lambda a: a == {"businessKey": "ST-00002"},
        once=True,
    ),
    Case(
        "patch record", "PATCH", _DATA, _RECORDS + "/ST-00001", 200, {"attributes": {"price": None}},
        check=lambda a: a == {"businessKey": "ST-00001"},
    ),
    Case(
        "patch record unknown", "PATCH", _DATA, _RECORDS + "/ST-00002", 404, {"attributes": {"price": None}},
        check=lambda a: a["code"] == "record.unknown",
    ),
    Case("delete record v5", "DELETE", _DATA, _V5 + "/{stays}/records/{record}", 204, once=True),
]  # fmt: skip
