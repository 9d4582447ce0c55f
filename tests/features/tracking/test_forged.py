"""Addresses that nobody here wrote: 50,000 changed ones lead nowhere, note nothing, and change nobody's choices."""

import base64
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from tabellion.features import licences, tracking
from tabellion.features.delivery import Token, Use, read_token, write_token
from tabellion.features.delivery.tokens import seal_address
from tabellion.features.tracking import Asked, Choice
from tabellion.platform import secrets

NOW = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
MANY = 50_000
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
STRANGE = "+/=%. \x00\n\u00e9\u0430\uff21"
ASKED = Asked("GET", "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0")


def raw(text: str) -> bytearray:
    return bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def text_of(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def changed(rng: random.Random, text: str, others: list[str]) -> str:
    """One change, of the kinds that people and machines make."""
    at = rng.randrange(len(text))
    match rng.randrange(9):
        case 0:
            return text[:at] + rng.choice(ALPHABET) + text[at + 1 :]
        case 1:
            return text[:at] + text[at + 1 :]
        case 2:
            return text[:at] + rng.choice(ALPHABET + STRANGE) + text[at:]
        case 3:
            return text[:at].swapcase() + text[at:]
        case 4:
            octets = raw(text)
            octets[rng.randrange(len(octets))] ^= 1 << rng.randrange(8)
            return text_of(octets)
        case 5:
            # What one says under the seal of another.
            octets, other = raw(text), raw(rng.choice(others))
            cut = rng.randrange(1, len(octets))
            return text_of(octets[:cut] + other[cut:])
        case 6:
            # The next recipient, the next licence, another use, under the seal that is there.
            octets = raw(text)
            octets[rng.choice([0, 4, 12, 14])] = rng.choice([*b"ocuvxpb", *range(8)])
            return text_of(octets)
        case 7:
            return text + rng.choice(["=", "==", "A", "\n", " ", "%00", "/", "."])
        case _:
            return "".join(rng.choice(ALPHABET) for _ in text)


async def test_changed_addresses_do_nothing(db: psycopg.AsyncConnection[Any], tmp_path: Path) -> None:
    secrets.use_key("of the tests", tmp_path)
    await licences.create_licence(db, "forged", NOW, preset="unlimited")
    row = await (await db.execute("SELECT id FROM tabellion.licence WHERE name = 'forged'")).fetchone()
    assert row is not None
    licence = row[0]
    await licences.create_entity(db, "forged", "hotels", NOW)
    query = """
WITH c AS (
    INSERT INTO tabellion.campaign (licence_id, entity_id, name, kind, settings, created_at, updated_at)
    SELECT licence_id, id, 'c', 'MASS', '{}', %(now)s, %(now)s FROM tabellion.entity WHERE licence_id = %(licence)s RETURNING id
)
INSERT INTO tabellion.sending (licence_id, campaign_id, test, state, document, created_at)
SELECT %(licence)s, id, false, 'ENDED', '{}', %(now)s FROM c RETURNING id, campaign_id
"""
    sending = await (await db.execute(query, {"now": NOW, "licence": licence})).fetchone()
    assert sending is not None
    for i in range(1, 9):
        await db.execute(
            f"INSERT INTO l{licence}.recipient (id, sending_id, campaign_id, test, table_id, address, language, state, planned_at) "
            "VALUES (%s, %s, %s, false, 1, %s, 'en', 'ACCEPTED', %s)",
            (i, *sending, f"r{i}@example.com", NOW),
        )

    async def events() -> int:
        row = await (await db.execute(f"SELECT count(*) FROM l{licence}.mail_event")).fetchone()
        return row[0] if row else -1

    async def suppressed() -> int:
        row = await (await db.execute(f"SELECT count(*) FROM l{licence}.suppression")).fetchone()
        return row[0] if row else -1

    own = {
        use: [write_token(Token(use, licence, i, i if use is Use.CLICK else 0)) for i in range(1, 9)]
        for use in (Use.OPEN, Use.CLICK, Use.TRAP, Use.UNSUBSCRIBE, Use.PREFERENCES)
    }
    sealed = [seal_address(licence, i, f"https://a.example/{i}") for i in range(1, 9)]
    url = "https://a.example/1"
    stop = Choice(stop=True)
    does: dict[Use, Callable[[str], Any]] = {
        Use.OPEN: lambda text: tracking.opened(db, text, ASKED, NOW),
        Use.CLICK: lambda text: tracking.clicked(db, text, url, ASKED, NOW),
        Use.TRAP: lambda text: tracking.trapped(db, text, ASKED, NOW),
        Use.UNSUBSCRIBE: lambda text: tracking.unsubscribe(db, text, NOW),
        Use.PREFERENCES: lambda text: tracking.choose(db, text, stop, NOW),
    }
    rng = random.Random(31)
    uses = list(does)
    everything = [text for texts in own.values() for text in texts]
    tried = 0
    while tried < MANY:
        use = uses[tried % len(uses)]
        text = changed(rng, rng.choice(own[use]), everything)
        if text in everything:
            continue
        tried += 1
        assert read_token(text) is None, text
        await does[use](text)
        if use is Use.CLICK:
            assert tracking.target_of(text, sealed[0]) is None
    # One's own token beside another's target, a changed one, a plain one, and tokens of another use.
    for _ in range(MANY // 5):
        i = rng.randrange(8)
        other = rng.choice(
            [sealed[(i + 1) % 8], changed(rng, sealed[i], sealed), "https://evil.example", text_of(b"https://e.example")]
        )
        if other != sealed[i]:
            assert tracking.target_of(own[Use.CLICK][i], other) is None, other
    for use, act in does.items():
        for texts in (own[other] for other in uses if other is not use):
            await act(texts[0])
    assert (await events(), await suppressed()) == (0, 0)

    assert tracking.target_of(own[Use.OPEN][0], sealed[0]) is None

    # What we wrote does work; the test could not fail otherwise.
    assert tracking.target_of(own[Use.CLICK][0], sealed[0]) == url
    for use, act in does.items():
        await act(own[use][uses.index(use)])
    assert (await events(), await suppressed()) == (5, 2)
