"""`tabellion serve` against kill -9 of each of its processes, and its orderly end."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from tabellion import __version__
from tabellion.cli.machine import machine
from tabellion.platform.database.advisory import AdvisoryLock
from tabellion.server import supervisor
from tabellion.server.death import stop_on_hangup
from tabellion.server.embedded import EmbeddedPostgres
from tabellion.settings import Settings
from tests.support import plain
from tests.support.api import free_port
from tests.support.processes import is_alive
from tests.support.serving import TABELLION, Serving, clean_environment, run
from tests.support.waiting import until

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with Serving(tmp_path_factory.mktemp("serve"), "--workers", "2", TABELLION_JOB_WORKERS="2") as serving:
        yield serving


def test_what_it_tells(server: Serving) -> None:
    # The server may answer us before its supervisor has looked.
    until(lambda: f"Tabellion serves at {server.url}, documentation at {server.url}/docs" in server.log.read_text())
    assert str(server.data_dir) in server.log.read_text()


def test_a_port_that_listens_is_not_said_to_be_served(server: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_ANSWER_WITHIN_S", 0.1)
    assert supervisor.answers(msgspec.structs.replace(Settings.load(), port=server.port))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not supervisor.answers(msgspec.structs.replace(Settings.load(), port=silent.getsockname()[1]))


def test_the_doctor_asks_the_server_itself_whatever_proxies_are_set(
    server: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        found = {each.check: each for each in machine(Settings(data_dir=server.data_dir, port=server.port))}
    assert (found["port"].state, found["port"].found) == ("ok", f"127.0.0.1:{server.port}: a Tabellion serves here")


def test_the_doctor_tells_servers_by_their_data_directories(server: Serving, tmp_path: Path) -> None:
    other = next(each for each in machine(Settings(data_dir=tmp_path, port=server.port)) if each.check == "port")
    assert (other.state, other.found) == (
        "warning", f"127.0.0.1:{server.port}: a Tabellion serves here, but no tabellion serve of {tmp_path}",
    )  # fmt: skip
    elsewhere = next(each for each in machine(Settings(data_dir=server.data_dir, port=free_port())) if each.check == "port")
    assert (elsewhere.state, elsewhere.found) == ("ok", f"the server of this data directory serves at {server.url}")


def test_others_cannot_look_into_its_data_directory(server: Serving) -> None:
    assert server.data_dir.stat().st_mode & 0o067 == 0  # the group of the database's user may pass through


def test_a_second_server_on_the_port_is_refused_before_it_makes_anything(server: Serving, tmp_path: Path) -> None:
    refused = run("serve", "--port", str(server.port), "--data-dir", "other", cwd=tmp_path)
    assert refused.returncode == 1
    assert f"127.0.0.1:{server.port} cannot be listened on" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / "other").exists()


def test_a_second_server_on_the_data_directory_is_refused_and_hears_of_the_first(server: Serving, tmp_path: Path) -> None:
    for port in (server.port, free_port()):
        refused = run("serve", "--port", str(port), "--data-dir", str(server.data_dir), cwd=tmp_path)
        assert refused.returncode == 1
        assert f"a server runs on the data directory {server.data_dir} already" in refused.stderr
        assert f"(process {server.process.pid} of version {__version__}, {server.url})" in refused.stderr
    assert server.is_ready()


def test_there_are_as_many_job_workers_as_were_asked_for(server: Serving) -> None:
    until(lambda: len(server.children("tabellion worker")) == 2)


@pytest.mark.parametrize("verb", ["tabellion api", "tabellion worker"])
def test_a_killed_child_is_started_again(server: Serving, verb: str) -> None:
    before = set(server.children(verb))
    assert before
    os.kill(min(before), signal.SIGKILL)
    until(lambda: (now := set(server.children(verb))) and min(before) not in now and len(now) == len(before))
    until(server.is_ready)
    told = [line for line in _lines(server) if "ended with status -9" in line["event"]]
    assert {line["level"] for line in told} == {"warning"}


def test_a_killed_api_process_is_started_again_while_the_other_serves(server: Serving) -> None:
    until(lambda: len(server.children("tabellion api")) == 3)
    serving = server.children("tabellion api")[1:]
    os.kill(serving[0], signal.SIGKILL)
    until(lambda: len(now := server.children("tabellion api")) == 3 and serving[0] not in now)
    until(server.is_ready)


def test_a_killed_database_is_started_again_and_has_lost_nothing(server: Serving) -> None:
    server.verb("licence", "create", "kept")
    (postmaster,) = server.children("bin/postgres -D")
    os.kill(postmaster, signal.SIGKILL)
    # Its own new one: before that, /ready may still tell what it found last, and the verb below would start the database.
    until(lambda: server.children("bin/postgres -D") not in ([], [postmaster]) and server.is_ready())
    assert server.verb("licence", "show", "kept")["name"] == "kept"
    (told,) = (line for line in _lines(server) if line["event"].startswith("the database server has died"))
    assert told["level"] == "warning"
    assert "discarding closed" not in server.log.read_text()


def _lines(server: Serving) -> list[dict[str, Any]]:
    # Lines beside these are the HTTP server's own, and ends of others that were killed while they wrote.
    return [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]


def test_metrics_add_up_over_the_processes(server: Serving) -> None:
    before = _answered(server)
    for _ in range(20):
        # A connection each, so that both processes have some.
        assert plain.get(f"{server.url}/v5/usage").status_code == 401
    until(lambda: _answered(server) == before + 20)
    assert "tabellion_webhook_waiting 0\n" in plain.get(f"{server.url}/metrics").text


def test_metrics_tell_which_version_runs(server: Serving) -> None:
    answer = plain.get(f"{server.url}/metrics")
    assert f'tabellion_build_info{{version="{__version__}"}} 1.0' in answer.text
    # Each parameter once: parsers of media types refuse doubled ones, and with them the whole scrape.
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def _answered(server: Serving) -> float:
    lines = plain.get(f"{server.url}/metrics").text.splitlines()
    return sum(
        float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("tabellion_requests_total") and '"401"' in line
    )


def test_it_ends_when_it_is_told_to_while_a_database_that_died_is_started_again(server: Serving) -> None:
    """As while one recovers: here another process is about to start it. The last test of the server that they share."""
    (postmaster,) = server.children("bin/postgres -D")
    told = server.log.read_text().count("the database server has died")
    with (server.data_dir / "postgres.start").open() as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        os.kill(postmaster, signal.SIGKILL)
        until(lambda: server.log.read_text().count("the database server has died") > told)
        server.process.terminate()
        until(lambda: "stopping: calls in flight are finished" in server.log.read_text())
    assert server.stop() == 0
    assert "Traceback" not in server.log.read_text()


def test_when_it_is_killed_nothing_of_it_stays_but_the_data(tmp_path: Path) -> None:
    with Serving(tmp_path) as killed:
        killed.verb("licence", "create", "kept")
        children = killed.children("-m tabellion")
        assert len(children) == 3
        killed.process.kill()
        killed.process.wait()
    until(lambda: not any(map(is_alive, children)))
    # The port is free at once, and the database server that was left running is adopted.
    with Serving(tmp_path, port=killed.port) as again:
        assert "the embedded database ran on without anybody: who used it last was killed, or" in again.log.read_text()
        assert [one["name"] for one in again.verb("licence", "list")] == ["kept"]
        assert again.stop() == 0
    assert not EmbeddedPostgres(again.data_dir).is_running()


def test_calls_in_flight_are_finished_before_a_closed_terminal_stops_it(tmp_path: Path) -> None:
    answers: list[int] = []
    with Serving(tmp_path, "--host", "localhost") as serving:  # a host with a name
        serving.verb("licence", "create", "slow")
        serving.verb("entity", "create", "slow", "hotels")
        key = serving.verb("user", "create", "slow", "website")["apiKey"]
        serving.verb("licence", "limits", "slow", "--calls-per-minute", "1", "--window-seconds", "6")

        def call() -> None:
            headers = {"Authorization": f"Bearer {key}"}
            answers.append(plain.get(f"{serving.url}/entities/v4/entity", headers=headers, timeout=30).status_code)

        call()
        waiting = threading.Thread(target=call)
        waiting.start()
        with EmbeddedPostgres(serving.data_dir) as database, psycopg.connect(database.url, autocommit=True) as db:
            until(lambda: db.execute("SELECT sum(slowed_down) FROM tabellion.usage_state").fetchone() == (1,))
        assert answers == [200]
        for pid in [serving.process.pid, *serving.children("-m tabellion")]:
            os.kill(pid, signal.SIGHUP)
        assert serving.process.wait(60) == 0
        waiting.join(30)
    assert answers == [200, 200]
    assert "ended with status" not in serving.log.read_text()
    lines = [json.loads(line) for line in serving.log.read_text().splitlines()]
    first, second = [line for line in lines if line.get("licence") == "slow"]
    assert "waitedMs" not in first
    assert second["waitedMs"] > 1000
    assert second["durationMs"] >= second["waitedMs"]
    assert not EmbeddedPostgres(serving.data_dir).is_running()


def test_who_is_started_by_nohup_minds_no_closed_terminal() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop_on_hangup()
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_own_database_must_be_migrated_by_its_operator(tmp_path: Path, empty_database_url: str) -> None:
    refused = run("serve", "--port", str(free_port()), "--database-url", empty_database_url, cwd=tmp_path)
    assert refused.returncode == 1
    assert "run: tabellion migrate" in refused.stderr
    with psycopg.connect(empty_database_url) as db:
        assert db.execute("SELECT to_regnamespace('tabellion')").fetchone() == (None,)

    with Serving(tmp_path, "--database-url", empty_database_url, "--migrate") as serving:
        assert not (serving.data_dir / "postgres").exists()
        assert serving.stop() == 0


def test_it_ends_when_it_is_told_to_before_it_serves(tmp_path: Path, empty_database_url: str) -> None:
    """As while its database recovers: here the migration of another machine is waited for."""
    waiting = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = ("
        "SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    command = [*TABELLION, "serve", "--migrate", "--port", str(free_port()), "--database-url", empty_database_url]
    with psycopg.connect(empty_database_url, autocommit=True) as db:
        db.execute("SELECT pg_advisory_lock(%s)", (AdvisoryLock.MIGRATION,))
        with subprocess.Popen(command, cwd=tmp_path, env=clean_environment(), stderr=subprocess.PIPE, text=True) as starting:
            until(lambda: db.execute(waiting.encode()).fetchone() == (1,))
            starting.terminate()
            try:
                _, told = starting.communicate(timeout=10)
            finally:
                starting.kill()
        assert starting.returncode == 0
        assert "Traceback" not in told
        until(lambda: db.execute(waiting.encode()).fetchone() == (0,))


def test_a_port_that_nobody_may_use_is_told_clearly(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        refused = run("api", "--port", str(taken.getsockname()[1]), "--data-dir", "data", cwd=tmp_path)
    assert refused.returncode == 1
    assert "choose another with --port" in refused.stderr
