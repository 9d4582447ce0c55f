"""The same table twice: one is spoken to in JSON, the other in XML. Whatever is done to both, nobody may tell them apart."""

import re
from typing import Any, NamedTuple

import httpx
import psycopg

from tests.support.formats import PLAIN, Style, as_json, as_xml, read_json, read_xml
from tests.support.tenant import Tenant, schema_of

JSON, XML = "application/json", "application/xml"
ENTITY = "/v4/entity/hotels"
TABLES = ("InJson", "InXml")
# Stands in documents and paths for the id of the first profile of each table.
KNOWN_ID = "{known}"
# No body at all.
NOTHING: Any = object()
_TECHNICAL = {"profileId", "creationMoment", "updateMoment"}


VALUE_TYPES = ("STRING", "TEXT", "INTEGER", "LONG", "NUMBER", "BOOLEAN", "DATE", "TIMESTAMP")
_PREDEFINED = {
    "gsmNumber": "GSM_NUMBER",
    "sex": "SEX",
    "title": "PERSON_TITLE",
    "motherLanguage": "MOTHER_LANGUAGE",
    "addressCountry": "ADDRESS_COUNTRY",
    "birthDate": "BIRTHDATE",
}


def _custom(name: str, value_type: str, **members: Any) -> dict[str, Any]:
    return {"type": "CUSTOM", "name": name, "valueType": value_type, **members}


STRUCTURE: dict[str, Any] = {
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress"},
        {"type": "LASTNAME", "name": "lastName", "mandatory": True},
        *({"type": type_, "name": name} for name, type_ in _PREDEFINED.items()),
        *(_custom(f"one{type_}", type_) for type_ in VALUE_TYPES),
        *(_custom(f"many{type_}", type_, multiValued=True) for type_ in VALUE_TYPES),
        _custom("cardNumber", "STRING", unique=True, valueRestriction={"maxLength": 20}),
        _custom("memberNumber", "INTEGER", unique=True),
        _custom("joined", "DATE", unique=True),
        _custom("score", "INTEGER", valueRestriction={"min": 0, "max": 100}),
        _custom("code", "STRING", valueRestriction={"pattern": "[A-Z]{2}[0-9]+"}),
        _custom("interests", "STRING", multiValued=True, valueRestriction={"acceptedValues": ["SPA", "GOLF", "0"]}),
    ],
    "subscriptions": [{"name": "Newsletter"}, {"name": "Weekly offers"}],
    "segmentations": [
        {"name": "Vip", "type": "SIMPLE"},
        {"name": "Loyalty", "type": "EXCLUSIVE", "categories": ["Silver", "Gold"]},
        {"name": "Floor", "type": "EXCLUSIVE", "categories": ["1", "2", "true"]},
    ],
}
KNOWN: dict[str, Any] = {
    "attributes": [
        {"name": "emailAddress", "value": "known@example.com"},
        {"name": "lastName", "value": "Vos"},
        {"name": "cardNumber", "value": "K-1"},
        {"name": "memberNumber", "value": 1},
        {"name": "manyINTEGER", "values": [1, 2]},
        {"name": "oneNUMBER", "value": 249.5},
    ],
    "subscriptions": [{"name": "Newsletter", "subscribe": True}],
    "segmentations": [{"name": "Loyalty", "category": "Gold"}],
}

OTHER: dict[str, Any] = {
    "attributes": [
        {"name": "emailAddress", "value": "other@example.com"},
        {"name": "lastName", "value": ""},
        {"name": "cardNumber", "value": "K-2"},
        {"name": "memberNumber", "value": 2},
    ],
    "segmentations": [{"name": "Vip"}],
}


class Answer(NamedTuple):
    """What came back, without what must differ: ids, moments, names of tables, places in bytes."""

    status: int
    body: Any
    ignored: str | None
    location: str | None


