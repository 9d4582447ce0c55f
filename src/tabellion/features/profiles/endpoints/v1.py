"""The three v1 calls: credentials in the query, one document shape, errors always in XML."""

from typing import Annotated, Any

import msgspec
from lxml import etree
from msgspec import UNSET, Meta, UnsetType

from tabellion.features.profiles import service
from tabellion.features.profiles.endpoints import examples
from tabellion.features.profiles.model import Profile
from tabellion.features.profiles.reading import Item, Reader
from tabellion.features.tables import ProfileTable, attribute_type, render_moment, render_value
from tabellion.features.tables.filters import as_sent
from tabellion.kit.problem import Malformed, invalid
from tabellion.platform.http import xml_codec
from tabellion.platform.http.call import Answer, Call, Incoming, Parameter

_PATH = "/profile/v1/"
_ROOT, _ATTRIBUTE, _VALUE = "profileInformation", "attribute", "value"


class AttributeV1(msgspec.Struct, omit_defaults=True):
    """One attribute; a null one has no `value`."""

    name: str = msgspec.field(name="@name")
    value: Annotated[Any, Meta(description="a value; a list for a multi-valued attribute")] | UnsetType = UNSET


class AttributesV1(msgspec.Struct):
    """The attributes of a profile."""

    attribute: Annotated[list[AttributeV1], Meta(extra={"coerce": "list"})] = []


class ProfileInformation(msgspec.Struct, rename="camel"):
    """The v1 document."""

    profile_information: AttributesV1


class ValueV1(msgspec.Struct):
    """The answer of the v1 write: the id of the profile."""

    value: int


def decode(body: bytes, charset: str | None) -> object:
    """The v1 XML document as its JSON twin."""
    root = xml_codec.parse(body, charset)
    if (name := xml_codec.local_name(root)) != _ROOT:
        raise Malformed(f"the root element is <{name}>, <{_ROOT}> was expected")
    attributes = [_item(element) for element in root if xml_codec.local_name(element) == _ATTRIBUTE]
    others = [name for element in root if (name := xml_codec.local_name(element)) != _ATTRIBUTE]
    return {_ROOT: {_ATTRIBUTE: attributes} | dict.fromkeys(others)}


def _item(element: xml_codec.Element) -> dict[str, Any]:
    """An attribute as its JSON twin. Its value may stand in it without <value>, as those of named things do in v4."""
    item: dict[str, Any] = {} if element.get("name") is None else {"@name": element.get("name")}
    values = [None if xml_codec.is_nil(v) else v.text or "" for v in element if xml_codec.local_name(v) == _VALUE]
    if values:
        item[_VALUE] = values[0] if len(values) == 1 else values
    elif element.text and element.text.strip():
        item[_VALUE] = element.text
    return item | dict.fromkeys(name for child in element if (name := xml_codec.local_name(child)) != _VALUE)


def encode(body: msgspec.Struct, root: str) -> bytes:
    """The v1 answer in XML."""
    if isinstance(body, ValueV1):
        element = etree.Element(root)
        element.text = str(body.value)
        return etree.tostring(element, xml_declaration=True, encoding="UTF-8")
    document: ProfileInformation = body  # pyright: ignore[reportAssignmentType] - the calls below answer these two
    element = etree.Element(root)
    for attribute in document.profile_information.attribute:
        child = etree.SubElement(element, "attribute", name=attribute.name)
        if attribute.value is not UNSET:
            values = attribute.value if isinstance(attribute.value, list) else [attribute.value]
            for value in values:
                etree.SubElement(child, "value").text = xml_codec.text(value)
    return etree.tostring(element, xml_declaration=True, encoding="UTF-8")


async def save(call: Incoming) -> Answer:
    """Create or update a profile by the unique attributes of the body."""
    _address(call)
    return await _save(call)


@service.on_table
async def _save(call: Incoming, table: ProfileTable) -> Answer:
    document: ProfileInformation = call.body
    reader = Reader(table, call.caller.time_zone)
    for i, item in enumerate(document.profile_information.attribute):
        value = None if item.value is UNSET else item.value
        reader.attribute(Item(f"profileInformation.attribute[{i}].value", item.name, value))
    written = await service.save(call, table, reader, may_update=True)
    return Answer(200, ValueV1(written.id))


