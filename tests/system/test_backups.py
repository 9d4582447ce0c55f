"""`tabellion backup`, `restore` and `resume`: a server with something of everything, and servers made of it."""

import asyncio
import io
import json
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from tabellion.platform import files
from tabellion.platform.database.migrate import migrate
from tabellion.platform.database.schema import RESTORING, MigrationError, RestoreUnfinished, load_migrations, require_current
from tabellion.platform.jobs import install
from tabellion.platform.secrets import ring
from tabellion.platform.secrets.ring import Source as SecretSource
from tabellion.server import unfinished
from tabellion.server.backup import restoring, snapshot
from tabellion.server.backup.errors import BackupError
from tabellion.server.backup.making import make
from tabellion.server.backup.restoring import Restored, read, restore
from tabellion.server.backup.waking import resume
from tabellion.server.claim import claimed
from tabellion.server.database import prepare_database
from tabellion.settings import Settings
from tests.support import plain
from tests.support.api import Api, free_port, running_api
from tests.support.imports import Imports, zipped
from tests.support.postgres import Cluster, database_name
from tests.support.serving import TABELLION, Serving, clean_environment, json_here, run, run_here
from tests.support.tenant import Tenant
from tests.support.tenants import Tenants
from tests.support.waiting import until

pytestmark = pytest.mark.system

MAIL = "/v4/entity/hotels/mail"
PROFILES = "/v5/entities/hotels/profile-tables/Guests/profiles"
GIF = b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
# Until a program has begun its work, also on a machine that is busy with others'.
_LONG_S = 90.0


class Source(NamedTuple):
    """A server without a job worker: what was asked of it waits. `imported` has an error file, `queued` its upload.

    `files`: the spool at the moment of the backup; tests go on writing into it.
    """

    api: Api
    url: str
    data: Path
    tenant: Tenant
    campaign: int
    transactional: int
    imported: int
    queued: int
    image: str
    backup: Path
    files: dict[str, bytes]

    @property
    def settings(self) -> Settings:
        return Settings(database_url=self.url, data_dir=self.data)


