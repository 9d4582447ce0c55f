"""Whether the server's address can be listened on, and what to do where it cannot."""

import errno
import socket

from tabellion.settings import Settings

_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class CannotListen(Exception):
    """An address cannot be listened on. `reason` is the system's word, `advice` what to do; empty where nobody knows."""

    def __init__(self, where: str, error: OSError, *, host: str, port: str) -> None:
        """`host` and `port` name what the two are set by."""
        self.reason = error.strerror or str(error)
        self.in_use = error.errno == errno.EADDRINUSE
        self.advice = ""
        if isinstance(error, socket.gaierror) or error.errno in _NOT_HERE:
            self.advice = f"give {host} an address of this machine: 127.0.0.1 for it alone, 0.0.0.0 for all that it has"
        elif error.errno == errno.EACCES:
            self.advice = f"this user may not listen on low ports: choose another with {port}"
        elif self.in_use:
            self.advice = f"choose another with {port}"
        super().__init__(f"{where} cannot be listened on ({self.reason})" + (self.advice and f"; {self.advice}"))


def check_port(settings: Settings) -> None:
    """Raise `CannotListen` where the address cannot be listened on."""
    _bound(settings).close()


def check_intake_port(settings: Settings) -> None:
    """The same of the address that bounces are taken at, if they are."""
    if settings.intake_port:
        try:
            _bind(settings.intake_host, settings.intake_port).close()
        except OSError as error:
            raise cannot_take_bounces(settings, error) from None


def cannot_take_bounces(settings: Settings, error: OSError) -> CannotListen:
    """That it cannot be listened on there."""
    where = f"{settings.intake_host}:{settings.intake_port} (for bounces)"
    return CannotListen(where, error, host="TABELLION_INTAKE_HOST", port="TABELLION_INTAKE_PORT")


def listen(settings: Settings, backlog: int) -> socket.socket:
    """Listen on the address. Raises `CannotListen`."""
    listening = _bound(settings)
    try:
        listening.listen(backlog)
    except OSError as error:
        listening.close()
        raise _cannot(settings, error) from None
    return listening


def _bound(settings: Settings) -> socket.socket:
    try:
        return _bind(settings.host, settings.port)
    except OSError as error:
        raise _cannot(settings, error) from None


def _bind(host: str, port: int) -> socket.socket:
    probe = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host, port))
    except OSError:
        probe.close()
        raise
    return probe


def _cannot(settings: Settings, error: OSError) -> CannotListen:
    where = f"{settings.host}:{settings.port}"
    return CannotListen(where, error, host="--host", port="--port (TABELLION_PORT)")
