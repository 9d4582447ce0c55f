"""TLS of relays that is not as it should be: nothing is lost, no password leaves, and an operator reads what to do."""

import asyncio
import base64
import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from tabellion.features.delivery.transport import Exit, Way
from tabellion.platform.mail import Fate, Post, Relay, Waits
from tests.support.certificates import Authority, server_context
from tests.support.mailing import smtp_sink
from tests.support.transfer_servers import self_signed

RAW = b"From: a@example.com\r\nSubject: x\r\n\r\nHello\r\n"
HOST, LOGIN, PASSWORD = "127.0.0.1", "harbour", "s3cret"
Talk = Callable[["Visit"], Awaitable[None]]
BOTH = ("STARTTLS", "TLS")


class Visit:
    """A connection that a relay has got, and what it heard over it: without TLS, and with."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, contexts: dict[str, ssl.SSLContext]
    ) -> None:
        self.reader, self.writer, self.contexts = reader, writer, contexts
        self.plain: list[bytes] = []
        self.secret: list[bytes] = []

    def say(self, *lines: str) -> None:
        self.writer.write("".join(f"{line}\r\n" for line in lines).encode())

    async def hear(self) -> bytes:
        """A line; empty at the end."""
        line = await self.reader.readline()
        (self.secret if self.writer.get_extra_info("sslcontext") else self.plain).append(line)
        return line

    async def begin(self, ehlo: tuple[str, ...] = ("250-here", "250 STARTTLS")) -> None:
        """Up to where the relay is asked for TLS."""
        self.say("220 ready")
        await self.hear()
        self.say(*ehlo)
        await self.hear()

    async def secure(self, name: str) -> None:
        await self.writer.start_tls(self.contexts[name])

    async def take(self, ehlo: tuple[str, ...] = ("250 here",), auth: str = "235 welcome") -> None:
        """Take mails."""
        answers = {b"EHLO": ehlo, b"DATA": ("354 go on",), b"AUTH": (auth,)}
        while line := await self.hear():
            self.say(*answers.get(line[:4].strip().upper(), ("250 ok",)))
            if line == b"DATA\r\n":
                while await self.hear() not in {b".\r\n", b""}:
                    pass
                self.say("250 queued")


def secured(context: str, *said: str, ehlo: tuple[str, ...] = ("250 here",), auth: str = "235 welcome") -> Talk:
    """A relay that begins TLS after such an answer, and takes mails."""

    async def talk(visit: Visit) -> None:
        await visit.begin()
        visit.say(*(said or ("220 go on",)))
        await visit.secure(context)
        await visit.take(ehlo, auth)

    return talk


def greeting(visit: Visit) -> Awaitable[None]:
    visit.say("220 ready")
    return visit.take()


def logging_in(visit: Visit) -> Awaitable[None]:
    visit.say("220 ready")
    return visit.take(("250-here", "250 AUTH PLAIN"))


def answering(*said: str, ehlo: tuple[str, ...] = ("250-here", "250 STARTTLS")) -> Talk:
    """A relay that answers this to STARTTLS, and goes on without."""

    async def talk(visit: Visit) -> None:
        await visit.begin(ehlo)
        visit.say(*said)
        await visit.take()

    return talk


async def silent(visit: Visit) -> None:
    await visit.begin()
    visit.say("220 go on")
    await visit.reader.read(-1)


async def mute(visit: Visit) -> None:
    await visit.reader.read(-1)


async def cut(visit: Visit) -> None:
    await visit.begin()
    visit.say("220 go on")
    await visit.reader.read(1)


async def cut_at_once(visit: Visit) -> None:
    await visit.reader.read(1)


async def reset(visit: Visit) -> None:
    await visit.begin()
    visit.say("220 go on")
    await visit.reader.read(1)
    visit.writer.transport.abort()


async def old(visit: Visit) -> None:
    """A relay that knows TLS 1.1 at most, and says so to those who want more, as OpenSSL does."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = visit.contexts["TLS 1.1"].wrap_bio(coming, going, server_side=True)
    while data := await visit.reader.read(4096):
        coming.write(data)
        try:
            server.do_handshake()
        except ssl.SSLWantReadError:
            visit.writer.write(going.read())
        except ssl.SSLError:
            visit.writer.write(going.read())
            await visit.writer.drain()
            return


async def old_after_starttls(visit: Visit) -> None:
    await visit.begin()
    visit.say("220 go on")
    await old(visit)


