"""Imports: both variants of the call, what is refused at once, results, limits."""

import json
import re
from pathlib import Path

import pytest

import tabellion
from tabellion.features import licences as use
from tabellion.kit.clock import utc_now
from tests.support.imports import GOOD, TABLE, Imports, profile, zipped
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants


def test_an_import_by_form_fields(imports: Imports, tenant: Tenant) -> None:
    sent = imports.send(zipped(GOOD), format="COMMA_SEPARATED_VALUES", charset="UTF-8", headerKeyColumn="emailAddress")
    assert sent.status_code == 201
    job_id = sent.json()["id"]
    assert job_id > 1_000_000
    assert sent.headers["location"].endswith(f"/v4/entity/hotels/import/{job_id}/status")
    status = tenant.json("GET", f"/v4/entity/hotels/import/{job_id}/status").json()
    assert status == {"id": job_id, "status": "QUEUED", "rowsRead": 0, "percent": 0}
    assert tenant.json("GET", f"/v4/entity/hotels/import/{job_id}/errors").json()["code"] == "job.state"

    imports.run(job_id)

    result = imports.result(job_id)
    assert (result["status"], result["withErrors"], result["rowsRead"], result["rowsCreated"]) == ("DONE", False, 2, 2)
    assert profile(tenant, "emailAddress=bob@example.com")["attributes"]["points"] == 7
    assert imports.errors(job_id) == []
    assert tenant.json("GET", f"/v4/entity/hotels/import/{job_id}/result-file").json()["code"] == "file.unknown"


def test_an_import_by_parameters(imports: Imports, tenant: Tenant) -> None:
    parameters = {
        "mode": "CREATE_UPDATE",
        "encoding": "UTF-8",
        "format": {"separator": ";", "endOfLine": "\n"},
        "generateResultFile": True,
        "attributesMapping": [
            {"headerColumn": "mail", "attributeName": "emailAddress"},
            {"headerColumn": "name", "attributeName": "lastName"},
            {"headerColumn": "subscriptions#Newsletter", "attributeName": "subscriptions#Newsletter"},
            {"headerColumn": "grade", "attributeName": "segmentations#Loyalty"},
        ],
        "unknownMember": 1,
    }
    file = (
        "\ufeffmail;name;subscriptions#Newsletter;grade;unused\r\n"
        "ann@example.com;Vos;true;Gold;x\r\n"
        "dan@example.com;;false;;y\r\n"
        '"eve@example.com";"E; ""quoted""\nname";1;Silver;z\r\n'
    )
    result = imports.do(zipped(file, "/var/data/out/guests.csv"), parameters)

    assert result["status"] == "DONE_WITH_ERRORS"
    numbers = {name: result[name] for name in ("rowsRead", "rowsCreated", "rowsUpdated", "rowsUnchanged", "rowsInError")}
    assert numbers == {"rowsRead": 3, "rowsCreated": 1, "rowsUpdated": 1, "rowsUnchanged": 0, "rowsInError": 1}
    rows = imports.errors(result["id"], delimiter=";")
    assert [(r["lineNumber"], r["errorCode"], r["errorColumn"], r["mail"]) for r in rows] == [
        ("3", "attribute.mandatory", "name", "dan@example.com")
    ]
    ann, eve = profile(tenant, "emailAddress=ann@example.com"), profile(tenant, "emailAddress=eve@example.com")
    assert ann["subscriptions"]["Newsletter"] is True
    assert ann["segmentations"]["Loyalty"] == "Gold"
    assert eve["attributes"]["lastName"] == 'E; "quoted"\nname'


def test_the_result_file_tells_of_every_row(imports: Imports) -> None:
    imports.do(zipped(GOOD))
    changed = GOOD.replace("Bob", "Robert") + "dan@example.com,Dan,1999-99-99,1\nfay@example.com,Fay,,\n"

    result = imports.do(zipped(changed), {"generateResultFile": True})

    rows = imports.result_rows(result["id"])
    assert [(r["lineNumber"], r["operation"]) for r in rows] == [
        ("2", "UPDATED"),
        ("3", "UNCHANGED"),
        ("4", "ERROR"),
        ("5", "CREATED"),
    ]
    assert all(row["id"] for row in rows if row["operation"] != "ERROR")
    assert [row["emailAddress"] for row in rows][3] == "fay@example.com"


