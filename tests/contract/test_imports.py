"""Imports: both variants of the call, the file's many shapes, every row accounted for."""

import asyncio
import csv
import io
import json
import re
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

import tabellion
from tabellion.features import licences as use
from tabellion.features.bulk.imports import running
from tabellion.kit.clock import utc_now
from tests.support.api import Api
from tests.support.imports import STAYS, TABLE, Imports, unzipped, zipped
from tests.support.serving import json_here, run_here
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants


@pytest.fixture
def imports(tenant: Tenant, worker_database_url: str, api: Api) -> Imports:
    """Imports of a fresh licence."""
    return Imports(tenant, worker_database_url, api.spool)


def profile(tenant: Tenant, reference: str) -> dict[str, Any]:
    answer = tenant.json("GET", f"/v5/entities/hotels/profile-tables/Guests/profiles/{reference}")
    assert answer.status_code == 200, answer.text
    return answer.json()


GOOD = "emailAddress,lastName,birthDate,points\nbob@example.com,Bob,1990-01-02,7\ncat@example.com,Cat,,\n"


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


def test_flags_may_be_letters_in_a_file(imports: Imports, tenant: Tenant) -> None:
    header = "emailAddress,lastName,member,subscriptions#Newsletter,segmentations#Vip\n"
    fay = "fay@example.com,Fay,1,1,1\n"
    result = imports.do(
        header + f"bob@example.com,Bob,Y,n, y \ncat@example.com,Cat,N,Y,N\ndan@example.com,Dan,yes,J,1\n{fay},\n"
    )

    assert (result["rowsCreated"], result["rowsInError"]) == (3, 2)
    told = [(row["lineNumber"], row["errorCode"], row["errorColumn"]) for row in imports.errors(result["id"])]
    assert told == [("4", "attribute.type", "member"), ("6", "row.columns", "")]
    bob, cat = (profile(tenant, f"emailAddress={name}@example.com") for name in ("bob", "cat"))
    flags = [(p["attributes"]["member"], p["subscriptions"]["Newsletter"], p["segmentations"]["Vip"]) for p in (bob, cat)]
    assert flags == [(True, False, True), (False, True, False)]
    imports.do(header + "bob@example.com,Bob,,,N\neve@example.com,Eve,,,0\n")
    vips = [profile(tenant, f"emailAddress={name}@example.com")["segmentations"]["Vip"] for name in ("bob", "eve", "fay")]
    assert vips == [False, False, True]
    single = tenant.json("PATCH", "/v5/entities/hotels/profile-tables/Guests/profiles/1", {"attributes": {"member": "Y"}})
    assert single.status_code == 400


def test_choices_of_a_file_come_from_an_import(imports: Imports, tenant: Tenant) -> None:
    def newsletter(name: str) -> dict[str, Any]:
        path = f"/v4/entity/hotels/table/Guests/profile/emailAddress={name}@example.com/subscription"
        return tenant.json("GET", path).json()["subscriptions"][0]

    moments: list[str] = []
    for rows, parameters in (
        ("bob@example.com,Bob,1\ncat@example.com,Cat,\n", None),
        ("ann@example.com,Vos,0\nbob@example.com,Rob,1\ndan@example.com,Dan,\n", None),
        ("bob@example.com,Bo,\n", {"emptyCells": "CLEAR"}),
    ):
        assert imports.do(f"emailAddress,lastName,subscriptions#Newsletter\n{rows}", parameters)["status"] == "DONE"
        moments.append(newsletter("bob")["moment"])

    for name, subscribed in (("ann", False), ("bob", True)):
        assert (newsletter(name)["subscribe"], newsletter(name)["source"]) == (subscribed, "import")
    assert profile(tenant, "emailAddress=bob@example.com")["attributes"]["lastName"] == "Bo"
    # A choice that is made again is the one that was made, and an empty cell unmakes none.
    assert len(set(moments)) == 1
    history = "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=bob@example.com/consents"
    assert len(tenant.json("GET", history).json()["consents"]) == 1
    for name in ("cat", "dan"):
        assert newsletter(name) == {"name": "Newsletter", "subscribe": None, "moment": None, "source": None}


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


@pytest.mark.parametrize(
    ("encoding", "codec"),
    [
        ("UTF-8", "utf-8"),
        ("UTF-8", "utf-8-sig"),
        ("ISO-8859-1", "latin-1"),
        ("Windows-1252", "cp1252"),
        ("UTF-8", "utf-16"),
        ("latin1", "latin-1"),
        ("ISO8859_1", "latin-1"),
        ("Cp1252", "cp1252"),
    ],
)
def test_encodings(imports: Imports, tenant: Tenant, encoding: str, codec: str) -> None:
    result = imports.do(zipped("emailAddress,lastName\nbob@example.com,Lefèvre\n".encode(codec)), charset=encoding)

    assert result["status"] == "DONE", result
    assert profile(tenant, "emailAddress=bob@example.com")["attributes"]["lastName"] == "Lefèvre"


