"""An erased person is nowhere: a canary in every feature, and then no trace of it in database, files and log."""

import base64
import json
import secrets as chance
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tabellion.features.erasure import service
from tabellion.features.webhooks.fanout import fan_out
from tabellion.kit.clock import utc_now
from tabellion.platform import audit
from tabellion.platform.secrets import SecretUnreadable
from tests.contract.test_sending import MAIL, PROFILES, hrefs, local, outbox, state
from tests.support import plain
from tests.support.api import Api
from tests.support.erasing import ERASURES, HOOKS, ahead, erased, finish, listen, ok, run
from tests.support.etls import Etls, one_file, packed
from tests.support.exports import Exports
from tests.support.imports import Imports
from tests.support.serving import json_here, run_here
from tests.support.tenant import STAYS, Tenant, schema_of
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker", "stays")

BODY = (
    "<html><body><p>Dear {{ profile.lastName }}</p>"
    '<p><a href="https://www.example.com/offer">Offer</a> <a href="https://www.example.com/?card={{ profile.cardNumber }}">Card</a>'
    '<a href="{{ unsubscribeUrl }}">unsubscribe</a> <a href="{{ onlineUrl }}">online</a></p></body></html>'
)
# What a dump has besides the licence's own schema.
SHARED = ("tabellion", "jobs")


class Canary:
    """A person all of whose values have one word in them that nothing else has."""

    def __init__(self) -> None:
        self.word = f"kanari{chance.token_hex(6)}"
        self.address = f"Ann.{self.word.title()}@Example.net"
        self.profile = {
            "key": {"emailAddress": self.address},
            "attributes": {"lastName": f"Vos {self.word}", "cardNumber": f"C{self.word[:18]}"},
        }
        self.card = self.profile["attributes"]["cardNumber"]
        self.agent = {"User-Agent": f"Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0 {self.word}"}

    def is_in(self, text: bytes) -> bool:
        """Also as the database prints octets."""
        low, word = text.lower(), self.word.encode()[:18]
        return word in low or word.hex().encode() in low


@pytest.fixture
def canary() -> Canary:
    return Canary()


def places(canary: Canary, database: psycopg.Connection[Any], schema: str, api: Api) -> set[str]:
    """Where the canary still is: tables, files, log."""
    found: set[str] = set()
    query = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY (%s)"
    for name, table in database.execute(query, ([schema, *SHARED],)).fetchall():
        with database.cursor().copy(f'COPY {name}."{table}" TO STDOUT') as copy:
            # All of it: a copy that is left before its end holds the connection.
            if canary.is_in(b"".join(bytes(line) for line in copy)):
                found.add(f"{name.replace(schema, 'l')}.{table}")
    from tabellion.features.bulk.searching import is_in_file

    for path in api.spool.rglob("*"):
        if path.is_file() and is_in_file(path, lambda octets, *_: canary.is_in(octets)):
            found.add(f"spool/{path.name}")
    if canary.is_in(api.log.read_bytes()):
        found.add("log")
    return found


