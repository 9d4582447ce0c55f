"""Connections over TLS that end at each stage of the dialogue, in each way: what becomes of the mail, and of those behind it."""

import asyncio
import os
import socket
import ssl
import struct
from itertools import product
from pathlib import Path

import pytest

from tabellion.features.delivery.model import Policy
from tests.features.delivery.faulty import BROKEN, CUTS, LATER, REFUSED, SILENT, SLOW, Case, Server, run
from tests.support.certificates import Authority

STAGES = ("EHLO", "MAIL", "RCPT", "DATA", ".")
CASES = [
    *(Case(*case) for case in product((*STAGES, "BODY"), CUTS, (False, True), Policy)),
    # What is said without a break is understood over TLS as it is without.
    *(Case(*case) for case in product(STAGES, (*BROKEN, *SLOW, *LATER, *REFUSED), (True,), [Policy.HOLD])),
]


class SecureServer(Server):
    """The same over TLS, from the start or begun later."""

    def __init__(self, case: Case, patience_s: float, security: str, context: ssl.SSLContext) -> None:
        super().__init__(case, patience_s)
        self.security, self._context = security, context
        self.tls = context if security == "TLS" else None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.security == "STARTTLS":
            writer.write(b"220 ready\r\n")
            assert (await reader.readline()).startswith(b"EHLO")
            writer.write(b"250-here\r\n250 STARTTLS\r\n")
            assert await reader.readline() == b"STARTTLS\r\n"
            writer.write(b"220 go on\r\n")
            await writer.start_tls(self._context)
            try:
                await self.dialogue(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()
        else:
            await super().serve(reader, writer)

    async def content(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        if self.case.stage != "BODY" or not self._faulty:
            return await super().content(reader, writer)
        self._faulty = False
        await reader.readline()
        cut(writer, self.case.fault)
        return b""

    async def _answer(self, writer: asyncio.StreamWriter, stage: str) -> str:
        if stage != self.case.stage or not self._faulty or self.case.fault not in CUTS:
            return await super()._answer(writer, stage)
        self._faulty = False
        cut(writer, self.case.fault)
        return ""


def cut(writer: asyncio.StreamWriter, how: str) -> None:
    """End a connection over TLS."""
    if how == "close_notify":
        writer.close()
        return
    with socket.socket(fileno=os.dup(writer.get_extra_info("socket").fileno())) as below:
        if how == "RST":
            below.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            below.shutdown(socket.SHUT_WR)
    if how == "RST":
        writer.transport.abort()


@pytest.mark.parametrize("security", ["STARTTLS", "TLS"])
async def test_a_connection_over_tls_that_ends_leaves_each_mail_one_outcome(
    security: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate))
    context = authority.server()
    # What greets before TLS is another test's.
    greeting = [Case("GREETING", fault, False, Policy.HOLD) for fault in CUTS if security == "TLS"]
    silent = [case for case in CASES if case.fault in SILENT]
    loud = [case for case in (*greeting, *CASES) if case.fault not in SILENT]
    found = await asyncio.gather(*(run(SecureServer(case, 2.0, security, context), 1.0) for case in silent))
    for start in range(0, len(loud), 50):
        part = loud[start : start + 50]
        found += await asyncio.gather(*(run(SecureServer(case, 60.0, security, context), 30.0) for case in part))
    wrong = [each for each in found if each is not None]
    assert not wrong, "\n".join(wrong)