@pytest.mark.parametrize(
    ("file", "parameters", "code"),
    [
        (b"", None, "import.header"),
        (b"PK\x03\x04rubbish", None, "import.fileUnreadable"),
        (zipped(zipped("a,b\n")), None, "import.fileUnreadable"),
        (b"emailAddress,emailAddress\n", None, "import.header"),
        (b"emailAddress,shoeSize\n", None, "import.mapping"),
        (b"emailAddress\n", {"attributesMapping": [{"headerColumn": "x", "attributeName": "lastName"}]}, "import.mapping"),
        (b"emailAddress\n", {"keyColumn": "cardNumber"}, "import.keyColumn"),
        (b'emailAddress,lastName\na@example.com,"x\n', None, "import.quote"),
        (b'emailAddress,lastName\na@example.com,"x"y\n', None, "import.quote"),
    ],
)
def test_what_is_wrong_with_the_whole_file_is_told_by_the_job(
    imports: Imports, file: bytes, parameters: Any, code: str
) -> None:
    before = imports.tenant.state(but={"audit", "idempotency"})
    result = imports.do(file, parameters)

    assert (result["status"], result["withErrors"], result["rowsRead"]) == ("FAILED", True, 0)
    assert [error["code"] for error in result["errors"]] == [code]
    assert imports.tenant.state(but={"audit", "idempotency"}) == before


def test_a_column_named_as_a_subscription_is_told_how_to_be_called(imports: Imports) -> None:
    (error,) = imports.do("emailAddress,newsletter\nbob@example.com,true\n")["errors"]
    assert error["message"].endswith("which the table lacks; its subscription is called 'subscriptions#Newsletter' here")
    for header, meant in (("emailAdress", "emailAddress"), ("subscriptions#Newslettr", "subscriptions#Newsletter")):
        (error,) = imports.do(f"{header},lastName\nbob@example.com,x\n")["errors"]
        assert error["message"].endswith(f"which the table lacks; did you mean '{meant}'?")


def test_a_worker_with_another_spool_says_so(imports: Imports, tmp_path: Path) -> None:
    """As on a second machine that shares the database alone."""
    job_id = imports.send(GOOD.encode()).json()["id"]
    Imports(imports.tenant, imports.url, tmp_path).run(job_id)
    (error,) = imports.result(job_id)["errors"]
    assert error["code"] == "import.fileUnreadable"
    assert "let them share the spool" in error["message"]


@pytest.mark.parametrize(
    ("parameters", "header"),
    [
        (None, "emailAddress;lastName"),
        ({"attributesMapping": [{"headerColumn": "mail", "attributeName": "emailAddress"}]}, "mail;name"),
    ],
)
def test_a_wrong_separator_is_told(imports: Imports, parameters: Any, header: str) -> None:
    result = imports.do(f"{header}\nbob@example.com;Bob\n", parameters)
    assert [error["code"] for error in result["errors"]] == ["import.mapping"]
    assert "; is ';' the separator? The import was told ','" in result["errors"][0]["message"]


def test_a_row_in_another_encoding_hears_which_one_was_expected(imports: Imports) -> None:
    result = imports.do("emailAddress,lastName\nbob@example.com,Lef\xe8vre\n".encode("latin-1"))
    (row,) = imports.errors(result["id"])
    assert (row["errorCode"], "bytes that UTF-8, in which" in row["errorMessage"]) == ("row.encoding", True)


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


def test_a_key_column_that_the_file_lacks_is_told_by_the_job(imports: Imports) -> None:
    """Integrations send one, and want an id."""
    for name in ("cardNumber", "externalKey"):
        result = imports.do(GOOD, headerKeyColumn=name)
        assert (result["status"], result["errors"][0]["code"]) == ("FAILED", "import.keyColumn")


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
    assert (without.status_code, without.json()["code"]) == (400, "member.mandatory")
    assert imports.send(GOOD.encode(), path="/v4/entity/hotels/table/Nope").json()["code"] == "table.unknown"
    assert list(imports.spool.glob("upload-*")) == []


def test_the_calls_in_xml(imports: Imports, tenant: Tenant) -> None:
    job_id = imports.do(zipped(GOOD))["id"]
    answer = tenant.call("GET", f"/v4/entity/hotels/import/{job_id}/result", headers={"Accept": "application/xml"})
    assert f"<importResult><id>{job_id}</id><status>DONE</status><withErrors>false</withErrors>" in answer.text


