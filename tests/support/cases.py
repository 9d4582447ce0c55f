"""One call of the contract's inventory, as the table-driven tests send it on every alias."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Case(NamedTuple):
    """One call: what is sent and what must come back. `check` looks at the JSON answer, `xpath` must be in the XML one. `once`:
    in a licence it is answered so but the first time.
    """

    name: str
    method: str
    category: str
    path: str
    status: int
    body: Any = None
    xml: str = ""
    check: Callable[[Any], bool] = lambda _: True
    xpath: str = ""
    once: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything is different after the call."""
        return self.method != "GET" and self.status < 400