def live(canary: Canary, tenant: Tenant, url: str, spool: Path, database: psycopg.Connection[Any]) -> dict[str, Any]:
    """The canary in every feature; addresses of its mail, and its campaign."""
    listen(tenant)
    to = {"tableType": "PROFILE_TABLE", "tableId": "Guests", "attribute": "cardNumber"}
    key = {"name": "guest", "attribute": "cardNumber", "reference": to, "onDelete": "CASCADE"}
    stays = STAYS | {"name": "Trips", "foreignKeys": [key]}
    ok(tenant.json("POST", "/v5/entities/hotels/custom-tables", stays))
    ok(tenant.json("PUT", PROFILES, canary.profile, Idempotency_Key=f"make {canary.address}"))
    one = f"{PROFILES}/emailAddress={canary.address}"
    for subscribed in (True, False, True):
        ok(tenant.json("PATCH", one, {"subscriptions": {"Newsletter": subscribed}}))
    record = {"key": {"stayRef": f"S{canary.word}"}, "attributes": {"cardNumber": canary.card, "state": "OPEN"}}
    ok(tenant.json("PUT", "/v5/entities/hotels/custom-tables/Trips/records", record))

    rows = f"emailAddress,lastName,birthDate\n{canary.address},Vos {canary.word},never\nbob@example.com,Bos,\n"
    assert Imports(tenant, url, spool).do(rows)["rowsInError"] == 1
    Etls(tenant, url, spool).do({"guests.zip": packed(guests=rows)}, one_file())
    for compression in ("ZIP", "GZIP", "NONE"):
        Exports(tenant, url, spool).do(compression=compression)
    keys = {"attribute": "cardNumber", "values": [canary.card, "other"]}
    ok(tenant.json("POST", "/v5/entities/hotels/audiences", {"name": "Few", "targetTable": "Guests", "keys": keys}))

    number = tenant.campaign()
    ok(tenant.call("PUT", f"{MAIL}/{number}/content/body", content=BODY, headers={"Content-Type": "text/html"}))
    ok(tenant.json("PUT", f"{MAIL}/{number}/target", {"keys": {"attribute": "emailAddress", "values": [canary.address]}}))
    ok(tenant.json("POST", f"{MAIL}/{number}/test", {"recipients": [canary.address]}))
    ok(tenant.json("POST", f"{MAIL}/{number}/launch"))
    until(lambda: state(tenant, number) == "FINISHED")
    (mail,) = until(lambda: [m for _, m in outbox(tenant, database) if m["Subject"].startswith("Spring")])
    links = [local(tenant, each) for each in hrefs(mail)]
    picture = next(each for each in links if "/t/o/" in each)
    card = [each for each in links if "/t/c/" in each][1]
    for each in (picture, card):
        plain.get(each, headers=canary.agent)
    leave = next(each for each in links if "/t/u/" in each)
    assert plain.post(leave).status_code == 200
    interaction = ok(tenant.json("GET", f"{MAIL}/{number}/profile/emailAddress={canary.address}/interaction"))
    said = f"550 5.1.1 <{canary.address}>: unknown"
    told = {
        "interactionId": interaction["interactions"][0]["interactionId"],
        "type": "BOUNCE",
        "status": "5.1.1",
        "reason": said,
    }
    assert ok(tenant.json("POST", "/v5/bounces", {"bounces": [told]}))["accepted"] == 1

    # A variant of an A/B test, and a look at the other one before.
    tested = tenant.campaign("Tested")
    ok(tenant.json("PUT", f"{MAIL}/{tested}/target", {"keys": {"attribute": "emailAddress", "values": [canary.address]}}))
    variants = [{"name": "A"}, {"name": "B", "contents": [{"subject": "B for {{ profile.lastName }}", "html": BODY}]}]
    test = {"share": 100, "variants": variants, "criterion": "CLICKS", "decideAfterMinutes": 30}
    ok(tenant.json("PUT", f"/v5/entities/hotels/mails/{tested}/ab-test", test))
    look = {"variant": "B", "profile": f"emailAddress={canary.address}"}
    assert canary.word in json.dumps(ok(tenant.json("POST", f"/v5/entities/hotels/mails/{tested}/preview", look)))
    ok(tenant.json("DELETE", f"/v5/suppressions/{canary.address}"))
    ok(tenant.json("POST", f"{MAIL}/{tested}/launch"))
    until(lambda: (seen := ok(tenant.json("GET", f"{MAIL}/{tested}/report")))["targeted"] - seen["pending"] == 1)

    # A triggered mail that waits for its domain, with parameters and a file.
    waiting = tenant.campaign("Booked", "TRANSACTIONAL")
    ok(tenant.json("PUT", f"{MAIL}/{waiting}/content/personalisation", {"personalisations": [{"key": "stayRef"}]}))
    ok(tenant.json("POST", f"{MAIL}/{waiting}/launch"))
    held = f"INSERT INTO {schema_of(tenant, database)}.domain_hold VALUES ('example.net', now() + interval '1 hour', 60)"
    database.execute(held)
    attributes = [{"name": "emailAddress", "value": canary.address}, {"name": "lastName", "value": canary.word}]
    contact = {"profile": {"attributes": attributes}, "parameters": [{"key": "stayRef", "values": [canary.word]}]}
    parts = [("contact", (None, json.dumps(contact))), ("attachment", ("x.txt", canary.word.encode(), "text/plain"))]
    bearer = {"Authorization": f"Bearer {tenant.api_key}"}
    path = f"/v4/entity/hotels/transactionalmail/{waiting}/contactWithAttachment"
    ok(tenant.client.post(path, files=parts, headers=bearer))
    # Some news have become deliveries, some have not.
    run(url, lambda db: fan_out(db, utc_now()))
    ok(tenant.json("PATCH", one, {"attributes": {"lastName": f"Fox {canary.word}"}}, Idempotency_Key=canary.word[:18]))
    plain.get(card, headers=canary.agent)
    return {"campaign": number, "waiting": waiting, "links": links, "leave": leave}


