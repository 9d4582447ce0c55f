"""What runs beside an erasure: mails on their way, imports that bring the person back, exports; and who comes back meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabellion.features.bulk.imports import Status, jobs_store
from tabellion.features.erasure import forgetting, overlap, service
from tests.contract.test_sending import MAIL, PROFILES, outbox, state
from tests.support.erasing import ERASURES, ahead, erased, finish, listen, ok, run
from tests.support.exports import EXECUTIONS, Exports
from tests.support.imports import Imports
from tests.support.tenant import ANN, STAYS, Tenant, schema_of
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker", "stays")
NEWS_OF_ANN = "SELECT event_type FROM tabellion.outbox_event WHERE lower(data::text) LIKE '%%ann@%%' AND licence_id = %s"


def campaign_sent(tenant: Tenant, name: str = "SpringOffer") -> None:
    number = tenant.campaign(name)
    ok(tenant.json("POST", f"{MAIL}/{number}/launch"))
    until(lambda: state(tenant, number) == "FINISHED")


def test_a_mail_that_is_being_handed_over_is_erased_after_it(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    schema = schema_of(tenant, database)
    campaign_sent(tenant)
    database.execute(f"UPDATE {schema}.recipient SET state = 'SENDING'")
    done = erased(tenant, "Ann@example.com", suppress=True)
    assert (done["suppressed"], done["erased"]["mails"]) == (True, 0)
    with pytest.raises(service.NotYet):
        finish(worker_database_url, spool, database, done["id"])
    said = "250 ok <ann@example.com>"
    database.execute(f"UPDATE {schema}.recipient SET state = 'ACCEPTED', reply = %s", (said,))
    finish(worker_database_url, spool, database, done["id"])
    row = database.execute(f"SELECT address, profile_id, reply, state FROM {schema}.recipient").fetchone()
    assert row == ("@example.com", None, None, "ACCEPTED")
    ended = ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))
    assert (ended["erased"]["mails"], ended["endedAt"] is not None) == (1, True)
    # What still comes back of it tells on nobody.
    ((mail,),) = database.execute(f"SELECT id FROM {schema}.recipient").fetchall()
    bounce = {"interactionId": mail, "type": "BOUNCE", "status": "5.1.1", "reason": said}
    assert ok(tenant.json("POST", "/v5/bounces", {"bounces": [bounce]}))["accepted"] == 1
    assert database.execute(f"SELECT detail FROM {schema}.mail_event").fetchall() == [("5.1.1",)]
    assert database.execute(f"SELECT count(*) FROM {schema}.suppression").fetchone() == (0,)


def test_a_mail_that_has_arrived_is_counted_once_however_long_a_bulk_call_is_at_work(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    schema = schema_of(tenant, database)
    campaign_sent(tenant)
    imports = Imports(tenant, worker_database_url, spool)
    job = imports.send(b"emailAddress,lastName\nbob@example.com,Bos\n").json()["id"]
    database.execute(f"UPDATE {schema}.recipient SET state = 'SENDING'")
    done = erased(tenant, "ann@example.com")
    database.execute(f"UPDATE {schema}.recipient SET state = 'ACCEPTED'")
    for _ in range(3):
        with pytest.raises(service.NotYet):
            finish(worker_database_url, spool, database, done["id"])
    imports.run(job)
    finish(worker_database_url, spool, database, done["id"])
    assert ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["erased"]["mails"] == 1


def test_the_answer_that_is_kept_for_the_erasure_itself_goes_where_its_key_has_the_address(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    body = {"address": "ann@example.com"}
    done = ok(tenant.json("POST", ERASURES, body, Idempotency_Key="erase Ann@example.com"))
    later = {"key": {"emailAddress": "ann@example.com"}, "attributes": {"lastName": "Vos"}}
    made = ok(tenant.json("PUT", PROFILES, later, Idempotency_Key="make ann@example.com"))
    finish(worker_database_url, spool, database, done["id"])
    assert ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["erased"]["answers"] == 1
    # Who comes back has answers of their own.
    again = tenant.json("PUT", PROFILES, later, Idempotency_Key="make ann@example.com")
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (made, "true")
    keys = database.execute(
        "SELECT key FROM tabellion.idempotency WHERE licence_id = %s", (schema_of(tenant, database)[1:],)
    ).fetchall()
    assert keys == [("make ann@example.com",)]


def test_a_mail_that_was_being_planned_is_erased_once_it_can_be_seen(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call with many triggers, or a launch, may take a while, in which nobody else sees what it has entered."""
    monkeypatch.setattr(overlap, "_SOON_S", 0.1)
    schema = schema_of(tenant, database)
    one = f"{MAIL}/{tenant.campaign('Booked', 'TRANSACTIONAL')}"
    ok(tenant.json("POST", f"{one}/launch"))
    bob = {"key": {"emailAddress": "bob@example.com"}, "attributes": {"lastName": "Bos"}}
    number = ok(tenant.json("PUT", PROFILES, bob))["profileId"]
    bos = {"attributes": [{"name": "emailAddress", "value": "bob@example.com"}, {"name": "lastName", "value": "Baas"}]}
    contacts = [{"profile": "emailAddress=ann@example.com"}, {"profile": bos}]
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ((relation,),) = database.execute("SELECT 'p' || id FROM tabellion.profile_table WHERE licence_id = %s", (schema[1:],))
    with psycopg.connect(worker_database_url) as holder, ThreadPoolExecutor(1) as beside:
        holder.execute(f"SELECT FROM {schema}.{relation} WHERE id = %s FOR UPDATE", (number,))
        asked = beside.submit(tenant.json, "POST", f"{one}/contact", {"contacts": contacts})
        until(lambda: database.execute(waiting).fetchall())
        done = erased(tenant, "ann@example.com")
        with pytest.raises(service.NotYet):
            finish(worker_database_url, spool, database, done["id"])
        holder.rollback()
        assert ok(asked.result())["accepted"] == 2
    finish(worker_database_url, spool, database, done["id"])
    first, second = database.execute(f"SELECT address, state FROM {schema}.recipient ORDER BY id").fetchall()
    assert (first, second[0]) == (("@example.com", "EXCLUDED"), "bob@example.com")
    assert ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["endedAt"] is not None


