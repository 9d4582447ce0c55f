"""The key is exchanged twice while a server works: no call fails, webhooks stay signed, mails leave with the relay's password."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from standardwebhooks import Webhook

from tabellion.server.embedded import EmbeddedPostgres
from tests.contract.test_sending import hrefs, local
from tests.support import plain
from tests.support.beside import beside
from tests.support.mailing import Sink
from tests.support.receiver import Receiver, receiving
from tests.support.serving import Serving, json_here
from tests.support.tenant import TABLE, Tenant
from tests.support.waiting import until

pytestmark = [pytest.mark.system, pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")]
PROFILES, HOOKS, MAIL = (
    "/v5/entities/hotels/profile-tables/Guests/profiles",
    "/v4/entity/hotels/webhookSubscription",
    "/v4/entity/hotels/mail",
)


def _may_enter(_server: Any, _session: Any, _envelope: Any, _mechanism: str, said: Any) -> AuthResult:
    right = isinstance(said, LoginPassword) and (said.login, said.password) == (b"harbour", b"secret")
    return AuthResult(success=right, handled=right, auth_data="harbour")


@contextmanager
def relay() -> Iterator[Sink]:
    """A mail server that takes mails of those alone who have logged in."""
    sink = Sink()
    controller = Controller(
        sink, "127.0.0.1", sink.port, auth_required=True, auth_require_tls=False, authenticator=_may_enter
    )
    controller.start()
    try:
        yield sink
    finally:
        controller.stop()


def test_a_working_server_takes_a_new_key(tmp_path: Path) -> None:
    allowed = {"TABELLION_WEBHOOKS_ALLOW_HTTP": "true", "TABELLION_WEBHOOKS_ALLOW_PRIVATE": "true"}
    with relay() as sink, beside(receiving()) as (target,), Serving(tmp_path, "--workers", "2", **allowed) as server:
        server.verb("licence", "create", "harbour", "--limits", "unlimited")
        server.verb("entity", "create", "harbour", "hotels")
        made = server.verb("user", "create", "harbour", "shop")
        where = {"TABELLION_DATA_DIR": str(server.data_dir)}
        login = ("--login", "harbour", "--password-stdin")
        to = ("127.0.0.1", "--port", str(sink.port), "--security", "NONE", *login)
        json_here("relay", "add", "harbour", *to, stdin="secret\n", **where)
        server.verb("sender", "set", "harbour", "hotels", "news@example.com", "--dkim-selector", "s1")
        with plain.Client(base_url=server.url, timeout=60) as client, EmbeddedPostgres(server.data_dir) as postgres:
            credentials = {name: made.get(name, "") for name in ("login", "password", "apiKey")} | {"licence": "harbour"}
            _rotate_under_load(server, Tenant(client, postgres.url, credentials), sink, target)
        assert "Traceback" not in server.log.read_text()


def _rotate_under_load(server: Serving, tenant: Tenant, sink: Sink, target: Receiver) -> None:
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables", TABLE).status_code == 201
    hook = {"on": "PROFILE_TABLE", "onElementId": "Guests", "eventType": "CREATE", "targetUrl": target.url}
    first = tenant.json("POST", HOOKS, hook, Idempotency_Key='"hook"')
    assert first.status_code == 201, first.text
    secret = first.json()["signingSecret"]
    processes = {verb: server.children(verb) for verb in ("api", "worker")}
    _put(tenant, 0)
    mail = _mail(tenant, sink, "Before")
    stop = threading.Event()
    put: list[int] = []

    def load() -> None:
        while not stop.is_set():
            put.append(_put(tenant, len(put) + 1))

    loading = threading.Thread(target=load)
    loading.start()
    try:
        for _ in range(2):
            done = server.verb("key", "rotate")
            assert done["made"]
            assert done["unreadable"] == {}
            again = tenant.json("POST", HOOKS, hook, Idempotency_Key='"hook"')
            assert (again.status_code, again.text) == (first.status_code, first.text)
            assert again.headers["Idempotency-Replayed"] == "true"
    finally:
        stop.set()
        loading.join()
    assert set(put) == {201}
    assert len(done["former"]) == 2
    until(lambda: _told(target) == {f"p{number}@example.org" for number in range(len(put) + 1)}, 60)
    for each in target.requests:
        moment = datetime.fromtimestamp(int(each.headers["webhook-timestamp"]), UTC)
        expected = Webhook(secret).sign(each.headers["webhook-id"], moment, each.body.decode())
        assert each.headers["webhook-signature"] == expected
    after = _mail(tenant, sink, "After")
    assert after["DKIM-Signature"]
    # A mail of before leads where it did.
    for one in (mail, after):
        link = next(address for address in hrefs(one) if "/t/u/" in address)
        assert plain.get(local(tenant, link)).status_code == 200
        click = next(address for address in hrefs(one) if "/t/c/" in address)
        assert (
            plain.get(local(tenant, click), follow_redirects=False)
            .headers["Location"]
            .startswith("https://www.example.com/spring")
        )
    for verb, those in processes.items():
        assert set(those) <= set(server.children(verb)), "nobody had to start anew"


def _put(tenant: Tenant, number: int) -> int:
    profile = {"key": {"emailAddress": f"p{number}@example.org"}, "attributes": {"lastName": "Vos"}}
    return tenant.json("PUT", PROFILES, profile).status_code


def _told(target: Receiver) -> set[str]:
    """The addresses of which it has heard."""
    return {address for each in target.requests for address in re.findall(r"p\d+@example\.org", each.body.decode())}


def _mail(tenant: Tenant, sink: Sink, name: str) -> EmailMessage:
    """The first of a campaign's mails."""
    number = tenant.campaign(name)
    before = len(sink.mails)
    assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200
    until(lambda: len(sink.mails) > before, 60)
    raw = sink.mails[before].original_content or b""
    return message_from_bytes(raw, policy=policy.default)  # pyright: ignore[reportReturnType] - the policy makes these
