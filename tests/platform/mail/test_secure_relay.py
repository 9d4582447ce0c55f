"""Relays that want TLS and a login, real ones: STARTTLS and TLS from the start, the right password and a wrong one, a stranger's
certificate.
"""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tabellion.platform.mail import Fate, Post, Relay
from tests.support.api import free_port
from tests.support.transfer_servers import self_signed

# Of a server that is TLS from the start.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
RAW = b"From: a@example.com\r\nSubject: x\r\n\r\nHello\r\n"
HOST = "127.0.0.1"


class Box:
    """Keeps what arrives, with whether it came over TLS and who had logged in."""

    def __init__(self) -> None:
        self.mails: list[tuple[bool, Any]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        transport: Any = server.transport
        self.mails.append((transport.get_extra_info("ssl_object") is not None, session.auth_data))
        return "250 2.0.0 kept"


def _may_enter(_server: Any, _session: Any, _envelope: Any, _mechanism: str, said: Any) -> AuthResult:
    right = isinstance(said, LoginPassword) and (said.login, said.password) == (b"harbour", b"secret \xc3\xa9")
    return AuthResult(success=right, handled=right, auth_data="harbour")


@pytest.fixture(params=["STARTTLS", "TLS"])
def relay(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Relay, Box, Path]]:
    """A relay that takes mails over TLS, from those who have logged in; its certificate."""
    certificate = tmp_path / "certificate.pem"
    self_signed(certificate, HOST)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    secured: dict[str, Any] = (
        {"ssl_context": context, "auth_require_tls": False}
        if request.param == "TLS"
        else {"tls_context": context, "require_starttls": True}
    )
    box, port = Box(), free_port()
    controller = Controller(box, HOST, port, auth_required=True, authenticator=_may_enter, **secured)
    controller.start()
    yield Relay(host=HOST, port=port, security=request.param, user="harbour", password="secret é"), box, certificate
    controller.stop()


async def test_mails_leave_over_tls_after_a_login(relay: tuple[Relay, Box, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    known, box, certificate = relay
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with Post(known) as post:
        replies = [await post.deliver("a@example.com", f"{n}@example.com", RAW) for n in range(2)]
    assert [reply.fate for reply in replies] == [Fate.ACCEPTED] * 2
    assert box.mails == [(True, "harbour")] * 2


async def test_a_wrong_password_is_said_and_nothing_leaves(
    relay: tuple[Relay, Box, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    known, box, certificate = relay
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with Post(Relay(host=HOST, port=known.port, security=known.security, user="harbour", password="wrong")) as post:
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert (reply.fate, reply.reached) == (Fate.DEFERRED, False)
    assert "535" in reply.text or "uthentication" in reply.text
    assert "wrong" not in reply.text
    assert box.mails == []


async def test_a_certificate_that_nobody_vouches_for_gets_no_mail_and_no_password(relay: tuple[Relay, Box, Path]) -> None:
    known, box, _ = relay
    async with Post(known) as post:
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert (reply.fate, reply.reached) == (Fate.DEFERRED, False)
    assert "certificate" in reply.text.lower()
    assert box.mails == []
