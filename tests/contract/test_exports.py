"""Exports: what is in the file, in which words, and what becomes of it when it is imported again."""

import csv
import gzip
import hashlib
import io
import json
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

import tabellion
from tabellion.features.bulk.exports import store
from tests.contract.test_addresses import V5_FAMILIES
from tests.support.exports import BASE, EXECUTIONS, Exports
from tests.support.imports import Imports
from tests.support.tenant import Tenant

PROFILES = f"{BASE}/profile-tables/Guests/profiles"
STORED = {"name": "changes", "tableId": "Guests", "attributes": ["emailAddress"], "incremental": True}
HOSTILE = [
    "plain",
    'say "hi", \\. ; |x',
    "line\nbreak\r\nand\ttab",
    "=cmd()",
    "'; DROP TABLE x; --",
    "100 % %s",
    "é\u2028🙂",
    " ",
]


def put(tenant: Tenant, email: str, **members: Any) -> None:
    body = {"key": {"emailAddress": email}, "attributes": {"lastName": "X"} | members.pop("attributes", {})} | members
    answer = tenant.json("PUT", f"{PROFILES}", body)
    assert answer.status_code in {200, 201}, answer.text


def rows_of(content: bytes, **how: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), **how))


def test_a_one_shot_of_all_columns(exports: Exports, tenant: Tenant) -> None:
    put(tenant, "bob@example.com", attributes={"lastName": "Bob", "points": 7, "birthDate": "1990-01-02"},
        subscriptions={"Newsletter": True}, segmentations={"Loyalty": "Gold"})  # fmt: skip
    sent = tenant.json("POST", EXECUTIONS, {"tableId": "Guests"})
    assert sent.status_code == 201
    number = sent.json()["id"]
    assert sent.headers["location"].endswith(f"{EXECUTIONS}/{number}")
    assert exports.read(number)["status"] == "QUEUED"
    assert tenant.json("GET", f"{EXECUTIONS}/{number}/file").json()["code"] == "job.state"

    exports.run(number)

    done = exports.read(number)
    answer = tenant.json("GET", f"{EXECUTIONS}/{number}/file")
    assert answer.headers["content-disposition"] == f'attachment; filename="export-{number}.csv"'
    assert answer.headers["content-type"] == "text/csv;charset=UTF-8"
    assert (done["status"], done["executionStatus"], done["rowsExported"], done["percent"]) == ("DONE", "SUCCESS", 2, 100)
    assert (done["bytes"], done["sha256"]) == (len(answer.content), hashlib.sha256(answer.content).hexdigest())
    assert done["_links"] == {"file": {"href": f"/exports{EXECUTIONS}/{number}/file"}}
    rows = {row["emailAddress"]: row for row in rows_of(answer.content)}
    bob = tenant.json("GET", f"{PROFILES}/emailAddress=bob@example.com").json()
    assert rows["bob@example.com"] | {"creationMoment": "", "updateMoment": ""} == {
        "profileId": str(bob["profileId"]), "creationMoment": "", "updateMoment": "",
        **{name: "" if value in (None, []) else str(value) for name, value in bob["attributes"].items()
           if name not in {"profileId", "creationMoment", "updateMoment"}},
        **{f"subscriptions#{name}": {True: "true", False: "false", None: ""}[value] for name, value in bob["subscriptions"].items()},
        **{f"segmentations#{name}": {True: "true", False: "false"}.get(value, value or "")
           for name, value in bob["segmentations"].items()},
    }  # fmt: skip
    assert rows["bob@example.com"]["segmentations#Loyalty"] == "Gold"


def test_json_lines_are_what_the_profile_call_answers(exports: Exports, tenant: Tenant) -> None:
    for number, text in enumerate(HOSTILE):
        values = {"lastName": text, "points": number, "member": number > 3, "interests": ["SPA", "GOLF"]}
        put(tenant, f"p{number}@example.com", attributes=values, subscriptions={"Newsletter": number % 2 == 0})
    put(tenant, "p0@example.com", attributes={"lastName": "changed"})
    _, content = exports.do(format={"type": "JSON_LINES"})
    lines = [json.loads(line) for line in content.decode().split("\n") if line]
    assert len(lines) == len(HOSTILE) + 1
    for line in lines:
        answer = tenant.json("GET", f"{PROFILES}/{line['profileId']}").json()
        moments = {name: line.pop(name) for name in ("creationMoment", "updateMoment")}
        attributes = {k: v for k, v in answer["attributes"].items() if k not in {"profileId", *moments}}
        assert line == {**answer, "attributes": attributes}
        assert moments == {name: answer["attributes"][name] for name in moments}


