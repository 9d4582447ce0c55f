"""ETLs that fetch their files from a location: which ones, when, and what becomes of them."""

import asyncio
import getpass
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import psycopg
import pytest
from psycopg.types.json import Jsonb

from tabellion.features import transfers
from tabellion.features.bulk.etls import fetching, looking
from tabellion.kit.clock import utc_now
from tabellion.platform.transfer import TransferError
from tests.contract.test_transfers import LOCATIONS, SERVERS, as_the_worker, do, location, made, root, stored
from tests.support.etls import ETLS, EXECUTIONS, Etls, one_file
from tests.support.imports import Imports, zipped
from tests.support.tenant import Tenant
from tests.support.transfer_servers import passphrased, sshd

__all__ = ["as_the_worker", "root"]
GUESTS = "emailAddress,lastName\nbob@example.com,Bob\ncat@example.com,Cat\n"


def look(etls: Etls, number: str) -> str | None:
    """What a worker does a minute later; the execution that it starts is run to its end, with what follows."""

    async def work() -> int | None:
        async with await psycopg.AsyncConnection.connect(etls.url, autocommit=True) as db:
            return await looking.look(db, int(number), utc_now)

    execution = do(work())
    if execution is None:
        return None
    etls.run(str(execution))
    put_away(etls, str(execution))
    return str(execution)


def put_away(etls: Etls, execution: str) -> None:
    """What a worker does with the files of an execution, if that has ordered it."""
    query = "SELECT FROM jobs.procrastinate_jobs WHERE task_name = %s AND args ->> 'execution_id' = %s"

    async def work() -> None:
        async with await psycopg.AsyncConnection.connect(etls.url, autocommit=True) as db:
            if (await db.execute(query, (looking.PUT_AWAY, execution))).rowcount:
                await looking.put_files_away(db, int(execution))

    do(work())


def start_due(etls: Etls, now: datetime) -> int:
    async def work() -> int:
        async with await psycopg.AsyncConnection.connect(etls.url, autocommit=True) as db:
            return await looking.start_due(db, now)

    return do(work())


def test_files_are_loaded_once_as_soon_as_they_are_there(etls: Etls, tenant: Tenant, root: Path) -> None:
    number = stored(tenant, location(tenant))
    assert look(etls, number) is None
    (root / "in" / "guests_1.csv").write_text(GUESTS)
    (root / "in" / "other.csv").write_text("not meant")
    first = look(etls, number)
    assert first is not None
    assert (etls.read(first)["status"], etls.read(first)["rowsCreated"]) == ("DONE", 2)
    assert [f["name"] for f in etls.read(first)["files"]] == ["guests_1.csv"]
    assert look(etls, number) is None
    file = root / "in" / "guests_1.csv"
    file.write_text(GUESTS.replace("Bob", "Bobby"))
    second = look(etls, number)
    assert second is not None
    assert etls.read(second)["rowsUpdated"] == 1
    # Nor is it known any more, once it was away for a look.
    file.rename(root / "done" / "kept.csv")
    assert look(etls, number) is None
    (root / "done" / "kept.csv").rename(file)
    assert look(etls, number) is not None
    assert tenant.json("GET", f"{ETLS}/{number}").json()["lookError"] is None
    assert (
        tenant.json("DELETE", f"{LOCATIONS}/{tenant.json('GET', LOCATIONS).json()['locations'][0]['id']}").status_code == 409
    )