@pytest.mark.parametrize(
    ("mode", "status", "codes"),
    [
        ("CREATE_ONLY", "DONE_WITH_ERRORS", ["row.exists"]),
        ("CREATE", "DONE_WITH_ERRORS", ["row.exists"]),
        ("UPDATE_ONLY", "DONE_WITH_ERRORS", ["row.absent"]),
        ("CREATE_UPDATE", "DONE", []),
    ],
)
def test_modes(imports: Imports, mode: str, status: str, codes: list[str]) -> None:
    # Nobody is in the way of a file of new ones only.
    assert imports.do("emailAddress,lastName\ncat@example.com,Cat\n", {"mode": mode})["rowsCreated"] == (
        "row.absent" not in codes
    )
    result = imports.do(zipped("emailAddress,lastName\nann@example.com,New\nbob@example.com,Bob\n"), {"mode": mode})

    assert result["status"] == status
    assert [row["errorCode"] for row in imports.errors(result["id"])] == codes


def test_a_second_file_is_not_left_out_without_a_word(imports: Imports, tenant: Tenant) -> None:
    part = '--b\r\nContent-Disposition: form-data; name="inputFile"; filename="{}.csv"\r\n\r\nemailAddress\n\r\n'
    form = f"{part.format('a')}{part.format('b')}--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    before = tenant.state()
    refused = tenant.call("POST", TABLE + "/import", content=form, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "structure.tooMany"), refused.text
    assert tenant.state() == before


def test_what_no_file_can_make_good_is_refused_at_once_and_costs_no_bulk_call(imports: Imports) -> None:
    before = imports.tenant.state()
    mapping = [
        {"headerColumn": "mail", "attributeName": "emailAdress"},
        {"headerColumn": "born", "attributeName": "birthDate"},
        {"headerColumn": "birthday", "attributeName": "BIRTHDATE"},
        {"headerColumn": "news", "attributeName": "newsletter"},
        {"headerColumn": "id", "attributeName": "profileId"},
    ]
    wrong = {"encoding": "UTF-9", "format": {"separator": ";;"}, "attributesMapping": mapping, "keyColumn": "mial"}
    refused = imports.send(GOOD.encode(), wrong)
    assert refused.status_code == 400
    assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [
        ("parameters.encoding", "import.encoding"),
        ("parameters.format.separator", "member.type"),
        ("parameters.attributesMapping[0].attributeName", "attribute.unknown"),
        ("parameters.attributesMapping[2].attributeName", "attribute.duplicate"),
        ("parameters.attributesMapping[3].attributeName", "attribute.unknown"),
        ("parameters.keyColumn", "structure.invalid"),
    ]
    said = [e["message"] for e in refused.json()["errors"]]
    assert "did you mean 'emailAddress'?" in said[2]
    assert said[4].endswith("; its subscription is called 'subscriptions#Newsletter' here")
    assert said[5] == "the mapping has no column 'mial' to be the key; did you mean 'mail'?"
    born = [
        {"headerColumn": "born", "attributeName": "birthDate"},
        {"headerColumn": "mail", "attributeName": "emailAddress"},
    ]
    for parameters, place, code in (
        ({"attributesMapping": born, "keyColumn": "BORN"}, "parameters.keyColumn", "key.notUnique"),
        ({"attributesMapping": born, "keyColumn": "emailAddress"}, "parameters.keyColumn", "structure.invalid"),
        ({"attributesMapping": []}, "parameters.attributesMapping", "member.mandatory"),
        ({"keyColumn": "lastName"}, "parameters.keyColumn", "key.notUnique"),
        ({"keyColumn": "profileId"}, "parameters.keyColumn", "key.notUnique"),
        ({"keyColumn": "emailAdress"}, "parameters.keyColumn", "attribute.unknown"),
    ):
        answer = imports.send(GOOD.encode(), parameters)
        assert answer.status_code == 400, parameters
        assert [(e["field"], e["code"]) for e in answer.json()["errors"]] == [(place, code)]
    fields = imports.send(GOOD.encode(), charset="UTF-9", headerKeyColumn="lastName", mode="UPDATE", format="PIPES")
    assert [(e["field"], e["code"]) for e in fields.json()["errors"]] == [
        ("format", "member.type"),
        ("charset", "import.encoding"),
        ("headerKeyColumn", "key.notUnique"),
    ]
    assert imports.tenant.state() == before


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"format": "PIPES"}, "member.type", "COMMA_SEPARATED_VALUES, SEMI_COLON_SEPARATED_VALUES, TAB_SEPARATED_VALUES"),
        (
            {"mode": "UPDATES"},
            "member.type",
            "CREATE, CREATE_ONLY, CREATE_UPDATE, UPDATE, UPDATE_ONLY; did you mean 'UPDATE'?",
        ),
    ],
)
def test_a_wrong_form_is_refused_at_once(imports: Imports, fields: dict[str, str], code: str, words: str) -> None:
    answer = imports.send(GOOD.encode(), None, **fields)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["message"].endswith(f"expects one of {words}")


