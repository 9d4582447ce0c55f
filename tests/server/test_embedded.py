"""The embedded PostgreSQL against real processes: sharing, kills, left-over files, long paths, root and users."""

import fcntl
import multiprocessing
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

import psycopg
import pytest

from tabellion.server.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tabellion.server.postgres import place, postmaster, programs
from tabellion.server.postgres.owner import Owner, find_owner
from tests.support.postgres import VERSION
from tests.support.processes import is_alive
from tests.support.waiting import until

SMALL = {"shared_buffers": "16MB", "max_connections": "20"}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

_USE = textwrap.dedent(
    """
    import os, pathlib, sys, psycopg
    from tabellion.server.embedded import EmbeddedPostgres
    embedded = EmbeddedPostgres(pathlib.Path(sys.argv[1]), settings={"shared_buffers": "16MB"})
    url = embedded.start()
    with psycopg.connect(url, autocommit=True) as db:
        print(db.execute("SELECT 'user ' || current_user").fetchone()[0], url, flush=True)
    sys.stdin.readline()
    embedded.stop()
    """
)


class User:
    """Another process that uses the same data directory."""

    def __init__(self, data_dir: Path, *prefix: str) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", _USE, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )

    def url(self) -> str:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        assert line.startswith("user tabellion "), self.process.stderr.read()
        return line.split()[2]

    def leave(self) -> None:
        _, errors = self.process.communicate("\n", timeout=60)
        assert self.process.returncode == 0, errors

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


class ForkedUser:
    """A fork of this process that has become another user: the interpreter may lie where that user cannot start it.

    `outcome` is the URL after a successful start, or the message of the error.
    """

    def __init__(self, entry: pwd.struct_passwd, data_dir: Path) -> None:
        self._ours, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("fork").Process(target=self._use, args=(entry, data_dir, theirs))

    def __enter__(self) -> Self:
        self._process.start()
        self.outcome = self._ours.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.send("leave")
        self._process.join(60)
        assert self._process.exitcode == 0

    @staticmethod
    def _use(entry: pwd.struct_passwd, data_dir: Path, connection: Connection) -> None:
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        embedded = embedded_in(data_dir)
        try:
            url = embedded.start()
            execute(url, "SELECT 1")
            connection.send(url)
        except EmbeddedPostgresError as error:
            connection.send(str(error))
            connection.recv()
        else:
            connection.recv()
            embedded.stop()


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that is not below pytest's, which is closed to other users."""
    path = Path(tempfile.mkdtemp(prefix="tabellion-embedded-"))
    if os.geteuid() == 0:
        path.chmod(0o711)
    yield path
    for users in path.rglob("postgres.users"):
        EmbeddedPostgres(users.parent).stop()
    shutil.rmtree(path)


@pytest.fixture
def data_dir(directory: Path) -> Path:
    return directory / "data"


@pytest.fixture
def warm(directory: Path) -> None:
    """Have imported all that a start imports: afterwards, as another user, files may be out of reach."""
    with embedded_in(directory / "warm"):
        pass


def embedded_in(data_dir: Path, version: int = VERSION) -> EmbeddedPostgres:
    return EmbeddedPostgres(data_dir, version=version, settings=SMALL)


def postmaster_pid(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "postmaster.pid").read_text().splitlines()[0])