@pytest.mark.parametrize("ahead_s", [0, 90])
def test_an_erased_person_is_nowhere(
    ahead_s: int, canary: Canary, tenant: Tenant, worker_database_url: str, spool: Path, api: Api,
    database: psycopg.Connection[Any]
) -> None:  # fmt: skip
    """Also what was written shortly before by a machine whose clock is ahead."""
    schema = schema_of(tenant, database)
    lived = live(canary, tenant, worker_database_url, spool, database)
    ahead(database, schema, ahead_s)
    report = f"{MAIL}/{lived['campaign']}/report"
    before = ok(tenant.json("GET", report))
    assert (before["opens"], before["clicks"], before["unsubscribes"], before["hardBounces"]) == (1, 2, 1, 1)
    assert {
        "l.recipient", "l.mail_event", "l.outbox_mail", "l.suppression", "l.mail_attachment", "l.audience_key",
        "tabellion.idempotency", "tabellion.campaign", "tabellion.webhook_delivery", "tabellion.outbox_event", "spool/errors.zip",
    } <= places(canary, database, schema, api)  # fmt: skip

    assert run(worker_database_url, lambda db: audit.seal(db, utc_now())) > 0
    body = {"address": canary.address.upper()}
    done = ok(tenant.json("POST", ERASURES, body, Idempotency_Key="erase"))
    assert ok(tenant.json("POST", ERASURES, body, Idempotency_Key="erase")) == done
    assert done["suppressed"]
    assert done["endedAt"] is None
    erased = done["erased"]
    assert (erased["profiles"], erased["records"], erased["mails"], erased["withdrawn"], erased["keys"]) == (1, 1, 4, 1, 3)
    finish(worker_database_url, spool, database, done["id"])
    ended = ok(tenant.json("GET", f"{ERASURES}/{done['id']}"))
    assert ended["endedAt"] is not None
    assert ended["erased"]["files"] >= 6

    assert places(canary, database, schema, api) == set()
    # Nothing of the trail was touched, neither by the erasure nor by what followed.
    assert run(worker_database_url, lambda db: audit.seal(db, utc_now())) > 0
    assert run(worker_database_url, audit.verify).fits
    assert ok(tenant.json("GET", report)) == before
    mails = ok(tenant.json("GET", f"{MAIL}/{lived['waiting']}/report"))
    assert (mails["targeted"], mails["pending"], mails["excluded"]["deleted"]) == (1, 0, 1)
    assert database.execute(f"SELECT count(*) FROM {schema}.mail_attachment").fetchone() == (0,)
    # Whoever listens hears that a profile is gone, and not whose.
    (news,) = database.execute(
        "SELECT data FROM tabellion.outbox_event WHERE event_type = 'DELETE' AND licence_id = %s", (schema[1:],)
    ).fetchall()
    assert list(news[0]) == ["id"]
    of_it = (schema[1:], f"erasure/{done['id']}")
    notes = database.execute("SELECT note FROM tabellion.audit WHERE licence_id = %s AND object = %s", of_it).fetchall()
    assert [note.startswith("profiles 1, records 1, mails 4") for (note,) in notes] == [True, True]

    # The mail is still in somebody's mailbox.
    sent, online = (next(each for each in lived["links"] if f"/t/{use}/" in each) for use in "cv")
    assert plain.get(sent, headers=canary.agent).headers["location"].startswith("https://www.example.com/")
    assert plain.get(online).status_code == 410
    for asked in (plain.get, plain.post):
        page = asked(lived["leave"])
        assert (page.status_code, "nothing left to unsubscribe from" in page.text) == (200, True)
    assert ok(tenant.json("GET", report)) == before
    assert places(canary, database, schema, api) == set()

    # Coming back changes nothing of the wish to get no mails.
    rows = f"emailAddress,lastName\n{canary.address},Vos\n"
    assert Imports(tenant, worker_database_url, spool).do(rows)["rowsCreated"] == 1
    again = tenant.campaign("Again")
    ok(tenant.json("PUT", f"{MAIL}/{again}/target", {"keys": {"attribute": "emailAddress", "values": [canary.address]}}))
    ok(tenant.json("POST", f"{MAIL}/{again}/launch"))
    until(lambda: state(tenant, again) == "FINISHED")
    assert ok(tenant.json("GET", f"{MAIL}/{again}/report"))["excluded"]["suppressed"] == 1


