"""What a call does not know may be a slip that loses data: it is refused, or told."""

import itertools
import json
from typing import Any

import httpx
import pytest

from tests.support.tenant import Tenant

pytestmark = pytest.mark.usefixtures("stays")

PROFILE = "/v4/entity/hotels/table/Guests/profile"
PROFILES = "/v5/entities/hotels/profile-tables/Guests/profiles"
V5 = "/v5/entities/hotels"
HOOKS = "/v4/entity/hotels/webhookSubscription"
IMPORT = "/v4/entity/hotels/table/Guests/import"
ROWS = b"emailAddress,lastName\nann@example.com,Maes\n"
POINTS = {"name": "points", "value": 3}
ANN: dict[str, Any] = {
    "attributes": [{"name": "emailAddress", "value": "ann@example.com"}, {"name": "lastName", "value": "M"}]
}


def send(tenant: Tenant, fields: dict[str, str], query: str = "", parts: tuple[str, ...] = ()) -> httpx.Response:
    """An import of a form with these fields and further files."""
    files: list[tuple[str, Any]] = [("inputFile", ("guests.csv", ROWS)), *((part, ("x.json", b"{}")) for part in parts)]
    headers = {"Authorization": f"Bearer {tenant.api_key}"}
    return tenant.client.post(IMPORT + query, files=files, data=fields, headers=headers)


def fields_of(answer: httpx.Response) -> list[tuple[str, str]]:
    """Where and what the errors are."""
    return [(each["field"], each["code"]) for each in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("field", "value", "hint"),
    [
        ("Mode", "CREATE_ONLY", "'mode'"),
        ("importMode", "CREATE_ONLY", "'mode'"),
        ("keyColumn", "mail", "'headerKeyColumn'"),
        ("params", '{"mode":"CREATE_ONLY"}', "'parameters'"),
        ("emptyCells", "CLEAR", "'parameters'"),
    ],
)
def test_a_field_of_an_import_that_was_meant_for_another_is_refused(
    field: str, value: str, hint: str, tenant: Tenant
) -> None:
    before = tenant.state()
    refused = send(tenant, {field: value})
    assert (refused.status_code, fields_of(refused)) == (400, [(field, "member.unknown")])
    assert hint in refused.json()["message"]
    assert tenant.state() == before


def test_a_misnamed_file_of_an_import_is_refused(tenant: Tenant) -> None:
    refused = send(tenant, {}, parts=("params",))
    assert (refused.status_code, fields_of(refused)) == (400, [("params", "member.unknown")])


def test_a_field_that_contradicts_the_parameters_is_refused(tenant: Tenant) -> None:
    before = tenant.state()
    for refused in (
        send(tenant, {"parameters": "{}"}, "?mode=CREATE_ONLY"),
        send(tenant, {"parameters": "{}", "mode": "CREATE_ONLY"}),
    ):
        assert (refused.status_code, fields_of(refused)) == (400, [("mode", "structure.invalid")])
    assert tenant.state() == before
    for charset in ("utf-8", "UTF8"):
        same = send(tenant, {"parameters": '{"mode":"CREATE"}', "mode": "CREATE_ONLY", "charset": charset})
        assert same.status_code == 201, same.text
    other = send(tenant, {"parameters": '{"encoding":"cp1252"}', "charset": "latin1"})
    assert (other.status_code, fields_of(other)) == (400, [("charset", "structure.invalid")])


def test_what_an_import_ignores_is_told(tenant: Tenant) -> None:
    told = send(
        tenant, {"parameters": '{"importMode":"CREATE_ONLY","format":{"seperator":";"}}', "submit": "Send"}, "?trace=1"
    )
    assert told.status_code == 201
    assert told.headers["X-Ignored-Members"] == "submit, parameters.importMode, parameters.format.seperator"
    assert told.headers["X-Ignored-Parameters"] == "trace"
    # An integration may send whatever it likes in the query.
    assert send(tenant, {}, "?modes=CREATE_ONLY").headers["X-Ignored-Parameters"] == "modes"