class Twins:
    """Two tables of one structure, with two profiles each, in a licence without limits."""

    def __init__(self, tenant: Tenant, database: psycopg.Connection[Any]) -> None:
        self._tenant = tenant
        self._database = database
        ids: list[int] = []
        for name in TABLES:
            made = tenant.json("POST", "/v5/entities/hotels/profile-tables", {**STRUCTURE, "name": name})
            assert made.status_code == 201, made.text
            ids.append(int(made.json()["id"]))
        self._schema = schema_of(tenant, database)
        self._ids = ids
        self._known: list[int] = []
        self._restore = self._make_known()
        self.at_first = self.stored()

    def _make_known(self) -> str:
        """Two profiles in each table, and the statements that come back to this state."""
        kept = [(f"{self._schema}.p{number}", f"kept{number}") for number in self._ids]
        kept.append((f"{self._schema}.consent", "kept_consent"))
        for name in TABLES:
            for document in (KNOWN, OTHER):
                made = self._tenant.json("POST", f"{ENTITY}/table/{name}/profile", document)
                assert made.status_code == 201, made.text
                if document is KNOWN:
                    self._known.append(made.json()["profileId"])
        self._database.execute(";".join(f"CREATE TEMP TABLE {copy} AS TABLE {table}" for table, copy in kept))
        return ";".join(
            f"DELETE FROM {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE {copy}" for table, copy in kept
        )

    def reset(self) -> None:
        """Both tables as they were at first: with two profiles, `KNOWN` and `OTHER`."""
        self._database.execute(self._restore)

    def write(
        self, method: str, path: str, document: Any = NOTHING, *, root: str = "profile", style: Style = PLAIN,
        crossed: bool = False,
    ) -> Answer:  # fmt: skip
        """One call to each table; the answers must be equivalent. `crossed`: each answers in the other's format."""
        bodies: tuple[bytes, bytes] = (b"", b"")
        if document is not NOTHING:
            own, other = (_named(document, known) for known in self._known)
            bodies = (as_json(own), as_xml(other, root, style))
        return self.write_raw(method, path, *bodies, crossed=crossed)

    def write_raw(self, method: str, path: str, json: bytes, xml: bytes, *, crossed: bool = False) -> Answer:
        """The same with bodies as they are sent."""
        accepted = (XML, JSON) if crossed else (JSON, XML)
        one, other = (self._call(i, method, path, accepted[i], body, (JSON, XML)[i]) for i, body in enumerate((json, xml)))
        assert one == other, f"\n{json!r}\n{xml!r}\n{one}\n{other}"
        return one

    def read(self, path: str) -> Answer:
        """One GET of the first table in JSON and of the second in XML: twice the same."""
        one, other = (self._call(i, "GET", path, accept) for i, accept in enumerate((JSON, XML)))
        assert one == other, f"\n{one}\n{other}"
        return one

    def state(self) -> Any:
        """All profiles, read from one table in JSON and from the other in XML, and as they are stored; they must be the same."""
        profiles = self.read(f"{ENTITY}/table/{{t}}/profile?number=1000")
        assert profiles.status == 200
        return profiles.body, self.stored()

    def stored(self) -> Any:
        """The rows of a table and the history of consent, without ids and moments: those of both must be the same."""
        one, other = (self._stored(table) for table in self._ids)
        assert one == other
        return one

    def _stored(self, table: int) -> Any:
        profiles = self._database.execute(f"SELECT to_jsonb(t) FROM {self._schema}.p{table} t ORDER BY id").fetchall()
        consents = self._database.execute(
            f"SELECT dense_rank() OVER (ORDER BY profile_id), subscription, subscribed, source, details "
            f"FROM {self._schema}.consent WHERE table_id = %s ORDER BY 1, moment, subscription",
            (table,),
        ).fetchall()
        return [
            {name: row[name] for name in row if name != "id" and not name.endswith("_at")} for (row,) in profiles
        ], consents

    def _call(self, i: int, method: str, path: str, accept: str, body: bytes = b"", content_type: str = "") -> Answer:
        address = path.replace("{t}", TABLES[i]).replace(KNOWN_ID, str(self._known[i]))
        headers = {"Accept": accept} | ({"Content-Type": content_type} if body else {})
        return self._answer(self._tenant.call(method, address, content=body, headers=headers), i, accept)

    def _answer(self, got: httpx.Response, i: int, accept: str) -> Answer:
        body = None
        if got.content:
            assert got.headers["Content-Type"] == f"{accept};charset=UTF-8"
            body = _masked(read_json(got.content) if accept == JSON else read_xml(got.content), i)
        location = got.headers.get("Location")
        if location is not None:
            location = re.sub(r"/\d+$", "/id", location.replace(TABLES[i], "{t}"))
        return Answer(got.status_code, body, got.headers.get("X-Ignored-Members"), location)


def _named(document: Any, known: int) -> Any:
    """The document with the id in place of `KNOWN_ID`."""
    if isinstance(document, dict):
        return {name: _named(member, known) for name, member in document.items()}
    if isinstance(document, list):
        return [_named(item, known) for item in document]
    return known if document == KNOWN_ID else document


def _masked(value: Any, i: int) -> Any:
    if isinstance(value, list):
        return [_masked(item, i) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("name") in _TECHNICAL:
        return {**value, "value": "masked"}
    return {name: _mask(name, member, value, i) for name, member in value.items() if name != "requestId"}


def _mask(name: str, member: Any, owner: dict[str, Any], i: int) -> Any:
    if name in {"profileId", "id", "moment"} and isinstance(member, str):
        return "masked"
    if name == "name" and "subscriptions" in owner:
        # A table's structure.
        return member.replace(TABLES[i], "{t}")
    if name == "message" and isinstance(member, str):
        if owner.get("code") == "request.malformed":
            # It says at what line and column of the body.
            return "masked"
        # What a list is takes more words in XML.
        text = re.sub(r"a list: elements <\w+>", "a list", member.replace(TABLES[i], "{t}"))
        # Only JSON has a list that is taken for an object.
        text = text.replace(" (the body is an empty list, which was taken for an empty object)", "")
        return re.sub(r"(profileId[ =]|profile ')\d+", r"\1id", text)
    return _masked(member, i)
