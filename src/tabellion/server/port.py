"""Whether the server's address is free."""

import socket

from tabellion.settings import Settings


class PortInUse(Exception):
    """Somebody else listens on the address."""


def check_port(settings: Settings) -> None:
    """Raise `PortInUse` unless the address can be listened on."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            raise PortInUse(f"{where} cannot be listened on ({error.strerror}); choose another with --port") from None
