"""E-mail campaigns before anything is sent: definition, content, target."""

from typing import Any

import httpx
import pytest

from tests.support.tenant import HTML, SUBJECT, Tenant

MAIL = "/v4/entity/hotels/mail"
NEW: dict[str, Any] = {"name": "Welcome", "targetTable": "Guests", "supportedLanguages": ["nl", "FR"]}


@pytest.fixture
def mail(tenant: Tenant) -> str:
    """The address of a new campaign."""
    made = tenant.json("POST", MAIL, NEW)
    assert made.status_code == 201, made.text
    return f"{MAIL}/{made.json()['campaignId']}"


def faults(answer: httpx.Response) -> list[tuple[str, str]]:
    """Place and code of each error of a refusal."""
    assert answer.status_code == 400, answer.text
    return [(error["field"], error["code"]) for error in answer.json()["errors"]]


def test_what_was_sent_is_echoed_and_a_name_is_taken_once_per_entity(tenant: Tenant, mail: str) -> None:
    read = tenant.json("GET", f"{MAIL}/Welcome").json()
    assert read["supportedLanguages"] == ["nl", "FR"]
    assert (read["displayName"], read["encoding"], read["contentType"]) == ("Welcome", "UTF-8", "HTML")
    assert tenant.json("GET", mail).json() == read
    again = tenant.json("POST", MAIL, NEW | {"name": "WELCOME"})
    assert (again.status_code, again.json()["code"]) == (409, "campaign.nameUsed")
    elsewhere = tenant.json("POST", "/v4/entity/spas/mail", NEW | {"entityOfTarget": "hotels"})
    assert elsewhere.status_code == 201, elsewhere.text
    assert tenant.json("GET", f"/v4/entity/spas/mail/{mail.rpartition('/')[2]}").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"name": ""}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "a\r\nBcc: x@example.com"}, "name"),
        ({"displayName": "a\r\nBcc: x@example.com"}, "displayName"),
        ({"from": "a\nb"}, "from"),
        ({"from": "Hafen <news@@x>"}, "from"),
        ({"from": "news@nowhere.example>"}, "from"),
        ({"replyTo": "nobody"}, "replyTo"),
        # Readers would answer to it, but no mail could name it.
        ({"replyTo": "jürgen@example.com"}, "replyTo"),
        ({"replyTo": "a..b@example.com"}, "replyTo"),
        ({"replyTo": "a@example.com\r\nBcc: x@example.com"}, "replyTo"),
        ({"encoding": "UTF-16"}, "encoding"),
        ({"contentType": "TEXT"}, "contentType"),
        ({"sendingMode": "AB_TEST"}, "sendingMode"),
        ({"supportedLanguages": []}, "supportedLanguages"),
        ({"supportedLanguages": ["NL", "nl"]}, "supportedLanguages[1]"),
        ({"supportedLanguages": ["Dutch"]}, "supportedLanguages[0]"),
        ({"targetTable": "Ghosts"}, "targetTable"),
        ({"entityOfTarget": "ghosts"}, "entityOfTarget"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_place(tenant: Tenant, mail: str, wrong: Any, place: str) -> None:
    before = tenant.state()
    assert place in [field for field, _ in faults(tenant.json("POST", MAIL, NEW | {"name": "Other"} | wrong))]
    if "name" not in wrong:
        assert place in [field for field, _ in faults(tenant.json("PUT", mail, wrong))]
    assert tenant.state() == before


def test_all_that_is_wrong_with_a_definition_is_told_at_once(tenant: Tenant, mail: str) -> None:
    wrong = {"name": "a/b", "targetTable": "Ghosts", "replyTo": "nobody"}
    told = faults(tenant.json("POST", MAIL, NEW | wrong))
    assert [place for place, _ in told] == ["name", "replyTo", "targetTable"]
    assert faults(tenant.json("PUT", mail, {"targetTable": "Ghosts", "replyTo": "nobody"})) == told[1:]


def test_only_what_is_sent_changes(tenant: Tenant, mail: str) -> None:
    before = tenant.json("GET", mail)
    changed = tenant.json("PUT", mail, {"from": "Harbour <news@example.com>"}, If_Match=before.headers["ETag"])
    assert changed.status_code == 200, changed.text
    after = tenant.json("GET", mail).json()
    assert {name for name, value in after.items() if value != before.json()[name]} == {"from", "updateMoment"}
    stale = tenant.json("PUT", mail, {"from": None}, If_Match=before.headers["ETag"])
    assert stale.status_code == 412


def test_clients_that_write_all_their_members_may_write_null(tenant: Tenant, mail: str) -> None:
    nothing = dict.fromkeys(["encoding", "contentType", "sendingMode", "from", "replyTo", "entityOfTarget", "goalTracking"])
    made = tenant.json("POST", MAIL, NEW | {"name": "Other"} | nothing)
    assert made.status_code == 201, made.text
    read = tenant.json("GET", f"{MAIL}/Other").json()
    assert (read["encoding"], read["sendingMode"], read["entityOfTarget"]) == ("UTF-8", "MASS", "hotels")

    settings = {"sendingMode": "CONTINUOUS", "encoding": "ISO-8859-1"}
    assert tenant.json("PUT", mail, settings).status_code == 200
    before = tenant.json("GET", mail).json()
    nothing |= {"supportedLanguages": None, "targetTable": None, "displayName": "Hello"}
    assert tenant.json("PUT", mail, nothing).status_code == 200
    after = tenant.json("GET", mail).json()
    assert {name for name, value in after.items() if value != before[name]} == {"displayName", "updateMoment"}
    keys = {"personalisations": [{"key": "stayRef", "mandatory": None, "defaultValue": None}]}
    assert tenant.json("PUT", f"{mail}/content/personalisation", keys).status_code == 200
    assert tenant.json("GET", f"{mail}/content/personalisation").json()["personalisations"][0]["mandatory"] is False


@pytest.mark.parametrize(("said", "kept"), [(True, "Welcome"), ("TRUE", "Welcome"), (False, None), ("false", None)])
def test_goal_tracking_may_be_switched_on_and_off(tenant: Tenant, said: Any, kept: Any) -> None:
    assert tenant.json("POST", MAIL, NEW | {"goalTracking": said}).status_code == 201
    assert tenant.json("GET", f"{MAIL}/Welcome").json()["goalTracking"] == kept
    for change, expected in (({"goalTracking": "spring"}, "spring"), ({"goalTracking": said}, kept)):
        assert tenant.json("PUT", f"{MAIL}/Welcome", change).status_code == 200
        assert tenant.json("GET", f"{MAIL}/Welcome").json()["goalTracking"] == expected


def test_a_table_that_the_target_does_not_fit_is_refused_and_says_why(tenant: Tenant, mail: str) -> None:
    table = {"name": "Members", "attributes": [{"type": "EMAIL_ADDRESS", "name": "emailAddress"}]}
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables", table).status_code == 201
    assert tenant.json("PUT", f"{mail}/target", {"filter": "points > 3"}).status_code == 200
    refused = tenant.json("PUT", mail, {"targetTable": "Members"})
    assert faults(refused) == [("target.filter", "attribute.unknown")]
    assert "the campaign's target does not fit the table 'Members'" in refused.json()["message"]


def test_lists_find_by_name_type_and_date(tenant: Tenant, mail: str) -> None:
    for mode in ("CONTINUOUS", "TRANSACTIONAL"):
        assert tenant.json("POST", MAIL, NEW | {"name": mode, "sendingMode": mode}).status_code == 201

    def names(query: str) -> list[str]:
        answer = tenant.json("GET", f"{MAIL}?{query}")
        assert answer.status_code == 200, answer.text
        return [each["name"] for each in answer.json()["mailDocuments"]]

    assert names("") == ["Welcome", "CONTINUOUS", "TRANSACTIONAL"]
    assert names("type=continuous") == ["CONTINUOUS", "TRANSACTIONAL"]
    assert names("type=TRANSACTIONAL") == ["TRANSACTIONAL"]
    assert names("name=welcome&type=MASS_SENDING") == ["Welcome"]
    assert names("dateFilter=creationMoment%3E%3D2027-01-01&dateFilter=startedAt%3C2020-01-01") == []
    assert names("dateFilter=creationMoment%3E2020-01-01&number=2") == ["Welcome", "CONTINUOUS"]
    assert faults(tenant.json("GET", f"{MAIL}?type=SMS")) == [("type", "parameter.invalid")]
    assert tenant.json("GET", f"{MAIL}?dateFilter=endedAt%3E2020-01-01").status_code == 400
    assert faults(tenant.json("GET", f"{MAIL}?name=a%00b")) == [("name", "parameter.invalid")]
    assert tenant.json("GET", f"{MAIL}/a%00b").status_code == 404


@pytest.mark.parametrize(
    ("kind", "body", "subject"),
    [
        ("application/x-www-form-urlencoded", "a+b%20c=é", "a+b%20c=é"),
        ("text/plain", "12", "12"),
        ("application/json", '{"subject": "Zoë"}', "Zoë"),
        ("application/json", '"Zoë"', "Zoë"),
        ("application/json", "12", "12"),
        ("application/json", "Lente bij ons", "Lente bij ons"),
        ("application/json", "{{ profile.lastName }}, lente", "{{ profile.lastName }}, lente"),
        ("application/json", '"Last minute" deals', '"Last minute" deals'),
        ("application/xml", "<mailSubject><subject>Zo\xeb &amp; co</subject></mailSubject>", "Zoë & co"),
        ("application/xml", "Lente & zomer < herfst", "Lente & zomer < herfst"),
        ("application/octet-stream", "\ufeffHello", "Hello"),
    ],
)
def test_a_subject_is_taken_as_it_is_whatever_it_is_called(
    tenant: Tenant, mail: str, kind: str, body: str, subject: str
) -> None:
    put = tenant.call("PUT", f"{mail}/content/subject", content=body.encode(), headers={"Content-Type": kind})
    assert put.status_code == 200, put.text
    assert tenant.json("GET", f"{mail}/content/subject").json() == {"subject": subject}


@pytest.mark.parametrize("body", ['{"subject": 1', '"no end', '{"sbject": "x"}', '{"subject": "a\\u0000"}'])
def test_json_that_is_no_subject_is_refused(tenant: Tenant, mail: str, body: str) -> None:
    put = tenant.call("PUT", f"{mail}/content/subject", content=body, headers={"Content-Type": "application/json"})
    assert put.status_code == 400, put.text
    assert tenant.json("GET", f"{mail}/content/subject").status_code == 404


def test_what_a_subject_ignores_is_told_or_refused_as_is_preferred(tenant: Tenant, mail: str) -> None:
    body = {"subject": "Lente", "Subject": "x"}
    put = tenant.json("PUT", f"{mail}/content/subject", body)
    assert (put.status_code, put.headers.get("X-Ignored-Members")) == (200, "Subject")
    refused = tenant.json("PUT", f"{mail}/content/subject", body, Prefer="handling=strict").json()
    assert [(each["field"], each["code"]) for each in refused["errors"]] == [("Subject", "member.unknown")]


def test_texts_for_headers_hold_what_people_type_and_no_controls(tenant: Tenant, mail: str) -> None:
    typed = "Offre\u00a0: 20\u00a0% \U0001f469\u200d\U0001f467"
    assert tenant.json("PUT", mail, {"from": typed, "displayName": typed}).status_code == 200
    assert tenant.json("PUT", f"{mail}/content/subject", {"subject": typed}).status_code == 200
    read = tenant.json("GET", mail).json()
    assert read["from"] == read["displayName"] == typed

    for member in ("from", "displayName"):
        assert faults(tenant.json("PUT", mail, {member: "a\r\nBcc: x@example.com"})) == [(member, "text.control")]
    assert faults(tenant.json("PUT", f"{mail}/content/subject", {"subject": "a\tb"})) == [("subject", "text.control")]


@pytest.mark.parametrize("body", ["", " ", "a\r\nBcc: x@example.com", "a\0b", "a\x1bb", "a" * 501, "a\u2028b"])
def test_a_subject_is_one_line(tenant: Tenant, mail: str, body: str) -> None:
    assert tenant.call("PUT", f"{mail}/content/subject", content=body.encode()).status_code == 400
    assert tenant.json("GET", f"{mail}/content/subject").json()["code"] == "content.unknown"


def test_a_content_of_ones_own_language_goes_before_the_default(tenant: Tenant, mail: str) -> None:
    for query, text in (("", "Hello"), ("?language=nl", "Dag")):
        assert tenant.call("PUT", f"{mail}/content/subject{query}", content=text).status_code == 200
    read = [tenant.json("GET", f"{mail}/content/subject{q}").json()["subject"] for q in ("", "?language=NL", "?language=FR")]
    assert read == ["Hello", "Dag", "Hello"]
    assert faults(tenant.call("PUT", f"{mail}/content/subject?language=DE", content="Tag")) == [
        ("language", "parameter.invalid")
    ]


def test_names_that_do_not_exist_are_told_with_their_place(tenant: Tenant, mail: str) -> None:
    near = tenant.call("PUT", f"{mail}/content/subject", content="{{ lastNme }}")
    assert "did you mean lastName? Parameters are announced by PUT .../content/personalisation" in near.json()["message"]
    html = "<p>\n  {{ profile.lastNme }} {{ stayRef }}</p>"
    answer = tenant.call("PUT", f"{mail}/content/body", content=html, headers={"Content-Type": "text/html"})
    assert faults(answer) == [("body", "template.name")] * 2
    messages = [error["message"] for error in answer.json()["errors"]]
    assert messages[0].startswith("line 2, column ")
    assert "lastName" in messages[0]
    assert "no parameter (PUT .../content/personalisation announces parameters)" in messages[1]
    keys = {"personalisations": [{"key": "stayRef", "mandatory": True}]}
    assert tenant.json("PUT", f"{mail}/content/personalisation", keys).status_code == 200
    good = html.replace("lastNme", "lastName")
    answer = tenant.call("PUT", f"{mail}/content/body", content=good, headers={"Content-Type": "text/html"})
    assert answer.status_code == 200, answer.text
    # A key that a content names cannot be taken away.
    refused = tenant.json("PUT", f"{mail}/content/personalisation", {"personalisations": []})
    assert faults(refused) == [("body", "template.name")]


def test_a_target_is_checked_and_counted(tenant: Tenant, mail: str) -> None:
    profiles = "/v5/entities/hotels/profile-tables/Guests/profiles"
    for i in range(5):
        body = {"key": {"emailAddress": f"g{i}@example.com"}, "attributes": {"lastName": "Doe", "points": i}}
        assert tenant.json("PUT", profiles, body).status_code == 201

    def count(target: dict[str, Any]) -> int:
        put = tenant.json("PUT", f"{mail}/target", target)
        assert put.status_code == 200, put.text
        read = tenant.json("GET", f"{mail}/target").json()
        assert {name: read[name] for name in target} == target
        return read["estimatedCount"]

    assert count({}) == 6
    assert count({"filter": "points >= 2"}) == 3
    assert count({"filter": "points >= 2", "exclude": "points = 4", "maxProfiles": 1}) == 1
    assert count({"exclude": "points > 3"}) == 5
    assert count({"subscription": "Newsletter"}) == 0
    keys = {"attribute": "emailAddress", "values": ["G1@example.com", "nobody@example.com"]}
    assert count({"keys": keys}) == 1
    # What was read may be written back; what is misspelt is not everybody.
    assert count({}) == 6
    everybody = tenant.json("GET", f"{mail}/target").json()
    assert tenant.json("PUT", f"{mail}/target", everybody).status_code == 200
    for misspelt in ({"subscripton": "Newsletter"}, {"Filter": "points > 3", "subscription": None}):
        assert faults(tenant.json("PUT", f"{mail}/target", misspelt)) == [(next(iter(misspelt)), "member.unknown")]
    before = tenant.state()
    wrong = {"subscription": "Ghosts", "filter": "pints = 1", "exclude": "(", "maxProfiles": 0, "keys": {"values": ["x"]}}
    refused = {place for place, _ in faults(tenant.json("PUT", f"{mail}/target", wrong))}
    assert refused == {"subscription", "filter", "exclude", "maxProfiles", "keys.values"}
    assert faults(tenant.json("PUT", f"{mail}/target", {"maxProfiles": 2**63})) == [("maxProfiles", "structure.invalid")]
    assert tenant.state() == before
    assert count({"maxProfiles": 2**63 - 1}) == 6


def test_a_table_that_a_campaign_is_for_stays(tenant: Tenant) -> None:
    tenant.campaign()
    table = "/v5/entities/hotels/profile-tables/Guests"
    refused = tenant.json("DELETE", table)
    assert (refused.status_code, refused.json()["code"]) == (409, "table.inUse")
    assert tenant.json("DELETE", f"{MAIL}/SpringOffer").status_code == 204
    assert tenant.json("DELETE", f"{MAIL}/SpringOffer").status_code == 404
    assert tenant.json("DELETE", table).status_code == 204


def test_contents_may_be_as_they_are_elsewhere(tenant: Tenant) -> None:
    number = tenant.campaign()
    assert tenant.json("GET", f"{MAIL}/{number}/content/subject").json() == {"subject": SUBJECT}
    assert tenant.json("GET", f"{MAIL}/{number}/content/body").text == HTML


def test_a_name_is_one_whatever_the_case_of_its_accents(tenant: Tenant) -> None:
    made = tenant.json("POST", MAIL, NEW | {"name": "ÉTÉ à Łódź"}).json()
    assert tenant.json("POST", MAIL, NEW | {"name": "été À łódź"}).json()["code"] == "campaign.nameUsed"
    found = tenant.call("GET", f"{MAIL}/%C3%A9t%C3%A9%20%C3%80%20%C5%82%C3%B3d%C5%BA")
    assert found.json()["campaignId"] == made["campaignId"]


def test_a_campaign_follows_the_name_of_its_table(tenant: Tenant) -> None:
    tables = "/v5/entities/hotels/profile-tables"
    number = tenant.campaign()
    other = tenant.campaign("ById", targetTable=tenant.json("GET", f"{tables}/Guests").json()["id"])
    by_id = tenant.json("GET", f"{MAIL}/{other}").json()["targetTable"]
    rename = {"operations": [{"operation": "rename", "name": "Gasten"}]}
    assert tenant.json("POST", f"{tables}/Guests/change-requests", rename).status_code == 200
    # Another table takes the name that has become free.
    attributes = [{"type": "EMAIL_ADDRESS", "name": "emailAddress"}]
    assert tenant.json("POST", tables, {"name": "Guests", "attributes": attributes}).status_code == 201
    found = tenant.json("GET", f"{MAIL}/{number}").json()
    assert found["targetTable"] == "Gasten"
    listed = tenant.json("GET", MAIL).json()["mailDocuments"]
    assert [each["targetTable"] for each in listed] == ["Gasten", by_id]
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {"filter": "points > 3"}).status_code == 200
    for body in (found, {"displayName": "x"}):
        assert tenant.json("PUT", f"{MAIL}/{number}", body).status_code == 200
        assert tenant.json("GET", f"{MAIL}/{number}").json()["targetTable"] == "Gasten"
    assert tenant.json("GET", f"{MAIL}/{number}/target").json()["estimatedCount"] is not None


def test_a_name_of_digits_means_one_campaign(tenant: Tenant) -> None:
    first = tenant.campaign("1e3")
    used = tenant.json("POST", MAIL, NEW | {"name": f"0{first}"})
    assert (used.status_code, used.json()["code"]) == (409, "campaign.nameUsed")
    assert f"'0{first}' is the id of the campaign '1e3'" in used.json()["message"]
    # A name that is an id to come: ids pass it by.
    names = [str(first + ahead) for ahead in range(2, 5)]
    numbers = {name: tenant.campaign(name) for name in names}
    numbers |= {f"c{i}": tenant.campaign(f"c{i}") for i in range(4)}
    for name, number in numbers.items():
        for reference in (name, number):
            assert tenant.json("GET", f"{MAIL}/{reference}").json()["name"] == name


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_addresses_do_not_carry_is_refused(tenant: Tenant, name: str) -> None:
    assert faults(tenant.json("POST", MAIL, NEW | {"name": name})) == [("name", "structure.nameInvalid")]
