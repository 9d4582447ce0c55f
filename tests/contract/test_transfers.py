"""Servers of files and locations on them, and exports that are written there."""

import asyncio
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncssh
import psycopg
import pytest

import tabellion
from tabellion.features import transfers
from tabellion.features.bulk.etls import fetching
from tabellion.features.bulk.etls.running import Executor
from tabellion.features.transfers import service
from tabellion.features.transfers.model import Location
from tabellion.kit.clock import utc_now
from tabellion.platform import secrets
from tabellion.platform.egress import Policy
from tabellion.platform.transfer import Server, TransferError
from tests.contract.conftest import TRANSFERS
from tests.contract.test_addresses import V5_FAMILIES
from tests.support.api import Api
from tests.support.etls import ETLS, EXECUTIONS, Etls, one_file
from tests.support.exports import EXECUTIONS as EXPORT_EXECUTIONS
from tests.support.exports import EXPORTS, Exports
from tests.support.serving import run_here
from tests.support.tenant import Tenant
from tests.support.transfer_servers import passphrased
from tests.support.waiting import until

BASE = "/v5/entities/hotels"
SERVERS, LOCATIONS = f"{BASE}/servers", f"{BASE}/locations"
FOLDER = {"name": "here", "protocol": "FOLDER"}
SFTP = {"name": "erp", "protocol": "SFTP", "host": "files.example.com", "user": "erp", "password": "hush-hush"}


@pytest.fixture
def root(api: Api, tenant: Tenant) -> Path:
    """The licence's own folder of protocol FOLDER, with `in` and `done` in it."""
    root = api.folder / tenant.licence
    for name in ("in", "done"):
        (root / name).mkdir(parents=True)
    return root


