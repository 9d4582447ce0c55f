"""`tabellion restore` and `resume`: a server that knows everything and sends nothing by itself, or what is in the way."""

import asyncio
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabellion.platform.database.migrate import migrate
from tabellion.platform.database.schema import MigrationError, load_migrations, require_current
from tabellion.platform.jobs import install
from tabellion.server.backup.errors import BackupError
from tabellion.server.backup.making import make
from tabellion.server.backup.restoring import read, restore
from tabellion.server.backup.waking import resume
from tabellion.server.claim import claimed
from tabellion.settings import Settings
from tests.support import plain
from tests.support.postgres import Cluster, database_name
from tests.support.serving import Serving, json_here
from tests.support.tenant import Tenant
from tests.support.waiting import until
from tests.system.backups.conftest import GIF, MAIL, NOW, PROFILES, Source, files_of, restored

pytestmark = pytest.mark.system


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
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'tabellion backup' AND backend_xmin IS NOT NULL"
        )
        with psycopg.connect(self._url, autocommit=True) as db:
            return db.execute(query).fetchone() == (0,)


def test_a_server_is_made_of_it_that_knows_everything_and_sends_nothing_by_itself(source: Source, tmp_path: Path) -> None:
    told = json_here("restore", str(source.backup), "--data-dir", str(tmp_path / "data"), cwd=tmp_path)
    assert (told["secretKey"], told["uncertainMails"], told["held"]) == ("in place", 1, True)
    assert [(each["id"], each["name"]) for each in told["campaigns"]] == [(source.campaign, "SpringOffer")]
    assert files_of(tmp_path / "data" / "spool") == source.files
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
    done = restored(source.backup, empty_database_url, tmp_path / "data", resume_sendings=True)
    assert (done.woken.campaigns, done.woken.doubtful, done.woken.held) == ([], 0, False)
    require_current(empty_database_url)
    with psycopg.connect(empty_database_url) as db:
        states = db.execute("SELECT name, state FROM tabellion.campaign ORDER BY 1").fetchall()
        assert states == [("Booked", "ACTIVE"), ("Later", "SCHEDULED"), ("SpringOffer", "IN_PROGRESS")]
        assert db.execute("SELECT FROM tabellion.server_hold").fetchone() is None
    again = source.settings.data_dir.parent / "again.tar"
    with pytest.raises(BackupError, match="not empty"):
        restored(source.backup, empty_database_url, tmp_path / "other")
    # A backup of what was restored is as good.
    with _Watched(again, empty_database_url) as watched:
        manifest, _ = make(Settings(database_url=empty_database_url, data_dir=tmp_path / "data"), watched, with_key=True)
    assert watched.files
    assert {part.name for part in manifest.parts} == {part.name for part in read(source.backup).parts}


def test_a_campaign_whose_time_came_while_the_server_was_held_waits_for_somebody(
    source: Source, empty_database_url: str, tmp_path: Path
) -> None:
    restored(source.backup, empty_database_url, tmp_path / "data")

    async def woken() -> Any:
        async with await psycopg.AsyncConnection.connect(empty_database_url, autocommit=True) as db:
            return await resume(db, datetime.now(UTC) + timedelta(days=2))

    found = asyncio.run(woken())
    assert sorted(each.name for each in found[1]) == ["Later", "SpringOffer"]


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
            restored(source.backup, empty_database_url, place)
    with psycopg.connect(empty_database_url) as db:
        assert db.execute("SELECT FROM pg_namespace WHERE nspname LIKE 'tabellion%'").fetchone() is None

    with pytest.raises(BackupError, match="the database is not empty"):
        restored(source.backup, source.url, tmp_path / "other")
    with pytest.raises(BackupError, match="cannot come from a pipe"):
        restored(Path("/dev/null"), empty_database_url, tmp_path / "other")


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
        done = restored(tmp_path / "old.tar", empty_database_url, tmp_path / "data")
        assert done.applied[0] == "0043_restored"
        require_current(empty_database_url)

        monkeypatch.setattr("tabellion.platform.database.schema.load_migrations", lambda: tuple(older[:-1]))
        with pytest.raises(
            BackupError, match=r"with the schema 0041_told, which this program does not know .*upgrade this program"
        ):
            restored(tmp_path / "old.tar", empty_database_url, tmp_path / "other")
        with pytest.raises(MigrationError, match="upgrade this program"):
            make(Settings(database_url=url, data_dir=tmp_path / "none"), (tmp_path / "no.tar").open("wb"), with_key=True)
    finally:
        cluster.drop(name)
