"""The addresses that mails come back to."""

import base64
import random
from pathlib import Path

import pytest

from tabellion.features.delivery.tokens import Token, Use, read, read_return_path, return_path, write
from tabellion.platform import secrets


@pytest.fixture(autouse=True)
def key() -> None:
    secrets.use_key("of the tests", Path("/nowhere"))


def test_an_address_names_its_mail_whatever_servers_do_to_its_letters() -> None:
    for licence, recipient in ((1, 1), (2**32 - 1, 2**63), (7, 123_456_789)):
        address = return_path(licence, recipient, "bounces.example.com")
        local, _, domain = address.partition("@")
        assert (len(local) <= 64, domain, local.isascii(), local == local.lower()) == (
            True,
            "bounces.example.com",
            True,
            True,
        )
        for written in (address, address.upper(), address.title(), f"{local}@elsewhere.example"):
            assert read_return_path(written) == Token(Use.BOUNCE, licence, recipient)


def test_nobody_can_make_one_up_or_change_one() -> None:
    chance = random.Random(4)
    alphabet = "abcdefghijklmnopqrstuvwxyz234567-_=+.@ é\0"
    good = return_path(5, 77, "b.example.com")
    local = good.partition("@")[0]
    for _ in range(20_000):
        text = list(local)
        for _ in range(chance.randint(1, 3)):
            place = chance.randrange(len(text))
            match chance.randrange(3):
                case 0:
                    text[place] = chance.choice(alphabet)
                case 1:
                    text.insert(place, chance.choice(alphabet))
                case _:
                    del text[place]
        changed = "".join(text)
        if changed != local:
            found = read_return_path(f"{changed}@b.example.com")
            # The last letter of base32 has bits that mean nothing; what it says is the same.
            assert found is None or (found == Token(Use.BOUNCE, 5, 77) and changed[:-1] == local[:-1])
    for other in (
        "",
        "@",
        "b-",
        "b-@x",
        "postmaster@x",
        f"x{good}",
        good.removeprefix("b-"),
        "b-" + "a" * 47 + "@x",
        "b-" + "é" * 47 + "@x",
    ):
        assert read_return_path(other) is None


def test_a_token_of_another_use_is_no_return_path() -> None:
    last = Token(Use.CLICK, 5, 77, 65_535)
    assert read(write(last)) == last
    for use in (Use.OPEN, Use.UNSUBSCRIBE):
        text = write(Token(use, 5, 77))
        assert read(text) == Token(use, 5, 77)
        assert read_return_path(f"b-{text}@b.example.com") is None
        # What is in a link under our seal, in the letters of return paths.
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        assert read_return_path(f"b-{base64.b32encode(octets).decode().rstrip('=')}@b.example.com") is None