def test_cancelled_is_cancelled(imports: Imports, tenant: Tenant) -> None:
    job_id = imports.send(zipped(GOOD)).json()["id"]
    assert tenant.json("DELETE", f"/v4/entity/hotels/import/{job_id}").status_code == 204
    imports.run(job_id)
    result = imports.result(job_id)
    assert (result["status"], result["withErrors"], result["rowsRead"]) == ("CANCELLED", True, 0)
    assert tenant.json("DELETE", f"/v4/entity/hotels/import/{job_id}").json()["code"] == "job.state"


def two_blocks(last: str = "") -> str:
    """A file whose first row is wrong, of more rows than are applied at a time; `last` is its last line."""
    rows = "".join(f"p{n}@example.com,{'x' * 60}\n" for n in range(25_000))
    return f"emailAddress,lastName\nno address,Bob\n{rows}{last}"


def test_an_import_that_fails_on_the_way_tells_the_rows_rejected_so_far_and_can_be_retried(
    imports: Imports, tmp_path: Path
) -> None:
    job_id = imports.send(zipped(two_blocks('eve@example.com,"open\n'))).json()["id"]
    imports.run(job_id)

    result = imports.result(job_id)
    assert (result["status"], result["errors"][0]["code"]) == ("FAILED", "import.quote")
    assert result["rowsRead"] == result["rowsCreated"] + 1 > 1
    assert [(row["lineNumber"], row["errorCode"]) for row in imports.errors(job_id)] == [("2", "attribute.value")]
    # Of the inflated file nothing is left: it can be large.
    with psycopg.connect(imports.url) as db:
        found = db.execute("SELECT folder FROM tabellion.import_job WHERE id = %s", (job_id,)).fetchone()
    assert found is not None
    assert sorted(path.name for path in (imports.spool / found[0]).iterdir()) == ["errors.zip", "input"]

    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    again = run_here("jobs", "retry", str(job_id), cwd=tmp_path, **where)
    assert again.returncode == 1
    assert imports.result(job_id) | {"endedAt": ""} == result | {"endedAt": ""}