def test_what_an_erasure_is_not_given_is_refused(tenant: Tenant, limited_user_key: str) -> None:
    before = tenant.state(but={"audit"})
    for address in ("nobody", "a b@example.com", "@example.com", "x@" + "y" * 320):
        refused = tenant.json("POST", ERASURES, {"address": address})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "address")
    one = {"Authorization": f"Bearer {limited_user_key}"}
    refused = tenant.json("POST", ERASURES, {"address": "ann@example.com"}, **one)
    assert (refused.status_code, refused.json()["code"]) == (403, "entity.forbidden")
    assert tenant.json("GET", f"{ERASURES}/77").json()["code"] == "erasure.unknown"
    assert tenant.state(but={"audit"}) == before
    assert erased(tenant, "stranger@example.com")["erased"]["profiles"] == 0


def test_what_is_of_somebody_with_a_longer_address_stays(
    tenant: Tenant, worker_database_url: str, database: psycopg.Connection[Any]
) -> None:
    listen(tenant)
    made = {}
    others = [mail for n in (True, False) for mail in (f"joann{n}@example.org", f"ann{n}@example.org.au")]
    for passed_on in (True, False):
        for mail in (f"ann{passed_on}@example.org", *(each for each in others if str(passed_on) in each)):
            body = {"key": {"emailAddress": mail}, "attributes": {"lastName": "Vos"}}
            made[mail] = ok(tenant.json("PUT", PROFILES, body, Idempotency_Key=mail))
        if passed_on:
            run(worker_database_url, lambda db: fan_out(db, utc_now()))
    for passed_on in (True, False):
        done = erased(tenant, f"ann{passed_on}@example.org")["erased"]
        assert (done["profiles"], done["news"], done["answers"]) == (1, 1, 1)
    for mail in others:
        body = {"key": {"emailAddress": mail}, "attributes": {"lastName": "Vos"}}
        again = tenant.json("PUT", PROFILES, body, Idempotency_Key=mail)
        assert (again.json(), again.headers["Idempotency-Replayed"]) == (made[mail], "true")


def test_news_of_records_that_go_with_a_profile_go_too(
    tenant: Tenant, worker_database_url: str, database: psycopg.Connection[Any]
) -> None:
    tables = "/v5/entities/hotels/custom-tables"
    to = {"tableType": "PROFILE_TABLE", "tableId": "Guests", "attribute": "cardNumber"}
    key = {"name": "guest", "attribute": "cardNumber", "reference": to, "onDelete": "CASCADE"}
    trips = ok(tenant.json("POST", tables, STAYS | {"name": "Trips", "foreignKeys": [key]}))["id"]
    to = {"tableType": "CUSTOM_TABLE", "tableId": trips, "attribute": "stayRef"}
    nights = {
        "name": "Nights", "primaryKeyAttribute": "nightRef",
        "attributes": [{"name": "nightRef", "valueType": "STRING"}, {"name": "trip", "valueType": "STRING"}],
        "foreignKeys": [{"name": "trip", "attribute": "trip", "reference": to, "onDelete": "CASCADE"}],
    }  # fmt: skip
    ok(tenant.json("POST", tables, nights))
    for table in ("Trips", "Nights"):
        on = {"on": "CUSTOM_TABLE", "onElementId": table, "eventType": "CREATE", "targetUrl": "https://8.8.8.8/hook"}
        ok(tenant.json("POST", HOOKS, on))
    for passed_on in (True, False):
        for name in ("ann", "bob"):
            guest, n = f"{name}@example.com", f"{name}{passed_on:d}"
            body = {"key": {"emailAddress": guest}, "attributes": {"lastName": name, "cardNumber": f"C{name}"}}
            ok(tenant.json("PUT", PROFILES, body))
            trip = {"key": {"stayRef": f"S{n}"}, "attributes": {"cardNumber": f"C{name}", "state": "OPEN"}}
            ok(tenant.json("PUT", f"{tables}/Trips/records", trip))
            ok(
                tenant.json(
                    "PUT", f"{tables}/Nights/records", {"key": {"nightRef": f"N{n}"}, "attributes": {"trip": f"S{n}"}}
                )
            )
        if passed_on:
            run(worker_database_url, lambda db: fan_out(db, utc_now()))

    done = erased(tenant, "ann@example.com")["erased"]

    assert (done["records"], done["news"]) == (4, 4)
    licence = (schema_of(tenant, database)[1:],)
    news = database.execute(
        "SELECT d.events::text FROM tabellion.webhook_delivery d JOIN tabellion.webhook_subscription s "
        "ON s.id = d.subscription_id WHERE s.licence_id = %s", licence
    ).fetchall() + database.execute("SELECT data::text FROM tabellion.outbox_event WHERE licence_id = %s", licence).fetchall()  # fmt: skip
    assert [("ann" in text, "bob" in text) for (text,) in news] == [(False, True)] * 4


