"""Connections to relays: from nothing to greeted, encrypted and logged in; where that fails, what is wrong and what to do.

aiosmtplib does each step. What it says of a failure is for programmers: an operator reads which relay it is, at which step
it failed, and what to change.
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager

import aiosmtplib
import msgspec

from tabellion.kit.tls import as_openssl_checks
from tabellion.platform.mail.own_name import own_name
from tabellion.platform.sockets import connected, look_up

# A peer that is gone (a firewall that forgot the connection, a machine without power) says nothing, nor does one that
# searches a mail for viruses: the kernel asks whether it is still there.
_KEEP_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),
)
_HUNG_UP = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError, aiosmtplib.SMTPServerDisconnected)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
_UNDECODED = re.compile("[\udc80-\udcff]")
_LATER = range(400, 500)
# Of OpenSSL, `X509_V_ERR_...`.
_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_NAME = frozenset({62, 64})
_UNKNOWN_ISSUER = frozenset({2, 18, 19, 20, 21})
_OLD_TLS = ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION", "VERSION_TOO_LOW", "NO_PROTOCOLS_AVAILABLE")
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "BAD_RECORD_TYPE", "UNEXPECTED_RECORD")
_FROM_THE_START = "a relay that speaks TLS from the start, as on port 465, needs --security TLS"


class Relay(msgspec.Struct, frozen=True, kw_only=True):
    """A server that takes mails. `security`: NONE, STARTTLS or TLS. `connections`: the most that a process keeps."""

    host: str
    port: int
    security: str = "NONE"
    user: str = ""
    password: str = ""
    connections: int = 10
    verify: bool = True

    @property
    def shows_password(self) -> bool:
        """Whether its password would go over a network as plain text. On one machine it may: to a tunnel, say."""
        return bool(self.user) and self.security == "NONE" and not _is_here(self.host)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class UnreachableError(Exception):
    """There is no connection to a relay that may be used. The text is for operators. `full`: it says "later" (4xx)."""

    def __init__(self, relay: Relay, words: str, *, full: bool = False) -> None:
        super().__init__(f"no connection to {relay.host}:{relay.port}: {words}")
        self.full = full


def turned_away(relay: Relay, reply: str) -> str:
    """What is told of a relay that greets and takes no mails."""
    if reply.startswith("530"):
        hint = "it wants a login or TLS first: set --login and --security as it needs them with relay add"
    else:
        hint = "it may limit how many mails it takes in a time"
    return in_one_line(f"{relay.host}:{relay.port} takes no mails: {reply}; {hint}")


async def opened(relay: Relay, timeout_s: float) -> aiosmtplib.SMTP:
    """A connection that is ready for mails; `timeout_s` for each step. Raises `UnreachableError`.

    Nothing is said over a connection without TLS that has to have it but what asks for TLS, and no password over a network.
    """
    if relay.shows_password:
        advice = "give the relay --security STARTTLS or TLS, or no --login"
        raise UnreachableError(relay, f"a password does not leave without TLS; {advice}")
    context = None
    if relay.security != "NONE":
        context = as_openssl_checks(ssl.create_default_context())
        if not relay.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = aiosmtplib.SMTP(
        hostname=relay.host, use_tls=relay.security == "TLS", start_tls=False, timeout=timeout_s, tls_context=context
    )
    try:
        await _open(client, relay, timeout_s)
        for option in _KEEP_ALIVE:
            client.get_transport_info("socket").setsockopt(*option)
    except OSError as error:
        client.close()
        raise UnreachableError(relay, said(error)) from error
    except BaseException:
        client.close()
        raise
    return client


async def _open(client: aiosmtplib.SMTP, relay: Relay, timeout_s: float) -> None:
    with _step(relay, timeout_s, "greeting"):
        async with asyncio.timeout(timeout_s):
            raw = await connected(await look_up(relay.host, relay.port))
        try:
            await client.connect(sock=raw, local_hostname=await own_name(raw))
        except BaseException:
            raw.close()
            raise
    with _step(relay, timeout_s, "EHLO"):
        await _greet(client)
    if relay.security == "STARTTLS":
        with _step(relay, timeout_s, "STARTTLS"):
            await client.starttls()
        # What it said before counts for nothing: anybody can have said it.
        with _step(relay, timeout_s, "EHLO"):
            await _greet(client)
    if relay.user:
        with _step(relay, timeout_s, "login"):
            await client.login(relay.user, relay.password)


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        if not client.is_connected:
            raise
        await client.helo()


@contextmanager
def _step(relay: Relay, timeout_s: float, name: str) -> Generator[None]:
    """Whatever fails here is said as a failure of this step. A name that is no name of a machine is a `UnicodeError`."""
    try:
        yield
    except (aiosmtplib.SMTPException, OSError, TimeoutError, UnicodeError) as error:
        words = _tls_words(relay, error) or _words(relay, error, name, timeout_s)
        full = isinstance(error, aiosmtplib.SMTPResponseException) and error.code in _LATER
        raise UnreachableError(relay, in_one_line(words), full=full and name in {"greeting", "EHLO"}) from error


def _tls_words(relay: Relay, error: BaseException) -> str | None:
    """What is wrong with TLS; None: something else is wrong."""
    found = next((each for each in _causes(error) if isinstance(each, ssl.SSLError)), None)
    if isinstance(found, ssl.SSLCertVerificationError):
        return _certificate_words(relay, found)
    if found is None:
        return None
    reason = found.reason or ""
    if any(part in reason for part in _OLD_TLS):
        return f"it speaks no TLS that is safe, and 1.2 is the oldest that is; its software has to be renewed ({reason})"
    if any(part in reason for part in _NO_TLS):
        hint = "one that begins TLS later, as on ports 587 and 25, needs --security STARTTLS"
        return f"what it answers is not TLS ({reason}){f'; {hint}' if relay.security == 'TLS' else ''}"
    if isinstance(found, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return f"it hung up in the TLS handshake; {_see_its_log(relay)}"
    return f"the TLS handshake failed ({reason or said(found)}); {_see_its_log(relay)}"


def _certificate_words(relay: Relay, error: ssl.SSLCertVerificationError) -> str:
    match error.verify_code:
        case code if code == _EXPIRED:
            return "its certificate has expired; whoever runs the relay has to renew it"
        case code if code == _NOT_YET_VALID:
            return "its certificate is not valid yet; look at the clocks of this machine and of the relay"
        case code if code in _OTHER_NAME:
            return f"its certificate is another machine's, not that of {relay.host}; name the relay as its certificate does"
        case code if code in _UNKNOWN_ISSUER:
            return (
                f"nobody whom this machine trusts vouches for its certificate ({error.verify_message}); put the "
                "certificate of who does among the system's, or into the file that SSL_CERT_FILE names"
            )
        case _:
            return f"its certificate is not good ({error.verify_message}); whoever runs the relay has to renew it"


def _words(relay: Relay, error: Exception, step: str, timeout_s: float) -> str:
    text = said(error)
    refused = isinstance(error, aiosmtplib.SMTPResponseException)
    if refused:
        text = f"{error.code} {error.message}"
    late = isinstance(error, TimeoutError)
    hung_up = any(isinstance(each, _HUNG_UP) for each in _causes(error))
    match step:
        case "greeting" if late and relay.security == "TLS":
            return f"it did not connect, end the TLS handshake and greet within {timeout_s:g} s"
        case "greeting" if late and "ready" not in text:
            return f"no connection within {timeout_s:g} s; is its name right, and lets the firewall mails out?"
        case "greeting" if late:
            return f"it did not greet within {timeout_s:g} s; {_FROM_THE_START}"
        case "greeting" if hung_up and relay.security == "TLS":
            return f"it hung up in the TLS handshake, or before it greeted; {_see_its_log(relay)}"
        case "STARTTLS" if late:
            # The library says so of a connection that was aborted, too.
            return f"the TLS handshake was cut off, or did not end within {timeout_s:g} s; {_see_its_log(relay)}"
        case "STARTTLS" if refused:
            return f"it refuses STARTTLS: {text}; whoever runs the relay has to mend that"
        case "STARTTLS" if isinstance(error, ConnectionError):
            return f"it hung up in the TLS handshake; {_see_its_log(relay)}"
        case "STARTTLS":
            return "it does not offer STARTTLS, and no mail leaves without; " + _FROM_THE_START
        case "login" if refused:
            return _login_words(relay, text, later=error.code in _LATER)
        case "login" if not late and not isinstance(error, ConnectionError):
            return f"it offers no login that this server knows (PLAIN, LOGIN, CRAM-MD5): {text}"
        case _:
            return f"no answer to {step} within {timeout_s:g} s" if late else f"{text} ({step})"


def _login_words(relay: Relay, text: str, *, later: bool) -> str:
    if later:
        # 454 (RFC 4954): those whom it asks about logins do not answer.
        return f"it cannot check the login '{relay.user}' now: {text}; it is tried again, and nothing has to be set anew"
    return f"it refuses the login '{relay.user}': {text}; set the right one with relay add"


def _see_its_log(relay: Relay) -> str:
    return f"its log tells more, or openssl s_client -connect {relay.host}:{relay.port}" + (
        " -starttls smtp" if relay.security == "STARTTLS" else ""
    )


def _causes(error: BaseException | None) -> Generator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def said(error: BaseException) -> str:
    """What an error says, in one line."""
    return in_one_line(str(error) or type(error).__name__)


def in_one_line(text: str) -> str:
    """What strangers say, for databases and terminals: neither of them takes all control characters.

    Octets that were no UTF-8, as the library leaves them, are Latin-1, as servers that say what they say in French mean it.
    """
    return " ".join(_CONTROL.sub("", _UNDECODED.sub(lambda found: chr(ord(found[0]) - 0xDC00), text)).split())[:300]
