"""The checklist before a launch, as it is answered: with a name server and pages that are really asked."""

from typing import Any

import psycopg
import pytest

from tests.contract.conftest import Signed
from tests.support.names import NameServer
from tests.support.tenant import Tenant

MAIL, MAILS = "/v4/entity/hotels/mail", "/v5/entities/hotels/mails"
WORDS = "<p>" + "Many good words about our hotel by the sea and its garden. " * 3 + "</p>"
LEAVE = '<a href="{{ unsubscribeUrl }}">Leave</a>'


def checklist(tenant: Tenant, number: int) -> dict[str, Any]:
    answer = tenant.json("GET", f"{MAILS}/{number}/checklist")
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert all(item["message"] and item["advice"] for item in found["items"])
    order = ["BLOCKING", "ERROR", "WARNING"]
    severities = [item["severity"] for item in found["items"]]
    assert severities == sorted(severities, key=order.index)
    return found


def codes(found: dict[str, Any], severity: str = "") -> list[str]:
    return [item["code"] for item in found["items"] if not severity or item["severity"] == severity]


def test_what_is_missing_blocks_as_a_launch_would(tenant: Tenant) -> None:
    body = {"name": "Empty", "targetTable": "Guests", "supportedLanguages": ["NL", "FR"]}
    number = tenant.json("POST", MAIL, body).json()["campaignId"]
    assert tenant.call("PUT", f"{MAIL}/{number}/content/subject?language=FR", content="Bonjour").status_code == 200
    found = checklist(tenant, number)
    refused = tenant.json("POST", f"{MAIL}/{number}/launch").json()
    assert found["launchable"] is False
    assert codes(found, "BLOCKING") == [error["code"] for error in refused["errors"]]
    assert (found["addresses"], found["addressesLookedAt"]) == (0, 0)


def test_a_sender_that_is_set_up_has_no_findings_and_one_that_is_not_has(
    tenant: Tenant, signed: Signed, names: NameServer
) -> None:
    domain, good = signed
    number = tenant.campaign()
    html = f"<body>{WORDS}{LEAVE}</body>"
    put = tenant.json("PATCH", f"{MAILS}/{number}/contents/default", {"html": html})
    assert put.status_code == 200, put.text
    names.records.update(good)
    # The tests' server is reached at a loopback address only.
    assert codes(checklist(tenant, number)) == ["server.publicUrl"]
    names.records[f"s1._domainkey.{domain}", "TXT"] = ["v=DMARC1; p=none"]
    del names.records[f"_dmarc.{domain}", "TXT"]
    found = checklist(tenant, number)
    assert codes(found) == ["dkim.mismatch", "server.publicUrl", "dmarc.missing"]
    assert found["launchable"] is True
    for name in good:
        names.records.pop(name, None)
    assert "sender.domain" in codes(checklist(tenant, number), "ERROR")


def test_a_made_up_sender_is_told_of_before_names_are_looked_up(
    tenant: Tenant, names: NameServer, worker_database_url: str
) -> None:
    number = tenant.campaign()
    names.asked.clear()
    found = checklist(tenant, number)
    assert [item for item in codes(found, "WARNING") if item.startswith("sender")] == ["sender.local"]
    (message,) = [item["message"] for item in found["items"] if item["code"] == "sender.local"]
    assert "no-reply@127.0.0.1" in message
    assert not [name for name, _ in names.asked if "127.0.0.1" in name]
    with psycopg.connect(worker_database_url, autocommit=True) as db:
        db.execute(
            "INSERT INTO tabellion.relay (licence_id, host, port, security) "
            "SELECT id, '127.0.0.1', 9, 'NONE' FROM tabellion.licence WHERE name = %s",
            (tenant.licence,),
        )
    assert "sender.local" in codes(checklist(tenant, number), "ERROR")


