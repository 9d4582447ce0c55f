"""What analysts read with SQL: views that follow the structure of the tables, and nothing else."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from tabellion.cli.root import app
from tabellion.server.embedded import EmbeddedPostgres
from tests.support.postgres import OUTSIDE_URL, Cluster, database_name
from tests.support.tenant import Tenant

Analyst = psycopg.Connection[tuple[Any, ...]]
_CHANGES = "/v5/entities/hotels/profile-tables/Guests/change-requests"


@pytest.fixture
def verb(worker_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """What a verb prints with `--json`."""
    monkeypatch.setenv("TABELLION_DATABASE_URL", worker_database_url)

    def run(*arguments: str) -> Any:
        done = CliRunner().invoke(app(), [*arguments, "--json"])
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture
def may_make_roles(cluster: Cluster) -> None:
    """The server's role may make others, as an operator arranges it on a PostgreSQL of their own.

    It keeps the right: roles belong to the cluster, which the processes of the test run share.
    """
    with psycopg.connect(cluster.superuser("postgres")) as db:
        db.execute("SELECT pg_advisory_xact_lock(1)")  # PostgreSQL refuses two changes of a role at once
        db.execute("ALTER ROLE CURRENT_USER CREATEROLE" if OUTSIDE_URL else "ALTER ROLE tabellion CREATEROLE")


@pytest.fixture
def plain_role(cluster: Cluster) -> Iterator[str]:
    """A role that uses the server's tables and may not make roles."""
    name = database_name("plain")
    with psycopg.connect(cluster.superuser("postgres"), autocommit=True) as db:
        db.execute(sql.SQL("CREATE ROLE {} LOGIN NOCREATEROLE IN ROLE tabellion").format(sql.Identifier(name)))
        yield name
        db.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def analyst(tenant: Tenant, worker_database_url: str, verb: Callable[..., Any], may_make_roles: None) -> Iterator[Analyst]:
    """A connection of an analyst of the licence."""
    made = verb("licence", "analyst", tenant.licence)
    url = make_conninfo(worker_database_url, user=made["role"], password=made["password"])
    with psycopg.connect(url, autocommit=True) as db:
        yield db
    verb("licence", "analyst", tenant.licence, "--off")


def test_a_dump_holds_no_roles_and_what_it_is_restored_to_goes_on(
    tenant: Tenant,
    database: psycopg.Connection[Any],
    cluster: Cluster,
    worker_database_url: str,
    verb: Callable[..., Any],
    may_make_roles: None,
) -> None:
    def without_role(role: str) -> None:
        with psycopg.connect(cluster.superuser(database.info.dbname), autocommit=True) as db:
            for statement in ("DROP OWNED BY {}", "DROP ROLE {}"):
                db.execute(sql.SQL(statement).format(sql.Identifier(role)))

    without_role(verb("licence", "analyst", tenant.licence)["role"])
    later = {"name": "Later", "attributes": [{"name": "x", "valueType": "STRING"}]}
    made = tenant.json("POST", "/v5/entities/hotels/profile-tables", later)
    assert made.status_code == 201, made.text
    column = {"operation": "addAttribute", "attribute": {"name": "y", "valueType": "STRING"}}
    assert tenant.json("POST", _CHANGES, {"operations": [column]}).status_code == 200

    again = verb("licence", "analyst", tenant.licence)
    url = make_conninfo(worker_database_url, user=again["role"], password=again["password"])
    with psycopg.connect(url, autocommit=True) as analyst:
        assert analyst.execute('SELECT count(*), count(y) FROM "Guests"').fetchone() == (1, 0)
        assert analyst.execute('SELECT count(x) FROM "Later"').fetchone() == (0,)
    without_role(again["role"])
    verb("licence", "analyst", tenant.licence, "--off")


def test_a_password_that_was_chosen_is_the_line_without_its_end(
    tenant: Tenant, worker_database_url: str, verb: Callable[..., Any], may_make_roles: None, tmp_path: Path
) -> None:
    # A program of its own: what the runner hands in is not read as a standard input is.
    program = [sys.executable, "-m", "tabellion", "licence", "analyst", tenant.licence, "--password-stdin", "--json"]
    run = subprocess.run(program, input=b"correct horse\r\n", capture_output=True, check=True, cwd=tmp_path)
    made = json.loads(run.stdout)

    with psycopg.connect(make_conninfo(worker_database_url, user=made["role"], password="correct horse")) as db:
        assert db.info.user == made["role"]
    assert made["password"] == "correct horse"
    verb("licence", "analyst", tenant.licence, "--off")


@pytest.mark.usefixtures("stays")
def test_a_table_is_read_under_its_own_name_with_the_names_of_its_attributes(tenant: Tenant, analyst: Analyst) -> None:
    change = {"attributes": {"points": 7, "interests": ["SPA"]}, "subscriptions": {"Newsletter": True}}
    change["segmentations"] = {"Vip": True, "Loyalty": "Gold"}
    path = "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com"
    assert tenant.json("PATCH", path, change).status_code == 200
    row = analyst.execute(
        'SELECT "emailAddress", points, interests, "subscriptions.Newsletter", "subscriptions.Weekly offers", '
        '"segmentations.Vip", "segmentations.Loyalty", "birthDate"::text, "creationMoment" <= "updateMoment" FROM "Guests"'
    ).fetchone()
    assert row == ("ann@example.com", 7, ["SPA"], True, None, True, "Gold", "1984-05-12", True)
    assert analyst.execute('SELECT "stayRef", price::float FROM "Stays"').fetchall() == [("ST-00001", 249.5)]


