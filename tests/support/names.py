"""A name server on loopback: it answers what tests tell it, says that other names do not exist, or is silent.

Unless it is `closed`, it knows the root, as all do that know public names.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset


class NameServer:
    """`records` by name and type, such as `("example.com", "TXT")`; `silent` names get no answer."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.records: dict[tuple[str, str], list[str]] = {}
        self.silent: set[str] = set()
        self.closed = False
        self.asked: list[tuple[str, str]] = []

    def answer(self, raw: bytes) -> bytes | None:
        """The answer to one question."""
        query = dns.message.from_wire(raw)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        if name in self.silent:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        found = self.records.get((name, kind), [])
        if found:
            texts = [_quoted(text) if kind == "TXT" else text for text in found]
            response.answer.append(dns.rrset.from_text(question.name, 60, dns.rdataclass.IN, kind, *texts))
        elif (name != "." or self.closed) and not any(
            known == name or known.endswith(f".{name}") for known, _ in self.records
        ):
            response.set_rcode(dns.rcode.NXDOMAIN)
        return response.to_wire()


def _quoted(text: str) -> str:
    """A text in pieces of at most 255 octets, as records hold them."""
    return " ".join(f'"{text[i : i + 255]}"' for i in range(0, len(text), 255))


@contextmanager
def name_server() -> Iterator[NameServer]:
    """A name server over UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        server = NameServer(listener.getsockname()[1])
        over = threading.Event()
        listener.settimeout(0.2)

        def serve() -> None:
            while not over.is_set():
                with suppress(TimeoutError, OSError):
                    raw, address = listener.recvfrom(4096)
                    answer = server.answer(raw)
                    if answer is not None:
                        listener.sendto(answer, address)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            over.set()
            thread.join(5)
