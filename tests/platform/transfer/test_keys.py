"""Private keys of SSH, opened by a process of its own."""

import asyncio
import base64
import time

import asyncssh
import pytest

from tabellion.platform.transfer import is_public_key, keys
from tests.support.transfer_servers import passphrased

KEY = asyncssh.generate_private_key("ssh-ed25519")


async def test_a_key_comes_without_its_password() -> None:
    # As `ssh-keygen` makes them.
    hashed = KEY.export_private_key("openssh", "x", rounds=24, ignore_few_rounds=True).decode()
    for text, password in ((KEY.export_private_key().decode(), ""), (hashed, "x")):
        opened = await keys.opened(text, password)
        assert opened is not None
        assert asyncssh.import_private_key(opened).export_public_key() == KEY.export_public_key()
    assert await keys.opened(passphrased(KEY, "x"), "y") is None


@pytest.mark.parametrize("rounds", [2**31, 2**63, -5])
async def test_what_the_library_breaks_over_is_no_key(rounds: int) -> None:
    assert await keys.opened(passphrased(KEY, "x", rounds), "x") is None


def test_negative_numbers_are_no_public_key() -> None:
    parts = b"".join(len(part).to_bytes(4, "big") + part for part in (b"ssh-rsa", b"\x03", b"\xff"))
    assert not is_public_key(f"ssh-rsa {base64.b64encode(parts).decode()}")


async def test_a_key_that_takes_hours_is_given_up_and_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_WITHIN_S", 1.0)
    began, turns = time.monotonic(), 0
    asked = asyncio.ensure_future(keys.opened(passphrased(KEY, "x", 2**31 - 1), "x"))
    while not asked.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert asked.result() is None
    assert time.monotonic() - began < 5
    assert turns > 10