@pytest.fixture(autouse=True)
def as_the_worker(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a worker's process is told at its start."""
    transfers.allow(Policy(allow_http=True, allow_private=True), api.folder)
    secrets.use_key(TRANSFERS["TABELLION_SECRET_KEY"], Path("/nowhere"))
    monkeypatch.setattr(fetching, "SETTLED_S", 0.05)
    yield
    transfers.allow(Policy(), None)


def made(tenant: Tenant, path: str, body: Any) -> str:
    answer = tenant.json("POST", path, body)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def location(tenant: Tenant, **members: Any) -> str:
    server = made(tenant, SERVERS, FOLDER)
    return made(tenant, LOCATIONS, {"name": "in", "serverId": server, "path": "/in"} | members)


def stored(tenant: Tenant, location_id: str, **members: Any) -> str:
    body = {"name": "nightly", **one_file(namePattern="guests_*.csv")}
    body["source"] = {"type": "LOCATION", "locationId": location_id}
    return made(tenant, ETLS, body | members)


def do(work: Any) -> Any:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


async def test_a_folder_in_which_more_has_gathered_than_is_listed_is_one_to_move_files_to(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was loaded every few minutes is over 100,000 files within a year."""
    monkeypatch.setattr("tabellion.platform.transfer.model.MAX_LISTED", 2)
    for number in range(3):
        (root / "done" / f"guests_{number}.csv").write_text("x")
    server = Server(protocol="FOLDER", root=root)
    tried = [
        (step.step, step.ok)
        for path, moved_to in (("/in", "/done"), ("/done", "/in"))
        for step in await service._test(server, Location(1, "in", 1, path, "MOVE", moved_to), write=False)
    ]
    there = [("CONNECT", True), ("LOGIN", True)]
    assert tried == [*there, ("LIST", True), ("MOVE", True), *there, ("LIST", False)]


@pytest.mark.parametrize("family", V5_FAMILIES)
def test_every_call_on_every_alias(family: str, tenant: Tenant, root: Path) -> None:
    base = family.replace("{category}", "file-transfers") + "/v5/entities/hotels"
    server = made(tenant, f"{base}/servers", FOLDER)
    one = f"{base}/servers/{server}"
    assert tenant.json("GET", f"{base}/servers").json()["servers"][0]["name"] == "here"
    assert tenant.json("PATCH", one, {"name": "there"}).json()["name"] == "there"
    assert tenant.json("GET", one).json()["protocol"] == "FOLDER"
    place = made(tenant, f"{base}/locations", {"name": "in", "serverId": server, "path": "/in"})
    where = f"{base}/locations/{place}"
    assert tenant.json("GET", f"{base}/locations").json()["locations"] == [tenant.json("GET", where).json()]
    moved = tenant.json("PATCH", where, {"afterRead": "MOVE", "moveTo": "/done"})
    assert moved.json() == {
        "id": place, "name": "in", "serverId": server, "path": "/in", "afterRead": "MOVE", "moveTo": "/done",
    }  # fmt: skip
    assert tenant.json("POST", f"{where}/test").json() == {
        "ok": True, "steps": [{"step": step, "ok": True} for step in ("CONNECT", "LOGIN", "LIST", "MOVE")],
    }  # fmt: skip
    assert tenant.json("PATCH", where, {"moveTo": "/gone"}).status_code == 200
    assert tenant.json("POST", f"{where}/test", {"write": True}).json()["steps"][3:] == [
        {"step": "MOVE", "ok": False, "message": "the folder '/gone' cannot be listed: no such folder"},
    ]
    assert tenant.json("DELETE", one).json()["code"] == "transfer.inUse"
    assert tenant.json("DELETE", where).status_code == 204
    assert tenant.json("GET", where).json()["code"] == "location.unknown"
    assert tenant.json("DELETE", one).status_code == 204
    assert tenant.json("GET", one).json()["code"] == "server.unknown"
    headers = {"Authorization": f"Bearer {tenant.api_key}", "Accept": "application/xml"}
    assert tenant.client.get(f"{base}/servers", headers=headers).status_code == 406


@pytest.mark.parametrize("key", [{}, {"Idempotency-Key": "one"}], ids=["", "with a key"])
def test_a_silent_server_occupies_no_connection_to_the_database(
    key: dict[str, str], tenant: Tenant, database: psycopg.Connection[Any]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as thread:
        listener.settimeout(30)
        members = {"name": "silent", "protocol": "FTP", "host": "127.0.0.1", "port": listener.getsockname()[1]}
        server = made(tenant, SERVERS, members | {"user": "erp", "password": "hush-hush"})
        place = made(tenant, LOCATIONS, {"name": "in", "serverId": server, "path": "/in"})
        test = thread.submit(lambda: tenant.json("POST", f"{LOCATIONS}/{place}/test", **key))
        with listener.accept()[0]:
            held = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
            assert database.execute(held).fetchall() == []
        assert test.result().json()["ok"] is False


def test_secrets_are_neither_answered_nor_stored_in_clear(tenant: Tenant, worker_database_url: str) -> None:
    number = made(tenant, SERVERS, SFTP)
    answer = tenant.json("GET", f"{SERVERS}/{number}")
    assert "hush" not in answer.text
    assert answer.json()["hasPassword"] is True
    assert "hush" not in tenant.json("GET", SERVERS).text
    changed = tenant.json("PATCH", f"{SERVERS}/{number}", {"user": "other"})
    assert "hush" not in changed.text
    assert changed.json()["hasPassword"] is True
    with psycopg.connect(worker_database_url) as db:
        row = db.execute("SELECT t::text FROM tabellion.transfer_server t WHERE id = %s", (int(number),)).fetchone()
    assert row is not None
    assert "hush" not in row[0]


def test_a_password_goes_to_the_server_that_it_was_given_for(tenant: Tenant) -> None:
    """Whoever may change a server, and not read its password, cannot have it sent to a server of their own."""
    one = f"{SERVERS}/{made(tenant, SERVERS, SFTP)}"
    for change in (
        {"host": "evil.example"},
        {"port": 2222},
        {"protocol": "FTP"},
        {"host": "evil.example", "privateKey": None},
    ):
        refused = tenant.json("PATCH", one, change)
        assert refused.status_code == 400, refused.text
        assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [("password", "member.mandatory")]
    assert tenant.json("GET", one).json()["host"] == "files.example.com"
    assert tenant.json("PATCH", one, {"host": "files.example.com", "port": 22}).status_code == 200
    moved = tenant.json("PATCH", one, {"host": "sftp.example.com", "password": "hush-hush"})
    assert (moved.status_code, moved.json()["host"]) == (200, "sftp.example.com")


def test_secrets_of_another_key_are_set_anew(
    tenant: Tenant, database: psycopg.Connection[Any], root: Path, etls: Etls
) -> None:
    """A database restored without its key: all but what needs the secret goes on."""
    number = made(tenant, SERVERS, SFTP | {"host": "127.0.0.1", "port": 9})
    stored_in(database, number, secrets.seal("{}", "another purpose"))
    # A folder's, as earlier releases sealed it, holds nothing.
    folder = location(tenant)
    database.execute(
        "UPDATE tabellion.transfer_server SET secrets = %s WHERE name = 'here' AND secrets = ''",
        (secrets.seal("{}", "another purpose"),),
    )
    place = made(tenant, LOCATIONS, {"name": "erp", "serverId": number, "path": "/in"})
    etl = stored(tenant, place)

    one = f"{SERVERS}/{number}"
    listed = {server["name"]: server for server in tenant.json("GET", SERVERS).json()["servers"]}
    assert listed["erp"]["secretsUnreadable"] is True
    assert "secretsUnreadable" not in listed["here"]
    assert tenant.json("GET", one).json() == listed["erp"]
    assert tenant.json("POST", f"{LOCATIONS}/{folder}/test").json()["ok"] is True
    tested = tenant.json("POST", f"{LOCATIONS}/{place}/test")
    assert (tested.status_code, tested.json()["code"]) == (503, "secret.unreadable")
    assert "'erp'" in tested.json()["message"]
    execution = tenant.json("POST", f"{ETLS}/{etl}/trigger-execution").json()["id"]
    etls.run(execution)
    ended = tenant.json("GET", f"{EXECUTIONS}/{execution}").json()
    assert (ended["status"], [error["code"] for error in ended["errors"]]) == ("FAILED", ["secret.unreadable"])

    # What is not sealed can be changed; the sealed text waits for its key, or for a new password. It is for this server alone.
    for elsewhere in ({"host": "evil.example"}, {"port": 10}, {"protocol": "FTP"}):
        refused = tenant.json("PATCH", one, elsewhere)
        assert refused.status_code == 400, refused.text
        assert [(e["field"], e["code"]) for e in refused.json()["errors"]] == [("password", "member.mandatory")]
    assert tenant.json("PATCH", one, {"name": "erp 2"}).json()["secretsUnreadable"] is True
    mended = tenant.json("PATCH", one, {"password": "hush anew"}).json()
    assert (mended["name"], mended["hasPassword"], "secretsUnreadable" in mended) == ("erp 2", True, False)
    assert tenant.json("POST", f"{LOCATIONS}/{place}/test").status_code == 200
    unused = made(tenant, SERVERS, SFTP)
    stored_in(database, unused, secrets.seal("{}", "another purpose"))
    assert tenant.json("DELETE", f"{SERVERS}/{unused}").status_code == 204


def stored_in(database: psycopg.Connection[Any], number: str, sealed: str) -> None:
    database.execute("UPDATE tabellion.transfer_server SET secrets = %s WHERE id = %s", (sealed, int(number)))


def test_a_location_is_changed_while_its_server_is_deleted(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    place = location(tenant)
    server = tenant.json("GET", f"{LOCATIONS}/{place}").json()["serverId"]
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    def waits(many: int) -> None:
        until(lambda: database.execute(waiting).fetchone() == (many,))

    with ThreadPoolExecutor(2) as threads, psycopg.connect(database.info.dsn) as holder:
        holder.execute("SELECT FROM tabellion.transfer_server WHERE id = %s FOR UPDATE", (int(server),))
        deleted = threads.submit(tenant.json, "DELETE", f"{SERVERS}/{server}")
        waits(1)
        changed = threads.submit(tenant.json, "PATCH", f"{LOCATIONS}/{place}", {"path": "/in/daily"})
        waits(2)
        holder.commit()
        assert (deleted.result().status_code, changed.result().status_code) == (409, 200)


def test_all_that_is_wrong_with_a_server_is_told_at_once(tenant: Tenant) -> None:
    wrong = {"name": "", "protocol": "SFTP", "host": "a b", "port": 0, "user": "", "hostKey": "x", "privateKey": "y"}
    refused = tenant.json("POST", SERVERS, wrong).json()
    fields = sorted(e["field"] for e in refused["errors"])
    assert fields == ["host", "hostKey", "name", "port", "privateKey", "user"]
    refused = tenant.json("POST", SERVERS, FOLDER | {"host": "x", "password": "y"}).json()
    assert sorted(e["field"] for e in refused["errors"]) == ["host", "password"]
    # These two are told again.
    both = {
        "protocol": "FTPS",
        "certificate": "-----BEGIN RSA PRIVATE KEY-----",
        "hostKey": "-----BEGIN OPENSSH PRIVATE KEY-----",
    }
    refused = tenant.json("POST", SERVERS, SFTP | both).json()
    assert sorted(e["field"] for e in refused["errors"]) == ["certificate", "hostKey"]
    assert tenant.json("POST", SERVERS, SFTP | {"host": "169.254.169.254"}).json()["errors"][0]["code"] == "transfer.host"
    for certificate in ("garbage", "é", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"):
        refused = tenant.json("POST", SERVERS, SFTP | {"protocol": "FTPS", "certificate": certificate})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "certificate"), certificate
    # The library that would open this one ends by more than an error.
    hostile = passphrased(asyncssh.generate_private_key("ssh-ed25519"), "x", 2**31)
    refused = tenant.json("POST", SERVERS, SFTP | {"password": "x", "privateKey": hostile})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "privateKey")
    made(tenant, SERVERS, SFTP)
    assert tenant.json("POST", SERVERS, SFTP | {"name": "ERP"}).json()["code"] == "name.used"
    # However it is written, it is the folder that files are read from.
    for itself in ("/in", "/in/", "//in", "/./in", "/in/."):
        place = {"name": "in", "serverId": "999", "path": "/in", "afterRead": "MOVE", "moveTo": itself}
        assert tenant.json("POST", LOCATIONS, place).json()["errors"][0]["field"] == "moveTo", itself
    place = {"name": "in", "serverId": "999", "path": "in/../x", "afterRead": "MOVE"}
    refused = tenant.json("POST", LOCATIONS, place).json()
    assert sorted(e["field"] for e in refused["errors"]) == ["moveTo", "path"]
    refused = tenant.json("POST", LOCATIONS, {"name": "in", "serverId": "999", "path": "/in"}).json()
    assert refused["errors"][0]["code"] == "server.unknown"


def test_a_location_is_tried_step_by_step(tenant: Tenant, root: Path) -> None:
    number = location(tenant)
    answer = tenant.json("POST", f"{LOCATIONS}/{number}/test", {"write": True}).json()
    assert [s["step"] for s in answer["steps"]] == ["CONNECT", "LOGIN", "LIST", "WRITE"]
    assert answer["ok"] is True
    assert list((root / "in").iterdir()) == []
    tenant.json("PATCH", f"{LOCATIONS}/{number}", {"path": "/nowhere"})
    answer = tenant.json("POST", f"{LOCATIONS}/{number}/test").json()
    assert answer["ok"] is False
    assert answer["steps"][-1] == {
        "step": "LIST", "ok": False, "message": "the folder '/nowhere' cannot be listed: no such folder",
    }  # fmt: skip


async def test_who_lets_nobody_in_has_not_let_us_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_TEST_S", 0.3)
    # It takes the connection, and then says nothing.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(protocol="FTP", host="127.0.0.1", port=listener.getsockname()[1], user="erp", password="x")
        steps = await service._test(server, Location(1, "in", 1, "/in", "KEEP", None), write=False)
    assert [(each.step, each.ok) for each in steps] == [("CONNECT", True), ("LOGIN", False)]


def test_an_export_is_written_to_its_location(
    tenant: Tenant, worker_database_url: str, spool: Path, root: Path, database: psycopg.Connection[Any]
) -> None:
    database.execute("UPDATE tabellion.licence SET time_zone = 'Asia/Tokyo' WHERE name = %s", (tenant.licence,))
    exports = Exports(tenant, worker_database_url, spool)
    body = {"name": "out", "tableId": "Guests", "attributes": ["emailAddress"], "locationId": location(tenant)}
    plain = made(tenant, EXPORTS, body)
    named = made(tenant, EXPORTS, body | {"name": "dated", "fileName": "guests_$yyyyMMdd.csv"})
    # A name has the day on the licence's clocks on which the execution was ordered, whenever it is tried.
    for number, name in ((plain, None), (named, "guests_20260302.csv")):
        execution = tenant.json("POST", f"{EXPORTS}/{number}/trigger-execution").json()["id"]
        ordered = "UPDATE tabellion.export_execution SET created_at = '2026-03-01 20:00Z' WHERE id = %s"
        database.execute(ordered, (execution,))
        exports.run(execution)
        assert exports.read(execution)["status"] == "DONE"
        written = root / "in" / (name or f"export-{execution}.csv")
        assert written.read_bytes() == exports.file(execution) == b"emailAddress\nann@example.com\n"
    place = tenant.json("GET", f"{EXPORTS}/{plain}").json()["locationId"]
    tenant.json("PATCH", f"{LOCATIONS}/{place}", {"path": "/nowhere"})
    execution = tenant.json("POST", f"{EXPORTS}/{plain}/trigger-execution").json()["id"]
    for _ in range(3):
        with pytest.raises(TransferError):
            exports.run(execution)
    exports.run(execution)
    failed = exports.read(execution)
    assert (failed["status"], failed["errors"][0]["code"]) == ("FAILED", "transfer.failed")
    assert tenant.json("DELETE", f"{LOCATIONS}/{place}").json()["code"] == "transfer.inUse"


def test_a_try_that_ends_with_its_worker_does_not_count_as_one_that_the_file_server_failed(
    tenant: Tenant, worker_database_url: str, spool: Path, root: Path, monkeypatch: pytest.MonkeyPatch,
    database: psycopg.Connection[Any],
) -> None:  # fmt: skip
    etls = Etls(tenant, worker_database_url, spool)
    (root / "in" / "guests_1.csv").write_text("emailAddress\neve@example.com\n")
    place = location(tenant)
    number = tenant.json("POST", f"{ETLS}/{stored(tenant, place)}/trigger-execution").json()["id"]

    def attempts() -> int:
        found = database.execute("SELECT attempt FROM tabellion.etl_execution WHERE id = %s", (number,)).fetchone()
        assert found is not None
        return found[0]

    async def end_in_the_middle() -> None:
        """As a worker does that is told to end while it waits for the file to be whole."""
        before = attempts()
        run = asyncio.create_task(Executor(worker_database_url, spool, utc_now)(int(number)))
        while attempts() == before:  # noqa: ASYNC110 - another session sees it
            await asyncio.sleep(0.01)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

    with monkeypatch.context() as slow:
        slow.setattr(fetching, "SETTLED_S", 60)
        for _ in range(4):
            do(end_in_the_middle())
    assert attempts() == 4
    tenant.json("PATCH", f"{LOCATIONS}/{place}", {"path": "/nowhere"})
    for _ in range(3):
        with pytest.raises(TransferError):
            etls.run(number)
    etls.run(number)
    failed = etls.read(number)
    assert (failed["status"], [error["code"] for error in failed["errors"]]) == ("FAILED", ["transfer.failed"])


def test_an_export_that_is_tried_by_hand_ends_whatever_its_location_says(
    tenant: Tenant, worker_database_url: str, spool: Path, root: Path
) -> None:
    exports = Exports(tenant, worker_database_url, spool)
    where = {"TABELLION_DATABASE_URL": worker_database_url, "TABELLION_DATA_DIR": str(spool.parent), **TRANSFERS}
    where["TABELLION_TRANSFERS_FOLDER"] = str(root.parent)
    place = location(tenant, path="/nowhere")
    export = made(tenant, EXPORTS, {"name": "out", "tableId": "Guests", "locationId": place})
    number = tenant.json("POST", f"{EXPORTS}/{export}/trigger-execution").json()["id"]
    assert tenant.call("DELETE", f"{EXPORT_EXECUTIONS}/{number}").status_code == 204
    for _ in range(2):
        tried = run_here("jobs", "retry", number, "--kind", "export", **where)
        assert (tried.returncode, tried.stderr.count("\n"), "transfer.failed" in tried.stderr) == (1, 1, True), tried.stderr
        assert exports.read(number)["status"] == "FAILED"
    tenant.json("PATCH", f"{LOCATIONS}/{place}", {"path": "/in"})
    done = run_here("jobs", "retry", number, "--kind", "export", **where)
    assert (done.returncode, exports.read(number)["status"]) == (0, "DONE"), done.stderr
    assert (root / "in" / f"export-{number}.csv").read_bytes() == exports.file(number)


def test_the_guide_says_what_is_done() -> None:
    guide = (Path(tabellion.__file__).parents[2] / "docs/guide/transfers.md").read_text()
    for word in (
        "SFTP",
        "FTPS",
        "S3",
        "FOLDER",
        "afterRead",
        "moveTo",
        "hostKey",
        "transfer.failed",
        "fileName",
        "lookError",
    ):
        assert word in guide, word