async def late_words(visit: Visit) -> None:
    """What somebody on the way says in the relay's place when TLS has been agreed on."""
    await visit.begin()
    visit.say("220 go on")
    await visit.reader.readexactly(1)
    visit.say("250-here", "250 AUTH PLAIN", "235 welcome", "250 ok", "250 ok", "354 go on", "250 queued")
    await visit.reader.read(-1)


INJECTED = ("220 go on", "250-here", "250 AUTH PLAIN", "235 welcome", "250 ok", "250 ok", "354 go on", "250 queued")


class Fault(NamedTuple):
    """`context`: of a relay that is TLS from the start. `words`: what an operator reads of it."""

    name: str
    security: str
    talk: Talk
    words: tuple[str, ...]
    context: str | None = None
    login: bool = True
    timeout_s: float = 20.0
    host: str = HOST


FAULTS = [
    *(
        Fault(name, security, greeting if security == "TLS" else secured(name), words, name if security == "TLS" else None)
        for security in BOTH
        for name, words in {
            "expired": ("its certificate has expired", "renew"),
            "another name": ("another machine's", HOST),
            "self-signed": ("vouches", "self-signed", "SSL_CERT_FILE"),
            "unknown authority": ("vouches", "SSL_CERT_FILE"),
        }.items()
    ),
    Fault("TLS 1.1", "STARTTLS", old_after_starttls, ("1.2 is the oldest",)),
    Fault("TLS 1.1", "TLS", old, ("1.2 is the oldest",)),
    Fault("refused for now", "STARTTLS", answering("454 4.7.0 TLS not available"), ("refuses STARTTLS: 454 4.7.0 TLS not",)),
    Fault("refused", "STARTTLS", answering("500 5.5.1 what"), ("refuses STARTTLS: 500 5.5.1 what",)),
    Fault("hangs up instead", "STARTTLS", answering("421 4.3.2 closing"), ("refuses STARTTLS: 421",)),
    Fault("not offered", "STARTTLS", answering("250 ok", ehlo=("250-here", "250 AUTH PLAIN")), ("does not offer STARTTLS",)),
    Fault("HELO only", "STARTTLS", answering("250 ok", ehlo=("502 what",)), ("does not offer STARTTLS",)),
    Fault("no TLS at the port", "TLS", greeting, ("is not TLS", "--security STARTTLS")),
    Fault("TLS from the start", "STARTTLS", mute, ("did not greet", "--security TLS"), "good", timeout_s=0.5),
    Fault("TLS from the start, none asked", "NONE", mute, ("did not greet", "--security TLS"), "good", False, 0.5),
    Fault("hangs in the handshake", "STARTTLS", silent, ("TLS handshake", "0.5 s"), timeout_s=0.5),
    Fault("hangs from the start", "TLS", mute, ("TLS handshake", "0.5 s"), timeout_s=0.5),
    Fault("cut in the handshake", "STARTTLS", cut, ("TLS handshake", "openssl s_client")),
    Fault("reset in the handshake", "STARTTLS", reset, ("TLS handshake", "openssl s_client")),
    Fault("cut from the start", "TLS", cut_at_once, ("TLS handshake", "openssl s_client")),
    Fault("words before the handshake", "STARTTLS", late_words, ("is not TLS",)),
    Fault("words with the answer", "STARTTLS", secured("good", *INJECTED), ("offers no login",)),
    Fault("login offered without TLS only", "STARTTLS", secured("good"), ("offers no login",)),
    Fault(
        "login refused",
        "STARTTLS",
        secured("good", ehlo=("250-here", "250 AUTH CRAM-MD5")),
        ("refuses the login 'harbour'",),
    ),
    Fault(
        "login not possible now",
        "STARTTLS",
        secured("good", ehlo=("250-here", "250 AUTH CRAM-MD5"), auth="454 4.7.0 Temporary authentication failure"),
        ("cannot check the login 'harbour' now: 454 4.7.0 Temporary", "nothing has to be set anew"),
    ),
    # On Linux this address is this machine's, too, but does not say so.
    Fault("password without TLS", "NONE", greeting, ("password does not leave without TLS", "--security"), host="0.0.0.0"),
]


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ssl.SSLContext]:
    folder = tmp_path_factory.mktemp("certificates")
    authority = Authority(folder)
    self_signed(folder / "self.pem", HOST)
    old = authority.server()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    made = {
        "good": authority.server(),
        "expired": authority.server(expired=True),
        "another name": authority.server("mail.example.com"),
        "self-signed": server_context(folder / "self.pem"),
        "unknown authority": Authority(folder, "stranger").server(),
        "TLS 1.1": old,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(authority.certificate))
        yield made