@pytest.mark.parametrize("ahead_s", [0, 90])
def test_an_import_that_was_accepted_before_brings_nobody_back(
    ahead_s: int, tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    """Also one that was accepted by a machine whose clock is ahead."""
    listen(tenant)
    imports = Imports(tenant, worker_database_url, spool)
    rows = "emailAddress,lastName\nANN@example.com,Vos\nbob@example.com,Bos\n"
    job = imports.send(rows.encode()).json()["id"]
    ahead(database, schema_of(tenant, database), ahead_s)
    done = erased(tenant, "ann@example.com")
    with pytest.raises(service.NotYet):
        finish(worker_database_url, spool, database, done["id"])
    imports.run(job)
    left = {each["attributes"]["emailAddress"] for each in ok(tenant.json("GET", PROFILES))["profiles"]}
    assert left == {"ANN@example.com", "bob@example.com"}

    finish(worker_database_url, spool, database, done["id"])

    ended = ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))
    assert (ended["erased"]["profiles"], ended["endedAt"] is not None, ended["failure"]) == (2, True, None)
    left = {each["attributes"]["emailAddress"] for each in ok(tenant.json("GET", PROFILES))["profiles"]}
    assert left == {"bob@example.com"}
    assert database.execute(NEWS_OF_ANN, (schema_of(tenant, database)[1:],)).fetchall() == []