def execute(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as db:
        cursor = db.execute(statement.encode())
        return cursor.fetchall() if cursor.description is not None else []


def test_data_survive_stop_and_start(data_dir: Path) -> None:
    with embedded_in(data_dir) as embedded:
        execute(embedded.url, "CREATE TABLE kept AS SELECT 42 AS n")
        assert embedded.is_running()
    assert not embedded.is_running()

    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT n FROM kept") == [(42,)]


def test_only_who_may_begin_makes_a_cluster(directory: Path) -> None:
    data_dir, other = directory / "typo", directory / "other"
    other.mkdir()
    (other / "notes.txt").write_text("of somebody")
    for folder in (data_dir, other):
        with pytest.raises(EmbeddedPostgresError, match=f"no installation in {folder}.*tabellion serve --data-dir {folder}"):
            EmbeddedPostgres(folder, existing=True).start()
    assert not data_dir.exists()
    assert [path.name for path in other.iterdir()] == ["notes.txt"]


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of a file."""
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_a_cluster_that_is_just_being_made_is_waited_for(data_dir: Path) -> None:
    beginning = embedded_in(data_dir)
    with ThreadPoolExecutor(1) as pool:
        begun = pool.submit(beginning.start)
        # The file is there a moment before it is locked.
        until(lambda: is_locked(data_dir / "postgres.start"))
        with EmbeddedPostgres(data_dir, existing=True) as waiting:
            assert execute(waiting.url, "SELECT 1") == [(1,)]
        begun.result()
    beginning.stop()


def test_settings_are_durable_local_and_the_same_everywhere(data_dir: Path) -> None:
    with EmbeddedPostgres(data_dir, version=VERSION) as embedded:
        wanted = {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "listen_addresses": "",
            "server_encoding": "UTF8",
            "data_checksums": "on",
            "TimeZone": "UTC",
        }
        found = {name: execute(embedded.url, f"SHOW {name}")[0][0] for name in wanted}
        collation = execute(embedded.url, "SELECT datcollate FROM pg_database WHERE datname = current_database()")
        superuser = execute(embedded.url, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")

    assert found == wanted
    assert collation == [("C",)]
    assert superuser == [(False,)]


def test_files_and_socket_are_closed_to_others(data_dir: Path) -> None:
    with embedded_in(data_dir):
        assert stat.S_IMODE(data_dir.stat().st_mode) & 0o067 == 0
        assert stat.S_IMODE((data_dir / "postgres").stat().st_mode) == 0o700
        assert stat.S_IMODE((data_dir / "postgres" / place.SOCKET).stat().st_mode) == 0o700


def test_the_log_holds_no_values_of_failed_statements(data_dir: Path) -> None:
    with embedded_in(data_dir) as embedded:
        execute(embedded.url, "CREATE TABLE person (email text PRIMARY KEY)")
        for statement in ("SELECT 'ada@secret.example'::integer", "SELECT no_such_column, 'ada@secret.example'"):
            with pytest.raises(psycopg.Error):
                execute(embedded.url, statement)
        execute(embedded.url, "INSERT INTO person VALUES ('ada@secret.example')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            execute(embedded.url, "INSERT INTO person VALUES ('ada@secret.example')")

    logs = [path.read_text() for path in (data_dir / "postgres").rglob("*.log")]
    assert logs
    assert not any("ada@" in text for text in logs)


def test_only_the_newest_logs_are_kept(data_dir: Path) -> None:
    with embedded_in(data_dir) as embedded:
        folder = data_dir / "postgres" / "log"
        for day in range(10, 20):
            (folder / f"postgresql-202001{day}-000000.log").touch()
        stays = folder / "postgresql-20200101-000000.log"
        stays.mkdir()  # one that cannot be deleted is no reason to stop
        embedded.prune_logs()
        stays.rmdir()
        names = sorted(path.name for path in folder.iterdir())

    assert len(names) == 5
    assert names[0] == "postgresql-20200116-000000.log"


def test_the_server_has_a_session_of_its_own_and_none_of_our_files(data_dir: Path) -> None:
    with socket.socket() as listener, embedded_in(data_dir):
        listener.set_inheritable(True)
        pid = postmaster_pid(data_dir)
        ours = Path(f"/proc/self/fd/{listener.fileno()}").readlink()
        theirs = {entry.readlink() for entry in Path(f"/proc/{pid}/fd").iterdir()}

        assert os.getsid(pid) != os.getsid(0)
        assert ours not in theirs
        assert not {target.name for target in theirs} & {"postgres.users", "postgres.start"}


def test_the_last_user_stops_the_server(data_dir: Path) -> None:
    first = embedded_in(data_dir)
    first.start()
    second = User(data_dir)
    url = second.url()
    pid = postmaster_pid(data_dir)

    first.stop()
    assert execute(url, "SELECT 1") == [(1,)]
    second.leave()

    assert not is_alive(pid)


def test_starts_at_the_same_moment_share_one_server(data_dir: Path) -> None:
    users = [User(data_dir) for _ in range(3)]
    urls = {user.url() for user in users}
    pid = postmaster_pid(data_dir)

    assert len(urls) == 1
    assert execute(urls.pop(), "SELECT count(*) FROM pg_roles WHERE rolname = 'tabellion'") == [(1,)]
    for user in users:
        user.leave()
    assert not is_alive(pid)


def test_a_server_whose_users_were_killed_is_adopted(data_dir: Path) -> None:
    user = User(data_dir)
    user.url()
    pid = postmaster_pid(data_dir)
    user.kill()
    assert is_alive(pid)

    with embedded_in(data_dir) as embedded:
        assert postmaster_pid(data_dir) == pid
        assert execute(embedded.url, "SELECT 1") == [(1,)]
    until(lambda: not is_alive(pid))


def test_a_killed_server_is_recovered_by_another_start(data_dir: Path) -> None:
    with embedded_in(data_dir) as embedded:
        execute(embedded.url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        pid = postmaster_pid(data_dir)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(pid))
        assert not embedded.is_running()

        embedded.start()

        assert postmaster_pid(data_dir) != pid
        assert execute(embedded.url, "SELECT count(*) FROM kept") == [(1000,)]


def test_a_recovery_that_takes_long_is_left_to_itself(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = postmaster._launch

    def launched(postgres: Path, cluster: Path, owner: Owner) -> "subprocess.Popen[bytes]":
        process = launch(postgres, cluster, owner)
        until(lambda: postmaster.running(cluster))
        return process

    with embedded_in(data_dir) as embedded:
        os.kill(pid := postmaster_pid(data_dir), signal.SIGKILL)
        until(lambda: not is_alive(pid))
        monkeypatch.setattr(postmaster, "_launch", launched)
        monkeypatch.setattr(postmaster, "START_TIMEOUT_S", 0)
        with pytest.raises(EmbeddedPostgresError, match="goes on starting, try again later"):
            embedded.start()
        recovering = postmaster_pid(data_dir)
        monkeypatch.undo()

        embedded.start()

        assert postmaster_pid(data_dir) == recovering
        assert execute(embedded.url, "SELECT 1") == [(1,)]


def test_busy_children_of_a_killed_server_do_not_stand_in_the_way(data_dir: Path) -> None:
    with embedded_in(data_dir) as embedded, psycopg.connect(embedded.url, autocommit=True) as db:
        busy = db.info.backend_pid
        # Never waits, so it does not notice that its parent is gone.
        db.pgconn.send_query(b"DO $$ BEGIN LOOP END LOOP; END $$")
        db.pgconn.flush()
        active = f"SELECT 1 FROM pg_stat_activity WHERE pid = {busy} AND state = 'active'"
        until(lambda: len(execute(embedded.url, active)) == 1)
        pid = postmaster_pid(data_dir)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_alive(pid))
        assert is_alive(busy)

        embedded.start()

        assert execute(embedded.url, "SELECT 1") == [(1,)]
        until(lambda: not is_alive(busy))
        db.close()


def test_a_left_over_pid_that_now_belongs_to_something_else_is_no_server(data_dir: Path) -> None:
    with embedded_in(data_dir) as embedded:
        os.kill(pid := postmaster_pid(data_dir), signal.SIGKILL)
        until(lambda: not is_alive(pid))
        # PostgreSQL itself would refuse: the process lives and has the same user.
        owner = find_owner(data_dir / "postgres")
        with subprocess.Popen(["/bin/sleep", "300"], **owner.process_options) as stranger:
            for name in ("postmaster.pid", f"{place.SOCKET}.lock"):
                lock = data_dir / "postgres" / name
                lock.write_text(lock.read_text().replace(str(pid), str(stranger.pid), 1))
            assert not embedded.is_running()
            embedded.start()

            assert execute(embedded.url, "SELECT 1") == [(1,)]
            assert stranger.poll() is None
            stranger.kill()


def test_an_interrupted_creation_is_begun_anew(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o711)
    rubble = data_dir / "postgres.new"
    rubble.mkdir()
    (rubble / "PG_VERSION").write_text("18")

    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT 1") == [(1,)]
    assert not rubble.exists()


def test_a_failed_start_shows_what_postgresql_says_and_leaves_nothing_running(data_dir: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="no_such_setting"):
        EmbeddedPostgres(data_dir, version=VERSION, settings={"no_such_setting": "1"}).start()

    with embedded_in(data_dir) as embedded:
        assert embedded.is_running()


def test_a_start_that_fails_after_its_beginning_shows_the_reason_and_keeps_all_logs(data_dir: Path) -> None:
    with embedded_in(data_dir):
        pass
    folder = data_dir / "postgres" / "log"
    for day in range(10, 20):
        (folder / f"postgresql-202001{day}-000000.log").touch()
    before = len(list(folder.iterdir()))
    for piece in (data_dir / "postgres" / "pg_wal").glob("0*"):
        piece.unlink()

    with pytest.raises(EmbeddedPostgresError, match=r"did not start:\n.*PANIC: .*checkpoint") as raised:
        embedded_in(data_dir).start()

    assert "redirecting" not in str(raised.value)
    assert "is full" not in str(raised.value)
    assert len(list(folder.iterdir())) >= before


def test_a_file_of_its_own_that_cannot_be_written_is_told_as_a_start_that_failed(data_dir: Path) -> None:
    """As on a full disk, which the supervisor waits for to have room again."""
    with embedded_in(data_dir):
        pass
    (data_dir / "postgres" / "tabellion.partial").mkdir()
    with pytest.raises(EmbeddedPostgresError, match=r"cannot be started: Is a directory \(.*tabellion.partial\)"):
        embedded_in(data_dir).start()
    assert not is_locked(data_dir / "postgres.users")


def test_a_path_too_long_for_a_socket_works(directory: Path) -> None:
    data_dir = directory / ("long" * 20) / ("longer" * 12)
    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT 1") == [(1,)]
        link = place.socket_directory(data_dir / "postgres")
        assert link.readlink() == data_dir / "postgres"
    assert not link.is_symlink()


def test_a_path_with_odd_characters_works(directory: Path) -> None:
    with embedded_in(directory / "a b&c=d'é%20") as embedded:
        assert execute(embedded.url, "SELECT 1") == [(1,)]


def test_a_link_of_another_user_is_not_followed(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(directory))
    cluster = directory / ("x" * 120)
    link = place.socket_directory(cluster)
    assert link.parent == directory

    link.unlink()
    link.symlink_to("/somewhere/else")

    assert place.socket_directory(cluster) != link
    place.remove_socket_link(cluster)
    assert link.is_symlink()


def test_an_existing_cluster_keeps_its_version(data_dir: Path) -> None:
    with embedded_in(data_dir, version=16):
        pass
    with embedded_in(data_dir, version=18) as embedded:
        assert execute(embedded.url, "SELECT current_setting('server_version_num')::int / 10000") == [(16,)]


def test_an_unknown_version_is_refused(data_dir: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="no programs of PostgreSQL 15; there are those of 16, 18"):
        embedded_in(data_dir, version=15).start()


def test_stop_without_a_data_directory_does_nothing(data_dir: Path) -> None:
    EmbeddedPostgres(data_dir).stop()

    assert not data_dir.exists()


@as_root
def test_a_normal_user_runs_it_and_root_may_join(directory: Path, warm: None) -> None:
    nobody = pwd.getpwnam("nobody")
    data_dir = directory / "theirs"
    data_dir.mkdir(mode=0o700)
    os.chown(data_dir, nobody.pw_uid, nobody.pw_gid)

    with ForkedUser(nobody, data_dir) as user:
        assert user.outcome.startswith("postgresql://"), user.outcome
        with embedded_in(data_dir) as embedded:
            assert embedded.url == user.outcome
            assert (data_dir / "postgres").stat().st_uid == nobody.pw_uid
    assert not embedded.is_running()

    with embedded_in(data_dir):
        assert {path.stat().st_uid for path in data_dir.iterdir()} == {nobody.pw_uid}
    with ForkedUser(nobody, data_dir) as user:
        assert user.outcome.startswith("postgresql://"), user.outcome


@as_root
def test_what_root_makes_in_the_folder_of_a_normal_user_is_theirs(directory: Path, warm: None) -> None:
    nobody = pwd.getpwnam("nobody")
    data_dir = directory / "theirs"
    data_dir.mkdir(mode=0o700)
    os.chown(data_dir, nobody.pw_uid, nobody.pw_gid)

    with embedded_in(data_dir):  # as a restore does
        assert {path for path in data_dir.rglob("*") if path.lstat().st_uid != nobody.pw_uid} == set()
    with ForkedUser(nobody, data_dir) as user:
        assert user.outcome.startswith("postgresql://"), user.outcome


@as_root
def test_root_with_the_few_capabilities_of_a_container(data_dir: Path) -> None:
    kept = "+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+sys_chroot"
    limits = ["setpriv", f"--bounding-set=-all,{kept}", "--inh-caps=-all"]

    first = User(data_dir, *limits)
    first.url()
    second = User(data_dir, *limits)
    second.url()
    pid = postmaster_pid(data_dir)
    os.kill(pid, signal.SIGKILL)
    third = User(data_dir, *limits)
    third.url()
    pid = postmaster_pid(data_dir)
    for user in (first, second, third):
        assert is_alive(pid)
        user.leave()

    assert not is_alive(pid)


@as_root
def test_another_users_data_are_refused_with_a_clear_message(data_dir: Path, warm: None) -> None:
    with embedded_in(data_dir), ForkedUser(pwd.getpwnam("daemon"), data_dir) as user:
        assert "postgres.start cannot be opened: Permission denied" in user.outcome


@as_root
def test_root_in_a_closed_directory_keeps_the_data_elsewhere(
    directory: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shelter = directory / "shelter"
    monkeypatch.setattr(place, "_SHELTER", shelter)
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    data_dir = closed / "data"

    with embedded_in(data_dir) as embedded:
        execute(embedded.url, "CREATE TABLE kept AS SELECT 42 AS n")
        assert (data_dir / "postgres").resolve().parent.parent == shelter
    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT n FROM kept") == [(42,)]

    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    assert len(list(shelter.iterdir())) == 1
    assert "is kept in" in caplog.text


@as_root
def test_a_copy_that_leads_to_the_originals_database_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_SHELTER", directory / "shelter")
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    original, copy = embedded_in(closed / "data"), closed / "copy"
    with original:
        pass
    shutil.copytree(closed / "data", copy, symlinks=True)
    linked = (closed / "data" / "postgres").resolve()

    with original:
        with pytest.raises(
            EmbeddedPostgresError, match=f"the database of the data directory {closed / 'data'}. If"
        ) as refused:
            embedded_in(copy).start()
        embedded_in(copy).stop()
        assert execute(original.url, "SELECT 1") == [(1,)]
    # What the message says of a copy: it gets a database of its own.
    shutil.copytree(linked.parent, directory / "shelter" / "copied", symlinks=True)
    subprocess.run(["chown", "-R", f"--reference={linked}", directory / "shelter" / "copied"], check=True)
    (directory / "shelter" / "copied").chmod(0o711)
    (copy / "postgres").unlink()
    (copy / "postgres").symlink_to(directory / "shelter" / "copied" / "postgres")
    _carry_out(str(refused.value).rpartition("and: ")[2])
    with original, embedded_in(copy) as of_copy:
        assert of_copy.url != original.url
        execute(of_copy.url, "CREATE TABLE of_copy ()")
        assert execute(original.url, "SELECT to_regclass('of_copy') IS NULL") == [(True,)]


@as_root
def test_a_moved_data_directory_is_used_after_the_step_that_is_told(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "_SHELTER", directory / "shelter")
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    with embedded_in(closed / "data") as embedded:
        execute(embedded.url, "CREATE TABLE kept AS SELECT 42 AS n")
    (closed / "data").rename(closed / "moved here")

    with pytest.raises(EmbeddedPostgresError, match="was moved here: echo ") as refused:
        embedded_in(closed / "moved here").start()
    _carry_out(str(refused.value).partition("was moved here: ")[2].partition(". If")[0])
    with embedded_in(closed / "moved here") as embedded:
        assert execute(embedded.url, "SELECT n FROM kept") == [(42,)]
    # One from an earlier release belongs to who comes first.
    ((closed / "moved here" / "postgres").resolve() / "data-directory").unlink()
    shutil.copytree(closed / "moved here", closed / "data", symlinks=True)
    with embedded_in(closed / "data"), pytest.raises(EmbeddedPostgresError, match="which is the database of"):
        embedded_in(closed / "moved here").start()


def _carry_out(command: str) -> None:
    subprocess.run(["sh", "-c", command], check=True)


@as_root
def test_programs_in_a_closed_directory_are_copied_once(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    original = programs._package()
    package = closed / original.name
    install = programs._INSTALLS[VERSION]
    shutil.copytree(original / install, package / install)
    shutil.copytree(original.with_name(f"{original.name}.libs"), closed / f"{original.name}.libs")
    monkeypatch.setattr(programs, "_package", lambda: package)
    data_dir = directory / "data"

    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT 1") == [(1,)]
    copies = list((data_dir / "engine").iterdir())
    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT to_tsvector('english', 'licences')::text") == [("'licenc':1",)]

    assert list((data_dir / "engine").iterdir()) == copies
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