def test_an_address_that_stands_for_none_is_no_person(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    attribute = {"type": "EMAIL_ADDRESS", "name": "emailAddress", "unique": False}
    made = ok(tenant.json("POST", "/v5/entities/hotels/profile-tables", {"name": "Crowd", "attributes": [attribute]}))
    table = f"{schema_of(tenant, database)}.p{made['id']}"
    ((column,),) = database.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 3 AND NOT attisdropped", (table,)
    ).fetchall()
    database.execute(
        f"INSERT INTO {table} (created_at, updated_at, {column}) SELECT now(), now(), 'none@example.com' FROM generate_series(0, 10000)"
    )
    refused = tenant.json("POST", ERASURES, {"address": "none@example.com"})
    assert (refused.status_code, refused.json()["code"]) == (409, "erasure.tooMany")
    assert "over 10,000 profiles of the table 'Crowd'" in refused.json()["message"]
    assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (10_001,)


def test_keys_of_an_address_that_has_no_profile_any_more_go_too(
    tenant: Tenant, database: psycopg.Connection[Any], spool: Path, worker_database_url: str
) -> None:
    keys = {"attribute": "emailAddress", "values": ["Ann@example.com", "bob@example.com", "joann@example.com"]}
    ok(tenant.json("POST", "/v5/entities/hotels/audiences", {"name": "Few", "targetTable": "Guests", "keys": keys}))
    number = tenant.campaign()
    ok(tenant.json("PUT", f"{MAIL}/{number}/target", {"keys": keys}))
    ok(tenant.json("DELETE", f"{PROFILES}/emailAddress=ann@example.com"))
    done = erased(tenant, "ann@example.com")
    assert (done["erased"]["profiles"], done["erased"]["keys"]) == (0, 2)
    left = database.execute(f"SELECT key FROM {schema_of(tenant, database)}.audience_key ORDER BY key").fetchall()
    assert left == [("bob@example.com",), ("joann@example.com",)]
    ((target,),) = database.execute("SELECT target #> '{keys,values}' FROM tabellion.campaign WHERE id = %s", (number,))
    assert target == ["bob@example.com", "joann@example.com"]


def test_keys_of_an_address_go_whatever_the_case_of_its_letters(tenant: Tenant, database: psycopg.Connection[Any]) -> None:
    """The database knows the case of ASCII alone."""
    values = ["ZOË@example.com", "zoe@example.com"]
    keys = {"attribute": "emailAddress", "values": values}
    ok(tenant.json("POST", "/v5/entities/hotels/audiences", {"name": "Few", "targetTable": "Guests", "keys": keys}))
    number = tenant.campaign()
    ok(tenant.json("PUT", f"{MAIL}/{number}/target", {"keys": keys}))
    assert erased(tenant, "Zoë@example.com")["erased"]["keys"] == 2
    left = database.execute(f"SELECT key FROM {schema_of(tenant, database)}.audience_key").fetchall()
    ((target,),) = database.execute("SELECT target #> '{keys,values}' FROM tabellion.campaign WHERE id = %s", (number,))
    assert (left, target) == ([("zoe@example.com",)], ["zoe@example.com"])


