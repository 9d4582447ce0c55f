"""What relays think of the mails of all sendings, as this process knows it."""

from collections.abc import Container

from tabellion.features.delivery import store
from tabellion.features.delivery.favour import Favour
from tabellion.features.delivery.model import Sending
from tabellion.features.delivery.transport import Ways
from tabellion.features.delivery.troubles import Trouble
from tabellion.platform.database.connection import Database


class Favours:
    """`most` refusals in a row: see `Favour`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[int, Favour] = {}

    def of(self, sending: Sending) -> Favour:
        """What relays think of the mails of a sending; anew when it was changed, or held and resumed."""
        known = self._known.get(sending.id)
        if known is None or known.version != sending.version:
            known = self._known[sending.id] = Favour(self._most, sending)
        return known

    def troubles(self, ways: Ways) -> list[Trouble]:
        """Relays that are left alone for sendings, and why."""
        return [
            Trouble(number, sending_id, wrong)
            for sending_id, favour in sorted(self._known.items())
            for relay, wrong in favour.troubles().items()
            if (number := ways.number_of(favour.licence_id, relay)) is not None
        ]

    async def forget(self, db: Database, working: Container[int]) -> None:
        """Know no more of sendings that relays refuse nothing of, or that are over; but of those that are worked on."""
        idle = {each: favour for each, favour in self._known.items() if each not in working}
        refused = [each for each, favour in idle.items() if favour]
        going_on = await store.going_on(db, refused) if refused else set[int]()
        for each in idle:
            if each not in going_on and each not in working:
                self._known.pop(each, None)