def test_what_is_lowered_is_told(tenant: Tenant) -> None:
    for path, lowered in (
        (f"{PROFILES}?limit=5000", "limit=1000"),
        (f"{PROFILES}?limit=01000", None),
        (f"{PROFILE}?number=1001", "number=1000"),
        (f"{PROFILE}?number={'9' * 40}", "number=1000"),
        (f"{V5}/etl-executions?limit=1001", "limit=1000"),
    ):
        answer = tenant.json("GET", path)
        assert (answer.status_code, answer.headers.get("X-Lowered-Parameters")) == (200, lowered), path


def test_a_member_that_is_a_known_one_but_for_case_is_refused(tenant: Tenant) -> None:
    before = tenant.state()
    headers = {"Authorization": f"Bearer {tenant.api_key}"}
    definition = '{"files": [{"load": {"tableId": "Guests", "Mode": "CREATE_ONLY"}}]}'
    voucher = {"name": "print-voucher", "parameters": [{"name": "amount", "ValueType": "NUMBER"}]}
    for refused, member, meant in (
        (send(tenant, {"parameters": '{"Mode":"CREATE_ONLY"}'}), "parameters.Mode", "mode"),
        (send(tenant, {"parameters": '{"empty_cells":"CLEAR"}'}), "parameters.empty_cells", "emptyCells"),
        (send(tenant, {"parameters": '{"import_mode":"CREATE_ONLY"}'}), "parameters.import_mode", "mode"),
        (
            tenant.client.post(
                f"{V5}/etl-executions", files={"file": ROWS}, data={"definition": definition}, headers=headers
            ),
            "definition.files[0].load.Mode",
            "mode",
        ),
        (tenant.json("POST", f"{V5}/custom-actions", voucher), "parameters[0].ValueType", "valueType"),
    ):
        assert (refused.status_code, fields_of(refused)) == (400, [(member, "member.unknown")])
        assert f"did you mean '{meant}'?" in refused.json()["message"]
    assert tenant.state() == before
    both = send(tenant, {"parameters": '{"mode":"CREATE_ONLY","Mode":"CREATE_ONLY"}'})
    assert (both.status_code, both.headers["X-Ignored-Members"]) == (201, "parameters.Mode")


def test_a_body_of_v4_in_which_all_is_misspelt_is_refused(tenant: Tenant) -> None:
    hook = {"on": "PROFILE_TABLE", "onElementId": "Guests", "eventType": "CREATE", "targetUrl": "https://hooks.example.com/"}
    number = tenant.json("POST", HOOKS, hook).json()["id"]
    before = tenant.state()
    refused = tenant.json("PUT", f"{HOOKS}/{number}", {"rotate": True})
    assert (refused.status_code, fields_of(refused)) == (400, [("rotate", "member.unknown")])
    assert "did you mean 'rotateSecret'?" in refused.json()["message"]
    xml = {"Content-Type": "application/xml"}
    body = "<webhookSubscription><rotate>true</rotate></webhookSubscription>"
    assert tenant.call("PUT", f"{HOOKS}/{number}", content=body, headers=xml).status_code == 400
    assert fields_of(tenant.json("POST", PROFILE, {"Attributes": []})) == [("Attributes", "member.unknown")]
    assert tenant.state() == before
    for body in ({}, {"id": number}, {"isActive": True, "rotate": True}):
        assert tenant.json("PUT", f"{HOOKS}/{number}", body).status_code == 200
    # What is another system's own is ignored, as ever.
    own = tenant.json("PUT", f"{HOOKS}/{number}", {"crmId": 7})
    assert (own.status_code, own.headers["X-Ignored-Members"]) == (200, "crmId")