def test_export_wipe_and_import_give_the_same_table(
    exports: Exports, tenant: Tenant, worker_database_url: str, spool: Path
) -> None:
    table = tenant.json("POST", f"{BASE}/profile-tables", ALL_TYPES).json()
    assert "id" in table, table
    path = f"{BASE}/profile-tables/Everything"
    for number, text in enumerate(HOSTILE):
        body = {
            "key": {"emailAddress": f"p{number}@example.com"},
            "attributes": {
                "text": text, "long": -(10**17) - number, "integer": number,
                "number": 249.5 / (number + 1) if number < 2 else -0.000001, "flag": number % 2 == 0,
                "day": f"19{number + 10}-02-28", "moment": f"2026-10-25T0{number}:30:00.250Z",
                "texts": ["a", f"b{number}"], "numbers": [1.5, -2], "days": ["2020-02-29"],
            },
            "subscriptions": {"News": number % 3 == 0}, "segmentations": {"VIP": number % 2 == 0, "Grade": 'A, "B" C'},
        }  # fmt: skip
        made = tenant.json("PUT", f"{path}/profiles", body)
        assert made.status_code == 201, made.text
    assert tenant.json("PUT", f"{path}/profiles", {"key": {"emailAddress": "empty@example.com"}}).status_code == 201
    before = _state(worker_database_url, table["id"])

    done, content = exports.do(tableId="Everything", compression="ZIP")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["export.csv", "manifest.json"]
        text = archive.read("export.csv")
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest | {"exportedAt": ""} == {
        "file": "export.csv", "rows": 9, "bytes": len(text), "sha256": hashlib.sha256(text).hexdigest(), "exportedAt": "",
    }  # fmt: skip
    assert (done["rowsExported"], done["bytes"]) == (9, len(content))
    assert done["sha256"] == hashlib.sha256(content).hexdigest() != manifest["sha256"]
    _, lines = exports.do(tableId="Everything", attributes=["long"], filter="integer = 1", format={"type": "JSON_LINES"})
    assert lines == b'{"attributes":{"long":-100000000000000001}}\n'
    with psycopg.connect(worker_database_url, autocommit=True) as db:
        schema = _schema(db, table["id"])
        db.execute(f"DELETE FROM {schema}.p{table['id']}")
    imports = Imports(tenant, worker_database_url, spool)
    result = imports.do(text, {"format": {"separator": ","}}, path="/v4/entity/hotels/table/Everything")
    assert (result["status"], result["rowsCreated"]) == ("DONE", 9), imports.errors(result["id"])
    assert _state(worker_database_url, table["id"]) == before


ALL_TYPES: dict[str, Any] = {
    "name": "Everything",
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress"},
        {"name": "text", "valueType": "STRING"},
        {"name": "long", "valueType": "LONG"},
        {"name": "integer", "valueType": "INTEGER"},
        {"name": "number", "valueType": "NUMBER"},
        {"name": "flag", "valueType": "BOOLEAN"},
        {"name": "day", "valueType": "DATE"},
        {"name": "moment", "valueType": "TIMESTAMP"},
        {"name": "texts", "valueType": "STRING", "multiValued": True},
        {"name": "numbers", "valueType": "NUMBER", "multiValued": True},
        {"name": "days", "valueType": "DATE", "multiValued": True},
    ],
    "subscriptions": [{"name": "News"}],
    "segmentations": [
        {"name": "VIP"},
        {"name": "Grade", "type": "EXCLUSIVE", "categories": ['A, "B" C', "100 %s"]},
    ],
}  # fmt: skip


def _schema(db: psycopg.Connection[Any], table: str) -> str:
    row = db.execute("SELECT licence_id FROM tabellion.profile_table WHERE id = %s", (int(table),)).fetchone()
    assert row is not None
    return f"l{row[0]}"


def _state(url: str, table: str) -> list[Any]:
    """The rows, but for ids, moments of the rows and where choices come from."""
    with psycopg.connect(url) as db:
        rows = db.execute(f"SELECT to_jsonb(t) FROM {_schema(db, table)}.p{table} t").fetchall()
    values = [{n: v for n, v in row.items() if n[0] in "asg" and not n.endswith(("_at", "_source"))} for (row,) in rows]
    return sorted(values, key=lambda row: row["a1"])


