"""The suppression list page by page: what a filter holds, and where a page ends."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from tabellion.features.bounces import suppression, table
from tabellion.features.bounces.model import Wanted
from tabellion.features.delivery import Suppression, suppression_store
from tabellion.features.tables.filters import CursorInvalid
from tabellion.kit.problem import Invalid
from tests.features.delivery.conftest import START, Post, licence_that_sends


@pytest.fixture
async def post(worker_database_url: str) -> AsyncIterator[Post]:
    """A licence that sends."""
    async with licence_that_sends(worker_database_url) as made:
        yield made


async def test_an_exported_list_has_one_header_and_everybody_meant_once(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    days = [START + timedelta(days=day) for day in range(4)]
    listed = [
        Suppression("a@b.example", "MANUAL", days[0]), Suppression("c@b.example", "COMPLAINT", days[1], None, days[0]),
        Suppression("d@x.b.example", "COMPLAINT", days[2]), Suppression("e@xb.example", "UNSUBSCRIBE", days[3]),
    ]  # fmt: skip
    await suppression_store.put(post.db, post.licence_id, listed)
    monkeypatch.setattr(suppression, "_PAGE", 2)

    async def exported(wanted: Wanted) -> tuple[str, str]:
        """The first letters of the lines, and of the addresses; how the lines come in pieces."""
        pieces = [piece.decode() async for piece in suppression.as_csv(post.db, post.licence_id, wanted)]
        return "".join(line[:1] for line in "".join(pieces).splitlines()[1:]), "".join(
            str(len(piece.splitlines())) for piece in pieces
        )

    assert await exported(Wanted()) == ("acde", "320")
    assert await exported(Wanted(domain="b.example")) == ("ac", "30")
    assert await exported(Wanted(reason="COMPLAINT")) == ("cd", "30")
    assert await exported(Wanted(reason="MANUAL")) == ("a", "2")
    assert await exported(Wanted(reason="UNSUBSCRIBE")) == ("ce", "30")
    assert await exported(Wanted(from_at=days[1], to_at=days[2])) == ("c", "2")


def test_lists_of_other_systems_are_read_as_they_are_meant() -> None:
    for text, expected in (
        ("\ufeffaddress\r\na@x.com\r\n", {"address": "a@x.com"}),
        ("Name; E-Mail ;since\nAnn;a@x.com;", {"name": "Ann", "address": "a@x.com", "since": None}),
        ("email,a;b\na@x.com,1;2", {"address": "a@x.com", "a;b": "1;2"}),
        ("a@x.com,MANUAL", {"address": "a@x.com"}),
    ):
        assert table.read_csv(text.encode()) == [expected]
    for name in ("address", "email", "e-mail", "emailaddress", "email_address", "recipient", "mail"):
        assert table.read_csv(f"{name.title()}\na@x.com".encode()) == [{"address": "a@x.com"}]


def test_rows_are_read_by_today_and_not_more_than_fifty_faults_are_told() -> None:
    later = {"address": "A@x.com", "reason": "manual", "since": "2099-01-01", "unsubscribed": "2099-01-01"}
    left = {"address": "b@x.com", "reason": "UNSUBSCRIBE", "since": "2027-03-01", "unsubscribed": "2027-02-01"}
    assert table.read_all([later, left], UTC, START) == [
        Suppression("a@x.com", "MANUAL", START, None, START),
        Suppression("b@x.com", "UNSUBSCRIBE", datetime(2027, 3, 1, tzinfo=UTC)),
    ]
    with pytest.raises(Invalid) as refused:
        table.read_all([{"address": "x"}] * 60, UTC, START)
    assert len(refused.value.errors) == 50


def test_a_cursor_is_no_way_for_what_the_database_does_not_take() -> None:
    for address in ("\0", "a\0b"):
        with pytest.raises(CursorInvalid):
            suppression._read_cursor(suppression._cursor(b"digest789", address), b"digest789")
    assert suppression._read_cursor(suppression._cursor(b"digest789", "ä@b.example"), b"digest789") == "ä@b.example"