def test_what_is_on_record_of_bulk_calls_names_nobody(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    """A file whose first line is a row, and an export for who asked what is known of them."""
    imports, exports = Imports(tenant, worker_database_url, spool), Exports(tenant, worker_database_url, spool)
    failed = [imports.do(f"{mail},Vos\nbob@example.com,Bos\n")["id"] for mail in ("Ann@example.com", "joann@example.com")]
    shown = [
        exports.do(filter=f"emailAddress = '{mail}'", compression="NONE")[0]["id"]
        for mail in ("Ann@example.com", "joann@example.com")
    ]
    database.execute("UPDATE tabellion.export_execution SET status = 'FAILED' WHERE id = ANY (%s)", ([*map(int, shown)],))
    done = erased(tenant, "ann@example.com")
    finish(worker_database_url, spool, database, done["id"])

    (first,), (second,) = (imports.result(job)["errors"] for job in failed)
    said = {"field": "", "code": "import.mapping", "message": "it named somebody who was erased"}
    assert (first, "joann@example.com" in second["message"]) == (said, True)
    query = "SELECT definition ->> 'filter' FROM tabellion.export_execution WHERE id = ANY (%s) ORDER BY id"
    filters = [row[0] for row in database.execute(query, ([*map(int, shown)],))]
    assert filters == ["it named somebody who was erased", "emailAddress = 'joann@example.com'"]
    # Tried again it exports nobody, least of all everybody.
    database.execute("UPDATE tabellion.export_execution SET status = 'QUEUED', ended_at = NULL WHERE id = %s", (shown[0],))
    exports.run(shown[0])
    tried = exports.read(shown[0])
    assert (tried["status"], tried["errors"][0]["code"].startswith("filter.")) == ("FAILED", True)


def test_names_of_files_that_were_sent_to_an_etl_name_nobody(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    etls = Etls(tenant, worker_database_url, spool)
    names = ("Ann@example.com.csv", "of joann@example.com.csv", "ann@example.com.au.csv")
    number, *others = (etls.do({name: "emailAddress\nbob@example.com\n"}, one_file())["id"] for name in names)
    done = erased(tenant, "ann@example.com")
    finish(worker_database_url, spool, database, done["id"])
    query = (
        "SELECT e.id::text, e.uploads #>> '{0,name}', j.file_name FROM tabellion.etl_execution e "
        "JOIN tabellion.import_job j ON j.execution_id = e.id WHERE e.id = ANY (%s) ORDER BY e.id"
    )
    found = database.execute(query, ([*map(int, (number, *others))],)).fetchall()
    said = ("it named somebody who was erased", *names[1:])
    assert found == [(id_, name, name) for id_, name in zip((number, *others), said, strict=True)]


def test_what_was_wrong_with_files_of_an_etl_does_not_tell_their_names(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    etls = Etls(tenant, worker_database_url, spool)
    names = ("Ann@example.com.csv", "joann@example.com.csv")
    failed = [etls.do({name: "nothing\n1\n"}, one_file())["id"] for name in names]
    assert [etls.read(each)["errors"][0]["field"] for each in failed] == [*names]
    done = erased(tenant, "ann@example.com")
    finish(worker_database_url, spool, database, done["id"])
    assert [etls.read(each)["errors"][0]["field"] for each in failed] == ["", names[1]]


def test_records_that_keep_a_profile_keep_the_person(tenant: Tenant) -> None:
    to = {"tableType": "PROFILE_TABLE", "tableId": "Guests", "attribute": "profileId"}
    bills = {
        "name": "Bills", "type": "INTERACTIONS", "primaryKeyAttribute": "billRef",
        "attributes": [{"name": "billRef", "valueType": "STRING"}, {"name": "guest", "valueType": "INTEGER"}],
        "foreignKeys": [{"name": "guest", "attribute": "guest", "reference": to, "onDelete": "RESTRICT"}],
    }  # fmt: skip
    ok(tenant.json("POST", "/v5/entities/hotels/custom-tables", bills))
    ann = ok(tenant.json("GET", f"{PROFILES}/emailAddress=ann@example.com"))["profileId"]
    bill = {"key": {"billRef": "B1"}, "attributes": {"guest": ann}}
    ok(tenant.json("PUT", "/v5/entities/hotels/custom-tables/Bills/records", bill))
    before = tenant.state()
    refused = tenant.json("POST", ERASURES, {"address": "ann@example.com"})
    assert (refused.status_code, refused.json()["code"]) == (409, "profile.inUse")
    assert tenant.state() == before
    ok(tenant.json("DELETE", "/v5/entities/hotels/custom-tables/Bills/records/B1"))
    assert erased(tenant, "ann@example.com")["erased"]["profiles"] == 1


def test_an_erasure_whose_key_is_lost_fails_in_the_end_and_the_doctor_names_it(
    tenant: Tenant, worker_database_url: str, spool: Path, database: psycopg.Connection[Any]
) -> None:
    number = erased(tenant, "ann@example.com")["id"]
    another = base64.b64encode(b"of another key".ljust(60)).decode()
    ((job, args),) = database.execute(
        "UPDATE jobs.procrastinate_jobs SET args = jsonb_set(args, '{rest,person}', to_jsonb(%s::text)) "
        "WHERE task_name = %s AND args #>> '{rest,number}' = %s RETURNING id, args -> 'rest'",
        (another, service.TASK, str(number)),
    ).fetchall()
    rest = service.Rest(**args)

    def doctor() -> dict[str, list[tuple[str, str, str]]]:
        where = {"TABELLION_DATABASE_URL": worker_database_url, "TABELLION_SECRET_KEY": "of the tests"}
        found: dict[str, list[tuple[str, str, str]]] = {"secrets": [], "erasure": []}
        for one in json.loads(run_here("doctor", "--json", **where).stdout):
            found.setdefault(one["check"], []).append((one["state"], one["found"], one["advice"]))
        return found

    database.execute("UPDATE tabellion.erasure SET asked_at = asked_at - interval '2 days' WHERE id = %s", (number,))
    found = doctor()
    ((state_, advice),) = [(s, a) for s, told, a in found["erasure"] if told.startswith(f"{number} of {tenant.licence} has")]
    assert (state_, "jobs list --licence" in advice) == ("warning", True)
    ((state_, unreadable, _),) = found["secrets"]
    assert (state_, unreadable) == ("problem", "unreadable: 1 of erasures")
    now = utc_now()
    with pytest.raises(SecretUnreadable):
        run(worker_database_url, lambda db: service.finish(db, spool, rest, now))
    assert ok(tenant.json("GET", f"{ERASURES}/{number}"))["endedAt"] is None
    run(worker_database_url, lambda db: service.finish(db, spool, rest, now + timedelta(days=7)))
    database.execute("DELETE FROM jobs.procrastinate_jobs WHERE id = %s", (job,))
    ended = ok(tenant.json("GET", f"{ERASURES}/{number}"))
    assert ended["endedAt"] is not None
    assert ended["failure"].startswith("the key that sealed whom it is about is lost")
    query = "SELECT note FROM tabellion.audit WHERE licence_id = %s AND route = 'erasure failed' AND object = %s"
    assert database.execute(query, (rest.licence_id, f"erasure/{number}")).fetchall() == [(ended["failure"],)]
    found = doctor()
    assert found["secrets"] == []
    failed = f"{number} of {tenant.licence} has failed"
    ((state_, advice),) = [(state_, advice) for state_, told, advice in found["erasure"] if told == failed]
    assert state_ == "problem"
    assert f"tabellion erase {tenant.licence} ADDRESS" in advice


def test_people_are_erased_on_the_command_line_too(
    tenant: Tenant, worker_database_url: str, database: psycopg.Connection[Any]
) -> None:
    where = {"TABELLION_DATABASE_URL": worker_database_url, "TABELLION_SECRET_KEY": "of the tests"}
    refused = run_here("erase", tenant.licence, " ANN@example.com", stdin="n\n", **where)
    assert (
        f"Erase ANN@example.com from the licence '{tenant.licence}' for good: 1 profile with this address" in refused.stderr
    )
    assert refused.returncode == 1
    found = json_here("erase", tenant.licence, " ANN@example.com", "--suppress", "--yes", **where)
    assert (found["profiles"], found["suppressed"]) == (1, True)
    assert ok(tenant.json("GET", f"{ERASURES}/{found['erasure']}"))["erased"]["profiles"] == 1
    assert ok(tenant.json("GET", "/v5/suppressions/ann@example.com"))["reason"] == "UNSUBSCRIBE"
    assert ok(tenant.json("GET", "/v5/suppressions"))["suppressions"] == []
    ok(tenant.json("DELETE", "/v5/suppressions/ann@example.com"))
    assert tenant.json("GET", "/v5/suppressions/ann@example.com").status_code == 404
    again = " ".join(run_here("erase", tenant.licence, "ann@example.com", stdin="y\n", **where).stdout.split())
    number = found["erasure"] + 1
    assert f"files a worker searches them: tabellion audit {tenant.licence} --object erasure/{number}" in again
    assert f"the database had nothing of ann@example.com in the licence '{tenant.licence}'" in again
    wrong = run_here("erase", tenant.licence, "ann@example", "--yes", **where)
    assert wrong.returncode == 1
    assert "'ann@example' is no e-mail address; nothing was changed" in wrong.stderr
