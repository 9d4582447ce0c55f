"""When to leave a domain in peace: it says 421, or "later" (4xx) to several mails in a row."""

from time import monotonic

from tabellion.platform.mail import Fate, Reply

_IN_A_ROW = 5
_HELD_S = 60.0
_MAX_KNOWN = 100_000
Domain = tuple[int, str]


class Patience:
    """What domains said to this process, by licence. Others learn of it from the database."""

    def __init__(self) -> None:
        self._failures: dict[Domain, int] = {}
        self._held: dict[Domain, float] = {}

    def hears(self, licence_id: int, domain: str, reply: Reply) -> bool:
        """Take note of an answer; whether the domain is to be left in peace from now on."""
        key = (licence_id, domain)
        if reply.fate is not Fate.DEFERRED:
            if self._failures:
                self._failures.pop(key, None)
            return False
        if not reply.of_domain:
            return False
        failures = self._failures.get(key, 0) + 1
        if not reply.text.startswith("421") and failures < _IN_A_ROW:
            if len(self._failures) >= _MAX_KNOWN:
                self._failures.clear()
            self._failures[key] = failures
            return False
        self._failures.pop(key, None)
        known_before = key in self._held and self._held[key] > monotonic()
        self._held[key] = monotonic() + _HELD_S
        return not known_before

    def rest_s(self, licence_id: int, domain: str) -> float:
        """For how long a domain gets nothing from this process."""
        if not self._held:
            return 0.0
        left = self._held.get((licence_id, domain), 0.0) - monotonic()
        if left <= 0:
            self._held.pop((licence_id, domain), None)
            return 0.0
        return left