@pytest.mark.parametrize(("table_type", "table"), [("PROFILE_TABLE", "Guests"), ("CUSTOM_TABLE", "Stays")])
@pytest.mark.usefixtures("stays")
def test_fetched_files_are_loaded_in_turn_with_imports_into_their_table(
    etls: Etls, tenant: Tenant, root: Path, table_type: str, table: str
) -> None:
    definition = one_file(namePattern="a.csv", load={"tableType": table_type, "tableId": table})
    sent = etls.send(EXECUTIONS, {"a.csv": GUESTS}, definition).json()["id"]
    etl = stored(tenant, location(tenant), **definition)
    fetched = tenant.json("POST", f"{ETLS}/{etl}/trigger-execution").json()["id"]
    path = f"/v4/entity/hotels/{'table' if table_type == 'PROFILE_TABLE' else 'customTable'}/{table}"
    imported = Imports(tenant, etls.url, etls.spool).send(zipped(GUESTS), path=path).json()["id"]

    with psycopg.connect(etls.url) as db:
        turns = db.execute(
            "SELECT lock FROM jobs.procrastinate_jobs WHERE (task_name, args) IN (('etls.run', %s), ('etls.run', %s), ('imports.run', %s))",
            [Jsonb({"execution_id": int(sent)}), Jsonb({"execution_id": int(fetched)}), Jsonb({"job_id": imported})],
        ).fetchall()
    assert (len(turns), len(set(turns))) == (3, 1)


@pytest.mark.parametrize("after", ["DELETE", "MOVE"])
def test_loaded_files_are_put_away_unless_they_have_changed(etls: Etls, tenant: Tenant, root: Path, after: str) -> None:
    place = location(tenant, afterRead=after, **({"moveTo": "/done"} if after == "MOVE" else {}))
    number = stored(tenant, place)
    file = root / "in" / "guests_1.csv"
    file.write_text(GUESTS)
    os.utime(file, (1, 1))
    assert look(etls, number)
    assert list((root / "in").iterdir()) == []
    assert [p.name for p in (root / "done").iterdir()] == (["guests_1.csv"] if after == "MOVE" else [])
    # The same again is another file, even if it looks the same; what is replaced while it is being loaded stays.
    file.write_text(GUESTS)
    os.utime(file, (1, 1))
    answer = tenant.json("POST", f"{ETLS}/{number}/trigger-execution")
    assert answer.status_code == 201, answer.text
    execution = answer.json()["id"]
    etls.run(execution)
    assert len(etls.read(execution)["files"]) == 1
    file.write_text(GUESTS + "eve@example.com,Eve\n")
    put_away(etls, execution)
    assert [p.name for p in (root / "in").iterdir()] == ["guests_1.csv"]
    assert look(etls, number)
    assert list((root / "in").iterdir()) == []


def test_files_of_an_execution_that_failed_stay_where_they_are(etls: Etls, tenant: Tenant, root: Path) -> None:
    number = stored(tenant, location(tenant, afterRead="DELETE"))
    (root / "in" / "guests_1.csv").write_text("nonsense\n1\n")
    failed = look(etls, number)
    assert failed is not None
    assert etls.read(failed)["status"] == "FAILED"
    assert [p.name for p in (root / "in").iterdir()] == ["guests_1.csv"]
    # Not each minute anew: when somebody asks for it, or when the file is another one.
    assert look(etls, number) is None
    again = tenant.json("POST", f"{ETLS}/{number}/trigger-execution").json()["id"]
    etls.run(again)
    assert len(etls.read(again)["files"]) == 1
    (root / "in" / "guests_1.csv").write_text(GUESTS)
    assert look(etls, number) is not None
    assert list((root / "in").iterdir()) == []


