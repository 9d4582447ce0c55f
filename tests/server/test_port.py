"""What an operator is told where the server cannot listen."""

import socket
from pathlib import Path

import msgspec
import pytest

from tabellion.server.port import CannotListen, check_port, listen
from tabellion.settings import Settings
from tests.support.api import free_port


def settings(host: str, port: int = 0) -> Settings:
    return msgspec.structs.replace(Settings.load(), host=host, port=port or free_port())


def told(host: str, port: int = 0) -> CannotListen:
    with pytest.raises(CannotListen) as told:
        check_port(settings(host, port))
    return told.value


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = told("127.0.0.1", port)
    assert error.in_use
    assert str(error).startswith(f"127.0.0.1:{port} cannot be listened on (")
    assert error.advice == "choose another with --port (TABELLION_PORT)"


@pytest.mark.parametrize("host", ["nonsense.invalid", "192.0.2.1", "2001:db8::1", "127.0.0.1:80", "300.1.1.1"])
def test_a_host_that_is_none_of_this_machine(host: str) -> None:
    error = told(host)
    assert not error.in_use
    assert "--port" not in str(error)
    assert "give --host an address of this machine: 127.0.0.1 " in str(error)


def test_a_host_may_be_named() -> None:
    for host, address in (("localhost", "127.0.0.1"), ("0.0.0.0", "0.0.0.0")):
        with listen(settings(host), 8) as listening:
            assert listening.getsockname()[0] == address


def test_ports_of_the_tests_are_none_that_the_system_gives_to_whoever_asks_for_any() -> None:
    """A test that tried a port before its own server listened there has handed its mail to another test's."""
    ports = {free_port() for _ in range(100)}
    assert len(ports) == 100
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text(encoding="ascii").split()[0])
    assert max(ports) < lowest