def test_links_and_contents_are_looked_at_by_language(tenant: Tenant, names: NameServer) -> None:
    number = tenant.campaign(supportedLanguages=["NL", "FR"])
    names.records["inside.example", "A"] = ["10.0.0.1"]
    links = ["http://inside.example/x", "https://nowhere.example/", "https://{{ profile.lastName }}.example/"]
    html = "".join(f'<a href="{url}">x</a>' for url in links)
    content = {"subject": "A LOUD SUBJECT!!", "html": f"<body>{WORDS}{html}</body>"}
    assert tenant.json("PUT", f"{MAILS}/{number}/contents/FR", content).status_code == 200
    dutch = {"subject": "Dag", "html": f"<body>{WORDS}{LEAVE}<p>{'x' * 100_000}</p></body>"}
    assert tenant.json("PUT", f"{MAILS}/{number}/contents/NL", dutch).status_code == 200
    found = checklist(tenant, number)
    by_language = {item["code"]: item["languages"] for item in found["items"] if item["languages"]}
    assert by_language == {
        "html.unsubscribe": ["FR"], "text.unsubscribe": ["FR"], "subject.capitals": ["FR"], "subject.shouting": ["FR"],
        "link.insecure": ["FR"], "html.large": ["NL"],
    }  # fmt: skip
    messages = {item["code"]: item["message"] for item in found["items"]}
    assert "inside.example" in messages["link.private"]
    assert "nowhere.example" in messages["link.unreachable"]
    assert (found["addresses"], found["addressesLookedAt"]) == (2, 2)
    # A warning keeps nobody from launching.
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200


def test_transactional_mails_need_no_unsubscribe_link(tenant: Tenant) -> None:
    number = tenant.campaign("Booked", "TRANSACTIONAL")
    assert tenant.json("PATCH", f"{MAILS}/{number}/contents/default", {"html": WORDS}).status_code == 200
    assert not [code for code in codes(checklist(tenant, number)) if "unsubscribe" in code]


def failing(found: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["severity"], item["message"]) for item in found["items"] if item["code"] == "template.failed"]


def test_mails_that_cannot_be_written_are_told_before_the_launch(tenant: Tenant) -> None:
    number = tenant.campaign(supportedLanguages=["NL", "FR"])
    ann = tenant.json("GET", "/v4/entity/hotels/table/Guests/profile/emailAddress=ann@example.com").json()["profileId"]
    bad = {"subject": "Dag", "html": f"<body>{WORDS}\n<p>{LEAVE} {{{{ lastName | times: 2 }}}}</p></body>"}
    assert tenant.json("PUT", f"{MAILS}/{number}/contents/NL", bad).status_code == 200
    found = checklist(tenant, number)
    ((severity, message),) = failing(found)
    assert severity == "ERROR"
    assert "line 2, column " in message
    assert str(ann) in message
    assert "this is not a number" in message
    assert [item["languages"] for item in found["items"] if item["code"] == "template.failed"] == [["NL"]]
    # The place is that of the source, not of what was made of it.
    column = bad["html"].splitlines()[1].index("times") + 1
    assert f"line 2, column {column}: " in message


def test_a_body_that_takes_too_long_is_an_error_of_the_checklist_and_of_a_test(tenant: Tenant) -> None:
    number = tenant.campaign()
    endless = "{% for a in (1..100000) %}{% for b in (1..100000) %}x{% endfor %}{% endfor %}"
    body = {"html": f"<body>{WORDS}{LEAVE}{endless}</body>"}
    assert tenant.json("PATCH", f"{MAILS}/{number}/contents/default", body).status_code == 200
    assert failing(checklist(tenant, number))
    before = tenant.state()
    refused = tenant.json("POST", f"{MAIL}/{number}/test", {"recipients": ["me@example.com"]})
    assert (refused.status_code, refused.json()["code"]) == (400, "template.failed")
    assert "for an address without a profile" in refused.json()["message"]
    own = tenant.json("POST", f"{MAIL}/{number}/test", {"profiles": ["emailAddress=ann@example.com"]})
    assert (own.status_code, own.json()["errors"][0]["field"]) == (400, "body")
    assert tenant.state() == before


def test_without_values_of_parameters_a_failure_is_a_warning(tenant: Tenant) -> None:
    number = tenant.campaign("Booked", "TRANSACTIONAL")
    keys = {"personalisations": [{"key": "price", "mandatory": True}]}
    assert tenant.json("PUT", f"{MAIL}/{number}/content/personalisation", keys).status_code == 200
    body = {"html": f"<p>{WORDS}{{{{ price | append: 'x' | times: 2 }}}}</p>"}
    assert tenant.json("PATCH", f"{MAILS}/{number}/contents/default", body).status_code == 200
    assert [severity for severity, _ in failing(checklist(tenant, number))] == ["WARNING"]


