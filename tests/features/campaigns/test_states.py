"""The state machines of campaigns: what is drawn here happens, and nothing else does."""

from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tabellion.features.campaigns.model import Event, Kind, State, after, may_change, may_change_content

ENDS = {State.FINISHED, State.CANCELLED, State.STOPPED}
# From, call, to.
MASS = """
IN_DEFINITION schedule SCHEDULED
IN_DEFINITION launch IN_PROGRESS
SCHEDULED schedule SCHEDULED
SCHEDULED due IN_PROGRESS
SCHEDULED unschedule IN_DEFINITION
IN_PROGRESS handled FINISHED
IN_PROGRESS pause PAUSED
PAUSED resume IN_PROGRESS
SCHEDULED cancel CANCELLED
IN_PROGRESS cancel CANCELLED
PAUSED cancel CANCELLED
"""
TRIGGERED = """
IN_DEFINITION launch ACTIVE
ACTIVE pause PAUSED
PAUSED resume ACTIVE
ACTIVE cancel STOPPED
PAUSED cancel STOPPED
"""


def drawn(kind: Kind) -> dict[tuple[str, str], str]:
    lines = (MASS if kind is Kind.MASS else TRIGGERED).split("\n")
    return {(a, b): c for a, b, c in (line.split() for line in lines if line)}


class Campaigns(RuleBasedStateMachine):
    """One campaign, and whoever calls."""

    @initialize(kind=st.sampled_from(Kind))
    def define(self, kind: Kind) -> None:
        self.kind, self.state, self.ended = kind, State.IN_DEFINITION, False

    @rule(event=st.sampled_from(Event))
    def happens(self, event: Event) -> None:
        wanted = drawn(self.kind).get((self.state.value, event.value))
        got = after(self.kind, self.state, event)
        assert (None if got is None else got.value) == wanted
        self.state = got or self.state

    @precondition(lambda self: self.state in ENDS)
    @rule()
    def ends(self) -> None:
        self.ended = True

    @invariant()
    def an_end_is_an_end(self) -> None:
        assert not getattr(self, "ended", False) or self.state in ENDS

    @invariant()
    def only_what_has_not_begun_changes(self) -> None:
        if not hasattr(self, "state"):
            return
        assert may_change(self.state) == (self.state is State.IN_DEFINITION)
        paused = self.kind is not Kind.MASS and self.state is State.PAUSED
        assert may_change_content(self.kind, self.state) == (may_change(self.state) or paused)


TestCampaigns = Campaigns.TestCase
TestCampaigns.settings = settings(max_examples=1000, stateful_step_count=8, deadline=None)


@pytest.mark.parametrize("kind", Kind)
def test_in_no_state_does_a_call_do_anything_else(kind: Kind) -> None:
    for state, event in product(State, Event):
        got = after(kind, state, event)
        assert (None if got is None else got.value) == drawn(kind).get((state.value, event.value)), (state, event)
