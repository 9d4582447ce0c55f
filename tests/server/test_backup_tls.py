"""pg_dump and pg_restore reach a database as the server itself does: with TLS, and nobody else's certificate."""

import subprocess
from pathlib import Path

import psycopg

from tabellion.server.postgres.clients import environment, find_client
from tests.support.certificates import Authority
from tests.support.database_proxy import with_tls


def run(name: str, version: int, url: str, *arguments: str) -> tuple[int, str]:
    client = find_client(name, version // 10_000)
    conninfo, variables = environment(client, url, "test")
    command = [client.path, "--no-password", f"--dbname={conninfo}", *arguments]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_a_database_that_is_reached_by_tls_is_dumped_and_restored(empty_database_url: str, tmp_path: Path) -> None:
    authority, dump = Authority(tmp_path), tmp_path / "dump"
    with (
        psycopg.connect(empty_database_url, autocommit=True) as db,
        with_tls(empty_database_url, authority.server("localhost")) as url,
    ):
        verified = f"{url.replace('HOST', 'localhost')}?sslmode=verify-full&sslrootcert={authority.certificate}"
        db.execute("CREATE TABLE said AS SELECT 'hello' AS word")
        assert run("pg_dump", db.info.server_version, verified, "--format=custom", f"--file={dump}") == (0, "")
        db.execute("DROP TABLE said")
        assert run("pg_restore", db.info.server_version, verified, "--exit-on-error", str(dump)) == (0, "")
        assert db.execute("SELECT word FROM said").fetchall() == [("hello",)]


def test_a_certificate_of_somebody_else_is_refused_there_as_well(empty_database_url: str, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger").certificate
    authority = Authority(tmp_path)
    with with_tls(empty_database_url, authority.server("localhost")) as url:
        for host, root, why in (
            ("localhost", stranger, "certificate verify failed"),
            ("127.0.0.1", authority.certificate, "does not match host name"),
        ):
            status, told = run("pg_dump", 160_000, f"{url.replace('HOST', host)}?sslmode=verify-full&sslrootcert={root}")
            assert status == 1
            assert why in told