def test_an_unsubscribe_link_has_to_work_for_everybody(tenant: Tenant) -> None:
    number = tenant.campaign()
    for link in ("{% if member %}{{ unsubscribeUrl }}{% endif %}", "{{ unsubscribeUrl | url_encode }}"):
        body = {"html": f'<body>{WORDS}<a href="{link}">Leave</a></body>'}
        assert tenant.json("PATCH", f"{MAILS}/{number}/contents/default", body).status_code == 200
        assert "html.unsubscribe" in codes(checklist(tenant, number), "ERROR")
    body = {"html": f"<body>{WORDS}</body>"}
    assert tenant.json("PATCH", f"{MAILS}/{number}/contents/default", body).status_code == 200
    assert codes(checklist(tenant, number)).count("html.unsubscribe") == 1
    for good in (f"{WORDS}{LEAVE}", f"{WORDS}<a href={{{{ unsubscribeUrl }}}}>Leave</a>"):
        assert tenant.json("PATCH", f"{MAILS}/{number}/contents/default", {"html": good}).status_code == 200
        assert "html.unsubscribe" not in codes(checklist(tenant, number))


def test_the_variants_of_an_ab_test_are_looked_at_and_named(tenant: Tenant, names: NameServer) -> None:
    number = tenant.campaign()
    good = {"html": f"<body>{WORDS}{LEAVE}</body>"}
    assert tenant.json("PATCH", f"{MAILS}/{number}/contents/default", good).status_code == 200
    worse = f'<body>{WORDS}{LEAVE}<img src="gone.png"><a href="https://nowhere.example/">x</a>{{{{ lastName | times: 2 }}}}'
    variants = [{"name": "A"}, {"name": "B", "contents": [{"html": f"{worse}</body>"}]}]
    test = {"share": 20, "criterion": "OPENS", "variants": variants}
    assert tenant.json("PUT", f"{MAILS}/{number}/ab-test", test).status_code == 200
    found = checklist(tenant, number)
    named = {item["code"]: ",".join(item["variants"]) for item in found["items"] if item["variants"]}
    assert named == dict.fromkeys(["image.alt", "image.source", "template.failed"], "B")
    assert "link.unreachable" in codes(found, "ERROR")
    seen = tenant.json("POST", f"{MAILS}/{number}/preview", {"variant": "A"})
    assert (seen.status_code, "gone.png" in seen.text) == (200, False)
    failed = tenant.json("POST", f"{MAILS}/{number}/preview", {"variant": "b", "profile": "emailAddress=ann@example.com"})
    assert (failed.status_code, failed.json()["code"]) == (400, "template.failed")
    ghost = tenant.json("POST", f"{MAILS}/{number}/preview", {"variant": "Z"})
    assert (ghost.status_code, ghost.json()["errors"][0]["field"]) == (400, "variant")


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ({}, []),
        ({"filter": "points = 77"}, ["target.empty"]),
        ({"filter": "subscriptions.Newsletter = true or points = 1"}, ["target.empty"]),
        ({"filter": "subscriptions.Newsletter = true and points = 1"}, ["target.empty", "target.subscription"]),
        ({"filter": "subscriptions.Newsletter = false"}, ["target.empty"]),
        ({"subscription": "Newsletter", "filter": 'subscriptions."Weekly offers" = true'}, ["target.empty"]),
    ],
)
def test_odd_targets_are_told(tenant: Tenant, target: dict[str, Any], found: list[str]) -> None:
    number = tenant.campaign()
    assert tenant.json("PUT", f"{MAIL}/{number}/target", target).status_code == 200
    answered = checklist(tenant, number)
    assert [code for code in codes(answered, "WARNING") if code.startswith("target.")] == found
    assert answered["launchable"] is True


def test_a_saved_audience_that_demands_a_subscription_is_told(tenant: Tenant) -> None:
    number = tenant.campaign()
    saved = {"name": "Readers", "targetTable": "Guests", "filter": 'subscriptions."Weekly offers" = true'}
    assert tenant.json("POST", "/v5/entities/hotels/audiences", saved).status_code == 201
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {"audience": "Readers"}).status_code == 200
    (message,) = [item["message"] for item in checklist(tenant, number)["items"] if item["code"] == "target.subscription"]
    assert "'Weekly offers'" in message
