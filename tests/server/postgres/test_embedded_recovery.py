"""The embedded PostgreSQL after it was killed, and starts that fail."""

import fcntl
import os
import signal
import subprocess
import threading
from pathlib import Path

import psycopg
import pytest

from tabellion.kit import patience
from tabellion.server.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tabellion.server.postgres import place, postmaster
from tabellion.server.postgres.owner import Owner, find_owner
from tests.server.postgres.conftest import User, embedded_in, execute, is_locked, postmaster_pid
from tests.support.postgres import VERSION
from tests.support.processes import is_alive
from tests.support.waiting import until

_LEFT = (
    "the embedded database ran on without anybody: who used it last was killed, or had given up waiting for its start; "
    "nothing is lost"
)


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


@pytest.mark.parametrize(
    ("sign", "told"),
    [
        (None, _LEFT),
        (signal.SIGKILL, "the embedded database was killed, or its machine; it recovers what was committed"),
        # As when the system that shuts down loses its patience: PostgreSQL leaves no postmaster.pid then.
        (signal.SIGQUIT, "the embedded database was killed, or its machine; it recovers what was committed"),
    ],
)
def test_an_end_out_of_order_is_told_once(
    data_dir: Path, caplog: pytest.LogCaptureFixture, sign: signal.Signals | None, told: str
) -> None:
    killed = User(data_dir)
    killed.url()
    pid = postmaster_pid(data_dir)
    killed.kill()
    if sign is not None:
        os.kill(pid, sign)
        until(lambda: not is_alive(pid))
    with embedded_in(data_dir):
        assert caplog.messages == [told]
        caplog.clear()
        with embedded_in(data_dir):
            pass
    with embedded_in(data_dir):
        pass
    assert caplog.messages == []


def test_a_start_that_takes_long_says_what_it_waits_for(
    data_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "_FIRST_AFTER_S", 0.1)
    monkeypatch.setattr(patience, "_EVERY_S", 0.1)
    launch, launched = postmaster._launch, list[subprocess.Popen[bytes]]()

    def halted(postgres: Path, cluster: Path, owner: Owner) -> "subprocess.Popen[bytes]":
        process = launch(postgres, cluster, owner)
        process.send_signal(signal.SIGSTOP)
        launched.append(process)
        return process

    def told(what: str) -> bool:
        return sum(what in message for message in caplog.messages) >= 2

    monkeypatch.setattr(postmaster, "_launch", halted)
    data_dir.mkdir(mode=0o711)
    embedded = embedded_in(data_dir)
    with (data_dir / "postgres.start").open("w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        start = threading.Thread(target=embedded.start)
        start.start()
        until(lambda: told(f"another process starts or stops the embedded database in {data_dir} (waited for "))
    try:
        until(
            lambda: told(f"the embedded PostgreSQL starts, or recovers; {data_dir / 'postgres' / 'log'} tells how far it is")
        )
    finally:
        until(lambda: launched)
        launched[0].send_signal(signal.SIGCONT)
        start.join()
    assert execute(embedded.url, "SELECT 1") == [(1,)]
    embedded.stop()


def test_a_recovery_that_takes_long_is_left_to_itself(
    data_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    launch = postmaster._launch

    def halted(postgres: Path, cluster: Path, owner: Owner) -> "subprocess.Popen[bytes]":
        process = launch(postgres, cluster, owner)
        while (found := postmaster.read_pid_file(cluster)) is None or found.pid != process.pid:
            pass
        process.send_signal(signal.SIGSTOP)
        return process

    with embedded_in(data_dir) as embedded:
        os.kill(pid := postmaster_pid(data_dir), signal.SIGKILL)
        until(lambda: not is_alive(pid))
        monkeypatch.setattr(postmaster, "_launch", halted)
        monkeypatch.setattr(postmaster, "START_TIMEOUT_S", 0)
        try:
            for one in (embedded, embedded, embedded_in(data_dir)):
                with pytest.raises(EmbeddedPostgresError, match="goes on starting, try again later"):
                    one.start()
        finally:
            recovering = postmaster_pid(data_dir)
            os.kill(recovering, signal.SIGCONT)
        monkeypatch.undo()

        embedded.start()

        assert postmaster_pid(data_dir) == recovering
        assert execute(embedded.url, "SELECT 1") == [(1,)]
    # Its users knew of its death; nobody who used it was killed.
    assert [message for message in caplog.messages if "killed" in message] == []


def test_nobody_is_said_to_be_killed_who_gave_up_waiting_for_a_start(
    data_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded_in(data_dir):
        pass
    monkeypatch.setattr(postmaster, "START_TIMEOUT_S", 0)
    with pytest.raises(EmbeddedPostgresError, match="goes on starting, try again later"):
        embedded_in(data_dir).start()
    monkeypatch.undo()
    until(lambda: postmaster.is_ready(data_dir / "postgres"))
    with embedded_in(data_dir):
        assert caplog.messages == [_LEFT]


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


@pytest.mark.parametrize("content", [b"", b"\0\0\0", b"\xff", b"eighteen\n"], ids=["empty", "zeros", "noText", "noNumber"])
def test_a_damaged_version_is_told_with_the_file(data_dir: Path, content: bytes) -> None:
    with embedded_in(data_dir):
        pass
    file = data_dir / "postgres" / "PG_VERSION"
    whole = file.read_bytes()
    file.write_bytes(content)
    with pytest.raises(EmbeddedPostgresError, match=f"{file} names no version of PostgreSQL: .* restore a backup"):
        EmbeddedPostgres(data_dir, version=VERSION).start()
    assert file.read_bytes() == content
    file.write_bytes(whole)
    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT 1") == [(1,)]


def test_a_cluster_without_its_version_is_damaged_and_no_new_one_is_made(data_dir: Path) -> None:
    with embedded_in(data_dir):
        pass
    file = data_dir / "postgres" / "PG_VERSION"
    hidden = file.rename(data_dir / "hidden")
    with pytest.raises(EmbeddedPostgresError, match=f"{file} is missing: .* restore a backup"):
        EmbeddedPostgres(data_dir, version=VERSION).start()
    assert not list(data_dir.glob("*.new"))
    hidden.rename(file)
    with embedded_in(data_dir) as embedded:
        assert execute(embedded.url, "SELECT 1") == [(1,)]


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

    with pytest.raises(EmbeddedPostgresError, match=r"did not start:\n(?s:.*)PANIC: .*checkpoint") as raised:
        embedded_in(data_dir).start()

    assert "redirecting" not in str(raised.value)
    assert "is full" not in str(raised.value)
    assert len(list(folder.iterdir())) >= before


@pytest.mark.parametrize("left", [b"", None])
def test_a_control_file_that_is_cut_short_or_gone_is_left_to_postgresql_to_tell(data_dir: Path, left: bytes | None) -> None:
    with embedded_in(data_dir):
        pass
    control = data_dir / "postgres" / "global" / "pg_control"
    control.unlink() if left is None else control.write_bytes(left)
    with pytest.raises(EmbeddedPostgresError, match=r"did not start:\n(?s:.*)pg_control"):
        embedded_in(data_dir).start()


def test_a_file_of_its_own_that_cannot_be_written_is_told_as_a_start_that_failed(data_dir: Path) -> None:
    """As on a full disk, which the supervisor waits for to have room again."""
    with embedded_in(data_dir):
        pass
    (data_dir / "postgres" / "tabellion.partial").mkdir()
    with pytest.raises(EmbeddedPostgresError, match=r"cannot be started: Is a directory \(.*tabellion.partial\)"):
        embedded_in(data_dir).start()
    assert not is_locked(data_dir / "postgres.users")
