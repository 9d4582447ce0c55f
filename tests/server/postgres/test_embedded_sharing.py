"""The embedded PostgreSQL among several processes: the first starts it, the last stops it, those that are killed leave it."""

import fcntl
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tabellion.server import embedded as embedding
from tabellion.server import supervisor
from tabellion.server.embedded import EmbeddedPostgres
from tests.server.postgres.conftest import User, embedded_in, execute, is_locked, postmaster_pid
from tests.support.processes import is_alive
from tests.support.waiting import until


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


def test_whoever_leaves_does_not_wait_for_long_for_one_that_is_starting(
    data_dir: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a verb does that waits for a frozen database to answer."""
    monkeypatch.setattr(embedding, "LEAVE_WITHIN_S", 0.1)
    leaving = embedded_in(data_dir)
    leaving.start()
    with (data_dir / "postgres.start").open() as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        leaving.stop()
    assert not leaving.is_used
    assert caplog.messages == [
        "the embedded database is left to another process, which starts it, or waits for it to answer"
    ]
    # The other one ends it.
    assert leaving.is_running()
    with embedded_in(data_dir):
        pass
    assert not leaving.is_running()


def test_who_could_not_start_the_server_uses_it_when_another_has(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would end with its last user, such as a verb, while it is served with."""
    monkeypatch.setattr(supervisor, "_TRY_DATABASE_AFTER_S", 0.05)
    serving = embedded_in(data_dir)
    url = serving.start()
    said: list[str] = []
    database = supervisor._Database(serving, lambda message, _=0: said.append(message))
    os.kill(postmaster_pid(data_dir), signal.SIGKILL)
    conf = data_dir / "postgres" / "postgresql.conf"
    whole = conf.read_text()
    conf.write_text(f"{whole}\nno setting\n")
    until(lambda: database.tend() or len(said) > 1)
    assert "could not be started" in said[1]
    conf.write_text(whole)
    verb = User(data_dir)
    verb.url()
    until(lambda: database.tend() or serving.is_used)
    verb.leave()
    assert execute(url, "SELECT 1") == [(1,)]
    serving.stop()


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