@asynccontextmanager
async def listening(
    talk: Talk, contexts: dict[str, ssl.SSLContext], context: str | None = None
) -> AsyncGenerator[tuple[int, list[Visit]]]:
    """The port of such a relay, and who was there."""
    visits: list[Visit] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        visits.append(Visit(reader, writer, contexts))
        try:
            await talk(visits[-1])
        except (OSError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    made = await asyncio.start_server(serve, HOST, 0, ssl=contexts[context] if context else None)
    async with made:
        yield made.sockets[0].getsockname()[1], visits


def relay(port: int, security: str, *, login: bool = True, host: str = HOST) -> Relay:
    user, password = (LOGIN, PASSWORD) if login else ("", "")
    return Relay(host=host, port=port, security=security, user=user, password=password, connections=2)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.name}, {fault.security}")
async def test_a_mail_leaves_by_another_relay_and_the_log_says_what_to_do(
    fault: Fault, contexts: dict[str, ssl.SSLContext], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with (
        listening(fault.talk, contexts, fault.context) as (port, visits),
        Post(relay(port, fault.security, login=fault.login, host=fault.host), waits=Waits.all_of(fault.timeout_s)) as post,
    ):
        with smtp_sink() as sink:
            async with Post(Relay(host=HOST, port=sink.port)) as good:
                # The first choice is the one with the fault.
                way = Way([(1, Exit(post)), (0, Exit(good))])
                reply, _ = await way.deliver("a@example.com", "c@example.com", RAW)
        alone = await post.deliver("a@example.com", "b@example.com", RAW)
        assert (alone.fate, alone.reached) == (Fate.DEFERRED, False)
    assert reply.fate is Fate.ACCEPTED
    assert sink.recipients() == {"c@example.com": 1}
    for words in (f"{fault.host}:{port}", *fault.words):
        assert words in alone.text
        assert words in caplog.text
    for visit in visits:
        heard = b"".join(visit.plain)
        assert b"AUTH" not in heard
        assert b"MAIL" not in heard
        assert b"MAIL" not in b"".join(visit.secret)
    said = b"".join(line for visit in visits for line in (*visit.plain, *visit.secret))
    for secret in (PASSWORD.encode(), base64.b64encode(f"\0{LOGIN}\0{PASSWORD}".encode())):
        assert secret not in said
        assert secret.decode() not in alone.text + caplog.text


async def test_the_login_waits_for_tls_and_what_was_said_before_it_counts_for_nothing(
    contexts: dict[str, ssl.SSLContext],
) -> None:
    """Whoever stands between says PIPELINING and that a mail is queued, in the piece that ends with TLS agreed on."""
    injected = ("220 go on", "250-here", "250-PIPELINING", "250 AUTH LOGIN", "235 welcome", "250 ok", "250 ok", "250 stolen")
    talk = secured("good", *injected, ehlo=("250-here", "250 AUTH PLAIN"))
    async with (
        listening(talk, contexts) as (port, visits),
        Post(relay(port, "STARTTLS"), waits=Waits.all_of(20)) as post,
    ):
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert (reply.fate, reply.text) == (Fate.ACCEPTED, "250 queued")
    (visit,) = visits
    assert [line[:4] for line in visit.plain] == [b"EHLO", b"STAR"]
    assert [line.split()[0] for line in visit.secret[:3]] == [b"EHLO", b"AUTH", b"MAIL"]
    assert visit.secret[1].split()[1:] == [b"PLAIN", base64.b64encode(f"\0{LOGIN}\0{PASSWORD}".encode())]


async def test_a_program_on_the_same_machine_is_logged_in_to_without_tls(contexts: dict[str, ssl.SSLContext]) -> None:
    """A tunnel, or a mail server that passes everything on."""
    async with (
        listening(logging_in, contexts) as (port, visits),
        Post(relay(port, "NONE"), waits=Waits.all_of(20)) as post,
    ):
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert (reply.fate, reply.text) == (Fate.ACCEPTED, "250 queued")
    assert [line[:4] for line in visits[0].plain[:2]] == [b"EHLO", b"AUTH"]


async def test_a_name_that_no_machine_can_have_is_no_fault_of_the_mail() -> None:
    async with Post(Relay(host=f"{'x' * 70}.example.com", port=25), waits=Waits.all_of(20)) as post:
        reply = await post.deliver("a@example.com", "b@example.com", RAW)
    assert (reply.fate, reply.reached) == (Fate.DEFERRED, False)
