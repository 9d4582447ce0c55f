"""Calls of v1: credentials in the query, XML as lenient as it was."""

import pytest

from tests.support.guests import GUEST, attributes
from tests.support.tenant import Tenant

_XSI = "http://www.w3.org/2001/XMLSchema-instance"


def test_v1_works_with_credentials_in_the_query(tenant: Tenant) -> None:
    credentials = f"licence={tenant.licence}&login={tenant.login}&pwd={tenant.password}&table=Guests"
    base = "/ActitoWebServices/ws/profile/v1"
    body = {
        "profileInformation": {
            "attribute": [{"@name": "lastName", "value": "Vos"}, {"@name": "emailAddress", "value": "v1@example.com"}]
        }
    }
    made = tenant.client.post(f"{base}/updateOrCreateProfile?{credentials}", json=body)
    assert made.status_code == 200, made.text
    xml = (
        '<profileInformation><attribute name="lastName"><value>Bos</value></attribute>'
        '<attribute name="emailAddress"><value>v1@example.com</value></attribute></profileInformation>'
    )
    again = tenant.client.post(
        f"{base}/updateOrCreateProfile?{credentials}",
        content=xml,
        headers={"Content-Type": "application/xml", "Accept": "application/xml"},
    )
    assert again.text.endswith(f"<value>{made.json()['value']}</value>")
    read = tenant.client.get(f"{base}/profileInformationByKey?{credentials}&key=emailAddress&value=v1@example.com").json()
    attributes = {a["@name"]: a.get("value") for a in read["profileInformation"]["attribute"]}
    assert attributes["lastName"] == "Bos"
    assert tenant.client.get(f"{base}/profileInformationById?{credentials}&id={made.json()['value']}").status_code == 200
    wrong = tenant.client.post(
        f"{base}/updateOrCreateProfile?{credentials}",
        json={"profileInformation": {"attribute": [{"@name": "emailAddress", "value": "n@example.com"}]}},
    )
    assert wrong.status_code == 400
    assert "<errors><error>attribute 'lastName' is mandatory</error></errors>" in wrong.text


def test_v1_reads_a_key_that_was_sent_raw(tenant: Tenant) -> None:
    # A raw + arrives as the blank that no address has, as in the searches of v4.
    tenant.json("PUT", GUEST, {"attributes": [{"name": "emailAddress", "value": "ann+b@example.com"}]})
    credentials = f"licence={tenant.licence}&login={tenant.login}&pwd={tenant.password}&table=Guests"
    base = f"/ActitoWebServices/ws/profile/v1/profileInformationByKey?{credentials}"
    keys = [("emailAddress", f"ann{plus}b@example.com") for plus in ("+", "%2B", "%20")] + [("profileId", "1")]
    found = [tenant.client.get(f"{base}&key={key}&value={value}") for key, value in keys]
    assert [answer.status_code for answer in found] == [200] * len(keys), [answer.text for answer in found]
    assert len({answer.text for answer in found}) == 1


@pytest.mark.parametrize(
    ("attribute", "kept"),
    [
        ("<attribute name='lastName'>Vos</attribute>", "Vos"),
        (
            "<attribute name='lastName'><value><![CDATA[V & s]]></value><other>x</other></attribute><other name='x'/>",
            "V & s",
        ),
        (f"<attribute name='cardNumber'><value xmlns:xsi='{_XSI}' xsi:nil='true'/></attribute>", None),
    ],
)
@pytest.mark.parametrize("namespace", ["", " xmlns='http://example.com/profile'"])
def test_v1_xml_is_read_as_v4_xml_is(attribute: str, kept: str | None, namespace: str, tenant: Tenant) -> None:
    name = attribute.partition("name='")[2].partition("'")[0]
    key = '<attribute name="emailAddress"><value>ann@example.com</value></attribute>'
    address = f"/ActitoWebServices/ws/profile/v1/updateOrCreateProfile?licence={tenant.licence}&login={tenant.login}"
    saved = tenant.client.post(
        f"{address}&pwd={tenant.password}&table=Guests",
        content=f"<profileInformation{namespace}>{key}{attribute}</profileInformation>",
        headers={"Content-Type": "text/xml"},
    )
    assert saved.status_code == 200, saved.text
    assert attributes(tenant)[name] == kept


def test_v1_takes_an_attribute_alone_for_the_list_of_it(tenant: Tenant) -> None:
    # What makes JSON of XML writes a list of one so.
    address = f"/ActitoWebServices/ws/profile/v1/updateOrCreateProfile?licence={tenant.licence}&login={tenant.login}"
    body = {"profileInformation": {"attribute": {"@name": "emailAddress", "value": "ANN@example.com"}}}
    assert tenant.client.post(f"{address}&pwd={tenant.password}&table=Guests", json=body).status_code == 200
