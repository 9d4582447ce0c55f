"""ETLs: definitions, executions of one and more files, transformations, what becomes of each row."""

import errno
import gzip
import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

import tabellion
from tabellion.features.bulk.imports import running
from tabellion.server.app import translate
from tests.support.etls import BASE, ETLS, EXECUTIONS, Etls, one_file, packed
from tests.support.serving import json_here, run_here
from tests.support.tenant import Tenant

GUESTS = "emailAddress,lastName,points\nbob@example.com,Bob,7\ncat@example.com,Cat,8\n"


def attributes(tenant: Tenant, email: str) -> dict[str, Any]:
    answer = tenant.json("GET", f"{BASE}/profile-tables/Guests/profiles/emailAddress={email}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_one_shot_with_one_file_needs_no_names(etls: Etls, tenant: Tenant) -> None:
    sent = etls.send(EXECUTIONS, {"whatever": GUESTS}, one_file())
    assert sent.status_code == 201
    number = sent.json()["id"]
    assert isinstance(number, str)
    assert sent.headers["location"].endswith(f"{EXECUTIONS}/{number}")
    waiting = etls.read(number)
    assert (waiting["status"], waiting["executionStatus"], waiting["withErrors"], waiting["percent"]) == (
        "QUEUED", None, True, 0,
    )  # fmt: skip
    assert tenant.json("GET", f"{EXECUTIONS}/{number}/errors").json()["code"] == "job.state"

    etls.run(number)

    done = etls.read(number)
    table = tenant.json("GET", f"{BASE}/profile-tables/Guests").json()["id"]
    assert done | {"startedAt": "", "endedAt": ""} == {
        "id": number, "etlId": None, "status": "DONE", "executionStatus": "SUCCESS", "withErrors": False, "rowsRead": 2,
        "rowsCreated": 2, "rowsUpdated": 0, "rowsUnchanged": 0, "rowsInError": 0, "percent": 100, "startedAt": "",
        "endedAt": "", "errors": [],
        "files": [{"name": "whatever", "tableType": "PROFILE_TABLE", "tableId": table, "rowsRead": 2, "rowsInError": 0}],
        "_links": {"errors": {"href": f"/mass-imports{EXECUTIONS}/{number}/errors"}},
    }  # fmt: skip
    assert attributes(tenant, "bob@example.com")["attributes"]["points"] == 7
    assert etls.rows(number) == {next(iter(etls.rows(number))): []}
    assert tenant.json("GET", f"{EXECUTIONS}/{number}/result-file").json()["code"] == "file.unknown"


def test_members_that_a_definition_does_not_know_are_named(etls: Etls) -> None:
    sent = etls.send(EXECUTIONS, {"whatever": GUESTS}, one_file() | {"raport": {}})
    assert (sent.status_code, sent.headers["X-Ignored-Members"]) == (201, "definition.raport")
    shape = etls.send(EXECUTIONS, {"whatever": GUESTS}, one_file(required="x")).json()["errors"]
    assert [e["field"] for e in shape] == ["definition.files[0].required"]


def test_transformations_and_targets_of_every_kind(etls: Etls, tenant: Tenant) -> None:
    definition = one_file(
        format={"separator": ";", "enclosing": "'", "escape": "\\"},
        load={"keyAttribute": "EMAILADDRESS"},
        mapping=[
            {"column": "mail", "attribute": "emailAddress", "transformations": [{"operation": "TRIM"}, {"operation": "LOWERCASE"}]},
            {"column": "born", "attribute": "birthDate", "transformations": [{"operation": "PARSE_DATE", "pattern": "dd.MM.yyyy"}]},
            {"column": "name", "attribute": "lastName", "transformations": [{"operation": "DEFAULT", "value": "Nobody"}]},
            {"column": "news", "subscription": "Newsletter"},
            {
                "column": "grade", "segmentation": "Loyalty",
                "transformations": [{"operation": "MAP_VALUES", "values": {"1": "Silver", "2": "Gold"}, "otherwise": None}],
            },
            {"attribute": "points", "transformations": [{"operation": "CONSTANT", "value": "5"}]},
            {"column": "tel", "attribute": "gsmNumber", "transformations": [{"operation": "PARSE_PHONE", "country": "be"}]},
        ],
    )  # fmt: skip
    content = (
        "mail;born;name;news;grade;tel\n ANN.B@Example.com ;01.03.1990;'O\\'Hara;x';1;2;0470/12.34.56\n"
        "bob@example.com;31.02.1990;'B\\'ob';;9;4.7E+08\ncat@example.com;;;0;9;\n"
    )

    done = etls.do({"guests.csv": content}, definition)

    assert (done["status"], done["executionStatus"], done["rowsCreated"], done["rowsInError"]) == (
        "DONE_WITH_ERRORS", "WITH_ERROR", 2, 1,
    )  # fmt: skip
    ann, cat = attributes(tenant, "ann.b@example.com"), attributes(tenant, "cat@example.com")
    values = {"birthDate": "1990-03-01", "lastName": "O'Hara;x", "points": 5, "gsmNumber": "+32470123456"}
    assert {name: ann["attributes"][name] for name in values} == values
    assert (ann["subscriptions"]["Newsletter"], ann["segmentations"]["Loyalty"]) == (True, "Gold")
    assert (cat["attributes"]["lastName"], cat["subscriptions"]["Newsletter"]) == ("Nobody", False)
    ((error,),) = etls.rows(done["id"]).values()
    assert (error["mail;born;name;news;grade;tel;lineNumber;errorCode;errorColumn;errorMessage"]).startswith(
        "bob@example.com;31.02.1990;B\\'ob;;9;4.7E+08;3;attribute.type;born;"
    )


@pytest.mark.usefixtures("stays")
def test_several_files_are_loaded_in_the_order_of_the_definition(etls: Etls, tenant: Tenant) -> None:
    stays = "stayRef,price\nST-1,10\nST-2,x\n"
    definition = {
        "files": [
            {"namePattern": "guests_$yyyyMMdd.csv", "load": {"tableId": "Guests"}},
            {"namePattern": "stays*.csv", "load": {"tableType": "CUSTOM_TABLE", "tableId": "Stays"}},
            # A file is that of the first pattern that it matches.
            {"namePattern": "*_20270301.csv", "required": False, "load": {"tableId": "Guests"}},
        ],
        "generateResultFile": True,
        "resultFileNamePattern": "result_$yyyy-1.zip",
    }
    done = etls.do({"all.zip": packed(stays_2027=stays, GUESTS_20270301=GUESTS)}, definition)

    assert (done["status"], done["rowsRead"], done["rowsCreated"], done["rowsInError"]) == ("DONE_WITH_ERRORS", 4, 3, 1), (
        done
    )
    assert [(f["name"], f["tableType"], f["rowsRead"], f["rowsInError"]) for f in done["files"]] == [
        ("GUESTS_20270301.csv", "PROFILE_TABLE", 2, 0),
        ("stays_2027.csv", "CUSTOM_TABLE", 2, 1),
    ]
    rows = etls.rows(done["id"])
    assert [len(rows[name]) for name in sorted(rows)] == [0, 1]
    assert rows["errors-2.csv"][0]["errorColumn"] == "price"
    result = tenant.json("GET", f"{EXECUTIONS}/{done['id']}/result-file")
    assert result.headers["content-disposition"] == f'attachment; filename="result_{done["endedAt"][:4]}-1.zip"'
    assert [row["operation"] for row in etls.rows(done["id"], "result-file")["result-2.csv"]] == ["CREATED", "ERROR"]


def test_a_worker_with_another_spool_says_so(etls: Etls, tmp_path: Path) -> None:
    answer = etls.send(EXECUTIONS, {"guests.csv": "emailAddress\n"}, one_file())
    Etls(etls.tenant, etls.url, tmp_path).run(answer.json()["id"])
    (error,) = etls.read(answer.json()["id"])["errors"]
    assert error["code"] == "import.fileUnreadable"
    assert "let them share the spool" in error["message"]


@pytest.mark.parametrize(
    ("files", "patterns", "code"),
    [
        ({"guests.csv": GUESTS}, ["stays.csv"], "import.fileUnexpected"),
        ({"guests.csv": GUESTS}, ["guests.csv", "stays.csv"], "import.fileMissing"),
        ({"a.csv": GUESTS, "b.csv": GUESTS}, [None], "import.severalCsv"),
        ({"guests_20271301x.csv": GUESTS}, ["guests_$yyyyMMdd.csv"], "import.fileUnexpected"),
        ({"guests.zip": b"PK\x03\x04broken"}, [None], "import.fileUnreadable"),
        ({"guests.csv": "emailAddress,nonsense\n"}, [None], "import.mapping"),
    ],
)
def test_files_that_do_not_fit_fail_the_whole_execution(etls: Etls, files: Any, patterns: list[Any], code: str) -> None:
    definition = {"files": [{"namePattern": p, "load": {"tableId": "Guests"}} for p in patterns]}
    done = etls.do(files, definition)
    assert (done["status"], done["executionStatus"], done["withErrors"], done["rowsRead"]) == ("FAILED", "FAILED", True, 0)
    assert [error["code"] for error in done["errors"]] == [code]
    assert done["_links"] == {}
    assert "$yyyyMMdd" in done["errors"][0]["message"] or code != "import.fileUnexpected"


def test_a_file_that_fails_is_the_last_one(etls: Etls) -> None:
    definition = {"files": [{"namePattern": f"{n}.csv", "load": {"tableId": "Guests"}} for n in ("a", "b", "c")]}
    done = etls.do({"c.csv": GUESTS, "b.csv": "nonsense\n1\n", "a.csv": GUESTS}, definition)
    assert (done["status"], done["rowsCreated"], [f["rowsRead"] for f in done["files"]]) == ("FAILED", 2, [2, 0, 0])
    assert [(e["field"], e["code"]) for e in done["errors"]] == [("b.csv", "import.mapping")]


def test_gzip_and_names_with_folders(etls: Etls) -> None:
    definition = {"files": [{"namePattern": "guests.csv", "load": {"tableId": "Guests"}}]}
    done = etls.do({"/tmp/in\\guests.csv.gz": gzip.compress(GUESTS.encode())}, definition)
    assert (done["status"], done["files"][0]["name"]) == ("DONE", "guests.csv")


def test_everything_wrong_with_a_definition_is_told_at_once(etls: Etls) -> None:
    definition = {
        "files": [
            {
                "load": {"tableId": "Nothing"},
                "format": {"separator": ";;", "encoding": "klingon"},
                "mapping": [{"column": "a", "attribute": "nope", "transformations": [{"operation": "DEFAULT"}]}],
            },
            {
                "namePattern": "$xx.csv",
                "load": {"tableId": "Guests", "keyAttribute": "lastName"},
                "mapping": [
                    {"column": "a", "attribute": "birthDte"},
                    {"column": "b", "subscription": "nope"},
                    {"column": "c", "segmentation": "nope"},
                    {"column": "d"},
                    {"attribute": "points"},
                    {"column": "e", "attribute": "birthDate", "transformations": [
                        {"operation": "PARSE_DATE"}, {"operation": "PARSE_DATE", "pattern": "HH:mm"}, {"operation": "DEFAULT"},
                        {"operation": "MAP_VALUES"}, {"operation": "PARSE_NUMBER", "decimalSign": ".", "groupSign": "."},
                        {"operation": "PARSE_PHONE"}, {"operation": "PARSE_PHONE", "country": "UK"},
                    ]},
                    {"column": "f", "attribute": "birthdate"},
                ],
            },
        ],
        "resultFileNamePattern": "a/b",
        "report": {"recipients": ["nobody"]},
    }  # fmt: skip
    refused = etls.send(EXECUTIONS, {"a.csv": GUESTS}, definition)
    assert refused.status_code == 400
    files = "definition.files"
    steps = f"{files}[1].mapping[5].transformations"
    assert "mm is the minute" in next(e["message"] for e in refused.json()["errors"] if e["field"] == f"{steps}[1].pattern")
    assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [
        (f"{files}[0].namePattern", "member.mandatory"),
        (f"{files}[0].format.separator", "member.type"),
        (f"{files}[0].format.encoding", "import.encoding"),
        (f"{files}[0].load.tableId", "table.unknown"),
        (f"{files}[0].mapping[0].transformations[0].value", "member.mandatory"),
        (f"{files}[1].namePattern", "structure.invalid"),
        (f"{files}[1].load.keyAttribute", "key.notUnique"),
        (f"{files}[1].mapping[0].attribute", "attribute.unknown"),
        (f"{files}[1].mapping[1].subscription", "subscription.unknown"),
        (f"{files}[1].mapping[2].segmentation", "segmentation.unknown"),
        (f"{files}[1].mapping[3]", "structure.invalid"),
        (f"{files}[1].mapping[4].column", "member.mandatory"),
        (f"{steps}[0].pattern", "member.mandatory"),
        (f"{steps}[1].pattern", "structure.invalid"),
        (f"{steps}[2].value", "member.mandatory"),
        (f"{steps}[3].values", "member.mandatory"),
        (f"{steps}[4]", "structure.invalid"),
        (f"{steps}[5].country", "member.mandatory"),
        (f"{steps}[6].country", "structure.invalid"),
        (f"{files}[1].mapping[6].attribute", "attribute.duplicate"),
        ("definition.resultFileNamePattern", "structure.invalid"),
        ("definition.report.recipients", "member.type"),
    ]
    said = next(e["message"] for e in refused.json()["errors"] if e["code"] == "attribute.unknown")
    assert said == "the table has no attribute 'birthDte'; did you mean 'birthDate'?"
    kept = etls.tenant.json("POST", ETLS, definition | {"name": ""}).json()["errors"]
    assert [e["field"] for e in kept][:2] == ["name", "files[0].namePattern"]
    assert len(kept) == len(refused.json()["errors"]) + 1
    wrong_key = etls.send(EXECUTIONS, {"a.csv": GUESTS}, one_file(load={"keyAttribute": "lastName"}))
    assert wrong_key.json()["code"] == "key.notUnique"


@pytest.mark.parametrize(
    ("files", "definition", "code"),
    [
        ({}, one_file(), "file.missing"),
        ({"a.csv": GUESTS}, None, "member.mandatory"),
        ({"a.csv": GUESTS}, {"files": []}, "member.mandatory"),
        ({"a.csv": GUESTS}, {"files": "x"}, "member.type"),
        ({"a.csv": GUESTS}, [], "member.mandatory"),
        (
            {"a.csv": GUESTS},
            one_file(name_pattern=1) | {"files": [{"load": {"tableId": 31}, "namePattern": 1}]},
            "member.type",
        ),
    ],
)
def test_a_form_that_is_no_execution_is_refused(etls: Etls, files: Any, definition: Any, code: str) -> None:
    headers = {"Authorization": f"Bearer {etls.tenant.api_key}"}
    parts: list[Any] = [("file", (name, content)) for name, content in files.items()]
    if definition is not None:
        parts.append(("definition", (None, json.dumps(definition))))
    answer = etls.tenant.client.post(EXECUTIONS, files=parts or [("x", (None, "y"))], headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert etls.tenant.json("GET", EXECUTIONS).json()["executions"] == []


STORED = {"name": "daily", **one_file(namePattern="guests.csv", load={"keyAttribute": "emailAddress"})}


def test_a_stored_etl_is_kept_changed_run_and_deleted(etls: Etls, tenant: Tenant) -> None:
    made = tenant.json("POST", ETLS, STORED)
    assert made.status_code == 201, made.text
    number = made.json()["id"]
    assert made.headers["location"].endswith(f"{ETLS}/{number}")
    assert tenant.json("POST", ETLS, STORED | {"name": "DAILY"}).json()["code"] == "name.used"
    assert tenant.json("GET", ETLS).json() == {"etls": [{"id": number, "name": "daily", "isActive": True}]}
    stored = tenant.json("GET", f"{ETLS}/{number}").json()
    assert stored["source"] == {"type": "API", "locationId": None, "trigger": None}
    assert stored["files"][0]["load"]["tableId"].isdigit()

    done = etls.do({"guests.csv": GUESTS}, path=f"{ETLS}/{number}/trigger-execution")
    assert (done["status"], done["etlId"]) == ("DONE", number)
    assert done["_links"]["etl"] == {"href": f"/mass-imports{ETLS}/{number}"}

    changed = tenant.json("PATCH", f"{ETLS}/{number}", {"isActive": False, "report": {"recipients": ["ops@example.com"]}})
    assert changed.json() == stored | {
        "isActive": False, "report": {"recipients": ["ops@example.com"], "when": "ON_ERROR"},
    }  # fmt: skip
    refused = etls.send(f"{ETLS}/{number}/trigger-execution", {"guests.csv": GUESTS})
    assert (refused.status_code, refused.json()["code"]) == (409, "etl.inactive")
    assert tenant.json("PATCH", f"{ETLS}/{number}", {"files": []}).json()["code"] == "member.mandatory"
    misspelt = tenant.json("PATCH", f"{ETLS}/{number}", {"active": True})
    assert (misspelt.status_code, misspelt.json()["code"]) == (400, "member.unknown")
    replaced = tenant.json("PUT", f"{ETLS}/{number}", STORED | {"name": "weekly"})
    assert replaced.json() == stored | {"name": "weekly"}

    assert tenant.json("DELETE", f"{ETLS}/{number}").status_code == 204
    assert tenant.json("GET", f"{ETLS}/{number}").json()["code"] == "etl.unknown"
    assert etls.read(done["id"])["etlId"] == number


def test_a_stored_etl_whose_table_is_gone_says_so(etls: Etls, tenant: Tenant) -> None:
    number = tenant.json("POST", ETLS, STORED).json()["id"]
    assert tenant.json("DELETE", f"{BASE}/profile-tables/Guests").status_code == 204
    refused = etls.send(f"{ETLS}/{number}/trigger-execution", {"guests.csv": GUESTS})
    assert (refused.status_code, refused.json()["code"]) == (400, "table.unknown")


def test_executions_are_listed_page_by_page(etls: Etls, tenant: Tenant) -> None:
    number = tenant.json("POST", ETLS, STORED).json()["id"]
    one = etls.do({"guests.csv": GUESTS}, one_file())["id"]
    two = etls.do({"guests.csv": GUESTS}, path=f"{ETLS}/{number}/trigger-execution")["id"]
    three = etls.send(EXECUTIONS, {"guests.csv": GUESTS}, one_file()).json()["id"]

    def listed(query: str) -> tuple[list[str], Any]:
        answer = tenant.json("GET", f"{EXECUTIONS}{query}").json()
        return [x["id"] for x in answer["executions"]], answer["nextCursor"]

    assert listed("") == ([three, two, one], None)
    page, cursor = listed("?limit=2")
    assert page == [three, two]
    assert listed(f"?limit=2&cursor={cursor}") == ([one], None)
    assert listed(f"?etlId={number}") == ([two], None)
    assert listed("?status=QUEUED") == ([three], None)
    assert listed("?limit=5000&status=&etlId=&cursor=") == ([three, two, one], None)
    wrong = tenant.json("GET", f"{EXECUTIONS}?limit=0&status=LOST&cursor=x&etlId=y").json()
    assert [e["field"] for e in wrong["errors"]] == ["etlId", "cursor", "limit", "status"]
    assert [e["code"] for e in wrong["errors"]] == [
        "parameter.invalid",
        "cursor.invalid",
        "parameter.invalid",
        "parameter.invalid",
    ]


def test_cancelling_before_and_after_the_end(etls: Etls, tenant: Tenant) -> None:
    number = etls.send(EXECUTIONS, {"a.csv": GUESTS}, one_file()).json()["id"]
    assert tenant.json("DELETE", f"{EXECUTIONS}/{number}").status_code == 204
    assert tenant.json("DELETE", f"{EXECUTIONS}/{number}").json()["code"] == "job.state"
    etls.run(number)
    done = etls.read(number)
    assert (done["status"], done["executionStatus"], done["rowsRead"]) == ("CANCELLED", "FAILED", 0)


def test_what_was_not_begun_of_a_cancelled_execution_is_not_loaded(
    etls: Etls, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = {"files": [{"namePattern": f"{n}.csv", "load": {"tableId": "Guests"}} for n in ("a", "b")]}
    later = "emailAddress,lastName\neve@example.com,Eve\n"
    number = etls.send(EXECUTIONS, {"all.zip": packed(a=GUESTS, b=later)}, definition).json()["id"]
    write = running._Attempt._write

    async def write_and_cancel(attempt: Any, *block: Any) -> None:
        await write(attempt, *block)
        assert tenant.json("DELETE", f"{EXECUTIONS}/{number}").status_code == 204

    monkeypatch.setattr(running._Attempt, "_write", write_and_cancel)
    etls.run(number)
    monkeypatch.undo()
    etls.run(number)

    assert etls.read(number)["status"] == "CANCELLED"
    path = f"{BASE}/profile-tables/Guests/profiles/emailAddress=eve@example.com"
    assert tenant.json("GET", path).status_code == 404


def test_the_command_line_looks_after_executions(etls: Etls, tenant: Tenant, tmp_path: Path) -> None:
    where = {"TABELLION_DATABASE_URL": etls.url, "TABELLION_DATA_DIR": str(etls.spool.parent)}
    done, waiting = (etls.send(EXECUTIONS, {"a.csv": GUESTS}, one_file()).json()["id"] for _ in range(2))
    etls.run(done)

    cancelled = run_here("jobs", "cancel", waiting, "--kind", "etl", cwd=tmp_path, **where)
    listed = json_here("jobs", "list", "--licence", tenant.licence, cwd=tmp_path, **where)
    shown = json_here("jobs", "show", done, "--kind", "etl", cwd=tmp_path, **where)
    retried = run_here("jobs", "retry", waiting, "--kind", "etl", cwd=tmp_path, **where)

    assert (cancelled.returncode, etls.read(waiting)["status"]) == (0, "CANCELLED")
    assert [(job["kind"], job["status"]) for job in listed] == [("import", "DONE"), ("etl", "CANCELLED"), ("etl", "DONE")]
    assert [job["ofEtl"] for job in listed] == [int(done), None, None]
    assert (shown["rowsRead"], shown["imports"]) == (listed[0]["rowsRead"], [listed[0]["id"]])
    assert "have it executed again" in retried.stderr


def test_imports_and_executions_do_not_mix(etls: Etls, tenant: Tenant, worker_database_url: str) -> None:
    number = etls.do({"a.csv": GUESTS}, one_file())["id"]
    with psycopg.connect(worker_database_url) as db:
        row = db.execute("SELECT id FROM tabellion.import_job WHERE execution_id = %s", (int(number),)).fetchone()
    assert row is not None
    for part in ("/status", "/result", "/errors"):
        assert tenant.json("GET", f"/v4/entity/hotels/import/{row[0]}{part}").json()["code"] == "import.unknown"
    assert tenant.json("GET", f"{EXECUTIONS}/{row[0]}").json()["code"] == "execution.unknown"


def test_each_accepted_call_counts_once_and_refused_ones_do_not(etls: Etls, tenant: Tenant) -> None:
    def used() -> int:
        limits = tenant.json("GET", "/v5/usage").json()
        return next(x["used"] for x in limits["limits"] if x["name"] == "bulkday")

    before = used()
    etls.do({"all.zip": packed(a=GUESTS, b=GUESTS)}, {"files": [{"namePattern": "*.csv", "load": {"tableId": "Guests"}}]})
    etls.send(EXECUTIONS, {"a.csv": GUESTS}, {"files": []})
    assert used() == before + 1


def test_whoever_listens_is_told_of_start_and_end(etls: Etls, tenant: Tenant, worker_database_url: str) -> None:
    number = tenant.json("POST", ETLS, STORED).json()["id"]
    for event in ("STARTED", "FINISHED"):
        body = {"on": "ETL", "onElementId": "Daily", "eventType": event, "targetUrl": "https://hooks.example.com/"}
        made = tenant.json("POST", "/v4/entity/hotels/webhookSubscription", body)
        assert made.status_code == 201, made.text
    unknown = {"on": "ETL", "onElementId": "999", "eventType": "STARTED", "targetUrl": "https://hooks.example.com/"}
    assert tenant.json("POST", "/v4/entity/hotels/webhookSubscription", unknown).json()["code"] == "etl.unknown"

    done = etls.do({"guests.csv": GUESTS}, path=f"{ETLS}/{number}/trigger-execution")
    etls.do({"guests.csv": GUESTS}, one_file())

    with psycopg.connect(worker_database_url) as db:
        events = db.execute(
            "SELECT event_type, data FROM tabellion.outbox_event WHERE subject_kind = 'ETL' AND subject_id = %s ORDER BY id",
            (number,),
        ).fetchall()
    assert [event for event, _ in events] == ["STARTED", "FINISHED"]
    assert events[1][1] == {
        "etl.id": int(number), "etl.executionId": int(done["id"]), "etl.executionStatus": "SUCCESS",
        "_links": {
            "etlExecution": {"href": f"/mass-imports{EXECUTIONS}/{done['id']}"}, "etl": {"href": f"/mass-imports{ETLS}/{number}"},
        },
    }  # fmt: skip


def test_the_guide_does_what_it_says(etls: Etls, tenant: Tenant) -> None:
    guide = (Path(tabellion.__file__).parents[2] / "docs/guide/etls.md").read_text()
    file, definition = (re.findall(rf"```{kind}\n(.*?)```", guide, re.DOTALL)[0] for kind in ("csv", "json"))
    done = etls.do({"guests_20270301.csv": file}, json.loads(definition))
    assert (done["rowsUpdated"], done["rowsCreated"], done["rowsInError"]) == (1, 1, 1)
    assert attributes(tenant, "ann@example.com")["segmentations"]["Loyalty"] == "Gold"


def test_a_full_disk_is_told_as_such() -> None:
    refusal = translate(OSError(errno.ENOSPC, "No space left on device"))
    assert (refusal.status, refusal.code) == (503, "unavailable")
    assert "disk" in refusal.message
