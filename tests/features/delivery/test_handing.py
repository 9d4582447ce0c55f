"""Mails on their way out: what is committed before they leave, and what becomes of those that may not."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from msgspec.structs import replace

from tabellion.features.delivery.composing import Ready
from tabellion.features.delivery.handing import TOO_MANY, Handing, Orders
from tabellion.features.delivery.model import Claimed, Ending, Policy, State
from tabellion.features.delivery.patience import Patience
from tabellion.features.delivery.transport import Exit, Way
from tabellion.kit.clock import utc_now
from tabellion.platform.mail import Fate, MayLeave, Post, Relay, Reply
from tests.support.mailing import Sink, smtp_sink

CONNECTIONS = 8
Begin = Callable[[Sequence[Claimed]], Awaitable[set[int] | None]]


def mails(count: int) -> list[Ready]:
    return [
        Ready(
            Claimed(n, n, f"g{n}@example.com", "en", 1, None), "news@example.com", f"g{n}@example.com", "x",
            f"From: news@example.com\r\nSubject: {n}\r\n\r\nx\r\n".encode(),
        )
        for n in range(count)
    ]  # fmt: skip


class Office:
    """Keeps what handing over tells."""

    def __init__(self, begin: Begin) -> None:
        self.asked: list[list[int]] = []
        self.endings: list[Ending] = []
        self.back: set[int] = set()
        self.errors: list[Exception] = []
        self.policy = Policy.HOLD
        self.stopping = False
        self.patience = Patience()
        self._begin = begin

    async def begin(self, held: Sequence[Claimed]) -> set[int] | None:
        self.asked.append([each.id for each in held])
        return await self._begin(held)

    async def give_back(self, held: Sequence[Claimed]) -> None:
        self.back |= {each.id for each in held}

    def orders(self) -> Orders:
        return Orders(
            self.begin, self.give_back, self.endings.append, self.errors.append, lambda: self.stopping, utc_now, self.policy,
            self.patience, 1,
        )  # fmt: skip

    async def hand(self, sink: Sink, given: list[Ready], kind: type[Post] = Post) -> Handing:
        async with kind(Relay(host="127.0.0.1", port=sink.port, connections=CONNECTIONS)) as post:
            handing = Handing(Way([(1, Exit(post))]), self.orders())
            await handing.put(given)
            await handing.end()
        return handing


async def all_of(held: Sequence[Claimed]) -> set[int]:
    await asyncio.sleep(0.02)
    return {each.id for each in held}


async def test_mails_share_commits_and_none_leaves_before_its_own() -> None:
    office = Office(all_of)
    with smtp_sink() as sink:
        await office.hand(sink, mails(120))
        assert sum(sink.recipients().values()) == len(sink.recipients()) == 120
    assert sorted(number for asked in office.asked for number in asked) == list(range(120))
    assert len(office.asked) < 60
    assert {(e.claimed.id, e.state) for e in office.endings} == {(n, State.ACCEPTED) for n in range(120)}


async def test_who_may_not_get_it_after_all_gets_nothing_and_is_looked_at_afresh() -> None:
    async def even(held: Sequence[Claimed]) -> set[int]:
        return {each.id for each in held if each.id % 2 == 0}

    office = Office(even)
    with smtp_sink() as sink:
        handing = await office.hand(sink, mails(40))
        assert set(sink.recipients()) == {f"g{n}@example.com" for n in range(0, 40, 2)}
    assert office.back == set(range(1, 40, 2))
    assert not handing.halted


async def test_a_sending_that_is_held_begins_nothing_more() -> None:
    async def held_after_two(held: Sequence[Claimed]) -> set[int] | None:
        return {each.id for each in held} if len(office.asked) <= 2 else None

    office = Office(held_after_two)
    with smtp_sink() as sink:
        handing = await office.hand(sink, mails(100))
        got = {int(address[1:].partition("@")[0]) for address in sink.recipients()}
    assert handing.halted
    assert got == set(office.asked[0]) | set(office.asked[1])
    assert office.back == set(range(100)) - got
    assert len(office.asked) <= 4


async def test_the_database_goes_away_and_what_has_left_is_told_all_the_same() -> None:
    async def gone_after_one(held: Sequence[Claimed]) -> set[int]:
        if len(office.asked) > 1:
            raise ConnectionError("the database is away")
        return await all_of(held)

    office = Office(gone_after_one)
    with smtp_sink() as sink:
        with pytest.raises(ConnectionError):
            await office.hand(sink, mails(60))
        got = {int(address[1:].partition("@")[0]) for address in sink.recipients()}
    assert got == set(office.asked[0])
    assert {e.claimed.id for e in office.endings if e.state is State.ACCEPTED} == got


async def test_what_a_relay_refuses_is_never_said_to_be_leaving() -> None:
    office = Office(all_of)
    with smtp_sink() as sink:
        sink.refuse = {"g3@example.com": "550 5.1.1 no such user", "g4@example.com": "451 4.7.1 later"}
        await office.hand(sink, mails(10))
    asked = {number for asked in office.asked for number in asked}
    assert asked == set(range(10)) - {3, 4}
    states = {e.claimed.id: e.state for e in office.endings}
    assert (states[3], states[4]) == (State.REJECTED, State.DEFERRED)


async def test_a_process_that_ends_gives_back_what_has_not_begun() -> None:
    async def stop(held: Sequence[Claimed]) -> set[int]:
        office.stopping = True
        return await all_of(held)

    office = Office(stop)
    with smtp_sink() as sink:
        await office.hand(sink, mails(50))
        got = {int(address[1:].partition("@")[0]) for address in sink.recipients()}
    assert got
    assert got | office.back == set(range(50))
    assert not got & office.back


async def test_a_domain_that_wants_to_be_left_in_peace_is_not_even_asked() -> None:
    office = Office(all_of)
    office.patience.hears(1, "example.com", Reply(Fate.DEFERRED, "421 4.7.0 too many", of_domain=True))
    with smtp_sink() as sink:
        await office.hand(sink, mails(5))
        assert not sink.recipients()
    assert not office.asked
    assert {(e.state, e.reason, e.due_at is not None) for e in office.endings} == {(State.PLANNED, None, True)}


async def test_what_was_in_doubt_stays_so_while_its_domain_is_left_in_peace() -> None:
    office = Office(all_of)
    office.patience.hears(1, "example.com", Reply(Fate.DEFERRED, "421 4.7.0 too many", of_domain=True))
    given = [mail._replace(claimed=replace(mail.claimed, doubtful=True)) for mail in mails(1)]
    with smtp_sink() as sink:
        await office.hand(sink, given)
    assert [(e.state, e.reason) for e in office.endings] == [(State.PLANNED, "uncertain")]


def test_a_relay_without_room_says_nothing_of_whom_it_has_not_heard_of() -> None:
    patience = Patience()
    for _ in range(10):
        assert not patience.hears(1, "example.com", Reply(Fate.DEFERRED, "421 4.3.2 shutting down"))
    assert not patience.rest_s(1, "example.com")


class Stumbling(Post):
    """A connection with a defect: one mail is too much for it before it may leave, another one afterwards."""

    async def deliver(
        self, sender: str, recipient: str, raw: bytes, may_leave: MayLeave | None = None, *, patient: bool = True
    ) -> Reply:
        if recipient == "g3@example.com":
            raise KeyError(recipient)
        if recipient == "g5@example.com":
            assert may_leave
            assert await may_leave()
            raise KeyError(recipient)
        return await super().deliver(sender, recipient, raw, may_leave)


@pytest.mark.parametrize("policy", list(Policy))
async def test_an_error_of_our_own_is_one_mails_and_once_it_may_have_left_nobody_knows(policy: Policy) -> None:
    office = Office(all_of)
    office.policy = policy
    with smtp_sink() as sink:
        handing = await office.hand(sink, mails(40), Stumbling)
        assert len(sink.recipients()) == 38
    assert not handing.halted
    assert [type(error) for error in office.errors] == [KeyError] * 2
    by_id = {e.claimed.id: (e.state, e.reason, e.due_at is not None) for e in office.endings}
    assert len(office.endings) == len(by_id) == 40
    assert by_id.pop(3) == (State.DEFERRED, "an error of the server (KeyError)", True)
    doubtful = State.UNCERTAIN if policy is Policy.HOLD else State.DEFERRED
    assert by_id.pop(5) == (doubtful, "uncertain", policy is Policy.RESEND)
    assert {state for state, _, _ in by_id.values()} == {State.ACCEPTED}


class Broken(Post):
    """A connection that every mail is too much for."""

    async def deliver(
        self, sender: str, recipient: str, raw: bytes, may_leave: MayLeave | None = None, *, patient: bool = True
    ) -> Reply:
        raise KeyError(recipient)


async def test_an_error_that_all_mails_have_ends_the_work_and_the_others_are_looked_at_afresh() -> None:
    office = Office(all_of)
    with smtp_sink() as sink, pytest.raises(KeyError):
        await office.hand(sink, mails(100), Broken)
    assert len(office.endings) == TOO_MANY
    assert {e.claimed.id for e in office.endings} | office.back == set(range(100))