def test_what_a_cancelled_execution_has_taken_is_taken_again(
    etls: Etls, tenant: Tenant, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = stored(tenant, location(tenant))
    (root / "in" / "guests_1.csv").write_text(GUESTS)
    cancelled = tenant.json("POST", f"{ETLS}/{number}/trigger-execution").json()["id"]
    with monkeypatch.context() as patched:
        patched.setattr("tabellion.features.bulk.etls.running.open_files", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            etls.run(cancelled)
    assert tenant.json("DELETE", f"{EXECUTIONS}/{cancelled}").status_code == 204
    execution = tenant.json("POST", f"{ETLS}/{number}/trigger-execution").json()["id"]
    etls.run(execution)
    assert etls.read(execution)["rowsCreated"] == 2


def test_a_file_that_stays_is_not_loaded_again_when_its_execution_is_forgotten(
    etls: Etls, tenant: Tenant, root: Path, database: psycopg.Connection[Any]
) -> None:
    number = stored(tenant, location(tenant), files=one_file(namePattern="guests_*.csv", required=False)["files"])
    (root / "in" / "guests_1.csv").write_text(GUESTS)
    assert look(etls, number)
    database.execute("DELETE FROM tabellion.etl_execution WHERE etl_id = %s", (number,))  # as after 30 days
    execution = tenant.json("POST", f"{ETLS}/{number}/trigger-execution").json()["id"]
    etls.run(execution)
    assert (etls.read(execution)["status"], etls.read(execution)["files"]) == ("DONE", [])


def test_a_required_file_is_waited_for_or_missed(etls: Etls, tenant: Tenant, root: Path) -> None:
    two = one_file(namePattern="a.csv")["files"] + one_file(namePattern="b.csv", required=False)["files"]
    place = location(tenant)
    waiting = stored(tenant, place, files=two)
    (root / "in" / "b.csv").write_text(GUESTS)
    assert look(etls, waiting) is None
    timed = stored(tenant, place, name="timed", files=two, schedule={"cron": "0 3 * * *", "timeZone": "Europe/Paris"})
    due = datetime.fromisoformat(tenant.json("GET", f"{ETLS}/{timed}").json()["nextRunAt"])
    assert due.astimezone(UTC).minute == 0
    start_due(etls, due + timedelta(days=2))
    (execution,) = tenant.json("GET", f"{EXECUTIONS}?etlId={timed}").json()["executions"]
    etls.run(execution["id"])
    failed = etls.read(execution["id"])
    assert (failed["status"], failed["errors"][0]["code"]) == ("FAILED", "import.fileMissing")
    assert failed["errors"][0]["message"].endswith("what was loaded before is loaded again only when it has changed")
    # What a failed execution has taken is there for the next one.
    (root / "in" / "a.csv").write_text(GUESTS)
    start_due(etls, due + timedelta(days=3))
    execution = tenant.json("GET", f"{EXECUTIONS}?etlId={timed}").json()["executions"][0]
    etls.run(execution["id"])
    assert [f["name"] for f in etls.read(execution["id"])["files"]] == ["a.csv", "b.csv"]
    # One that is not required is not waited for.
    (root / "in" / "b.csv").unlink()
    assert look(etls, waiting) is not None
    (used,) = [limit["used"] for limit in tenant.json("GET", "/v5/usage").json()["limits"] if limit["name"] == "bulkday"]
    assert used == 0


def test_one_look_at_a_time_starts_one_execution(etls: Etls, tenant: Tenant, root: Path) -> None:
    number = stored(tenant, location(tenant))
    (root / "in" / "guests_1.csv").write_text(GUESTS)
    due = utc_now() + timedelta(minutes=2)
    start_due(etls, due)
    start_due(etls, due + timedelta(minutes=2))

    async def work() -> list[int | None]:
        async with await psycopg.AsyncConnection.connect(etls.url, autocommit=True) as db:
            return [await looking.look(db, int(number), utc_now) for _ in range(2)]

    assert [x is None for x in do(work())] == [False, True]


@pytest.mark.parametrize("change", ["switched off", "timed", "deleted"])
@pytest.mark.parametrize("begun", [False, True], ids=["ordered", "begun"])
def test_a_look_that_was_ordered_before_a_change_starts_nothing(
    etls: Etls, tenant: Tenant, root: Path, monkeypatch: pytest.MonkeyPatch, change: str, begun: bool
) -> None:
    place = location(tenant)
    number = stored(tenant, place)
    (root / "in" / "guests_1.csv").write_text(GUESTS)
    start_due(etls, utc_now() + timedelta(minutes=2))
    timed = {
        "source": {"type": "LOCATION", "locationId": place, "trigger": "SCHEDULE"},
        "schedule": {"cron": "0 3 * * *", "timeZone": "Europe/Paris"},
    }

    def change_it() -> None:
        if change == "deleted":
            changed = tenant.json("DELETE", f"{ETLS}/{number}")
        else:
            changed = tenant.json("PATCH", f"{ETLS}/{number}", timed if change == "timed" else {"isActive": False})
        assert changed.is_success, changed.text

    looked = looking.store.looked

    async def changed_meanwhile(*known: Any) -> None:
        await asyncio.to_thread(change_it)
        await looked(*known)

    if begun:
        monkeypatch.setattr(looking.store, "looked", changed_meanwhile)
    else:
        change_it()
    assert look(etls, number) is None


def test_looks_at_the_same_time_start_one_execution(
    etls: Etls, tenant: Tenant, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = stored(tenant, location(tenant))
    (root / "in" / "guests_1.csv").write_text(GUESTS)
    both, looked = asyncio.Barrier(2), looking.store.looked

    async def together(*known: Any) -> None:
        await both.wait()
        await looked(*known)

    monkeypatch.setattr(looking.store, "looked", together)

    async def one() -> int | None:
        async with await psycopg.AsyncConnection.connect(etls.url, autocommit=True) as db:
            return await looking.look(db, int(number), utc_now)

    async def work() -> list[int | None]:
        return await asyncio.gather(one(), one())

    assert sorted(x is None for x in do(work())) == [False, True]


def test_what_cannot_be_fetched_is_said(etls: Etls, tenant: Tenant, root: Path) -> None:
    place = location(tenant)
    number = stored(tenant, place)
    tenant.json("PATCH", f"{LOCATIONS}/{place}", {"path": "/nowhere"})
    assert look(etls, number) is None
    assert tenant.json("GET", f"{ETLS}/{number}").json()["lookError"].startswith("LIST: the folder '/nowhere'")
    execution = tenant.json("POST", f"{ETLS}/{number}/trigger-execution").json()["id"]
    for _ in range(3):
        with pytest.raises(TransferError):
            etls.run(execution)
    etls.run(execution)
    assert etls.read(execution)["errors"][0]["code"] == "transfer.failed"
    refused = etls.send(f"{ETLS}/{number}/trigger-execution", {"guests_1.csv": GUESTS})
    assert refused.status_code == 400


def test_a_death_after_fetching_fetches_nothing_again(
    etls: Etls, tenant: Tenant, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = stored(tenant, location(tenant, afterRead="DELETE"))
    (root / "in" / "guests_1.csv").write_text(GUESTS)
    execution = tenant.json("POST", f"{ETLS}/{number}/trigger-execution").json()["id"]
    with monkeypatch.context() as patched:
        patched.setattr("tabellion.features.bulk.etls.running.open_files", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            etls.run(execution)
    # The file is replaced meanwhile: what was taken is loaded, what is there now is for the next one.
    (root / "in" / "guests_1.csv").write_text("emailAddress,lastName\nnew@example.com,New\n")
    etls.run(execution)
    put_away(etls, execution)
    assert etls.read(execution)["rowsCreated"] == 2
    assert (root / "in" / "guests_1.csv").exists()
    following = look(etls, number)
    assert following is not None
    assert etls.read(following)["rowsCreated"] == 1
    assert not (root / "in" / "guests_1.csv").exists()


def test_a_file_that_still_grows_is_not_loaded(
    etls: Etls, tenant: Tenant, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = stored(tenant, location(tenant))
    file = root / "in" / "guests_1.csv"
    file.write_text("emailAddress,lastName\n")
    execution = tenant.json("POST", f"{ETLS}/{number}/trigger-execution").json()["id"]
    meant = fetching.meant

    def slowly_sent(*listed: Any) -> Any:
        with file.open("a") as end:
            end.write("b")
        return meant(*listed)

    with monkeypatch.context() as patched:
        patched.setattr(fetching, "meant", slowly_sent)
        with pytest.raises(TransferError, match=r"'guests_1\.csv' is not at rest"):
            etls.run(execution)
    assert etls.read(execution)["files"] == []
    file.write_text(GUESTS)
    etls.run(execution)
    assert (etls.read(execution)["status"], etls.read(execution)["rowsCreated"]) == ("DONE", 2)


def test_files_that_keep_coming_do_not_hold_those_up_that_are_whole(
    etls: Etls, tenant: Tenant, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = stored(tenant, location(tenant))
    (root / "in" / "guests_0.csv").write_text(GUESTS)
    execution = tenant.json("POST", f"{ETLS}/{number}/trigger-execution").json()["id"]
    meant, count = fetching.meant, 0

    def one_more(*listed: Any) -> Any:
        nonlocal count
        count += 1
        (root / "in" / f"guests_{count}.csv").write_text(GUESTS)
        return meant(*listed)

    with monkeypatch.context() as patched:
        patched.setattr(fetching, "meant", one_more)
        etls.run(execution)
    loaded = etls.read(execution)
    assert loaded["status"] == "DONE"
    # Of the last one nobody knows yet whether it is whole.
    there = {file.name for file in (root / "in").iterdir()}
    assert there - {file["name"] for file in loaded["files"]} == {f"guests_{count}.csv", f"guests_{count - 1}.csv"}
    following = look(etls, number)
    assert following is not None
    assert len(etls.read(following)["files"]) == 2


def test_a_required_file_that_comes_at_the_last_moment_is_waited_for(
    etls: Etls, tenant: Tenant, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = one_file(namePattern="a.csv")["files"] + one_file(namePattern="b.csv")["files"]
    number = stored(tenant, location(tenant), files=two)
    execution = tenant.json("POST", f"{ETLS}/{number}/trigger-execution").json()["id"]
    meant, looks = fetching.meant, 0
    (root / "in" / "a.csv").write_text(GUESTS)

    def one_after_the_other(*listed: Any) -> Any:
        nonlocal looks
        looks += 1
        # The last look but one finds the first file as it was, and the last one the beginning of the second.
        if looks < fetching._TURNS:
            (root / "in" / "a.csv").write_text(GUESTS + looks * "\n")
        else:
            (root / "in" / "b.csv").write_text("emailAddress,lastName\n")
        return meant(*listed)

    with monkeypatch.context() as patched:
        patched.setattr(fetching, "meant", one_after_the_other)
        with pytest.raises(TransferError, match=r"'b\.csv' is not at rest"):
            etls.run(execution)
    (root / "in" / "b.csv").write_text(GUESTS.replace("example.com", "example.net"))
    etls.run(execution)
    assert (etls.read(execution)["status"], etls.read(execution)["rowsCreated"]) == ("DONE", 4)


def test_an_execution_goes_on_when_its_etl_is_deleted(etls: Etls, tenant: Tenant, root: Path) -> None:
    number = stored(tenant, location(tenant, afterRead="DELETE"))
    (root / "in" / "guests_1.csv").write_text(GUESTS)
    execution = tenant.json("POST", f"{ETLS}/{number}/trigger-execution").json()["id"]
    assert tenant.json("DELETE", f"{ETLS}/{number}").status_code == 204
    etls.run(execution)
    assert (etls.read(execution)["status"], etls.read(execution)["rowsCreated"]) == ("DONE", 2)
    put_away(etls, execution)


def test_a_death_after_nothing_was_found_ends_all_the_same(
    etls: Etls, tenant: Tenant, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = one_file(namePattern="guests_*.csv", required=False)["files"]
    number = stored(tenant, location(tenant), files=files)
    execution = tenant.json("POST", f"{ETLS}/{number}/trigger-execution").json()["id"]
    with monkeypatch.context() as patched:
        patched.setattr("tabellion.features.bulk.etls.running._gather", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            etls.run(execution)
    assert etls.read(execution)["status"] == "RUNNING"
    # What has come meanwhile is for the next one.
    (root / "in" / "guests_1.csv").write_text(GUESTS)
    etls.run(execution)
    assert etls.read(execution)["status"] == "DONE"
    assert look(etls, number) is not None


def test_sources_that_make_no_sense_are_refused(tenant: Tenant, root: Path) -> None:
    def fields(**members: Any) -> list[str]:
        answer = tenant.json("POST", ETLS, {"name": "x", **one_file()} | members)
        return sorted(e["field"] for e in answer.json()["errors"])

    here = {"type": "LOCATION", "locationId": "999999"}
    assert fields(source=here) == ["files[0].namePattern", "source.locationId"]
    assert fields(source=here, **one_file(namePattern="a.csv")) == ["source.locationId"]
    assert fields(source={"type": "LOCATION"}) == ["files[0].namePattern", "source.locationId"]
    assert fields(source=here | {"trigger": "SCHEDULE"}, **one_file(namePattern="a.csv")) == [
        "schedule",
        "source.locationId",
    ]
    assert fields(schedule={"cron": "0 3 * * *"}) == ["schedule"]
    assert fields(source={"type": "API", "locationId": "3"}) == ["source"]


def test_over_sftp_with_the_host_key_kept(etls: Etls, tenant: Tenant, tmp_path: Path) -> None:
    with sshd(tmp_path) as server:
        body = {"name": "erp", "protocol": "SFTP", "host": "127.0.0.1", "port": server.port, "user": getpass.getuser()}
        key = passphrased(asyncssh.import_private_key(server.private_key or ""), "two words")
        server_id = made(tenant, SERVERS, body | {"privateKey": key, "password": "two words"})
        (tmp_path / "files" / "guests_1.csv").write_text(GUESTS)
        place = made(
            tenant, LOCATIONS,
            {"name": "in", "serverId": server_id, "path": str(tmp_path / "files"), "afterRead": "DELETE"},
        )  # fmt: skip
        tried = tenant.json("POST", f"{LOCATIONS}/{place}/test", {"write": True}).json()
        assert tried["ok"], tried
        assert tenant.json("GET", f"{SERVERS}/{server_id}").json()["hostKey"] is None

        async def moved_meanwhile() -> None:
            async with await psycopg.AsyncConnection.connect(etls.url, autocommit=True) as db:
                query = "SELECT licence_id, entity_id FROM tabellion.transfer_location WHERE id = %s"
                (owner,) = await (await db.execute(query, (int(place),))).fetchall()
                _, opening = await transfers.open_location(db, *owner, int(place))
                async with opening:
                    tenant.json("PATCH", f"{SERVERS}/{server_id}", {"host": "127.0.0.2", "password": "two words"})

        do(moved_meanwhile())
        moved = tenant.json("GET", f"{SERVERS}/{server_id}").json()
        assert (moved["host"], moved["hostKey"]) == ("127.0.0.2", None)
        tenant.json("PATCH", f"{SERVERS}/{server_id}", {"host": "127.0.0.1", "password": "two words"})
        execution = look(etls, stored(tenant, place))
        assert execution is not None
        assert etls.read(execution)["rowsCreated"] == 2
        assert list((tmp_path / "files").iterdir()) == []
        kept = tenant.json("GET", f"{SERVERS}/{server_id}").json()["hostKey"]
        assert kept.startswith("ssh-ed25519 ")
    (tmp_path / "again").mkdir()
    with sshd(tmp_path / "again") as other:
        # Another machine at the same address.
        with psycopg.connect(etls.url, autocommit=True) as db:
            db.execute(
                "UPDATE tabellion.transfer_server SET definition = jsonb_set(definition, '{port}', %s::text::jsonb) "
                "WHERE id = %s",
                (str(other.port), int(server_id)),
            )
        tried = tenant.json("POST", f"{LOCATIONS}/{place}/test").json()
        assert tried["steps"][0]["ok"] is False
        assert "another host key" in tried["steps"][0]["message"]
