"""What is met again and again while something lasts, such as by every call: it is told now and then."""

from time import monotonic

_SELDOM_S = 60.0


class Seldom:
    """When it is to be told once more: at most once a minute."""

    def __init__(self) -> None:
        self._not_before_s = 0.0

    def is_due(self) -> bool:
        """Whether it is to be told now; not again for a minute then."""
        now_s = monotonic()
        if now_s < self._not_before_s:
            return False
        self._not_before_s = now_s + _SELDOM_S
        return True