def test_an_import_that_is_cancelled_on_the_way_tells_the_rows_rejected_so_far(
    imports: Imports, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    job_id = imports.send(zipped(two_blocks())).json()["id"]
    write = running._Attempt._write

    async def write_and_cancel(attempt: Any, *block: Any) -> None:
        await write(attempt, *block)
        tenant.json("DELETE", f"/v4/entity/hotels/import/{job_id}")

    monkeypatch.setattr(running._Attempt, "_write", write_and_cancel)
    imports.run(job_id)

    result = imports.result(job_id)
    assert result["status"] == "CANCELLED"
    assert 1 < result["rowsRead"] < 25_001
    assert [row["lineNumber"] for row in imports.errors(job_id)] == ["2"]

    monkeypatch.undo()
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    run_here("jobs", "retry", str(job_id), cwd=tmp_path, **where)
    result = imports.result(job_id)
    assert (result["status"], result["rowsRead"], result["rowsCreated"]) == ("DONE_WITH_ERRORS", 25_001, 25_000)
    assert [row["lineNumber"] for row in imports.errors(job_id)] == ["2"]


def test_blocks_that_were_read_ahead_of_a_structure_change_are_judged_by_the_new_structure(
    imports: Imports, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["Vos"] * 6 + ["Maes"] * 10
    rows = "".join(f"p{n}@example.com,{name},{'x' * 600_000}\n" for n, name in enumerate(names))
    mapping = [{"headerColumn": name, "attributeName": name} for name in ("emailAddress", "lastName")]
    job_id = imports.send(zipped(f"emailAddress,lastName,unused\n{rows}"), {"attributesMapping": mapping}).json()["id"]
    commit, changed = running._Attempt._commit, threading.Event()
    counts = {"checks": 0, "commits": 0}

    class Checker(running.Checker):
        """The third block is checked, and then the structure changes, before the second one is committed."""

        def check(self, block: Any) -> Any:
            checked = super().check(block)
            counts["checks"] += 1
            if counts["checks"] == 3:
                changes = {"valueRestriction": {"acceptedValues": ["Vos"]}}
                operation = {"operation": "updateAttribute", "name": "lastName", "changes": changes}
                path = "/v5/entities/hotels/profile-tables/Guests/change-requests"
                assert tenant.json("POST", path, {"operations": [operation]}).status_code == 200
                changed.set()
            return checked

    async def commit_once_changed(attempt: Any, *block: Any) -> None:
        counts["commits"] += 1
        if counts["commits"] == 2:
            assert await asyncio.to_thread(changed.wait, 10)
        await commit(attempt, *block)

    monkeypatch.setattr(running, "Checker", Checker)
    monkeypatch.setattr(running._Attempt, "_commit", commit_once_changed)
    imports.run(job_id)

    result = imports.result(job_id)
    assert (result["status"], result["rowsCreated"], result["rowsRead"]) == ("DONE_WITH_ERRORS", 6, 16)
    assert [row["lineNumber"] for row in imports.errors(job_id)] == [str(line) for line in range(8, 18)]


def test_a_later_row_of_the_same_key_wins(imports: Imports, tenant: Tenant) -> None:
    rows = "".join(f"bob@example.com,Bob{n}\nBOB@example.com,Rob{n}\n" for n in range(5))
    result = imports.do(zipped(f"emailAddress,lastName\n{rows}"), {"generateResultFile": True})

    assert (result["rowsCreated"], result["rowsUpdated"]) == (1, 9)
    assert profile(tenant, "emailAddress=bob@example.com")["attributes"]["lastName"] == "Rob4"
    with psycopg.connect(imports.url) as db:
        relation = "SELECT format('l%%s.p%%s', t.licence_id, t.id) FROM tabellion.profile_table t JOIN tabellion.licence l ON l.id = t.licence_id"
        (name,) = db.execute(f"{relation} WHERE l.name = %s", (tenant.licence,)).fetchone() or ("",)
        later = db.execute(f"SELECT updated_at - created_at FROM {name} WHERE a1 ILIKE 'bob@%%'", ()).fetchone()
    # Each state has a moment of its own, and so an ETag.
    assert later == (timedelta(microseconds=9),)


def test_unique_values_lead_to_their_profile_or_are_taken(imports: Imports, tenant: Tenant) -> None:
    def told(rows: str, parameters: Any) -> list[tuple[str, str, str]]:
        result = imports.do(f"emailAddress,lastName,cardNumber,code\n{rows}", parameters | {"generateResultFile": True})
        errors = {r["lineNumber"]: (r["errorCode"], r["errorColumn"]) for r in imports.errors(result["id"])}
        assert list(errors) == sorted(errors)
        done = [(r["lineNumber"], r["operation"]) for r in imports.result_rows(result["id"])]
        for counter, operation in (
            ("Created", "CREATED"),
            ("Updated", "UPDATED"),
            ("Unchanged", "UNCHANGED"),
            ("InError", "ERROR"),
        ):
            assert result[f"rows{counter}"] == [each[1] for each in done].count(operation)
        return [(*each, *errors.get(each[0], ())) for each in done]

    added = {"operation": "addAttribute", "attribute": {"name": "code", "valueType": "STRING", "unique": True}}
    change = tenant.json("POST", "/v5/entities/hotels/profile-tables/Guests/change-requests", {"operations": [added]})
    assert change.status_code == 200, change.text
    first = "bob@example.com,Bob,C1,a\ncat@example.com,Cat,C2,b\nfay@example.com,,C9,c\n,\n"
    assert [each[1] for each in told(first, {})] == ["CREATED", "CREATED", "ERROR", "ERROR"]
    by_all = (
        "bob@example.com,Bo,C2,\n"
        "dan@example.com,Dan,C1,\n"
        "CAT@example.com,Cat,C3,\n"
        ",Kat,C3,\n"
        "eve@example.com,Eve,C4,\n"
        "eve@example.com,Eva,,\n"
        ",Kat,C1,b\n"
        ",\n"
    )
    assert told(by_all, {}) == [
        ("2", "ERROR", "attribute.ambiguous", ""),
        ("3", "UPDATED"),
        ("4", "UPDATED"),
        ("5", "UPDATED"),
        ("6", "CREATED"),
        ("7", "UPDATED"),
        ("8", "ERROR", "attribute.ambiguous", ""),
        ("9", "ERROR", "row.columns", ""),
    ]
    rows = (
        "dan@example.com,Dan,C3",
        "fay@example.com,Fay,C1",
        "Eve@example.com,Eva,C4",
        "eve@example.com,Eva,C5",
        "no address,Gus,C6",
        "gus@example.com,Gus,C6",
    )
    by_address = "".join(f"{row},\n" for row in rows)
    assert told(by_address, {"keyColumn": "emailAddress"}) == [
        ("2", "ERROR", "attribute.notUnique", "cardNumber"),
        ("3", "ERROR", "attribute.notUnique", "cardNumber"),
        ("4", "UPDATED"),
        ("5", "UPDATED"),
        ("6", "ERROR", "attribute.value", "emailAddress"),
        ("7", "CREATED"),
    ]
    # Rows that have nothing in common, and yet are of one profile: the later one comes later, and so do those after it.
    of_one = "dan@example.com,Dan,,\ndon@example.com,Don,C1,\nDON@example.com,Zed,,\n,Zoe,,a\ncat@example.com,X,C5,\n"
    assert [each[1] for each in told(of_one, {})] == ["UNCHANGED", "UPDATED", "UPDATED", "UPDATED", "ERROR"]
    # The third leaves a card to the fourth, which would else belong to two.
    left = "hal@example.com,Hal,D1,\nivy@example.com,Ivy,D3,z\njan@example.com,Jan,D4,z\nhal@example.com,Hil,D3,y\n"
    assert [each[1] for each in told(left, {})] == ["CREATED", "CREATED", "UPDATED", "UPDATED"]
    # With a key the same: who is given what an earlier row leaves, and not what a later one will leave.
    left = "jan@example.com,Jan,D5,z\nhal@example.com,Hil,D4,\nivy@example.com,Ivy,D3,\nJan@example.com,Jan,D1,z\n"
    assert [each[1] for each in told(left, {"keyColumn": "emailAddress"})] == ["UPDATED", "UPDATED", "CREATED", "UPDATED"]
    early = "hal@example.com,Hil,D1,\njan@example.com,Jan,D6,z\n"
    assert [each[1] for each in told(early, {"keyColumn": "emailAddress"})] == ["ERROR", "UPDATED"]
    empty = "kim@example.com,Kim,,\nDON@example.com,,C1,a\n"
    assert told(empty, {"keyColumn": "cardNumber", "emptyCells": "CLEAR"}) == [
        ("2", "ERROR", "attribute.mandatory", "cardNumber"),
        ("3", "ERROR", "attribute.mandatory", "lastName"),
    ]
    found = [profile(tenant, f"cardNumber=C{n}")["attributes"] for n in (1, 3, 5)]
    assert [(a["emailAddress"], a["lastName"]) for a in found] == [
        ("DON@example.com", "Zoe"),
        ("CAT@example.com", "Kat"),
        ("eve@example.com", "Eva"),
    ]


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


def told(imports: Imports) -> list[tuple[str, str, list[str]]]:
    """The events of the licence that wait: type, first attribute, and the columns that they are about."""
    with psycopg.connect(imports.url) as db:
        query = (
            "SELECT e.event_type, e.data ->> 'a1', e.fields FROM tabellion.outbox_event e "
            "JOIN tabellion.licence l ON l.id = e.licence_id WHERE l.name = %s ORDER BY 1, 2"
        )
        return db.execute(query, (imports.tenant.licence,)).fetchall()


def test_changes_are_told_as_single_calls_tell_them(imports: Imports, tenant: Tenant) -> None:
    for kind in ("CREATE", "UPDATE", "UPDATED_SUBSCRIPTION", "UPDATED_SEGMENT"):
        hook = {"eventType": kind, "targetUrl": "https://8.8.8.8/hook"}
        assert tenant.json("POST", "/v4/entity/hotels/table/Guests/webhookSubscription", hook).status_code == 201
    rows = "ann@example.com,New,true,Gold\nbob@example.com,Bob,true,\nann@example.com,New,true,Gold\n"

    header = "emailAddress,lastName,subscriptions#Newsletter,segmentations#Loyalty\n"
    result = imports.do(header + rows)
    imports.do(f"{header}cat@example.com,Cat,,\n")

    assert (result["rowsCreated"], result["rowsUpdated"], result["rowsUnchanged"]) == (1, 1, 1)
    assert [event[:2] for event in told(imports)] == [
        ("CREATE", "bob@example.com"),
        ("CREATE", "cat@example.com"),
        ("UPDATE", "ann@example.com"),
        ("UPDATED_SEGMENT", "ann@example.com"),
        ("UPDATED_SUBSCRIPTION", "ann@example.com"),
        ("UPDATED_SUBSCRIPTION", "bob@example.com"),
    ]


@pytest.mark.usefixtures("stays")
def test_changes_of_records_are_told_as_well_by_the_rules_of_their_table(imports: Imports, tenant: Tenant) -> None:
    for kind in ("CREATE", "UPDATE"):
        hook = {"eventType": kind, "targetUrl": "https://8.8.8.8/hook"}
        assert tenant.json("POST", f"{STAYS}/webhookSubscription", hook).status_code == 201
    paid = {"stateBeforeOperation": [{"attribute": "state", "operator": "!=", "value": "PAID"}]}
    rule = {"onOperation": "UPDATE", "onAnyAttribute": ["state"], "matchingConditions": paid}
    events = [{"name": "paid", "triggerRules": [rule]}]
    change = {"operations": [{"operation": "setEventsToTrigger", "eventsToTrigger": events}]}
    assert tenant.json("POST", "/v5/entities/hotels/custom-tables/Stays/change-requests", change).status_code == 200

    imports.do("stayRef,state,price\nST-00001,PAID,1\nST-00002,OPEN,2\n", path=STAYS)
    assert told(imports) == [("CREATE", "ST-00002", ["a1", "a5", "a4"]), ("UPDATE", "ST-00001", ["a5", "a4"])]

    imports.do("stayRef,state,price\nST-00001,OPEN,1\nST-00002,OPEN,3\n", path=STAYS)
    assert len(told(imports)) == 2, "what no rule says is not told"


def record(tenant: Tenant, reference: str) -> dict[str, Any]:
    answer = tenant.json("GET", f"/v5/entities/hotels/custom-tables/Stays/records/{reference}")
    assert answer.status_code == 200, answer.text
    return answer.json()["attributes"]


@pytest.mark.usefixtures("stays")
def test_an_import_into_a_custom_table(imports: Imports, tenant: Tenant) -> None:
    rows = "ST-00001,50.5,PAID\nST-2,1,OPEN\nST-3,1,LATER\n,2,OPEN\nST-2,3,PAID\n"
    result = imports.do(f"stayRef,price,state\n{rows}", {"generateResultFile": True}, path=STAYS)

    assert (result["rowsUpdated"], result["rowsCreated"], result["rowsInError"]) == (2, 1, 2)
    told = [(row["lineNumber"], row["errorCode"], row["errorColumn"]) for row in imports.errors(result["id"])]
    assert told == [("4", "attribute.value", "state"), ("5", "attribute.mandatory", "stayRef")]
    stay = record(tenant, "ST-00001")
    assert (stay["price"], stay["state"], stay["breakfast"]) == (50.5, "PAID", False)
    assert record(tenant, "ST-2")["price"] == 3


@pytest.mark.usefixtures("stays")
def test_foreign_keys_and_composite_keys_of_an_import(imports: Imports, tenant: Tenant) -> None:
    table = {
        "name": "Nights",
        "type": "INTERACTIONS",
        "compositeKey": ["stay", "night"],
        "attributes": [
            {"name": "stay", "valueType": "STRING", "mandatory": True},
            {"name": "night", "valueType": "INTEGER", "mandatory": True},
            {"name": "room", "valueType": "STRING"},
        ],
        "foreignKeys": [
            {
                "name": "ofStay",
                "attribute": "stay",
                "reference": {"tableType": "CUSTOM_TABLE", "tableId": "Stays", "attribute": "stayRef"},
                "onDelete": "CASCADE",
            }
        ],
    }
    made = tenant.json("POST", "/v5/entities/hotels/custom-tables", table)
    assert made.status_code == 201, made.text
    path = "/v4/entity/hotels/customTable/Nights"

    first = imports.do("stay,night,room\nST-00001,1,12\nST-00001,2,12\nST-9,1,12\nST-00001,1,14\n", path=path)
    again = imports.do("stay,night,room\nST-00001,1,14\nST-00001,2,13\nST-00001,3,1\n", path=path)

    assert (first["rowsCreated"], first["rowsUpdated"], first["rowsInError"]) == (2, 1, 1)
    assert [(r["lineNumber"], r["errorCode"], r["errorColumn"]) for r in imports.errors(first["id"])] == [
        ("4", "attribute.value", "stay")
    ]
    assert (again["rowsCreated"], again["rowsUpdated"], again["rowsUnchanged"]) == (1, 1, 1)


def test_all_wrong_values_of_a_cell_are_told(imports: Imports) -> None:
    rows = "bob@example.com,Bob,SPA|SKI|GOLF|ZOO\ncat@example.com,Cat,SKI\ndan@example.com,Dan,SPA|GOLF\nno address,Eve,\n"
    result = imports.do(f"emailAddress,lastName,interests\n{rows}", {"keyColumn": "emailAddress"})

    assert (result["rowsCreated"], result["rowsInError"]) == (1, 3)
    told = [(row["errorCode"], row["errorMessage"].split("; ")) for row in imports.errors(result["id"])]
    assert [(code, [message.split(" '")[0] for message in messages]) for code, messages in told] == [
        ("attribute.value", ["value 2 of attribute", "value 4 of attribute"]),
        ("attribute.value", ["attribute"]),
        ("attribute.value", ["attribute"]),
    ]


@pytest.mark.usefixtures("stays")
def test_empty_cells_clear_no_value_that_records_refer_to(imports: Imports, tenant: Tenant) -> None:
    def key(name: str, attribute: str, kind: str, table: str, target: str) -> dict[str, Any]:
        reference = {"tableType": kind, "tableId": table, "attribute": target}
        key = {"name": name, "attribute": attribute, "reference": reference, "onDelete": "CASCADE"}
        return {"operation": "addForeignKey", "foreignKey": key}

    stays = "/v5/entities/hotels/custom-tables/Stays"
    added = [
        {"operation": "addAttribute", "attribute": {"name": name, "valueType": "STRING", "unique": unique}}
        for name, unique in (("code", True), ("follows", False))
    ]
    keys = [
        key("guest", "cardNumber", "PROFILE_TABLE", "Guests", "cardNumber"),
        key("own", "follows", "CUSTOM_TABLE", "Stays", "code"),
    ]
    changed = tenant.json("POST", f"{stays}/change-requests", {"operations": [*added, *keys]})
    assert changed.status_code == 200, changed.text
    clearing = {"emptyCells": "CLEAR", "keyColumn": "emailAddress"}
    imports.do("emailAddress,lastName,cardNumber\nbob@example.com,Bob,C1\ncat@example.com,Cat,C2\n")
    imports.do("stayRef,cardNumber,code,follows\nS1,C1,x,\nS2,,y,x\n", path=STAYS)

    cleared = "bob@example.com,\ncat@example.com,\nbob@example.com,C9\nzed@example.com,C7\n"
    result = imports.do(f"emailAddress,cardNumber\n{cleared}", clearing)
    own = imports.do("stayRef,code,cardNumber\nS1,,C9\nS2,,\n", {"emptyCells": "CLEAR"}, path=STAYS)

    left = imports.do("emailAddress,cardNumber\nbob@example.com,\n", {"keyColumn": "emailAddress"})
    assert left["rowsUnchanged"] == 1
    told = [(row["lineNumber"], row["errorCode"], row["errorColumn"]) for row in imports.errors(result["id"])]
    assert told == [("2", "profile.inUse", "cardNumber"), ("5", "attribute.mandatory", "")]
    assert "attribute 'lastName' is mandatory" in imports.errors(result["id"])[1]["errorMessage"]
    assert profile(tenant, "emailAddress=bob@example.com")["attributes"]["cardNumber"] == "C9"
    assert profile(tenant, "emailAddress=cat@example.com")["attributes"]["cardNumber"] is None
    assert record(tenant, "S1")["cardNumber"] == "C9"
    assert [(row["lineNumber"], row["errorCode"]) for row in imports.errors(own["id"])] == [("2", "record.inUse")]
    assert (record(tenant, "S1")["code"], record(tenant, "S2")["code"], record(tenant, "S2")["follows"]) == ("x", None, "x")


def test_the_command_line_imports_and_tells(imports: Imports, tenant: Tenant, tmp_path: Path) -> None:
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    (tmp_path / "good.csv").write_text(GOOD)
    (tmp_path / "bad.csv").write_text(GOOD + "no address,Dan,,\n")
    options = ("--licence", tenant.licence, "--table", "guests")

    done = json_here("import", "good.csv", *options, cwd=tmp_path, **where)
    rejected = ("--mode", "UPDATE_ONLY", "--errors", "rejected.csv")
    failed = run_here("import", "bad.csv", *options, *rejected, cwd=tmp_path, **where)
    listed = json_here("jobs", "list", "--licence", tenant.licence, cwd=tmp_path, **where)
    again = run_here("jobs", "retry", str(done["id"]), cwd=tmp_path, **where)
    nothing = run_here("import", "good.csv", "--licence", tenant.licence, "--table", "Nope", cwd=tmp_path, **where)
    imports.send(GOOD.encode())
    with psycopg.connect(imports.url, autocommit=True) as db:
        db.execute("INSERT INTO tabellion.server_hold (backup_at, restored_at) VALUES (now(), now())")
        held = run_here("jobs", "list", "--licence", tenant.licence, cwd=tmp_path, **where)
        db.execute("DELETE FROM tabellion.server_hold")
    assert f"no job runs, until you run: tabellion resume --data-dir {imports.spool.parent}" in held.stdout
    wrong = run_here("import", "good.csv", *options, "--encoding", "UTF-9", "--key", "lastName", cwd=tmp_path, **where)
    assert (wrong.returncode, "'UTF-9' is not known" in wrong.stderr, "it cannot be the key" in wrong.stderr) == (
        1,
        True,
        True,
    )

    assert (done["status"], done["rowsCreated"]) == ("DONE", 2)
    assert profile(tenant, "emailAddress=bob@example.com")["attributes"]["points"] == 7
    assert failed.returncode == 1
    assert "DONE_WITH_ERRORS" in failed.stdout
    assert [(job["status"], job["rowsInError"]) for job in listed] == [("DONE_WITH_ERRORS", 1), ("DONE", 0)]
    assert {(job["licence"], job["table"]) for job in listed} == {(tenant.licence, "Guests")}
    told = json_here("jobs", "show", str(done["id"]), cwd=tmp_path, **where)
    assert (told["kind"], told["licence"], told["table"], told["rowsRead"]) == ("import", tenant.licence, "Guests", 2)
    wrong = list(csv.DictReader((tmp_path / "rejected.csv").open(encoding="utf-8")))
    assert [(row["lastName"], row["lineNumber"], row["errorColumn"]) for row in wrong] == [("Dan", "4", "emailAddress")]
    saved = run_here("jobs", "errors", str(listed[0]["id"]), "--out", "again.zip", cwd=tmp_path, **where)
    assert "1 rejected row in again.zip" in saved.stdout
    assert unzipped((tmp_path / "again.zip").read_bytes()) == wrong
    assert run_here("jobs", "errors", "7", "--out", "x", cwd=tmp_path, **where).stderr == "tabellion: there is no import 7\n"
    assert again.stderr == (
        f"tabellion: the import {done['id']} is DONE: there is nothing left to do, or it belongs to an ETL\n"
    )
    assert nothing.stderr == "tabellion: the licence has no table 'Nope'\n"


def test_rejected_rows_replace_no_file_unasked_and_may_go_to_the_standard_output(imports: Imports, tmp_path: Path) -> None:
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    file, out = tmp_path / "bad.csv", tmp_path / "rejected.csv"
    file.write_text("emailAddress,lastName\nno address,Dan\n")
    out.write_text("mine")
    order = ("import", str(file), "--licence", imports.tenant.licence, "--table", "guests", "--errors")
    # The import does not even begin.
    unasked = run_here(*order, str(out), **where)
    assert (unasked.returncode, "rejected.csv is there already" in unasked.stderr) == (1, True)
    piped = run_here(*order, "-", **where)
    assert [row["lastName"] for row in csv.DictReader(io.StringIO(piped.stdout))] == ["Dan"]
    assert "DONE_WITH_ERRORS" in piped.stderr
    (job,) = json_here("jobs", "list", "--licence", imports.tenant.licence, **where)

    errors = ("jobs", "errors", str(job["id"]), "--out")
    assert (run_here(*errors, str(out), **where).returncode, out.read_text()) == (1, "mine")
    assert run_here(*errors, str(out), "--force", **where).returncode == 0
    again = run_here(*errors, "-", **where)
    assert (again.stdout, "1 rejected row" in again.stderr) == (out.read_text(), True)
    assert again.stdout == piped.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "rejected.csv"]


def test_an_import_that_waits_for_room_says_so_once_and_goes_on(imports: Imports, caplog: pytest.LogCaptureFixture) -> None:
    job_id = imports.send(zipped(GOOD)).json()["id"]
    with psycopg.connect(imports.url) as db:
        ((name,),) = db.execute("SELECT folder FROM tabellion.import_job WHERE id = %s", (job_id,)).fetchall()
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    caplog.set_level("INFO", logger="tabellion.features.bulk.waiting")
    for _ in range(2):
        # What is unpacked is written there, onto a disk that is always full.
        (imports.spool / name / "rows.part").symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left"):
            imports.run(job_id)
    waits = imports.result(job_id)
    assert waits["status"] == "VALIDATING"
    assert [error["code"] for error in waits["errors"]] == ["disk.full"]
    assert "goes on by itself once there is room" in waits["errors"][0]["message"]
    (listed,) = json_here("jobs", "list", "--licence", imports.tenant.licence, **where)
    assert listed["errors"][0].startswith("disk.full: ")
    doctor = json.loads(run_here("doctor", "--json", **where).stdout)
    assert [one["found"] for one in doctor if one["check"] == "jobs"] == ["1 wait for room on a disk"]
    imports.run(job_id)
    done = imports.result(job_id)
    assert (done["status"], done["rowsCreated"], done["errors"]) == ("DONE", 2, [])
    assert [record.getMessage() for record in caplog.records] == [
        f"import {job_id} waits: the disk of the server is full. Make room, and it goes on by itself",
        f"import {job_id} waits no more",
    ]


def test_rejected_rows_are_not_written_over_the_file_that_is_imported(tmp_path: Path) -> None:
    (tmp_path / "guests.csv").write_text(GOOD)
    (tmp_path / "link.csv").symlink_to("guests.csv")

    done = run_here(
        "import",
        "guests.csv",
        "--licence",
        "x",
        "--table",
        "Guests",
        "--errors",
        "link.csv",
        "--data-dir",
        ".",
        cwd=tmp_path,
    )

    assert (done.returncode, done.stderr) == (
        1, "tabellion: --errors would write over the file that is imported: name another file than link.csv\n"
    )  # fmt: skip
    assert (tmp_path / "guests.csv").read_text() == GOOD


def test_the_command_line_goes_on_with_what_was_stopped(imports: Imports, tenant: Tenant, tmp_path: Path) -> None:
    where = {"TABELLION_DATABASE_URL": imports.url, "TABELLION_DATA_DIR": str(imports.spool.parent)}
    job_id = imports.send(GOOD.encode()).json()["id"]

    assert json_here("jobs", "retry", str(job_id), cwd=tmp_path, **where)["rowsCreated"] == 2

    other = imports.send(GOOD.encode()).json()["id"]
    assert run_here("jobs", "cancel", str(other), cwd=tmp_path, **where).returncode == 0
    assert imports.result(other)["status"] == "CANCELLED"
    assert json_here("jobs", "retry", str(other), cwd=tmp_path, **where)["rowsUnchanged"] == 2
    trail = json_here("audit", tenant.licence, "--object", f"import/{other}", cwd=tmp_path, **where)
    assert [entry["route"] for entry in trail[:2]] == ["jobs retry", "jobs cancel"]
    assert [entry["actor"] for entry in trail] == ["cli", "cli", tenant.login]