def test_a_misspelt_value_does_not_clear_the_attribute(tenant: Tenant) -> None:
    known = {"name": "emailAddress", "value": "ann@example.com"}
    made = tenant.json("POST", PROFILE, {"attributes": [known, {"name": "lastName", "value": "Vos"}, POINTS]})
    before = tenant.state()
    for slip, prefers in itertools.product(("vale", "Value", "val", "valeus"), ("", "handling=strict")):
        refused = tenant.json("POST", PROFILE, {"attributes": [known, {"name": "points", slip: 7}]}, Prefer=prefers)
        assert (refused.status_code, fields_of(refused)) == (400, [(f"attributes[1].{slip}", "member.unknown")])
        assert "did you mean 'value" in refused.json()["message"]
    xml = "<profile><attributes><attribute><name>points</name><vale>7</vale></attribute></attributes></profile>"
    sent = {"Content-Type": "application/xml"}
    number = made.json()["profileId"]
    assert tenant.call("PUT", f"{PROFILE}/{number}", content=xml, headers=sent).status_code == 400
    assert tenant.state() == before
    # As classes write it that leave null out, also with members of their own.
    assert (
        tenant.json("PUT", f"{PROFILE}/{number}", {"attributes": [{"name": "points", "type": "INTEGER"}]}).status_code == 200
    )
    assert tenant.state() != before


def test_a_misspelt_parameter_of_a_write_is_refused(tenant: Tenant) -> None:
    before = tenant.state()
    refused = tenant.json("POST", f"{PROFILE}?allowUpdates=false", ANN)
    assert (refused.status_code, fields_of(refused)) == (400, [("allowUpdates", "parameter.unknown")])
    assert "did you mean 'allowUpdate'?" in refused.json()["message"]
    body = {"key": {"emailAddress": "ann@example.com"}, "attributes": {"lastName": "Maes"}}
    refused = tenant.json("PUT", f"{PROFILES}?allowUpdate=false", body)
    assert (refused.status_code, fields_of(refused)) == (400, [("allowUpdate", "parameter.unknown")])
    assert tenant.state() == before
    told = tenant.json("POST", f"{PROFILE}?trace=1&_=17", ANN)
    assert (told.status_code, told.headers["X-Ignored-Parameters"]) == (200, "trace, _")


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("ann@example.com", "write emailAddress=ann@example.com"),
        ("lastNam=Vos", "it has no attribute 'lastNam'; did you mean 'lastName'?"),
        ("colour=red", "a profile is addressed by emailAddress, cardNumber, profileId"),
        ("profileId=x", "'profileId' has no value like this"),
        ("ann", "write emailAddress=..."),
    ],
)
def test_an_address_that_cannot_lead_to_a_profile_says_so(address: str, advice: str, tenant: Tenant) -> None:
    for method, path, body in (("PATCH", PROFILES, {"attributes": {}}), ("PUT", PROFILE, ANN), ("GET", PROFILE, None)):
        refused = tenant.json(method, f"{path}/{address}", body) if body else tenant.call(method, f"{path}/{address}")
        assert (refused.status_code, refused.json()["code"]) == (404, "profile.unknown")
        assert advice in refused.json()["message"]


def test_what_is_wrong_with_a_part_of_a_form_names_the_part(tenant: Tenant) -> None:
    # What `curl -F 'parameters={"format":{"separator":";"}}'` sends.
    refused = send(tenant, {"parameters": '{"format":{"separator":"'})
    assert fields_of(refused) == [("parameters", "request.malformed")]
    assert refused.json()["message"].startswith("the part 'parameters' is no JSON: line 1, column 24: ")
    assert fields_of(send(tenant, {"parameters": '{"mode":"\\u0000"}'})) == [("parameters.mode", "text.invalid")]
    executions = "/v5/entities/hotels/etl-executions"
    headers = {"Authorization": f"Bearer {tenant.api_key}"}
    refused = tenant.client.post(executions, files={"file": ROWS}, data={"definition": "{"}, headers=headers)
    assert fields_of(refused) == [("definition", "request.malformed")]