def test_views_follow_each_change_of_structure(tenant: Tenant, analyst: Analyst) -> None:
    operations = [
        {"operation": "removeAttribute", "name": "points"},
        {"operation": "addAttribute", "attribute": {"type": "CUSTOM", "name": "shoeSize", "valueType": "INTEGER"}},
        {"operation": "updateSegmentation", "name": "Loyalty", "changes": {"renameCategories": {"Gold": "Platinum"}}},
        {"operation": "rename", "name": "Visitors"},
    ]  # fmt: skip
    answer = tenant.json("POST", _CHANGES, {"operations": operations})
    assert answer.status_code == 200, answer.text
    columns = {c.name for c in analyst.execute('SELECT * FROM "Visitors"').description or ()}
    assert {"shoeSize", "emailAddress"} <= columns
    assert "points" not in columns
    with pytest.raises(psycopg.errors.UndefinedTable):
        analyst.execute('SELECT * FROM "Guests"')
    more = {"name": "Shops", "attributes": [{"name": "city", "valueType": "STRING"}]}
    assert tenant.json("POST", "/v5/entities/spas/profile-tables", more).status_code == 201
    assert analyst.execute('SELECT count(*) FROM "Shops"').fetchone() == (0,)
    assert tenant.json("DELETE", "/v5/entities/spas/profile-tables/Shops").status_code == 204
    with pytest.raises(psycopg.errors.UndefinedTable):
        analyst.execute('SELECT * FROM "Shops"')


def test_a_custom_table_may_have_the_name_of_a_profile_table(tenant: Tenant, analyst: Analyst) -> None:
    made = {"name": "Guests", "type": "LINKED_DATA", "attributes": [{"name": "room", "valueType": "STRING"}]}
    answer = tenant.json("POST", "/v5/entities/hotels/custom-tables", made)
    assert answer.status_code == 201, answer.text
    names = [row[0] for row in analyst.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_name LIKE 'Guests%' ORDER BY 1")]  # fmt: skip
    assert len(names) == 2
    assert names[0] == "Guests"
    assert names[1].startswith("Guests~c")
    analyst.execute(sql.SQL("SELECT room FROM {}").format(sql.Identifier(names[1])))


def test_an_analyst_changes_nothing_and_reads_no_other_licence(
    tenant: Tenant, other_tenant: Tenant, analyst: Analyst, verb: Callable[..., Any]
) -> None:
    other = verb("licence", "analyst", other_tenant.licence)
    schema = sql.Identifier(other["schemas"][0])
    analyst.execute("SET default_transaction_read_only = off")
    for statement in (
        sql.SQL('UPDATE "Guests" SET "lastName" = \'x\''),
        sql.SQL('DELETE FROM "Guests"'),
        sql.SQL("SELECT * FROM tabellion.licence"),
        sql.SQL('SELECT * FROM {}."Guests"').format(schema),
        sql.SQL("CREATE TABLE {}.mine (x int)").format(schema),
        sql.SQL("CREATE VIEW mine AS SELECT 1"),
        sql.SQL("SELECT pg_read_file('/etc/passwd')"),
        sql.SQL("SET ROLE {}").format(sql.Identifier(other["role"])),
    ):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName)):
            analyst.execute(statement)
    verb("licence", "analyst", other_tenant.licence, "--off")


def test_a_long_question_delays_a_change_of_structure_but_does_not_stop_calls(tenant: Tenant, analyst: Analyst) -> None:
    with analyst.transaction():
        analyst.execute('SELECT * FROM "Guests"')
        change = {"operations": [{"operation": "removeAttribute", "name": "points"}]}
        answer = tenant.json("POST", _CHANGES, change)
        assert answer.status_code == 503, answer.text
        profile = tenant.json("GET", "/v5/entities/hotels/profile-tables/Guests/profiles/emailAddress=ann@example.com")
        assert profile.status_code == 200
    assert tenant.json("POST", _CHANGES, change).status_code == 200


@pytest.mark.usefixtures("may_make_roles")
def test_the_role_ends_with_its_licence(tenant: Tenant, worker_database_url: str, verb: Callable[..., Any]) -> None:
    made = verb("licence", "analyst", tenant.licence)
    verb("licence", "delete", tenant.licence, "--yes")
    with psycopg.connect(worker_database_url) as db:
        assert db.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (made["role"],)).fetchone() is None
        query = "SELECT 1 FROM pg_namespace WHERE nspname = ANY(%s)"
        assert db.execute(query, (made["schemas"],)).fetchone() is None


@pytest.mark.skipif(bool(OUTSIDE_URL), reason="the role of an outside server may be allowed to")
def test_a_role_that_may_not_make_roles_is_told_what_helps(
    tenant: Tenant, worker_database_url: str, plain_role: str
) -> None:
    url = worker_database_url.replace("//tabellion@", f"//{plain_role}@")
    done = CliRunner().invoke(app(), ["licence", "analyst", tenant.licence, "--database-url", url])
    assert done.exit_code == 1
    assert "ALTER ROLE" in done.stderr
    assert "CREATEROLE" in done.stderr


def test_the_embedded_database_gives_access_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TABELLION_DATA_DIR", str(tmp_path))

    def verb(*arguments: str) -> Any:
        done = CliRunner().invoke(app(), [*arguments, "--json"])
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    with EmbeddedPostgres(tmp_path):
        verb("licence", "create", "harbour")
        verb("entity", "create", "harbour", "hotels")
        made = verb("licence", "analyst", "harbour")
        with psycopg.connect(made["connection"]) as db:
            assert db.execute("SHOW search_path").fetchone() == ('"harbour/hotels"',)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                db.execute("SELECT * FROM tabellion.licence")
        verb("licence", "delete", "harbour", "--yes")