@pytest.fixture(scope="module")
def source(cluster: Cluster, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    folder = tmp_path_factory.mktemp("source")
    name = database_name("source")
    url = cluster.create(name, template=template_database)
    with running_api(url, folder) as api, Tenants(url) as tenants, api.client() as client:
        tenant = tenants.create(client)
        campaign = tenant.campaign()
        page = {"index.html": '<p>Dear {{ profile.lastName }}</p><img src="a.gif"><a href="{{ unsubscribeUrl }}">no</a>'}
        sent = client.post(
            f"{MAIL}/{campaign}/content/body",
            files={"inputFile": ("mail.zip", _zip(page | {"a.gif": GIF}), "application/zip")},
            headers={"Authorization": f"Bearer {tenant.api_key}"},
        )
        assert sent.status_code == 200, sent.text
        transactional = tenant.campaign("Booked", "TRANSACTIONAL")
        for number in (campaign, transactional):
            assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
        later = tenant.campaign("Later")
        moment = {"scheduledAt": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
        assert tenant.json("POST", f"{MAIL}/{later}/launch", moment).status_code == 200
        trigger = f"{MAIL}/{transactional}/profile/emailAddress=ann@example.com"
        assert tenant.json("POST", trigger, []).status_code == 200
        imports = Imports(tenant, url, folder / "data" / "spool")
        done = imports.do(zipped("emailAddress,lastName\nbob@example.com,Bos\nno address,X\n"))
        queued = imports.send(zipped("emailAddress,lastName\neve@example.com,Eve\n")).json()["id"]
        image = client.get(f"/v5/entities/hotels/mails/{campaign}/contents/default", headers=_bearer(tenant)).json()["html"]
        place = image[image.index("/i/") :].split('"')[0]
        backup = folder / "backup.tar"
        environment = {"TABELLION_DATABASE_URL": url, "TABELLION_DATA_DIR": str(folder / "data")}
        told = json_here("backup", str(backup), cwd=folder, **environment)
        assert (told["licences"], told["secretKey"], told["missingFiles"]) == (1, "included", 0)
        spool = _files(folder / "data" / "spool")
        assert told["files"]["count"] == len(spool)
        imported: int = done["id"]
        yield Source(api, url, folder / "data", tenant, campaign, transactional, imported, queued, place, backup, spool)
    cluster.drop(name)


def _zip(content: dict[str, Any]) -> bytes:
    import io
    import zipfile

    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return out.getvalue()


def _bearer(tenant: Tenant) -> dict[str, str]:
    return {"Authorization": f"Bearer {tenant.api_key}"}


def _files(spool: Path) -> dict[str, bytes]:
    return {str(path.relative_to(spool)): path.read_bytes() for path in sorted(spool.rglob("*")) if path.is_file()}


class _Watched(io.FileIO):
    """A file that is written only while nobody keeps a snapshot of the database, from the first file of a bulk call on."""

    def __init__(self, path: Path, url: str) -> None:
        super().__init__(path, "wb")
        self._url = url
        self.files = 0

    def write(self, data: Any) -> int:
        if b"spool/" in bytes(data):
            self.files += 1
            until(self._nobody_holds)
        return super().write(data)

    def _nobody_holds(self) -> bool:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tabellion backup' AND backend_xmin IS NOT NULL"
        )
        with psycopg.connect(self._url, autocommit=True) as db:
            return db.execute(query).fetchone() == (0,)


def _restored(backup: Path, url: str, folder: Path, **options: Any) -> Restored:
    options = {"resume_sendings": False} | options
    return restore(Settings(database_url=url, data_dir=folder), backup, lambda: datetime.now(UTC), **options)


def test_a_server_is_made_of_it_that_knows_everything_and_sends_nothing_by_itself(source: Source, tmp_path: Path) -> None:
    told = json_here("restore", str(source.backup), "--data-dir", str(tmp_path / "data"), cwd=tmp_path)
    assert (told["secretKey"], told["uncertainMails"], told["held"]) == ("in place", 1, True)
    assert [(each["id"], each["name"]) for each in told["campaigns"]] == [(source.campaign, "SpringOffer")]
    assert _files(tmp_path / "data" / "spool") == source.files
    assert (tmp_path / "data" / "secret.key").read_bytes() == (source.data / "secret.key").read_bytes()

    with Serving(tmp_path) as server, plain.Client(base_url=server.url, timeout=60) as client:
        tenant = Tenant(client, "", source.tenant.credentials)
        ann = tenant.json("GET", f"{PROFILES}/emailAddress=ann@example.com")
        assert ann.json() == source.tenant.json("GET", f"{PROFILES}/emailAddress=ann@example.com").json()
        stay = "/v5/entities/hotels/custom-tables/Stays/records/ST-00001"
        assert tenant.json("GET", stay).json() == source.tenant.json("GET", stay).json()
        assert client.get(source.image).content == GIF
        errors = f"/v4/entity/hotels/import/{source.imported}/errors"
        assert tenant.call("GET", errors).content == source.tenant.call("GET", errors).content

        one = tenant.json("GET", f"{MAIL}/{source.campaign}").json()
        assert one["state"] == "PAUSED"
        assert "the server was restored from a backup of" in one["pausedBecause"]
        assert tenant.json("GET", f"{MAIL}/Later").json()["state"] == "SCHEDULED"
        uncertain = tenant.json("GET", f"{MAIL}/{source.transactional}/report").json()
        assert (uncertain["targeted"], uncertain["uncertain"], uncertain["pending"]) == (1, 1, 0)
        trigger = f"{MAIL}/{source.transactional}/profile/emailAddress=ann@example.com"
        new = tenant.json("POST", trigger, [])
        # Numbers that may have been given after the backup are in mails that have left.
        assert new.json()["interactionId"] > 100_000_000
        until(lambda: server.log.read_text().count("until you run: tabellion resume") >= 2)
        held = tenant.json("GET", f"{MAIL}/{source.transactional}/report").json()
        assert (held["sent"], held["pending"]) == (0, 1)
        assert tenant.json("GET", f"/v4/entity/hotels/import/{source.queued}/status").json()["status"] == "QUEUED"

        woken = server.verb("resume")
        assert (woken["resumed"], [each["id"] for each in woken["campaigns"]]) == (True, [source.campaign])
        assert server.verb("resume")["resumed"] is False

        def report(number: int) -> dict[str, Any]:
            return tenant.json("GET", f"{MAIL}/{number}/report").json()

        until(lambda: report(source.transactional)["sent"] == 1)
        until(lambda: tenant.json("GET", f"{MAIL}/{source.campaign}").json()["state"] == "PAUSED")
        until(lambda: tenant.json("GET", f"{PROFILES}/emailAddress=eve@example.com").status_code == 200)
        assert report(source.transactional)["uncertain"] == 1
        assert report(source.campaign)["sent"] == 0
        assert tenant.json("POST", f"{MAIL}/{source.campaign}/resume").status_code == 200
        until(lambda: tenant.json("GET", f"{MAIL}/{source.campaign}").json()["state"] == "FINISHED")
        assert report(source.campaign)["sent"] == 3


def test_what_goes_on_as_it_was_when_that_is_asked_for(source: Source, empty_database_url: str, tmp_path: Path) -> None:
    done = _restored(source.backup, empty_database_url, tmp_path / "data", resume_sendings=True)
    assert (done.woken.campaigns, done.woken.doubtful, done.woken.held) == ([], 0, False)
    require_current(empty_database_url)
    with psycopg.connect(empty_database_url) as db:
        states = db.execute("SELECT name, state FROM tabellion.campaign ORDER BY 1").fetchall()
        assert states == [("Booked", "ACTIVE"), ("Later", "SCHEDULED"), ("SpringOffer", "IN_PROGRESS")]
        assert db.execute("SELECT FROM tabellion.server_hold").fetchone() is None
    again = source.settings.data_dir.parent / "again.tar"
    with pytest.raises(BackupError, match="not empty"):
        _restored(source.backup, empty_database_url, tmp_path / "other")
    # A backup of what was restored is as good.
    with _Watched(again, empty_database_url) as watched:
        manifest, _ = make(Settings(database_url=empty_database_url, data_dir=tmp_path / "data"), watched, with_key=True)
    assert watched.files
    assert {part.name for part in manifest.parts} == {part.name for part in read(source.backup).parts}


def test_a_campaign_whose_time_came_while_the_server_was_held_waits_for_somebody(
    source: Source, empty_database_url: str, tmp_path: Path
) -> None:
    _restored(source.backup, empty_database_url, tmp_path / "data")

    async def woken() -> Any:
        async with await psycopg.AsyncConnection.connect(empty_database_url, autocommit=True) as db:
            return await resume(db, datetime.now(UTC) + timedelta(days=2))

    found = asyncio.run(woken())
    assert sorted(each.name for each in found[1]) == ["Later", "SpringOffer"]


def test_everything_answered_before_it_begins_is_in_it_and_no_row_without_its_file(
    source: Source, empty_database_url: str, tmp_path: Path
) -> None:
    stop = threading.Event()
    profiles: list[str] = []
    uploads: list[int] = []

    def write(worker: int) -> None:
        with source.api.client() as client:
            tenant = Tenant(client, source.url, source.tenant.credentials)
            imports = Imports(tenant, source.url, source.data / "spool")
            number = 0
            while not stop.is_set():
                number += 1
                if worker == 0:
                    uploads.append(imports.send(zipped("emailAddress,lastName\nx@example.com,X\n")).json()["id"])
                    continue
                name = f"w{worker}-{number}@example.com"
                body = {"key": {"emailAddress": name}, "attributes": {"lastName": "Load"}}
                assert tenant.json("PUT", PROFILES, body).status_code == 201
                profiles.append(name)

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(3)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: len(profiles) > 30 and len(uploads) > 10)
        before = (list(profiles), list(uploads))
        with (tmp_path / "load.tar").open("wb") as out:
            make(source.settings, out, with_key=False)
        at_end = len(uploads)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert at_end > len(before[1])  # there was load
    done = _restored(tmp_path / "load.tar", empty_database_url, tmp_path / "data")
    assert "is missing. Before the server is started" in done.key
    with psycopg.connect(empty_database_url) as db:
        column = db.execute(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = 'l1' AND table_name = 'p1'"
        ).fetchall()
        kept = {value for (name,) in column for (value,) in db.execute(f"SELECT {name}::text FROM l1.p1")}
        jobs = dict(db.execute("SELECT id, folder FROM tabellion.import_job").fetchall())
    assert set(before[0]) <= kept
    assert set(before[1]) <= set(jobs)
    assert [folder for folder in jobs.values() if not (tmp_path / "data" / "spool" / folder / "input").is_file()] == []
    assert sorted(path.name for path in (tmp_path / "data" / "spool").iterdir()) == sorted(jobs.values())