def test_all_that_is_wrong_with_an_etl_is_told_at_once(tenant: Tenant) -> None:
    files = [
        {"namePattern": "a", "load": {"tableId": "Nobody"}},
        {"namePattern": "b", "load": {"tableId": "Guests"}, "mapping": [{"column": "x", "attribute": "colour"}]},
    ]
    source = {"type": "LOCATION", "locationId": "77", "trigger": "SCHEDULE"}
    etl = {"name": " ", "files": files, "source": source, "schedule": {"cron": "x"}}
    refused = tenant.json("POST", "/v5/entities/hotels/etls", etl)
    assert [each["field"] for each in refused.json()["errors"]] == [
        "name", "schedule.cron", "files[0].load.tableId", "files[1].mapping[0].attribute", "source.locationId",
    ]  # fmt: skip


def test_all_that_is_wrong_with_an_import_is_told_at_once(tenant: Tenant) -> None:
    mapping = [{"headerColumn": "a", "attributeName": "emailAddress"}, {"headerColumn": "b", "attributeName": "colour"}]
    wrong = {"mode": "REPLACE", "encoding": "utf-88", "attributesMapping": mapping, "keyColumn": "b", "sparator": ";"}
    refused = send(tenant, {"parameters": json.dumps(wrong)})
    assert fields_of(refused) == [
        ("parameters.mode", "member.type"),
        ("parameters.encoding", "import.encoding"),
        ("parameters.attributesMapping[1].attributeName", "attribute.unknown"),
    ]
    assert refused.headers["X-Ignored-Members"] == "parameters.sparator"
    unreadable = {"mode": "REPLACE", "attributesMapping": [{"headerColumn": "a"}], "keyColumn": "a"}
    refused = send(tenant, {"parameters": json.dumps(unreadable)})
    assert [place for place, _ in fields_of(refused)] == ["parameters.mode", "parameters.attributesMapping[0].attributeName"]
    # The key is a column of the mapping, which has another name here.
    spelt = {"attributes_mapping": [{"headerColumn": "a", "attributeName": "emailAddress"}], "keyColumn": "a"}
    refused = send(tenant, {"parameters": json.dumps(spelt)})
    assert fields_of(refused) == [("parameters.attributes_mapping", "member.unknown")]


@pytest.mark.parametrize("header", ["abc", "abc, *", '"abc'])
def test_an_if_match_that_can_never_match_is_refused(header: str, tenant: Tenant) -> None:
    refused = tenant.json("PATCH", f"{PROFILES}/emailAddress=ann@example.com", {"attributes": {}}, If_Match=header)
    assert (refused.status_code, fields_of(refused)) == (400, [("If-Match", "parameter.invalid")])


def test_an_if_match_without_its_quotes_still_matches(tenant: Tenant) -> None:
    one = f"{PROFILES}/emailAddress=ann@example.com"
    tag = tenant.call("GET", one).headers["ETag"].strip('"')
    assert tenant.json("PATCH", one, {"attributes": {}}, If_Match=tag).status_code == 200
    assert tenant.json("PATCH", one, {"attributes": {}}, If_Match='"abc"').status_code == 412


def test_messages_say_what_to_write_instead(tenant: Tenant) -> None:
    refused = tenant.call("GET", f"{PROFILES}?filter=birthDate%20=%20null").json()
    assert (refused["code"], "use 'is null'" in refused["message"]) == ("filter.syntax", True)
    changes = "/v5/entities/hotels/profile-tables/Guests/change-requests"
    for type_, advice in (("STRING", "write STRING as 'valueType'"), ("MAIL", "CUSTOM, ")):
        operation = {"operation": "addAttribute", "attribute": {"name": "code", "type": type_}}
        refused = tenant.json("POST", changes, {"operations": [operation]}).json()
        assert (refused["code"], advice in refused["message"]) == ("structure.typeUnknown", True)
    lost = tenant.json("PATCH", f"{PROFILES}/emailAddress=ann@example.com", {"attributes": {"lastNam": "x"}}).json()
    assert "did you mean 'lastName'?" in lost["message"]
    assert "did you mean 'lastName'?" in tenant.call("GET", f"{PROFILES}?filter=lastNam%20=%20%22x%22").json()["message"]