async def by_id(call: Incoming) -> Answer:
    """Read a profile by its id."""
    _address(call, _parameter(call, "id"))
    return await _read(call)


async def by_key(call: Incoming) -> Answer:
    """Read a profile by a unique attribute."""
    _address(call)
    return await _read_by_key(call)


@service.on_table
async def _read_by_key(call: Incoming, table: ProfileTable) -> Answer:
    name, value = _parameter(call, "key"), _parameter(call, "value")
    attribute = table.attributes_by_name.get(name.lower())
    if attribute is not None:
        value = as_sent(attribute, attribute_type(attribute).cast, value)
    _address(call, f"{name}={value}")
    return Answer(200, _document(table, await service.get(call, table)))


@service.on_table
async def _read(call: Incoming, table: ProfileTable) -> Answer:
    return Answer(200, _document(table, await service.get(call, table)))


def _address(call: Incoming, reference: str = "") -> None:
    """v1 names the table and the profile in the query; the entity is the user's default one."""
    call.path = {"e": "-", "t": _parameter(call, "table"), "p": reference}


def _parameter(call: Incoming, name: str) -> str:
    value = call.query.first(name)
    if not value:
        raise invalid(name, "parameter.invalid", f"the query parameter '{name}' is missing")
    return value


def _document(table: ProfileTable, profile: Profile) -> ProfileInformation:
    attributes = [
        AttributeV1("profileId", profile.id),
        AttributeV1("creationMoment", render_moment(profile.created_at)),
        AttributeV1("updateMoment", render_moment(profile.updated_at)),
    ]
    for attribute, value in zip(table.definition.attributes, profile.values, strict=True):
        shown = UNSET if value is None else render_value(attribute, value)
        attributes.append(AttributeV1(attribute.name, shown))
    return ProfileInformation(AttributesV1(attributes))


_CREDENTIALS = (
    Parameter("licence", "the licence", "demo"),
    Parameter("login", "login of the API user", "shop"),
    Parameter("pwd", "password of the API user", "secret"),
    Parameter("table", "name or id of the profile table, in the user's default entity", "Contacts"),
)
_EXAMPLE: dict[str, Any] = {
    "profileInformation": {
        "attribute": [{"@name": "lastName", "value": "Vos"}, {"@name": "emailAddress", "value": "ann@example.com"}]
    }
}

CALLS = (
    Call(
        id="profiles.v1.save",
        method="POST",
        path=_PATH + "updateOrCreateProfile",
        category="profiles",
        module="profiles",
        summary="Create or update a profile (v1)",
        description="Kept for old integrations. Errors are XML with one or more texts, whatever the format asked for.",
        handler=save,
        parameters=_CREDENTIALS,
        statuses={200: "The id of the profile."},
        conflicts=("attribute.ambiguous", "attribute.notUnique", "profile.inUse"),
        body=ProfileInformation,
        body_root=_ROOT,
        body_example=_EXAMPLE,
        answer=ValueV1,
        answer_root="value",
        answer_example={"value": examples.PROFILE_ID["profileId"]},
        xml_decode=decode,
        xml_encode=encode,
    ),
    Call(
        id="profiles.v1.getById",
        method="GET",
        path=_PATH + "profileInformationById",
        category="profiles",
        module="profiles",
        summary="Read a profile by its id (v1)",
        handler=by_id,
        parameters=(*_CREDENTIALS, Parameter("id", "id of the profile", "1042")),
        statuses={200: "The profile."},
        answer=ProfileInformation,
        answer_root=_ROOT,
        answer_example=_EXAMPLE,
        xml_encode=encode,
    ),
    Call(
        id="profiles.v1.getByKey",
        method="GET",
        path=_PATH + "profileInformationByKey",
        category="profiles",
        module="profiles",
        summary="Read a profile by a unique attribute (v1)",
        handler=by_key,
        parameters=(
            *_CREDENTIALS,
            Parameter("key", "a unique attribute", "emailAddress"),
            Parameter("value", "its value", "ann@example.com"),
        ),
        statuses={200: "The profile."},
        answer=ProfileInformation,
        answer_root=_ROOT,
        answer_example=_EXAMPLE,
        xml_encode=encode,
    ),
)