def test_what_is_deleted_after_the_snapshot_is_in_the_backup(source: Source, tmp_path: Path) -> None:
    spool = tmp_path / "data" / "spool"
    shutil.copytree(source.data / "spool", spool)
    deleted = threading.Event()

    def delete(name: str) -> None:
        with files.deleting(spool):
            shutil.rmtree(spool / name)
            deleted.set()

    with psycopg.connect(source.url) as db:
        row = db.execute("SELECT folder FROM tabellion.import_job WHERE id = %s", (source.imported,)).fetchone()
        assert row is not None
    with files.keeping(spool):
        thread = threading.Thread(target=delete, args=row)
        thread.start()
        assert not deleted.wait(0.1)
    thread.join()
    shutil.copytree(source.data / "spool" / row[0], spool / row[0])
    with snapshot.taken(source.url, spool) as found:
        delete(row[0])
        kept = {name: path.read_bytes() for name, path in found.files if row[0] in name}
        assert kept == {f"spool/{row[0]}/{name}": data for name, data in _files(source.data / "spool" / row[0]).items()}
    assert not list(spool.glob("backup-*"))


def _lock(url: str) -> psycopg.Connection[Any]:
    """A connection at whose table pg_dump stops."""
    db = psycopg.connect(url)
    db.execute("LOCK TABLE tabellion.custom_action IN ACCESS EXCLUSIVE MODE")
    return db


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_a_backup_that_is_killed_leaves_no_file_and_the_next_one_cleans_up(
    source: Source, tmp_path: Path, sign: signal.Signals
) -> None:
    environment = {"TABELLION_DATABASE_URL": source.url, "TABELLION_DATA_DIR": str(source.data)}
    with _lock(source.url), psycopg.connect(source.url, autocommit=True) as db:
        process = subprocess.Popen(
            [*TABELLION, "backup", "x.tar"],
            cwd=tmp_path,
            env=clean_environment(**environment),
            stderr=subprocess.PIPE,
            text=True,
        )
        waiting = "SELECT FROM pg_stat_activity WHERE application_name = 'tabellion backup' AND wait_event_type = 'Lock'"
        until(lambda: db.execute(waiting).fetchone() is not None, _LONG_S)
        second = run_here("backup", "y.tar", cwd=tmp_path, **environment)
        assert (second.returncode, "another backup of" in second.stderr) == (1, True)
        process.send_signal(sign)
        _, told = process.communicate(timeout=_LONG_S)
    if sign == signal.SIGTERM:
        assert (process.returncode, told) == (1, "tabellion: the backup was interrupted; nothing of it was left\n")
        assert list(tmp_path.iterdir()) == []
        assert list((source.data / "spool").glob("backup-*")) == []
    assert not (tmp_path / "x.tar").exists()
    done = run_here("backup", "z.tar", cwd=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["z.tar"]
    assert list((source.data / "spool").glob("backup-*")) == []
    assert run_here("backup", "z.tar", "--verify", cwd=tmp_path).returncode == 0
    mixed = run_here("backup", "z.tar", "--verify", "--force", "--without-secret-key", cwd=tmp_path)
    assert (mixed.returncode, mixed.stdout) == (1, "")
    assert "leave out --force, --without-secret-key, or --verify" in mixed.stderr


def test_a_restore_that_is_killed_leaves_nothing_that_is_served_and_can_be_repeated(
    source: Source, cluster: Cluster, empty_database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(empty_database_url) as known:
        name = known.info.dbname
    with psycopg.connect(cluster.superuser(name), autocommit=True) as db:
        # In the middle: tables and rows are there, indexes are not.
        db.execute("SELECT pg_advisory_lock(4711)")
        db.execute(
            "CREATE FUNCTION public.stop() RETURNS event_trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_advisory_lock_shared(4711); END $$"
        )
        db.execute(
            "CREATE EVENT TRIGGER stop ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.stop()"
        )
        environment = {"TABELLION_DATABASE_URL": empty_database_url, "TABELLION_DATA_DIR": str(tmp_path / "data")}
        process = subprocess.Popen(
            [*TABELLION, "restore", str(source.backup)], cwd=tmp_path, env=clean_environment(**environment)
        )
        waiting = "SELECT FROM pg_stat_activity WHERE datname = %s AND wait_event = 'advisory'"
        until(lambda: db.execute(waiting, (name,)).fetchone() is not None, _LONG_S)
        process.kill()
        process.wait()
        with pytest.raises(RestoreUnfinished, match="run tabellion restore again"):
            migrate(empty_database_url)
        refused = run("worker", cwd=tmp_path, **environment)
        assert (refused.returncode, "run tabellion restore again" in refused.stderr) == (1, True), refused.stderr
        db.execute("DROP EVENT TRIGGER stop")
        db.execute("SELECT pg_advisory_unlock(4711)")
    again = json_here("restore", str(source.backup), cwd=tmp_path, **environment)
    assert again["held"]
    assert _files(tmp_path / "data" / "spool") == source.files
    require_current(empty_database_url)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """One that the user of the database may enter, unlike those of pytest where root runs it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_restore_that_is_killed_before_there_is_a_database_leaves_no_empty_server(
    source: Source, open_folder: Path
) -> None:
    data = open_folder / "data"
    process = subprocess.Popen(
        [*TABELLION, "restore", str(source.backup), "--data-dir", str(data)], cwd=open_folder, env=clean_environment()
    )
    until((data / "postgres.new" / "PG_VERSION").exists, _LONG_S)
    process.kill()
    process.wait()
    assert not (data / "postgres").exists()
    for verb in ("serve", "licence list", "backup"):
        refused = run(*verb.split(), "--data-dir", str(data), cwd=open_folder, TABELLION_PORT=str(free_port()))
        assert refused.returncode == 1, verb
        assert f"run tabellion restore FILE --data-dir {data} again" in refused.stderr
    listed = json.loads(run_here("doctor", "--json", "--data-dir", str(data)).stdout)
    (found,) = (one for one in listed if one["check"] == "database")
    assert (found["state"], "did not come to its end" in found["found"]) == ("problem", True)
    again = run("restore", str(source.backup), "--data-dir", str(data), cwd=open_folder)
    assert again.returncode == 0, again.stderr
    # In full, for whoever has another server in TABELLION_DATA_DIR.
    assert f"until you run: tabellion resume --data-dir {data}\n" in again.stdout + again.stderr
    assert json_here("licence", "list", "--data-dir", str(data), cwd=open_folder)


@pytest.mark.parametrize("when", ["before the database has a mark", "while it is filled"])
def test_a_restore_that_is_interrupted_leaves_no_empty_server(
    source: Source, open_folder: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    data = open_folder / "data"
    ours = Settings(data_dir=data)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    place = "find_client" if when.startswith("before") else "load"
    with monkeypatch.context() as patched:
        patched.setattr(restoring, place, interrupt)
        with pytest.raises(KeyboardInterrupt):
            restore(ours, source.backup, lambda: NOW, resume_sendings=False)
    assert (data / "postgres" / "PG_VERSION").exists()
    for verb in ("licence list", "serve"):
        refused = run(*verb.split(), "--data-dir", str(data), cwd=open_folder, TABELLION_PORT=str(free_port()))
        assert (refused.returncode, "did not come to" in refused.stderr) == (1, True), verb
        assert "run tabellion restore" in refused.stderr
    restore(ours, source.backup, lambda: NOW, resume_sendings=False)
    assert json_here("licence", "list", "--data-dir", str(data), cwd=open_folder)


def test_a_restore_into_the_folder_of_a_server_is_refused_and_leaves_it_as_it_was(source: Source, open_folder: Path) -> None:
    data = open_folder / "data"
    with ExitStack() as stack:
        prepare_database(Settings(data_dir=data), stack, beginning=True, tell=list[str]().append)
    for _ in range(2):
        with pytest.raises(BackupError, match="the database is not empty"):
            restore(Settings(data_dir=data), source.backup, lambda: NOW, resume_sendings=False)
        assert json_here("licence", "list", "--data-dir", str(data), cwd=open_folder) == []
        (data / unfinished.FILE).touch()  # of a restore that had failed, before this server was copied into its folder


def test_a_restore_that_fails_leaves_the_place_empty_and_to_the_next_restore(
    source: Source, cluster: Cluster, empty_database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(empty_database_url) as known:
        name = known.info.dbname
    with psycopg.connect(cluster.superuser(name), autocommit=True) as db:
        db.execute(
            "CREATE FUNCTION public.no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the disk has gone'; END $$"
        )
        db.execute("CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.no()")
        with pytest.raises(
            BackupError, match=r"pg_restore .* failed, and what it had made was removed: .*the disk has gone"
        ):
            _restored(source.backup, empty_database_url, tmp_path / "data")
        left = db.execute(r"SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)'").fetchall()
        assert left == [(RESTORING,)]
        with pytest.raises(RestoreUnfinished, match="run tabellion restore again"):
            migrate(empty_database_url)
        db.execute("DROP EVENT TRIGGER no")
    key = tmp_path / "data" / "secret.key"
    assert not key.exists()
    # The server's key was exchanged after the backup: its file of now opens what that of then did, and stays.
    shutil.copy(source.data / "secret.key", key)
    ring.write(key, SecretSource("", key.parent).ring().rotated())
    rotated = key.read_bytes()
    done = _restored(source.backup, empty_database_url, tmp_path / "data")
    assert done.woken.held
    assert done.key.startswith("in place as a former one")
    assert key.read_bytes() == rotated


def test_what_is_wrong_with_backup_or_place_is_told_before_anything_is_changed(
    source: Source, empty_database_url: str, tmp_path: Path
) -> None:
    content = bytearray(source.backup.read_bytes())
    content[5000] ^= 1
    (tmp_path / "broken.tar").write_bytes(content)
    settings = Settings(data_dir=tmp_path / "data")
    with pytest.raises(BackupError, match=r"the sum of database is wrong\. Nothing was changed"):
        restore(settings, tmp_path / "broken.tar", lambda: NOW, resume_sendings=False)
    assert not (tmp_path / "data").exists()

    (tmp_path / "served").mkdir()
    served = Settings(data_dir=tmp_path / "served")
    with (
        claimed(served.data_dir, "http://x"),
        pytest.raises(BackupError, match="name an empty folder, or none, with --data-dir"),
    ):
        restore(served, source.backup, lambda: NOW, resume_sendings=False)

    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letter.txt").touch()
    with pytest.raises(BackupError, match=r"home is not empty \(letter.txt\)"):
        restore(Settings(data_dir=tmp_path / "home"), source.backup, lambda: NOW, resume_sendings=False)
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["letter.txt"]

    for name, why in (("secret.key", "another key than the backup's"), ("spool/import-1/input", "files in")):
        place = tmp_path / name.partition("/")[0] / "data"
        (place / name).parent.mkdir(parents=True)
        (place / name).write_bytes(b"x" * 32)
        with pytest.raises(BackupError, match=why):
            _restored(source.backup, empty_database_url, place)
    with psycopg.connect(empty_database_url) as db:
        assert db.execute("SELECT FROM pg_namespace WHERE nspname LIKE 'tabellion%'").fetchone() is None

    with pytest.raises(BackupError, match="the database is not empty"):
        _restored(source.backup, source.url, tmp_path / "other")
    with pytest.raises(BackupError, match="cannot come from a pipe"):
        _restored(Path("/dev/null"), empty_database_url, tmp_path / "other")


def test_an_older_schema_is_brought_up_to_date_and_a_newer_one_refused(
    cluster: Cluster, empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = database_name("older")
    url = cluster.create(name)
    try:
        older = [m for m in load_migrations() if m.version < 43]
        migrate(url, migrations=older)
        install(url)
        with (tmp_path / "old.tar").open("wb") as out:
            manifest, _ = make(Settings(database_url=url, data_dir=tmp_path / "none"), out, with_key=True)
        assert (manifest.schema, manifest.secret_key) == (older[-1].label, "none")
        done = _restored(tmp_path / "old.tar", empty_database_url, tmp_path / "data")
        assert done.applied[0] == "0043_restored"
        require_current(empty_database_url)

        monkeypatch.setattr("tabellion.platform.database.schema.load_migrations", lambda: tuple(older[:-1]))
        with pytest.raises(
            BackupError, match=r"with the schema 0041_told, which this program does not know .*upgrade this program"
        ):
            _restored(tmp_path / "old.tar", empty_database_url, tmp_path / "other")
        with pytest.raises(MigrationError, match="upgrade this program"):
            make(Settings(database_url=url, data_dir=tmp_path / "none"), (tmp_path / "no.tar").open("wb"), with_key=True)
    finally:
        cluster.drop(name)


def test_a_full_disk_leaves_no_file_and_is_told(source: Source, tmp_path: Path) -> None:
    environment = clean_environment(TABELLION_DATABASE_URL=source.url, TABELLION_DATA_DIR=str(source.data))
    command = f"ulimit -f 100; exec {' '.join(TABELLION)} backup x.tar"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"tabellion: the disk of {tmp_path} is full: no backup was made, and nothing of it was left there; make room\n"
    )
    assert list(tmp_path.iterdir()) == []
    command = f"exec {' '.join(TABELLION)} backup - >/dev/full"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, "the standard output is full" in done.stderr) == (1, True), done.stderr
    command = f"{' '.join(TABELLION)} backup - | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "tabellion: the program that the backup is sent to ended before it had all: what it has is no backup\n"
    )


def test_a_backup_made_beside_the_data_directory_says_what_it_lacks(source: Source, tmp_path: Path) -> None:
    wrong = {"TABELLION_DATABASE_URL": source.url, "TABELLION_DATA_DIR": str(tmp_path / "nothing")}
    done = run_here("backup", "x.tar", "--json", cwd=tmp_path, **wrong)
    assert (done.returncode, json.loads(done.stdout)["secretKey"]) == (0, "none")
    assert "there is no spool and no secret.key in" in done.stderr


def test_a_pipe_gets_the_same_and_the_key_stays_at_home_when_that_is_asked_for(source: Source, tmp_path: Path) -> None:
    environment = {"TABELLION_DATABASE_URL": source.url, "TABELLION_DATA_DIR": str(source.data)}
    with (tmp_path / "x.tar").open("wb") as out:
        command = [*TABELLION, "backup", "-", "--without-secret-key"]
        done = subprocess.run(command, env=clean_environment(**environment), stdout=out, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 0, done.stderr
    manifest = read(tmp_path / "x.tar")
    assert manifest.secret_key == "left out"
    assert "secret.key" not in {part.name for part in manifest.parts}
    assert (source.data / "secret.key").read_bytes() not in (tmp_path / "x.tar").read_bytes()
    found = json_here("backup", "x.tar", "--verify", cwd=tmp_path)
    assert found["database"]["bytes"] > 10_000
    doctor = json.loads(run_here("doctor", "--json", cwd=tmp_path, **environment).stdout)
    assert [one["found"] for one in doctor if one["check"] == "backup"] == ["0 hours old"]
    assert source.backup.stat().st_mode & 0o777 == 0o600