@pytest.mark.usefixtures("stays")
def test_records_in_json_and_csv(exports: Exports, tenant: Tenant, worker_database_url: str, spool: Path) -> None:
    records = f"{BASE}/custom-tables/Stays/records"
    one = tenant.json("GET", f"{records}/ST-00001").json()
    _, content = exports.do(tableType="CUSTOM_TABLE", tableId="stays", format={"type": "JSON_LINES"})
    (line,) = [json.loads(text) for text in content.decode().splitlines()]
    assert (line["id"], line["attributes"]["stayRef"]) == (one["id"], "ST-00001")
    _, content = exports.do(tableType="CUSTOM_TABLE", tableId="stays")
    assert tenant.json("DELETE", f"{records}/ST-00001").status_code == 204
    imports = Imports(tenant, worker_database_url, spool)
    result = imports.do(content, {"format": {"separator": ","}}, path="/v4/entity/hotels/customTable/Stays")
    assert result["rowsCreated"] == 1, imports.errors(result["id"])
    again = tenant.json("GET", f"{records}/ST-00001").json()
    assert {k: v for k, v in again["attributes"].items() if "Moment" not in k and k != "id"} == {
        k: v for k, v in one["attributes"].items() if "Moment" not in k and k != "id"
    }


def test_chosen_columns_filter_and_format(exports: Exports, tenant: Tenant) -> None:
    for number in range(5):
        put(tenant, f"p{number}@example.com", attributes={"lastName": f"-{number};é€", "points": -number})
    done, content = exports.do(
        attributes=["POINTS", "lastName", "subscriptions#newsletter", "segmentations#VIP"], filter="points <= -3", compression="GZIP",
        format={"separator": ";", "enclosing": "'", "encoding": "ISO-8859-15", "protectFormulas": True},
    )  # fmt: skip
    text = gzip.decompress(content).decode("iso8859-15")
    assert (done["bytes"], done["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert (done["rowsExported"], text.splitlines()[0]) == (2, "points;lastName;subscriptions#Newsletter;segmentations#Vip")
    assert sorted(text.splitlines()[1:]) == ["'''-3';'''-3;é€';;false", "'''-4';'''-4;é€';;false"]
    _, content = exports.do(
        attributes=["lastName", "subscriptions.newsletter"],
        filter="points = 0 and lastName contains '€'",
        format={"encoding": "ISO-8859-1"},
    )
    assert content == "lastName,subscriptions#Newsletter\n-0;é?,\n".encode("latin-1")
    done, content = exports.do(attributes=["lastName"], filter="points = 0", format={"encoding": "utf16"})
    assert content.decode("utf-16").splitlines()[0] == "lastName"
    file = tenant.json("GET", f"{EXECUTIONS}/{done['id']}/file")
    assert file.headers["content-type"] == "text/csv;charset=UTF-16"


def test_an_empty_table_and_no_match_still_have_a_header(exports: Exports) -> None:
    done, content = exports.do(attributes=["lastName"], filter="points = 123456")
    assert (done["rowsExported"], content) == (0, b"lastName\n")


@pytest.mark.parametrize(
    ("definition", "faults"),
    [
        ({"tableId": "Nothing"}, [("tableId", "table.unknown")]),
        ({}, [("tableId", "member.mandatory")]),
        (
            {"tableId": "Guests", "attributes": ["nope", "points", "POINTS"], "filter": "nope = 1",
             "format": {"separator": "€", "encoding": "klingon"}},
            [("attributes[0]", "attribute.unknown"), ("attributes[2]", "attribute.duplicate"), ("filter", "attribute.unknown"),
             ("format.separator", "member.type"), ("format.encoding", "import.encoding")],
        ),
        ({"tableId": "Guests", "attributes": []}, [("attributes", "member.mandatory")]),
        (
            {"tableId": "Guests", "attributes": ["points"] * 2001, "format": {"separator": "€€"}},
            [("attributes", "structure.tooMany"), *((f"attributes[{i}]", "attribute.duplicate") for i in range(1, 2000)),
             ("format.separator", "member.type")],
        ),
        ({"tableId": "Guests", "format": {"separator": '"'}}, [("format.separator", "member.type")]),
        ({"tableId": "Guests", "compression": "RAR"}, [("compression", "member.type")]),
    ],
)  # fmt: skip
def test_everything_wrong_is_told_at_once(tenant: Tenant, definition: Any, faults: Any) -> None:
    refused = tenant.json("POST", EXECUTIONS, definition)
    assert refused.status_code == 400
    assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == faults
    assert tenant.json("GET", EXECUTIONS).json()["executions"] == []


def test_a_name_that_is_nearly_one_of_the_tables_is_told_which_is_meant(tenant: Tenant) -> None:
    chosen = ["emailAdress", "subscription.Newsletter", "creationMomnt"]
    refused = tenant.json("POST", EXECUTIONS, {"tableId": "Guests", "attributes": chosen})
    assert [each["message"].partition("; ")[2] for each in refused.json()["errors"]] == [
        "did you mean 'emailAddress'?", "did you mean 'subscriptions#Newsletter'?", "did you mean 'creationMoment'?",
    ]  # fmt: skip


def test_a_table_that_is_deleted_meanwhile_fails_the_execution(exports: Exports, tenant: Tenant) -> None:
    number = tenant.json("POST", EXECUTIONS, {"tableId": "Guests"}).json()["id"]
    assert tenant.json("DELETE", f"{BASE}/profile-tables/Guests").status_code == 204
    exports.run(number)
    done = exports.read(number)
    assert (done["status"], done["executionStatus"], done["errors"][0]["code"]) == ("FAILED", "FAILED", "table.unknown")
    refused = tenant.json("GET", f"{EXECUTIONS}/{number}/file").json()
    assert (refused["code"], "ended as FAILED, and no file was made" in refused["message"]) == ("file.unknown", True)


def test_cancelling(exports: Exports, tenant: Tenant) -> None:
    number = tenant.json("POST", EXECUTIONS, {"tableId": "Guests"}).json()["id"]
    assert tenant.json("DELETE", f"{EXECUTIONS}/{number}").status_code == 204
    exports.run(number)
    assert exports.read(number)["status"] == "CANCELLED"
    assert tenant.json("DELETE", f"{EXECUTIONS}/{number}").json()["code"] == "job.state"
    for status, ids in ("CANCELLED", [number]), ("DONE", []):
        found = tenant.json("GET", f"{EXECUTIONS}?status={status}").json()["executions"]
        assert [each["id"] for each in found] == ids


def test_files_are_kept_five_days(exports: Exports, tenant: Tenant, worker_database_url: str) -> None:
    done, _ = exports.do()
    with psycopg.connect(worker_database_url, autocommit=True) as db:
        db.execute(
            "UPDATE tabellion.export_execution SET ended_at = ended_at - interval '5 days' WHERE id = %s", (int(done["id"]),)
        )
    refused = tenant.json("GET", f"{EXECUTIONS}/{done['id']}/file").json()
    assert (refused["code"], "deleted when it was 5 days old; export anew" in refused["message"]) == ("file.unknown", True)


async def test_who_was_believed_dead_and_who_is_cancelled_writes_nothing_more(
    tenant: Tenant, worker_database_url: str
) -> None:
    number = int(tenant.json("POST", EXECUTIONS, {"tableId": "Guests"}).json()["id"])
    now, written = datetime.now(UTC), (1, 2, "3")
    async with await psycopg.AsyncConnection.connect(worker_database_url, autocommit=True) as db:
        first, second = await store.begin(db, number, now), await store.begin(db, number, now)
        assert first is not None
        assert second is not None
        assert not await store.advance(db, first, 1, 1)
        assert not await store.finish(db, first, written, now)
        assert await store.advance(db, second, 1, 1)
        assert tenant.json("DELETE", f"{EXECUTIONS}/{number}").status_code == 204
        assert not await store.advance(db, second, 1, 1)
        assert not await store.finish(db, second, written, now)
        assert await store.begin(db, number, now) is None


@pytest.mark.parametrize("family", V5_FAMILIES)
def test_every_call_on_every_alias(family: str, exports: Exports, tenant: Tenant) -> None:
    base = f"{family.replace('{category}', 'exports')}{BASE}"
    made = tenant.json("POST", f"{base}/exports", STORED)
    assert made.status_code == 201, made.text
    one = f"{base}/exports/{made.json()['id']}"
    assert tenant.json("GET", f"{base}/exports").json()["exports"][0]["name"] == "changes"
    assert tenant.json("GET", one).json()["incremental"] is True
    assert tenant.json("PATCH", one, {"name": "other"}).json()["name"] == "other"
    assert tenant.json("POST", f"{base}/export-executions", {"tableId": "Guests"}).status_code == 201
    execution = f"{base}/export-executions/{tenant.json('POST', f'{one}/trigger-execution').json()['id']}"
    exports.run(execution.rsplit("/", 1)[1])
    assert tenant.json("GET", execution).json()["status"] == "DONE"
    assert tenant.json("GET", f"{execution}/file").content.startswith(b"emailAddress\n")
    assert len(tenant.json("GET", f"{base}/export-executions").json()["executions"]) == 2
    assert tenant.json("DELETE", execution).json()["code"] == "job.state"
    assert tenant.json("DELETE", one).status_code == 204


def test_the_guide_does_what_it_says(exports: Exports) -> None:
    guide = (Path(tabellion.__file__).parents[2] / "docs/guide/exports.md").read_text()
    (definition,) = re.findall(r"```json\n(.*?)```", guide, re.DOTALL)
    done, content = exports.do(**json.loads(definition))
    assert (done["status"], done["rowsExported"]) == ("DONE", 1)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read("export.csv").startswith(b"profileId;emailAddress;subscriptions#Newsletter\n")
