"""What is made of each answer of a relay, on a clock of the test's: the rules of `Favour` one by one."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from tabellion.features.delivery import favour as module
from tabellion.features.delivery.favour import Favour
from tabellion.features.delivery.model import Claimed, Document, Ending, Sending, State
from tabellion.features.delivery.transport import Exit
from tabellion.platform.mail import Fate, Post, Relay, Reply
from tests.features.delivery.conftest import DOCUMENT, START

MOST = 3
BLOCKED = Reply(Fate.REJECTED, "550 5.7.1 shop may not", of_us=True)
UNKNOWN = Reply(Fate.REJECTED, "550 5.1.1 nobody", no_mailbox=True)
TAKEN = Reply(Fate.ACCEPTED, "250 ok")


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "monotonic", made)
    return made


def exit_(host: str = "mx") -> Exit:
    return Exit(Post(Relay(host=host, port=25, user="shop", password="hush")))


def favour(most: int = MOST, **document: bool) -> Favour:
    made = Document(entity_id=1, table_id=1, **{**DOCUMENT, **document})
    return Favour(most, Sending(1, 1, 1, "RUNNING", 1, made))


Answer = Callable[..., Sequence[Ending]]


def answers(of: Favour, relay: Exit) -> Answer:
    """Tell of answers: each of another mail. What is written down after the last."""
    count = 0

    def tell(reply: Reply, times: int = 1) -> Sequence[Ending]:
        nonlocal count
        found: Sequence[Ending] = ()
        for _ in range(times):
            count += 1
            claimed = Claimed(count, count, f"g{count}@example.com", "en", 1, None)
            state = State.ACCEPTED if reply.fate is Fate.ACCEPTED else State.REJECTED
            ending = Ending(claimed, state, "refused" if reply.no_mailbox else None, suppress=reply.no_mailbox)
            found = of.weigh(relay, reply, ending, START + timedelta(seconds=0.5))
        return found

    return tell


@pytest.mark.parametrize("reply", [BLOCKED, UNKNOWN])
def test_a_refusal_is_put_off_to_the_second_and_suppresses_nobody(reply: Reply) -> None:
    (put_off,) = answers(favour(), exit_())(reply)
    assert (put_off.state, put_off.reason, put_off.suppress) == (State.DEFERRED, "declined", False)
    assert put_off.due_at == START + timedelta(minutes=10)


def test_what_was_put_off_is_final_with_the_next_that_is_taken() -> None:
    of, relay = favour(), exit_()
    tell = answers(of, relay)
    tell(BLOCKED)
    tell(UNKNOWN)
    assert of
    endings = tell(TAKEN)
    assert [(each.claimed.id, each.state, each.suppress) for each in endings] == [
        (3, State.ACCEPTED, False), (1, State.REJECTED, False), (2, State.REJECTED, True),
    ]  # fmt: skip
    assert not of
    # It knows what it says of addresses.
    assert [each.state for each in tell(UNKNOWN)] == [State.REJECTED]
    assert [each.state for each in tell(BLOCKED)] == [State.DEFERRED]


def test_what_a_relay_has_refused_that_takes_mails_again_is_tried_again() -> None:
    tell = answers(favour(), exit_())
    tell(BLOCKED, MOST)
    assert [each.claimed.id for each in tell(TAKEN)] == [MOST + 1]


@pytest.mark.parametrize(("reply", "times"), [(BLOCKED, MOST), (UNKNOWN, 5 * MOST)])
def test_so_many_in_a_row_and_no_fewer_lose_favour(reply: Reply, times: int) -> None:
    of, relay = favour(), exit_()
    tell = answers(of, relay)
    tell(reply, times - 1)
    assert (of.is_lost(relay), of.rest_s(relay), of.troubles()) == (False, 0.0, {})
    tell(reply)
    assert (of.is_lost(relay), of.rest_s(relay)) == (True, 60.0)
    # Those that were on their way are refused as well: that is once.
    tell(reply)
    (told,) = of.troubles().values()
    assert (of.rest_s(relay), f"refused {times} mails" in told, "shop" in told) == (60.0, True, False)


@pytest.mark.parametrize("document", [{"test": True}, {}])
def test_where_nothing_is_held_refusals_are_final(document: dict[str, bool]) -> None:
    of, relay = favour(MOST if document else 0, **document), exit_()
    assert [each.state for each in answers(of, relay)(BLOCKED, 9)] == [State.REJECTED]
    assert not of


def test_what_is_no_refusal_does_not_count() -> None:
    of, relay = favour(), exit_()
    later = Ending(Claimed(1, 1, "g@example.com", "en", 1, None), State.DEFERRED, due_at=START)
    assert of.weigh(relay, replace(BLOCKED, fate=Fate.DEFERRED), later, START) == (later,)
    full = replace(later, state=State.REJECTED, due_at=None)
    assert of.weigh(relay, Reply(Fate.REJECTED, "552 5.2.2 full"), full, START) == (full,)
    assert not of


def test_one_mail_at_a_time_tries_a_relay_and_pauses_grow(clock: Clock) -> None:
    of, relay = favour(), exit_()
    tell = answers(of, relay)
    tell(BLOCKED, MOST)
    for pause_s in (60.0, 120.0, 240.0, 480.0, 600.0, 600.0):
        assert of.rest_s(relay) == pause_s
        clock.now_s += pause_s
        assert of.rest_s(relay) == 0.0
        with of.trial(relay):
            assert of.rest_s(relay) == 0.1
            with of.trial(relay):
                pass
            assert of.rest_s(relay) == 0.1
            tell(BLOCKED)
    assert f"has refused {MOST} mails in a row" in of.troubles()[relay]


def test_that_mails_are_taken_again_is_told_once_all_relays_take_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    of, one, other = favour(), exit_("one"), exit_("other")
    tell_one, tell_other = answers(of, one), answers(of, other)
    tell_one(BLOCKED, MOST)
    tell_other(BLOCKED, MOST)
    tell_one(TAKEN)
    assert [each for each in caplog.messages if "again" in each] == []
    tell_other(TAKEN)
    assert len([each for each in caplog.messages if "again" in each]) == 1


def test_at_the_end_it_is_known_which_refusals_are_final() -> None:
    of, lost, other = favour(), exit_("lost"), exit_("other")
    answers(of, lost)(BLOCKED, MOST)
    answers(of, other)(UNKNOWN)
    (kept,) = of.kept(lost=False)
    assert (kept.state, kept.reason, kept.suppress) == (State.REJECTED, "refused", False)
    assert len(of.kept(lost=True)) == MOST + 1
    of.forget([kept])
    assert of.kept(lost=False) == []


def test_triggered_mails_are_tried_again_once_so_many_were_refused() -> None:
    of, relay = favour(triggered=True), exit_()
    tell = answers(of, relay)
    assert [each.state for each in tell(BLOCKED, MOST - 1)] == [State.REJECTED]
    (again,) = tell(BLOCKED)
    assert (again.state, again.reason, again.due_at is not None) == (State.DEFERRED, "deferred", True)
    assert [each.suppress for each in tell(UNKNOWN)] == [False]
    assert (of.is_lost(relay), of.kept(lost=True)) == (False, [])
    # Of an attempt before nobody knows.
    doubtful = Ending(Claimed(9, 9, "g@example.com", "en", 2, None, doubtful=True), State.REJECTED, "refused")
    assert [(each.state, each.reason) for each in of.weigh(relay, UNKNOWN, doubtful, START)] == [
        (State.DEFERRED, "uncertain")
    ]