def test_mails_to_whom_an_import_brought_back_lose_what_is_personal(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    schema = schema_of(tenant, database)
    listen(tenant)
    imports = Imports(tenant, worker_database_url, spool)
    job = imports.send(b"emailAddress,lastName\nann@example.com,Vos\n").json()["id"]
    done = erased(tenant, "ann@example.com")
    imports.run(job)
    campaign_sent(tenant)
    database.execute(f"UPDATE {schema}.recipient SET state = 'SENDING'")
    with pytest.raises(service.NotYet):
        finish(worker_database_url, spool, database, done["id"])
    database.execute(f"UPDATE {schema}.recipient SET state = 'ACCEPTED'")
    finish(worker_database_url, spool, database, done["id"])

    ended = ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))
    assert (ended["erased"]["mails"], ended["erased"]["outboxMails"], ended["erased"]["files"]) == (1, 1, 1)
    assert ended["endedAt"] is not None
    row = database.execute(f"SELECT address, profile_id FROM {schema}.recipient").fetchone()
    assert row == ("@example.com", None)
    assert ok(tenant.json("GET", PROFILES))["profiles"] == []
    assert database.execute(NEWS_OF_ANN, (schema[1:],)).fetchall() == []


def test_what_was_accepted_while_an_erasure_waited_is_searched(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    imports = Imports(tenant, worker_database_url, spool)
    ann = ok(tenant.json("GET", f"{PROFILES}/emailAddress=ann@example.com"))["profileId"]
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(worker_database_url) as holder, ThreadPoolExecutor(1) as beside:
        ((relation,),) = database.execute(
            "SELECT 'p' || id FROM tabellion.profile_table WHERE licence_id = %s", (schema_of(tenant, database)[1:],)
        ).fetchall()
        holder.execute(f"SELECT FROM {schema_of(tenant, database)}.{relation} WHERE id = %s FOR UPDATE", (ann,))
        asked = beside.submit(erased, tenant, "ann@example.com")
        until(lambda: database.execute(waiting).fetchall())
        Exports(tenant, worker_database_url, spool).do(compression="NONE")
        job = imports.send(b"emailAddress,lastName\nann@example.com,Vos\n").json()["id"]
        holder.rollback()
        done = asked.result()
    assert done["erased"]["profiles"] == 1
    imports.run(job)
    finish(worker_database_url, spool, database, done["id"])
    assert ok(tenant.json("GET", PROFILES))["profiles"] == []
    assert ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["erased"]["files"] == 2


def test_whom_an_import_made_while_an_erasure_waited_does_not_stay(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    """It had looked already, and the import ended before it did."""
    schema = schema_of(tenant, database)
    attribute = {"type": "EMAIL_ADDRESS", "name": "emailAddress", "unique": True}
    ok(tenant.json("POST", "/v5/entities/hotels/profile-tables", {"name": "Others", "attributes": [attribute]}))
    ann = ok(tenant.json("GET", f"{PROFILES}/emailAddress=ann@example.com"))["profileId"]
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ((relation,),) = database.execute(
        "SELECT 'p' || id FROM tabellion.profile_table WHERE licence_id = %s AND name = 'Guests'", (schema[1:],)
    ).fetchall()
    with psycopg.connect(worker_database_url) as holder, ThreadPoolExecutor(1) as beside:
        holder.execute(f"SELECT FROM {schema}.{relation} WHERE id = %s FOR UPDATE", (ann,))
        asked = beside.submit(erased, tenant, "ann@example.com")
        until(lambda: database.execute(waiting).fetchall())
        imports = Imports(tenant, worker_database_url, spool)
        assert imports.do("emailAddress\nann@example.com\n", path="/v4/entity/hotels/table/Others")["rowsCreated"] == 1
        holder.rollback()
        done = asked.result()
    finish(worker_database_url, spool, database, done["id"])
    assert ok(tenant.json("GET", "/v5/entities/hotels/profile-tables/Others/profiles"))["profiles"] == []
    assert ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["erased"]["profiles"] == 2


def test_whom_an_import_was_about_to_write_when_they_were_erased_does_not_stay(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    """Its rows have the moment at which their block began, and nobody sees them before its end."""
    imports = Imports(tenant, worker_database_url, spool)
    ann = ok(tenant.json("GET", f"{PROFILES}/emailAddress=ann@example.com"))["profileId"]
    rows = b"emailAddress,lastName\nann@example.com,Maes\ncid@example.com,Cis\n"
    job = imports.send(rows).json()["id"]
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    ((relation,),) = database.execute(
        "SELECT 'p' || id FROM tabellion.profile_table WHERE licence_id = %s", (schema_of(tenant, database)[1:],)
    ).fetchall()
    with psycopg.connect(worker_database_url) as holder, ThreadPoolExecutor(1) as beside:
        holder.execute(f"SELECT FROM {schema_of(tenant, database)}.{relation} WHERE id = %s FOR UPDATE", (ann,))
        running = beside.submit(imports.run, job)
        until(lambda: database.execute(waiting).fetchall())
        done = erased(tenant, "cid@example.com")
        holder.rollback()
        running.result()
    finish(worker_database_url, spool, database, done["id"])
    left = {each["attributes"]["emailAddress"] for each in ok(tenant.json("GET", PROFILES))["profiles"]}
    assert left == {"ann@example.com"}
    assert ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["erased"]["profiles"] == 1


def test_who_comes_back_by_a_call_while_an_import_is_at_work_stays(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    imports = Imports(tenant, worker_database_url, spool)
    job = imports.send(b"emailAddress,lastName\nbob@example.com,Bos\n").json()["id"]
    done = erased(tenant, "ann@example.com")
    ok(tenant.json("PUT", PROFILES, ANN))
    exports = Exports(tenant, worker_database_url, spool)
    shown, _ = exports.do(compression="NONE")
    imports.run(job)
    finish(worker_database_url, spool, database, done["id"])
    assert ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["endedAt"] is not None
    assert ok(tenant.json("GET", f"{PROFILES}/emailAddress=ann@example.com"))["profileId"]
    assert b"ann@example.com" in exports.file(shown["id"])


@pytest.mark.parametrize("ahead_s", [0, 90])
def test_news_of_who_came_back_since_and_their_mails_in_the_outbox_stay(
    ahead_s: int, tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    """However far ahead the clock of the machine is that wrote what was there before."""
    listen(tenant)
    campaign_sent(tenant)
    ahead(database, schema_of(tenant, database), ahead_s)
    done = erased(tenant, "ann@example.com")
    assert (done["erased"]["outboxMails"], outbox(tenant, database)) == (1, [])
    ok(tenant.json("PUT", PROFILES, ANN))
    campaign_sent(tenant, "SummerOffer")
    finish(worker_database_url, spool, database, done["id"])
    assert [recipient for recipient, _ in outbox(tenant, database)] == ["ann@example.com"]
    assert ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["erased"]["outboxMails"] == 1
    news = "SELECT event_type FROM tabellion.outbox_event WHERE licence_id = %s ORDER BY id"
    told = [kind for (kind,) in database.execute(news, (schema_of(tenant, database)[1:],)).fetchall()]
    assert told == ["DELETE", "CREATE", "SENT"]


def test_a_profile_to_which_an_import_that_was_accepted_before_gave_the_address_is_erased(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    """As it would have been had the import come first."""
    bob = {"key": {"emailAddress": "bob@example.com"}, "attributes": {"lastName": "Bos", "cardNumber": "C1"}}
    ok(tenant.json("PUT", PROFILES, bob))
    imports = Imports(tenant, worker_database_url, spool)
    job = imports.send(b"cardNumber,emailAddress,lastName\nC1,ann@example.com,Vos\n", keyAttribute="cardNumber").json()["id"]
    done = erased(tenant, "ann@example.com")
    imports.run(job)
    assert imports.result(job)["rowsUpdated"] == 1
    finish(worker_database_url, spool, database, done["id"])
    assert ok(tenant.json("GET", PROFILES))["profiles"] == []
    ended = ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))
    assert (ended["erased"]["profiles"], ended["endedAt"] is not None, ended["failure"]) == (2, True, None)


def test_a_profile_to_which_a_call_gave_the_address_while_an_import_was_at_work_stays(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    bob = {"key": {"emailAddress": "bob@example.com"}, "attributes": {"lastName": "Bos", "cardNumber": "C1"}}
    ok(tenant.json("PUT", PROFILES, bob))
    imports = Imports(tenant, worker_database_url, spool)
    job = imports.send(b"cardNumber,lastName\nC1,Vos\n", keyAttribute="cardNumber").json()["id"]
    done = erased(tenant, "ann@example.com")
    moved = {"attributes": {"emailAddress": "ann@example.com"}}
    ok(tenant.json("PATCH", f"{PROFILES}/cardNumber=C1", moved))
    imports.run(job)
    assert imports.result(job)["rowsUpdated"] == 1
    finish(worker_database_url, spool, database, done["id"])
    (left,) = ok(tenant.json("GET", PROFILES))["profiles"]
    assert (left["attributes"]["emailAddress"], left["attributes"]["lastName"]) == ("ann@example.com", "Vos")


def test_who_comes_back_by_a_later_import_into_another_table_stays(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    attribute = {"type": "EMAIL_ADDRESS", "name": "emailAddress", "unique": True}
    ok(tenant.json("POST", "/v5/entities/hotels/profile-tables", {"name": "Others", "attributes": [attribute]}))
    imports = Imports(tenant, worker_database_url, spool)
    job = imports.send(b"emailAddress,lastName\nbob@example.com,Bos\n").json()["id"]
    done = erased(tenant, "ann@example.com")
    assert imports.do("emailAddress\nann@example.com\n", path="/v4/entity/hotels/table/Others")["rowsCreated"] == 1
    imports.run(job)
    finish(worker_database_url, spool, database, done["id"])
    others = ok(tenant.json("GET", "/v5/entities/hotels/profile-tables/Others/profiles"))["profiles"]
    assert [each["attributes"]["emailAddress"] for each in others] == ["ann@example.com"]
    assert ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["endedAt"] is not None


def test_who_comes_back_by_an_import_between_two_tries_of_an_older_one_stays(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    """Into one table no two are at work at once, but one that failed may be tried again by the operator."""
    imports = Imports(tenant, worker_database_url, spool)
    older = imports.do("no,columns\n1,2\n")["id"]
    done = erased(tenant, "ann@example.com")
    assert imports.do("emailAddress,lastName\nann@example.com,Vos\n")["rowsCreated"] == 1
    assert run(worker_database_url, lambda db: jobs_store.reopen(db, older))
    imports.run(older)
    finish(worker_database_url, spool, database, done["id"])
    (left,) = ok(tenant.json("GET", PROFILES))["profiles"]
    assert left["attributes"]["lastName"] == "Vos"
    ended = ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))
    assert (ended["erased"]["profiles"], ended["endedAt"] is not None) == (1, True)


def test_an_import_that_is_cancelled_before_its_next_try_was_not_at_work_again(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    imports = Imports(tenant, worker_database_url, spool)
    older = imports.do("no,columns\n1,2\n")["id"]
    done = erased(tenant, "ann@example.com")
    assert run(worker_database_url, lambda db: jobs_store.reopen(db, older))
    assert imports.do("emailAddress,lastName\nann@example.com,Vos\n")["rowsCreated"] == 1
    assert run(worker_database_url, lambda db: jobs_store.end(db, older, Status.CANCELLED, datetime.now(UTC)))
    finish(worker_database_url, spool, database, done["id"])
    (left,) = ok(tenant.json("GET", PROFILES))["profiles"]
    assert left["attributes"]["lastName"] == "Vos"


def test_whom_the_first_try_of_an_import_brought_back_does_not_stay_after_another_try(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    imports = Imports(tenant, worker_database_url, spool)
    job = imports.send(b"emailAddress,lastName\nann@example.com,Vos\n").json()["id"]
    done = erased(tenant, "ann@example.com")
    imports.run(job)
    # As if its worker had been stopped right behind the last row.
    database.execute("UPDATE tabellion.import_job SET status = 'CANCELLED' WHERE id = %s", (job,))
    assert run(worker_database_url, lambda db: jobs_store.reopen(db, job))
    imports.run(job)
    finish(worker_database_url, spool, database, done["id"])
    assert ok(tenant.json("GET", PROFILES))["profiles"] == []


def test_what_followed_from_whom_an_import_brought_back_goes_too(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    imports = Imports(tenant, worker_database_url, spool)
    job = imports.send(b"emailAddress,lastName\nann@example.com,Vos\n").json()["id"]
    done = erased(tenant, "ann@example.com")
    imports.run(job)
    one = f"{PROFILES}/emailAddress=ann@example.com"
    ok(tenant.json("PATCH", one, {"attributes": {"lastName": "Fox"}}, Idempotency_Key="to Fox"))
    suppressed = f"INSERT INTO {schema_of(tenant, database)}.suppression VALUES ('ann@example.com', 'UNSUBSCRIBE', now())"
    database.execute(suppressed)
    finish(worker_database_url, spool, database, done["id"])
    ended = ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))
    assert (ended["erased"]["profiles"], ended["erased"]["answers"]) == (2, 1)
    # Who wants no mails gets none, and the list names nobody.
    assert ok(tenant.json("GET", "/v5/suppressions"))["suppressions"] == []
    assert ok(tenant.json("GET", "/v5/suppressions/ann@example.com"))["reason"] == "UNSUBSCRIBE"


def test_an_export_that_shows_whom_an_import_brought_back_goes(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    imports, exports = Imports(tenant, worker_database_url, spool), Exports(tenant, worker_database_url, spool)
    job = imports.send(b"emailAddress,lastName\nann@example.com,Vos\n").json()["id"]
    done = erased(tenant, "ann@example.com")
    imports.run(job)
    shown, content = exports.do(compression="NONE")
    assert b"ann@example.com" in content
    # One that is at work may have seen them, too.
    other = ok(tenant.json("POST", EXECUTIONS, {"tableId": "Guests", "compression": "NONE"}))["id"]
    for _ in range(2):
        with pytest.raises(service.NotYet):
            finish(worker_database_url, spool, database, done["id"])
    later = ok(tenant.json("POST", EXECUTIONS, {"tableId": "Guests", "compression": "NONE"}))["id"]
    exports.run(other)
    finish(worker_database_url, spool, database, done["id"])

    gone = tenant.json("GET", f"{EXECUTIONS}/{shown['id']}/file")
    assert (gone.status_code, gone.json()["code"]) == (404, "file.unknown")
    assert b"ann@example.com" not in exports.file(other)
    ended = ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))
    assert (ended["erased"]["profiles"], ended["erased"]["files"], ended["endedAt"] is not None) == (2, 2, True)
    # Nobody waits for those that were accepted when they had gone.
    assert exports.read(later)["status"] == "QUEUED"


def test_exports_that_may_show_a_person_without_their_address_go(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    to = {"tableType": "PROFILE_TABLE", "tableId": "Guests", "attribute": "cardNumber"}
    key = {"name": "guest", "attribute": "cardNumber", "reference": to, "onDelete": "CASCADE"}
    tables = "/v5/entities/hotels/custom-tables"
    for name, keys in (("Trips", [key]), ("Bills", [])):
        ok(tenant.json("POST", tables, STAYS | {"name": name, "foreignKeys": keys}))
    ok(tenant.json("PATCH", f"{PROFILES}/emailAddress=ann@example.com", {"attributes": {"cardNumber": "C1"}}))
    trip = {"key": {"stayRef": "S1"}, "attributes": {"cardNumber": "C1", "state": "OPEN"}}
    ok(tenant.json("PUT", f"{tables}/Trips/records", trip))
    exports = Exports(tenant, worker_database_url, spool)

    def shown(table: str, *attributes: str, **definition: Any) -> str:
        wanted: dict[str, Any] = {"tableId": table, "compression": "NONE", "attributes": attributes or None}
        return exports.do(**wanted | definition)[0]["id"]

    custom = {"tableType": "CUSTOM_TABLE"}
    unnamed = [shown("Guests", "cardNumber"), shown("Guests", "lastName"), shown("Trips", **custom)]
    named = [shown("Guests", "EMAILADDRESS"), shown("Guests")]
    others = [shown("Guests", "emailAddress", filter="emailAddress = 'bob@example.com'"), shown("Bills", **custom)]
    done = erased(tenant, "ann@example.com")
    others.append(shown("Guests", "lastName"))
    finish(worker_database_url, spool, database, done["id"])

    asked = {each: tenant.json("GET", f"{EXECUTIONS}/{each}/file").status_code for each in (*unnamed, *named, *others)}
    assert asked == dict.fromkeys((*unnamed, *named), 404) | dict.fromkeys(others, 200)
    why = tenant.json("GET", f"{EXECUTIONS}/{unnamed[0]}/file").json()["message"]
    assert why.endswith("an erasure deletes those that show the person, or may do so without the address; export anew")
    assert ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["erased"]["files"] == 5
    # Nobody is in any table who is not in one.
    done = erased(tenant, "ann@example.com")
    finish(worker_database_url, spool, database, done["id"])
    assert ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["erased"]["files"] == 0


def test_exports_that_show_whom_an_import_brought_back_without_their_address_go(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    imports, exports = Imports(tenant, worker_database_url, spool), Exports(tenant, worker_database_url, spool)
    ok(tenant.json("DELETE", f"{PROFILES}/emailAddress=ann@example.com"))
    before, _ = exports.do(compression="NONE", attributes=["lastName"])
    job = imports.send(b"emailAddress,lastName\nann@example.com,Vos\n").json()["id"]
    done = erased(tenant, "ann@example.com")
    imports.run(job)
    shown, content = exports.do(compression="NONE", attributes=["lastName"])
    assert b"Vos" in content
    finish(worker_database_url, spool, database, done["id"])
    assert tenant.json("GET", f"{EXECUTIONS}/{shown['id']}/file").status_code == 404
    assert exports.file(before["id"])


def test_what_keeps_whom_an_import_brought_back_fails_the_erasure(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    to = {"tableType": "PROFILE_TABLE", "tableId": "Guests", "attribute": "cardNumber"}
    key = {"name": "guest", "attribute": "cardNumber", "reference": to, "onDelete": "RESTRICT"}
    ok(tenant.json("POST", "/v5/entities/hotels/custom-tables", STAYS | {"name": "Bills", "foreignKeys": [key]}))
    imports = Imports(tenant, worker_database_url, spool)
    job = imports.send(b"emailAddress,lastName,cardNumber\nann@example.com,Vos,C1\n").json()["id"]
    done = erased(tenant, "ann@example.com")
    imports.run(job)
    bill = {"key": {"stayRef": "B1"}, "attributes": {"cardNumber": "C1"}}
    ok(tenant.json("PUT", "/v5/entities/hotels/custom-tables/Bills/records", bill))
    finish(worker_database_url, spool, database, done["id"])
    failure = ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["failure"]
    assert "brought the person back" in failure
    assert "'Bills'" in failure


def test_more_than_a_person_can_be_whom_an_import_brought_back_fails_the_erasure(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    imports = Imports(tenant, worker_database_url, spool)
    job = imports.send(b"emailAddress,lastName\nann@example.com,Vos\n").json()["id"]
    done = erased(tenant, "ann@example.com")
    imports.run(job)
    monkeypatch.setattr(forgetting, "_MOST_PROFILES", 0)
    finish(worker_database_url, spool, database, done["id"])
    assert "brought the person back" in ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))["failure"]