def test_forms_that_are_none(imports: Imports, tenant: Tenant) -> None:
    path = f"{TABLE}/import"
    assert tenant.call("POST", path, content=b"x", headers={"Content-Type": "text/csv"}).status_code == 415
    broken = tenant.call("POST", path, content=b"--x\r\nabc", headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert (broken.status_code, broken.json()["code"]) == (400, "request.malformed")
    without = imports.tenant.client.post(
        path, files={"other": ("a", b"b")}, headers={"Authorization": f"Bearer {tenant.api_key}"}
    )
    assert (without.status_code, without.json()["code"]) == (400, "file.missing")
    assert imports.send(GOOD.encode(), path="/v4/entity/hotels/table/Nope").json()["code"] == "table.unknown"
    assert list(imports.spool.glob("upload-*")) == []


def test_the_calls_in_xml(imports: Imports, tenant: Tenant) -> None:
    job_id = imports.do(zipped(GOOD))["id"]
    answer = tenant.call("GET", f"/v4/entity/hotels/import/{job_id}/result", headers={"Accept": "application/xml"})
    assert f"<importResult><id>{job_id}</id><status>DONE</status><withErrors>false</withErrors>" in answer.text


def limited(imports: Imports, **limits: int) -> None:
    """Change the limits of the licence."""

    async def work(db) -> None:
        await use.change_limits(db, imports.tenant.licence, limits, utc_now())

    with Tenants(imports.url) as tenants:
        tenants.run(work)


def test_uploads_over_the_limit_are_refused_while_they_arrive(imports: Imports) -> None:
    limited(imports, max_bulk_file_bytes=1000)

    answer = imports.send(b"x" * 1001)
    assert (answer.status_code, answer.json()["code"]) == (400, "file.tooLarge")
    assert imports.send(GOOD.encode()).status_code == 201
    assert list(imports.spool.glob("upload-*")) == []


def test_the_quota_counts_what_is_accepted(imports: Imports) -> None:
    limited(imports, bulk_per_day=2)
    assert imports.send(GOOD.encode(), None, mode="NONE").status_code == 400

    answers = [imports.send(GOOD.encode()) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    answers.append(imports.tenant.json("GET", "/v5/entities/hotels/etls"))
    assert {answer.headers["RateLimit-Policy"].rpartition(", ")[2] for answer in answers} == {'"bulkday";q=2;w=86400'}
    assert "bulkday" not in imports.tenant.json("GET", TABLE).headers["RateLimit-Policy"]


def test_calls_that_the_quota_refuses_are_told_as_refused(imports: Imports) -> None:
    limited(imports, bulk_per_day=1)
    authorization = {"Authorization": f"Bearer {imports.tenant.api_key}"}
    for key in ({}, {}, {"Idempotency-Key": '"again"'}):
        files = {"inputFile": ("guests.csv", GOOD.encode())}
        imports.tenant.client.post(f"{TABLE}/import", files=files, headers=authorization | key)
    assert imports.tenant.json("GET", "/v5/usage").json()["today"]["refused"] == 2


def test_another_licence_does_not_see_it(imports: Imports, other_tenant: Tenant) -> None:
    job_id = imports.do(zipped(GOOD))["id"]
    for what in ("status", "result", "errors", "result-file"):
        assert other_tenant.json("GET", f"/v4/entity/hotels/import/{job_id}/{what}").json()["code"] == "import.unknown"
    assert other_tenant.json("DELETE", f"/v4/entity/hotels/import/{job_id}").status_code == 404


def test_the_guide_does_what_it_says(imports: Imports, tenant: Tenant) -> None:
    guide = (Path(tabellion.__file__).parents[2] / "docs/guide/imports.md").read_text()
    file, parameters = (re.findall(rf"```{kind}\n(.*?)```", guide, re.DOTALL)[0] for kind in ("csv", "json"))
    result = imports.do(file, json.loads(parameters))

    assert (result["rowsUpdated"], result["rowsCreated"], result["rowsInError"]) == (1, 1, 1)
    (row,) = imports.errors(result["id"], delimiter=";")
    assert (row["lineNumber"], row["errorCode"], row["errorColumn"]) == ("3", "attribute.type", "born")
    assert profile(tenant, "emailAddress=ann@example.com")["segmentations"]["Loyalty"] == "Gold"
