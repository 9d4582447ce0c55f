"""Faults of an SMTP server, at each stage of the dialogue: what becomes of the mail, and of those behind it."""

import asyncio
from itertools import product

import pytest

from tabellion.features.delivery.model import Policy
from tests.features.delivery.faulty import BROKEN, LATER, REFUSED, SILENT, SLOW, Case, Server, run
from tests.support.mailing import smtp_sink

STAGES = ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", ".")
CASES = [Case(*case) for case in product(STAGES, (*BROKEN, *SLOW, *LATER, *REFUSED), (False, True), Policy)]


async def test_each_fault_at_each_stage_has_one_outcome_and_harms_no_other_mail() -> None:
    silent = [case for case in CASES if case.fault in SILENT]
    loud = [case for case in CASES if case.fault not in SILENT]
    assert len(CASES) > 400
    found = await asyncio.gather(*(run(Server(case, 2.0), 1.0) for case in silent))
    for start in range(0, len(loud), 50):
        # Long enough that a slow machine is no silent server.
        found += await asyncio.gather(*(run(Server(case, 60.0), 30.0) for case in loud[start : start + 50]))
    wrong = [each for each in found if each is not None]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("line", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"\n.\n", b"a\n\r\n"])
async def test_the_sink_of_the_tests_fails_them_for_a_bare_line_end(line: bytes) -> None:
    """One that could not fail would prove nothing."""
    with pytest.raises(AssertionError, match=r"g1@example\.com"), smtp_sink() as sink:  # noqa: PT012 - its end raises
        reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
        for command in (b"EHLO x", b"MAIL FROM:<a@example.com>", b"RCPT TO:<g1@example.com>", b"DATA"):
            writer.write(command + b"\r\n")
        while not (await asyncio.wait_for(reader.readline(), 10)).startswith(b"354"):
            pass
        writer.write(b"Subject: x\r\n\r\n" + line + b"\r\n.\r\n")
        heard = b""
        while b"5.6.0" not in heard:
            heard = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