@pytest.mark.parametrize(
    ("query", "advice"),
    [
        ("filter=subscription.Newsletter = true", "did you mean 'subscriptions'?"),
        ("filter=Orders.total > 10", "a filter knows the table that it is for, and no other one"),
        ("filter=subscriptions.Newslettr = true", "did you mean 'Newsletter'?"),
        ("filter=segmentations.Loyalti is null", "did you mean 'Loyalty'?"),
        ("filter=Newsletter = true", "it has a subscription of this name"),
        ('filtre=lastName = "Vos"', "did you mean 'filter'?"),
        ("lastNam=Vos", "did you mean 'lastName'?"),
        ('filter=lastName = "Vos" %26%26 points = 1', "write 'and'"),
        ('filter=lastName like "V"', "is null or is not null"),
        ("colour=red", "it knows filter, sort, limit, cursor"),
    ],
)
def test_a_list_says_what_may_be_meant(query: str, advice: str, tenant: Tenant) -> None:
    refused = tenant.call("GET", f"{PROFILES}?{query.replace(' ', '%20')}")
    assert (refused.status_code, advice in refused.json()["message"]) == (400, True)


def test_refusals_say_what_may_be_meant(tenant: Tenant) -> None:
    changes = f"{V5}/profile-tables/Guests/change-requests"
    for method, path, body, advice in (
        ("GET", "/v4/entity/hotels/table/Guest", None, "has no profile table 'Guest'; did you mean 'Guests'?"),
        ("GET", f"{V5}/custom-tables/Stay", None, "did you mean 'Stays'?"),
        (
            "POST",
            "/v4/entity/hotels/mail",
            {"name": "n", "targetTable": "Guest", "supportedLanguages": ["EN"]},
            "did you mean 'Guests'?",
        ),
        ("POST", f"{V5}/audiences", {"name": "n", "targetTable": "Guest"}, "did you mean 'Guests'?"),
        (
            "POST",
            f"{V5}/servers",
            {"name": "s", "username": "u"},
            "has no member 'username'; it knows name, protocol, host, ",
        ),
        ("POST", "/v4/entity/hotels/mail/Spring/launch", {"moment": "x"}, "begins at once; it knows scheduledAt"),
        ("POST", IMPORT, {}, "this call reads multipart/form-data (curl -F), not 'application/json'"),
        ("POST", changes, {"operations": [{"operation": "removeAttribute", "name": "lastNam"}]}, "did you mean 'lastName'?"),
        ("POST", f"{V5}/export-executions", {"tableId": "Guests", "attributes": ["lastNam"]}, "did you mean 'lastName'?"),
        ("POST", changes, {"operations": [{"operation": "addAtribute"}]}, "did you mean 'addAttribute'?"),
        (
            "POST",
            f"{V5}/custom-tables",
            {"name": "n", "attributes": [], "type": "INTERACTION"},
            "did you mean 'INTERACTIONS'?",
        ),
        (
            "POST",
            f"{V5}/profile-tables",
            {"name": "n", "attributes": [], "subscriptions": ["News"]},
            'an object such as {"name": ...}',
        ),
        ("GET", f"{PROFILE}?search=lastName:Vos", None, "(= != > >= < <= ~)"),
        ("GET", f"{PROFILES}?filter=lastName%20==%20'x'", None, "comparisons are =, !=, <, <=, > and >="),
    ):
        assert advice in tenant.json(method, path, body).json()["message"]
    headers = {"Authorization": f"Bearer {tenant.api_key}"}
    for path, sent, wanted in ((IMPORT, "file", "inputFile"), (f"{V5}/etl-executions", "inputFile", "file")):
        form = {"files": {sent: ROWS}, "data": {"definition": '{"files": [{"load": {"tableId": "Guests"}}]}'}}
        refused = tenant.client.post(path, headers=headers, **form).json()
        assert (refused["code"], refused["message"]) == (
            "file.missing",
            f"the form has no file '{wanted}', but '{sent}'",
        )


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/v4/entities/hotels/table/Guests", "; v4 writes /v4/entity"),
        ("/v5/entity/hotels/profile-tables", "; v5 writes /v5/entities/"),
        ("/profiles/v4/entity/hotels/tables/Guests", "; did you mean /profiles/v4/entity/hotels/table?"),
        ("/v4/entity/hotels/table/Guests/Profile/1", "; did you mean /v4/entity/hotels/table/Guests/profile?"),
        ("/export/v5/entities/hotels/exports", "; did you mean /exports?"),
        ("/v4/entity/hotels/mail/Spring/content", "; after {path} comes body or personalisation or subject"),
        ("/v4/entity/hotels/mail/Spring/content/start", "; after {parent} comes body or personalisation or subject"),
        (f"{V5}/etls/1/executions", "; after {parent} comes trigger-execution"),
        ("/v4/entity/hotels/import", "; after {path} comes {{i}}"),
        ("/v4/entity/hotels/import/1/errors/2", "; after {parent} comes nothing"),
        ("/customers", "; /docs lists all calls"),
        ("/exports", "; after {path} comes v4 or v5"),
        ("/usage/entities", "; after /usage comes v4 or v5"),
        ("/profiles/V4/entity/hotels", "; did you mean /profiles/v4?"),
        ("/ActitoWebservices/ws/v4/entity", "; did you mean /ActitoWebServices?"),
        ("/ActitoWebServices/WS/v4/entity", "; it would begin with /ActitoWebServices/ws"),
        ("/ActitoWebServices/v4/entity", "; it would begin with /ActitoWebServices/ws"),
        ("/Actito-PublicApi/v5/entities", "; did you mean /actito-publicapi?"),
        ("/sms-campaigns/v4/entity/hotels/sms/1", "; this server has no SMS campaigns"),
        ("/v4/entity/hotels/transactionalsms/Code/contact", "; this server has no SMS campaigns"),
        ("/push-campaigns/v5/entities/hotels/push-campaigns", "; this server has no push campaigns"),
        ("/forms/v4/entity/hotels/form/1/participation", "; this server has no forms"),
        ("/scenarios/v4/entity/hotels/table/Guests/scenario/8", "; this server has no scenarios"),
        ("/actito-publicapi/exports/v5", "; after /actito-publicapi comes auth or profile or v4 or v5"),
    ],
)
def test_an_address_of_no_call_says_how_one_would_go_on(tenant: Tenant, path: str, advice: str) -> None:
    answer = tenant.json("GET", path)
    said = advice.format(path=path, parent=path.rpartition("/")[0])
    assert (answer.status_code, answer.json()["message"]) == (404, f"there is no call at {path}{said}")


