"""Look-ups of names: text records and addresses, from the name servers that the operator named or those of the system."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tabellion.kit.nameserver import server_of
from tabellion.platform.dns.errors import LookUpFailed, NameUnknown

if TYPE_CHECKING:
    from dns.resolver import Answer

WITHIN_S = 4.0


class Names:
    """Looks names up. `servers` are addresses, with a port if need be (`127.0.0.1:5353`); none: the system's."""

    def __init__(self, servers: Sequence[str] = (), *, within_s: float = WITHIN_S) -> None:
        self._servers = [server_of(text) for text in servers]
        self._within_s = within_s

    async def texts(self, name: str) -> list[str]:
        """The text records of a name; none: the name has none. Raises `NameUnknown`, `LookUpFailed`."""
        answer = await self._ask(name, "TXT")
        return [b"".join(record.strings).decode(errors="replace") for record in answer or ()]

    async def exists(self, name: str) -> bool:
        """Whether there is such a name. Raises `LookUpFailed`, also where nobody was asked who knows public names."""
        try:
            await self._ask(name, "SOA")
        except NameUnknown:
            await self._require_public()
            return False
        return True

    async def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a host, as `platform.egress` wants them. Raises OSError when there are none."""
        del port
        found: list[str] = []
        for answer in await asyncio.gather(self._ask(host, "A"), self._ask(host, "AAAA"), return_exceptions=True):
            if isinstance(answer, BaseException):
                continue
            found += [record.address for record in answer or ()]
        if not found:
            raise OSError(f"{host} has no address")
        return found

    async def _require_public(self) -> None:
        """The name servers of closed networks say of every name outside that it does not exist, the root included."""
        try:
            await self._ask(".", "NS")
        except NameUnknown:
            raise LookUpFailed("the name server that was asked knows no names outside of its own network") from None

    async def _ask(self, name: str, kind: str) -> "Answer | None":
        from tabellion.platform.dns.asking import ask  # noqa: PLC0415 - it loads dnspython, which few processes need

        return await ask(self._servers, name, kind, self._within_s)


__all__ = ["LookUpFailed", "NameUnknown", "Names"]