def test_a_choice_that_the_table_does_not_know_says_what_may_be_meant(tenant: Tenant) -> None:
    body = {"key": {"emailAddress": "ann@example.com"}, "subscriptions": {"Newslettr": True}}
    assert "did you mean 'Newsletter'?" in tenant.json("PUT", PROFILES, body).json()["message"]
    lost = tenant.json("POST", f"{PROFILE}/emailAddress=ann@example.com/subscription/Newslettr")
    assert "did you mean 'Newsletter'?" in lost.json()["message"]


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("table/Guests/profile?searchs=x&search=lastName=Vos&number=1&dateFilter=", "searchs"),
        ("customTable/Stays/record?sortField=price&sortedField=price&ascending=true&searchField=&searchValue=", "sortField"),
        ("webhookSubscription?pagesize=1&page=0&pageSize=1", "pagesize"),
        ("mail?Type=x&name=&type=&dateFilter=&number=1", "Type"),
        ("table/Guests/profile/emailAddress=ann@example.com/interaction?since=x&from=&to=&number=1&campaign=", "since"),
        ("table/Guests?_=1", "_"),
        ("table/Guests/profile?number=1&&=", None),
    ],
)
def test_reading_calls_of_v4_name_the_parameters_that_they_ignore(path: str, named: str | None, tenant: Tenant) -> None:
    answer = tenant.call("GET", f"/v4/entity/hotels/{path}")
    assert (answer.status_code, answer.headers.get("X-Ignored-Parameters")) == (200, named)
